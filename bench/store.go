package main

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/holdfast-iam/holdfast/internal/view"
)

const storeClients = 64

// storeUsers is how many records each client writes in turn: the state stays
// at 64 times as many.
const storeUsers = 300

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// storeSection races acknowledged updates through the writer, digest and
// signature on, against bare puts of 1 KiB into an embedded etcd with the same
// settings in this process.
func storeSection(p *plan) error {
	dir, err := os.MkdirTemp("", "hfb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ours, err := openWriter(filepath.Join(dir, "a"), 0, time.Now)
	if err != nil {
		return err
	}
	defer ours.close()
	begun := time.Now()
	// A clock that runs fast: the log may be trimmed once the window of call
	// ids has passed, which takes minutes.
	fast := func() time.Time { return begun.Add(time.Since(begun) * 2000) }
	trimmed, err := openWriter(filepath.Join(dir, "b"), 16<<20, fast)
	if err != nil {
		return err
	}
	defer trimmed.close()
	bare, err := openBare(filepath.Join(dir, "c"))
	if err != nil {
		return err
	}
	defer bare.Close()
	client := v3client.New(bare.Server)
	value := strings.Repeat("v", 1024)
	loaders := []loader{{"ours", ours.update}, {"ours, trimming", trimmed.update}, {"bare etcd", func(c, i int) error {
		_, err := client.Put(context.Background(), fmt.Sprintf("/bare/%d/%d", c, i%storeUsers), value)
		return err
	}}}
	var failed error
	if err := p.profile("store", func() { _, failed = clients(storeClients, p.load, ours.update) }); err != nil || failed != nil {
		return errors.Join(err, failed)
	}
	r, err := raceLoad(p, storeClients, loaders)
	if err != nil {
		return err
	}
	printStore(p, r)
	ours.close()
	fmt.Fprintf(p.out, "\nA commit held %.1f calls on average.\n", float64(ours.calls)/float64(ours.commits))
	return nil
}

func printStore(p *plan, r []rates) {
	var t table
	t.add("acknowledged updates (p50 / p99)", "ours", "floor: bare etcd, a put of 1 KiB", "ours ÷ floor", "CPU of a call, ours / floor", "spread of ours", "spread of the floor", "goal", "met")
	share := func(i int) string { return fmt.Sprintf("%.0f %%", 100*r[i].median()/r[2].median()) }
	cpu := func(i int) string { return nanos(r[i].cpu()) + " / " + nanos(r[2].cpu()) }
	t.add("digest and signature on", r[0].cell(), r[2].cell(), share(0), cpu(0), r[0].spread(), r[2].spread(),
		"≥ 125 %, p99 ≤ the floor's", met(r[0].median() >= 1.25*r[2].median() && r[0].p99() <= r[2].p99()))
	t.add("the same while the log is trimmed", r[1].cell(), r[2].cell(), share(1), cpu(1), r[1].spread(), r[2].spread(), "≥ 100 %", met(r[1].median() >= r[2].median()))
	t.print(p)
}

// writerOverEtcd is the store as the control plane runs it.
type writerOverEtcd struct {
	kv     *store.Etcd
	writer *store.Writer
	stop   context.CancelFunc
	done   chan error
	kept   string // a policy that makes the state value 1 KiB
	told   []byte // the audit part

	commits, calls int // the writer's goroutine counts them
}

func openMember(dir string) (*store.Etcd, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return store.OpenMember(context.Background(), store.MemberConfig{Dir: filepath.Join(dir, "etcd"), Run: dir, Quota: store.DefaultQuota, Log: quiet()})
}

func openWriter(dir string, logBytes int64, now func() time.Time) (*writerOverEtcd, error) {
	kv, err := openMember(dir)
	if err != nil {
		return nil, err
	}
	return newWriter(kv, logBytes, now)
}

// newWriter makes the first commit of a log and runs its writer.
func newWriter(kv *store.Etcd, logBytes int64, now func() time.Time) (*writerOverEtcd, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	w := &store.Writer{KV: kv, Node: "control", Sign: func(h *record.Head) { h.Sign(key) }, Now: now, Log: quiet(), LogBytes: logBytes}
	if err := w.Open(context.Background(), func(*record.Head, *view.State) error { return nil }); err != nil {
		return nil, err
	}
	g := &record.Genesis{Cluster: "c", Lineage: "l", Mode: "development", HashSeed: make([]byte, 16)}
	value, err := record.Geneses.Encode(g)
	if err != nil {
		return nil, err
	}
	if err := w.Genesis(context.Background(), g, []record.Change{{Key: record.Geneses.Key(g), Value: value}}); err != nil {
		return nil, err
	}
	s := &writerOverEtcd{kv: kv, writer: w, done: make(chan error, 1)}
	w.OnCommit = func(v *record.LogValue, _ *view.View) {
		s.commits++
		s.calls += len(v.Records)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.done <- w.Run(ctx) }()
	s.kept = string(document(smallPolicy())) + strings.Repeat(" ", 400)
	request, err := json.Marshal(map[string]string{"PolicyDocument": s.kept[:400]})
	if err != nil {
		return nil, err
	}
	s.told, err = record.Marshal(record.Private{Caller: asker, Operation: "iam:PutUserPolicy", Request: request, RequestID: "0b5a52c3-6f77-4a09-9a4e-8c8c4f7d3d11",
		Source: askAddress, Answer: make([]byte, 60)})
	return s, err
}

// close ends the writer; a second time it does nothing.
func (s *writerOverEtcd) close() {
	if s.stop == nil {
		return
	}
	s.stop()
	s.stop = nil
	<-s.done
	s.kv.Close()
}

func (s *writerOverEtcd) update(client, call int) error {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%d/%d", client, call, time.Now().UnixNano()))
	id := fmt.Sprintf("AIDA%06d%06d", client, call%storeUsers)
	o := s.writer.Do(context.Background(), store.Call{ID: hex.EncodeToString(sum[:]), Account: "111122223333",
		Apply: func(tx record.Tx, now time.Time, _ uint64) ([]byte, error) {
			u := &record.User{Account: "111122223333", ID: id, Name: "user-" + id, Path: "/", Created: record.At(now),
				Inline: []record.Inline{{Name: "policy", Document: s.kept}}}
			return s.told, record.Put(tx, record.Users, u)
		}})
	return o.Err
}

// openBare starts an etcd with the settings that the store gives its own.
func openBare(dir string) (*embed.Etcd, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir = "bare", filepath.Join(dir, "etcd")
	client, peer := url.URL{Scheme: "unix", Path: filepath.Join(dir, "etcd.sock")}, url.URL{Scheme: "unix", Path: filepath.Join(dir, "etcdpeer.sock")}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.BackendBatchInterval = 5 * time.Millisecond
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 1000, 500
	cfg.QuotaBackendBytes = store.DefaultQuota
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "revision", "1000"
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	cfg.TickMs, cfg.ElectionMs = 10, 100
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-e.Server.ReadyNotify():
		return e, nil
	case err := <-e.Err():
		e.Close()
		return nil, err
	case <-time.After(30 * time.Second):
		e.Close()
		return nil, errors.New("etcd did not serve within 30 s")
	}
}
