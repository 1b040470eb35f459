package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"github.com/holdfast-iam/holdfast/internal/store"
)

// externalSection races acknowledged updates through the writer against bare
// puts of 1 KiB over gRPC, both into one cluster of three etcd processes.
func externalSection(p *plan) error {
	dir, err := os.MkdirTemp("", "hfb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	endpoints, stop, err := startEtcds(dir)
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	kv, err := store.OpenExternal(ctx, store.ExternalConfig{Endpoints: endpoints})
	if err != nil {
		return err
	}
	ours, err := newWriter(kv, 0, time.Now)
	if err != nil {
		return err
	}
	defer ours.close()
	bare, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer bare.Close()
	value := strings.Repeat("v", 1024)
	r, err := raceLoad(p, storeClients, []loader{{"ours", ours.update}, {"bare etcd over gRPC", func(c, i int) error {
		_, err := bare.Put(context.Background(), fmt.Sprintf("/bare/%d/%d", c, i%storeUsers), value)
		return err
	}}})
	if err != nil {
		return err
	}
	var t table
	t.add("acknowledged updates (p50 / p99)", "ours", "floor: a put of 1 KiB over gRPC", "ours ÷ floor", "spread of ours", "spread of the floor", "goal", "met")
	share := r[0].median() / r[1].median()
	t.add("three etcd processes on loopback, 64 clients", r[0].cell(), r[1].cell(), fmt.Sprintf("%.0f %%", 100*share), r[0].spread(), r[1].spread(), "≥ 140 %", met(share >= 1.4))
	t.print(p)
	ours.close()
	fmt.Fprintf(p.out, "\nA commit held %.1f calls on average.\n", float64(ours.calls)/float64(ours.commits))
	return nil
}

// startEtcds runs this program three more times, as a cluster of etcd.
func startEtcds(dir string) (endpoints []string, stop func(), err error) {
	var running []*exec.Cmd
	var pipes []io.Closer
	stop = func() {
		for i, cmd := range running {
			pipes[i].Close()
			_ = cmd.Wait()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	ports, err := freePorts(6)
	if err != nil {
		return nil, nil, err
	}
	var cluster []string
	for i := range 3 {
		cluster = append(cluster, fmt.Sprintf("e%d=http://%s", i, ports[3+i]))
		endpoints = append(endpoints, "http://"+ports[i])
	}
	for i := range 3 {
		cmd := exec.Command(self, "-serve-etcd", strings.Join([]string{fmt.Sprint("e", i), filepath.Join(dir, fmt.Sprint("e", i)), ports[i], ports[3+i], strings.Join(cluster, ",")}, " "))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, nil, err
		}
		if err := cmd.Start(); err != nil {
			return nil, nil, err
		}
		running, pipes = append(running, cmd), append(pipes, in)
	}
	return endpoints, stop, reached(endpoints)
}

func reached(endpoints []string) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer client.Close()
	for deadline := time.Now().Add(time.Minute); ; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := client.Get(ctx, "x")
		cancel()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("etcd did not answer within a minute: %w", err)
		}
	}
}

func freePorts(n int) (list []string, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		list = append(list, l.Addr().String())
	}
	return list, nil
}

// serveEtcd is one member, with the settings that the store gives its own, until
// its standard input ends.
func serveEtcd(text string) error {
	words := strings.Fields(text)
	if len(words) != 5 {
		return errors.New("-serve-etcd NAME DIR CLIENT PEER CLUSTER")
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.InitialCluster = words[0], words[1], words[4]
	client, peer := url.URL{Scheme: "http", Host: words[2]}, url.URL{Scheme: "http", Host: words[3]}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.MaxTxnOps, cfg.MaxRequestBytes, cfg.QuotaBackendBytes = 4096, 16<<20, store.DefaultQuota
	cfg.BackendBatchInterval = 5 * time.Millisecond
	cfg.SnapshotCount, cfg.SnapshotCatchUpEntries = 1000, 500
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "revision", "1000"
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer e.Close()
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
