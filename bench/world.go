package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

const (
	account = "111122223333"
	region  = "us-east-1"
)

var hashSeed = []byte("0123456789abcdef")

// world is a configuration in memory with the keys to it: one account, two
// groups, and as many users as are asked for.
type world struct {
	root, head, follower ed25519.PrivateKey
	ring                 *keyring.Ring
	tx                   *view.Pending
	now                  time.Time
}

func seeded(b byte) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = b
	return ed25519.NewKeyFromSeed(seed)
}

func public(k ed25519.PrivateKey) []byte { return k.Public().(ed25519.PublicKey) }

// newWorld makes everything but users.
func newWorld() (*world, error) {
	w := &world{root: seeded(1), head: seeded(2), follower: seeded(3), ring: &keyring.Ring{KEK: make([]byte, 32)}, now: time.Now(),
		tx: view.Empty(hashSeed).Begin()}
	g := &record.Genesis{Cluster: "c", Lineage: "l", Mode: "development", Root: public(w.root), HashSeed: hashSeed}
	g.Sign(w.root)
	at := record.At(w.now)
	put := &putter{tx: w.tx}
	put.err = record.Put(w.tx, record.Geneses, g)
	putRecord(put, record.Nodes, &record.Node{ID: "control", Role: record.ControlNode, Head: public(w.head), TLS: public(w.head), Format: record.Format})
	putRecord(put, record.Nodes, &record.Node{ID: "r", Role: record.RegionNode, Region: region, TLS: public(w.follower), Format: record.Format})
	putRecord(put, record.Regions, &record.Region{Name: region, Created: at})
	putRecord(put, record.Accounts, &record.Account{ID: account, Created: at})
	for i := range 2 {
		putRecord(put, record.Groups, &record.Group{Account: account, ID: groupID(i), Name: fmt.Sprint("group-", i), Path: "/", Created: at,
			Inline: []record.Inline{{Name: "group", Document: groupPolicy(i)}}})
	}
	if put.err != nil {
		return nil, put.err
	}
	rk, err := w.ring.NewRegionKey(w.tx, region, 1, nil, w.now)
	if err != nil {
		return nil, err
	}
	putRecord(put, record.RegionKeys, rk)
	ak, err := w.ring.NewAccountKey(w.tx, account, 1, []string{region}, w.now)
	if err != nil {
		return nil, err
	}
	putRecord(put, record.AccountKeys, ak)
	ok, err := w.ring.NewOpeningKey(w.tx, record.DefaultClass, 1, []string{region}, w.now)
	if err != nil {
		return nil, err
	}
	putRecord(put, record.OpeningKeys, ok)
	return w, put.err
}

// putter keeps the first error of several writes.
type putter struct {
	tx  record.Tx
	err error
}

func putRecord[R any](p *putter, k *record.Kind[R], v *R) {
	if p.err == nil {
		p.err = record.Put(p.tx, k, v)
	}
}

// view signs the state as it is now.
func (w *world) view(state *view.State) *view.View {
	h := record.Head{Cluster: "c", Lineage: "l", Format: record.Format, Index: 1, State: state.Digest(), Time: w.now.UnixMilli(), Node: "control"}
	h.Sign(w.head)
	return &view.View{State: state, Head: h}
}

func (w *world) rootHash() string { return fmt.Sprintf("%x", sha256.Sum256(public(w.root))) }

func groupID(i int) string { return fmt.Sprintf("AGPA%016d", i) }
func userID(i int) string  { return fmt.Sprintf("AIDA%016d", i) }

func groupPolicy(i int) string {
	return string(document([]statement{
		{actions: []string{"sqs:SendMessage", "sqs:Get*"}, resources: []string{fmt.Sprintf("arn:aws:sqs:*:%s:group-%d-*", account, i)}},
		{actions: []string{"s3:ListBucket"}, resources: []string{fmt.Sprintf("arn:aws:s3:::group-%d", i)}}}))
}

// userPolicy is a policy of about 600 bytes; n makes it distinct.
func userPolicy(n int) string {
	text := string(document([]statement{
		{actions: []string{"s3:GetObject", "s3:PutObject"}, resources: []string{fmt.Sprintf("arn:aws:s3:::user-%d-data/*", n)},
			conditions: []condition{{"IpAddress", "aws:SourceIp", "10.0.0.0/8"}}},
		{actions: []string{"s3:ListBucket"}, resources: []string{fmt.Sprintf("arn:aws:s3:::user-%d-data", n)},
			conditions: []condition{{"StringLike", "s3:prefix", "home/*"}}},
		{deny: true, actions: []string{"s3:DeleteObject"}, resources: []string{fmt.Sprintf("arn:aws:s3:::user-%d-data/keep/*", n)}}}))
	return text + strings.Repeat(" ", max(0, 600-len(text)))
}

// user is one user with a key, two groups, two tags and an inline policy.
func (w *world) user(i int, document string, key record.AccessKey) *record.User {
	return &record.User{Account: account, ID: userID(i), Name: fmt.Sprint("user-", i), Path: "/", Created: record.At(w.now),
		Tags:   []record.Tag{{Key: "team", Value: fmt.Sprint(i % 100)}, {Key: "stage", Value: "production"}},
		Inline: []record.Inline{{Name: "own", Document: document}}, Groups: []string{groupID(0), groupID(1)}, Keys: []record.AccessKey{key}}
}
