package main

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/policy"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// rotated is how many principals take turns.
const rotated = 20_000

// asking is one signed request and what it asks for.
type asking struct {
	request  sigv4.Request
	resource string
}

// decider authenticates and authorizes in this process.
type decider struct {
	view       *view.View
	verifier   *authn.Verifier
	authorizer *authz.Authorizer
	now        time.Time
}

// decideSection takes signed requests through authentication and
// authorization: one principal again and again, and many in rotation, in an
// order without a pattern.
func decideSection(p *plan) error {
	w, err := newWorld()
	if err != nil {
		return err
	}
	long, temporary, err := w.askers(rotated)
	if err != nil {
		return err
	}
	d := &decider{view: w.view(w.tx.State()), verifier: &authn.Verifier{Ring: w.ring, Region: region, Hot: new(view.Ring)},
		authorizer: &authz.Authorizer{}, now: w.now}
	d.each(long)(len(long)) // everybody has been here before
	contenders := []contender{
		{"hot", d.each(long[:1])},
		{"rotation", d.each(long)},
		{"session, hot", d.each(temporary[:1])},
		{"session, cold", d.cold(temporary[0])},
		{"authenticate, hot", d.authenticateOnly(long[:1])},
		{"floor", signatureFloor},
		{"Ed25519", verifyFloor()},
	}
	for _, i := range []int{0, 1, 2, 3} {
		if err := p.profile("decide-"+contenders[i].name, func() { contenders[i].run(calibrate(contenders[i], 5*p.batch)) }); err != nil {
			return err
		}
	}
	f := race(p, contenders)
	hash, sign := f[5].median(), f[6].median()
	var t table
	t.add("authenticate and authorize", "ours (allocs)", "floor", "ours ÷ floor", "spread of ours", "goal", "met")
	row := func(name string, x figure, floor string, against float64, goal string, ok bool) {
		t.add(name, x.cell(), floor, times(x.median(), against), x.spread(), goal, met(ok))
	}
	digest := "hash and HMAC, " + nanos(hash)
	row("one user, hot", f[0], digest, hash, "≤ 3 µs", f[0].median() <= 3e3)
	row(fmt.Sprintf("%d users in rotation", rotated), f[1], digest, hash, "≤ 10 µs", f[1].median() <= 10e3)
	row("one role session, token cached", f[2], digest, hash, "≤ the hot user's (within 1.1 ×)", f[2].median() <= 1.1*f[0].median())
	row("a role session, token never seen", f[3], "Ed25519 verify, "+nanos(sign), sign, "≤ 1.5 × Ed25519 verify", f[3].median() <= 1.5*sign)
	t.add("of the first, authenticate alone", f[4].cell(), digest, times(f[4].median(), hash), f[4].spread(), "–", "–")
	t.print(p)
	return nil
}

// askers adds users with keys, and sessions of one role, and signs a request
// of each for the service sts.
func (w *world) askers(n int) (long, temporary []asking, err error) {
	put := &putter{tx: w.tx}
	role := &record.Role{Account: account, ID: "AROA0000000000000001", Name: "bench", Path: "/", Created: record.At(w.now),
		Trust: `{"Version":"2012-10-17","Statement":[]}`, Inline: []record.Inline{{Name: "own", Document: userPolicy(0)}}}
	putRecord(put, record.Roles, role)
	set, _ := session.KeySet{}.Grow(w.now)
	key := set[0].Public("r", region)
	key.Known = true
	putRecord(put, record.SigningKeys, key)
	type signer struct{ id, secret string }
	var signers []signer
	for i := range n {
		k, secret, err := w.ring.NewAccessKey(w.tx, account, w.now)
		if err != nil {
			return nil, nil, err
		}
		putRecord(put, record.Users, w.user(i, userPolicy(i), k))
		signers = append(signers, signer{k.ID, secret})
	}
	if put.err != nil {
		return nil, nil, put.err
	}
	for i, s := range signers {
		a := asking{resource: fmt.Sprintf("arn:aws:s3:::user-%d-data/reports/2026/summary.csv", i)}
		if a.request, err = w.sign(s.id, s.secret, ""); err != nil {
			return nil, nil, err
		}
		long = append(long, a)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(long), func(i, j int) { long[i], long[j] = long[j], long[i] })
	a := asking{resource: "arn:aws:s3:::user-0-data/reports/2026/summary.csv"}
	a.request, err = w.sessionRequest(role, &set[0], signers[0].id)
	return long, []asking{a}, err
}

// sign makes a request as botocore sends it.
func (w *world) sign(id, secret, token string) (sigv4.Request, error) {
	r := sigv4.Request{Method: "POST", RawPath: "/", Host: "127.0.0.1:4260", Body: []byte("Action=GetCallerIdentity&Version=2011-06-15"), Header: []sigv4.Header{
		{Name: "Accept-Encoding", Value: "identity"}, {Name: "Content-Type", Value: "application/x-www-form-urlencoded; charset=utf-8"},
		{Name: "Content-Length", Value: "43"}, {Name: "User-Agent", Value: "Boto3/1.43 md/Botocore#1.43 ua/2.1 os/linux lang/python#3.13"}}}
	return r, sigv4.Sign(&r, id, secret, token, region, "sts", w.now, sigv4.Own)
}

func (w *world) sessionRequest(role *record.Role, key *session.PrivateKey, parent string) (sigv4.Request, error) {
	opening, generation, err := w.ring.Opening(w.tx, record.DefaultClass, 0)
	if err != nil {
		return sigv4.Request{}, err
	}
	id, err := keyring.NewKeyID(keyring.Temporary, account)
	if err != nil {
		return sigv4.Request{}, err
	}
	c := &session.Claims{Kind: uint8(authn.RoleSession), ID: session.NewID(), Secret: keyring.NewSecret(), Account: account, Principal: role.ID,
		Name: "bench", Issued: w.now.Unix(), Expires: w.now.Add(time.Hour).Unix(), ParentKey: parent, ParentID: userID(0), Depth: 1}
	token, err := session.Mint(session.Header{Region: region, KeyID: key.ID, Generation: generation, Rests: 1}, c, id, opening, key.Key())
	if err != nil {
		return sigv4.Request{}, err
	}
	return w.sign(id, c.Secret, token)
}

func (d *decider) authenticate(a *asking, verifier *authn.Verifier) *authn.Caller {
	parsed, err := sigv4.Parse(&a.request)
	if err != nil {
		panic(err) // we signed it
	}
	c, err := verifier.Signed(d.view, &a.request, parsed, "sts", d.now)
	if err != nil {
		panic(err)
	}
	return c
}

func (d *decider) decide(a *asking, verifier *authn.Verifier) {
	q := authz.Question{Caller: d.authenticate(a, verifier), Action: "s3:GetObject", Resource: a.resource, Source: askAddress, Secure: true,
		Agent: askAgent, Region: region, Now: d.now}
	if got := d.authorizer.Decide(d.view, &q); got.Kind != policy.Allowed {
		panic(fmt.Sprintf("%s on %s: %s", q.Caller.ARN, a.resource, got.Kind))
	}
}

func (d *decider) each(list []asking) func(int) {
	next := 0
	return func(n int) {
		for range n {
			d.decide(&list[next], d.verifier)
			if next++; next == len(list) {
				next = 0
			}
		}
	}
}

// cold takes a new verifier each time, which has seen no token; the keyring is
// warm, as a node's is.
func (d *decider) cold(a asking) func(int) {
	return func(n int) {
		for range n {
			d.decide(&a, &authn.Verifier{Ring: d.verifier.Ring, Region: region, Hot: d.verifier.Hot})
		}
	}
}

func (d *decider) authenticateOnly(list []asking) func(int) {
	return func(n int) {
		for i := range n {
			d.authenticate(&list[i%len(list)], d.verifier)
		}
	}
}

// verifyFloor verifies one Ed25519 signature of a token's size.
func verifyFloor() func(int) {
	key := seeded(9)
	message := make([]byte, 500)
	signature := ed25519.Sign(key, message)
	public := key.Public().(ed25519.PublicKey)
	return func(n int) {
		for range n {
			if !ed25519.Verify(public, message, signature) {
				panic("the signature does not verify")
			}
		}
	}
}
