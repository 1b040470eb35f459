package authn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// Verifier proves who sent a request, on one node. Without a Ring it proves
// nobody.
type Verifier struct {
	Ring   *keyring.Ring
	Region string // that receives
	// OptIn says that accounts must enable the Region.
	OptIn bool
	// AnyRegion accepts any well-formed Region name in a scope.
	AnyRegion bool
	// Floor is the newest verified commit time: nothing that expired before
	// it is accepted, whatever the clock says. Nil: there is none.
	Floor func() time.Time
	// Hot keeps the forms of principals in use; nil: nothing is kept.
	Hot     *view.Ring
	tokens  tokenCache
	derived atomic.Uint64 // signing keys, because none was kept
}

// TokensOpened is how many session tokens were opened because none was kept.
func (a *Verifier) TokensOpened() uint64 { return a.tokens.opened.Load() }

// KeysDerived is how many signing keys were derived because none was kept.
func (a *Verifier) KeysDerived() uint64 { return a.derived.Load() }

var (
	errToken   = fault.InvalidClientTokenId.Errorf("The security token included in the request is invalid.")
	errExpired = fault.ExpiredToken.Errorf("The security token included in the request is expired")
)

// Fault turns a signature library's error, which has AWS's code and words,
// into a fault.
func Fault(e *sigv4.Error) error {
	for _, k := range []fault.Kind{fault.IncompleteSignature, fault.InvalidQueryParameter, fault.MissingAuthenticationToken,
		fault.SignatureDoesNotMatch, fault.InvalidClientTokenId, fault.AccessDenied} {
		if k.Code == e.Code {
			return k.Errorf("%s", e.Message)
		}
	}
	return fault.IncompleteSignature.Errorf("%s", e.Message)
}

func faultOf(err error) error {
	var e *sigv4.Error
	if errors.As(err, &e) {
		return Fault(e)
	}
	return err
}

// Signed proves the sender of a request to one of our own services.
func (a *Verifier) Signed(v *view.View, req *sigv4.Request, p sigv4.Presented, service string, now time.Time) (*Caller, error) {
	if p.Carrier == sigv4.None || p.Carrier == sigv4.Foreign {
		return nil, fault.MissingAuthenticationToken.Errorf("Request is missing Authentication Token")
	}
	if err := a.scope(v, p, service, req.Host); err != nil {
		return nil, err
	}
	return a.verify(v, req, p, sigv4.Own, now)
}

// Foreign proves the sender of a request to a service that asks us: host and
// scope are the asker's to compare with its record.
func (a *Verifier) Foreign(v *view.View, req *sigv4.Request, p sigv4.Presented, now time.Time) (*Caller, error) {
	if p.Carrier == sigv4.None || p.Carrier == sigv4.Foreign {
		return nil, fault.MissingAuthenticationToken.Errorf("Request is missing Authentication Token")
	}
	profile := sigv4.Own
	if strings.HasPrefix(p.Scope.Service, "s3") { // which alone leaves paths as they are
		profile = sigv4.S3
	}
	return a.verify(v, req, p, profile, now)
}

// scope compares the credential scope with what this node answers for (DESIGN
// §7): iam takes any Region of the deployment, the others the receiving one,
// and sts at its global host what clients name there.
func (a *Verifier) scope(r record.Reader, p sigv4.Presented, service, host string) error {
	if p.Scope.Service != service {
		return fault.SignatureDoesNotMatch.Errorf("Credential should be scoped to correct service: '%s'. ", service)
	}
	region := p.Scope.Region
	switch {
	case p.Algorithm == sigv4.ECDSA: // names a set of Regions instead
		return nil
	case a.AnyRegion, region == a.Region:
		return nil
	case region == "us-east-1" || region == "aws-global":
		if service == "iam" || service == "sts" && GlobalHost(host) {
			return nil
		}
	case service == "iam" && record.Has(r, record.Regions, record.None, region):
		return nil
	}
	return fault.SignatureDoesNotMatch.Errorf("Credential should be scoped to a valid region. ")
}

// GlobalHost says whether a host is STS's without a Region: sts.amazonaws.com,
// not sts.eu-west-1.amazonaws.com.
func GlobalHost(host string) bool {
	rest, ok := strings.CutPrefix(host, "sts.")
	label, _, _ := strings.Cut(rest, ".")
	return ok && label != "" && !(strings.Contains(label, "-") && label[len(label)-1] >= '0' && label[len(label)-1] <= '9')
}

// found is a credential that a request claims to be signed with.
type found struct {
	caller *Caller
	// keys keeps what was derived from its secret; secret opens the latter,
	// which a derived key spares.
	keys   *signingKeys
	secret func() ([]byte, error)
	public []byte // for SigV4A; nil: derive it from the secret
}

// Behind is a refusal by a view that is older than what the session rests on:
// it may be wrong, so that nobody is told it as a refusal (protocol rule 15).
type Behind struct {
	Rests uint64 // index that the session rests on
	Err   error  // what the view says
}

func (e *Behind) Error() string { return e.Err.Error() }
func (e *Behind) Unwrap() error { return e.Err }

// Unknown is a refusal because nobody has this credential as far as the view
// knows: another one may know more, where a key that is here and inactive is
// refused by what is known.
type Unknown struct{ Err error }

func (e *Unknown) Error() string { return e.Err.Error() }
func (e *Unknown) Unwrap() error { return e.Err }

var errUnknown = &Unknown{errToken}

// verify is prove, whose refusals are in doubt where the view is behind.
func (a *Verifier) verify(v *view.View, req *sigv4.Request, p sigv4.Presented, profile sigv4.Profile, now time.Time) (*Caller, error) {
	c, err := a.prove(v, req, p, profile, now)
	var f *fault.Error // a wrong signature and the end of a session are wrong at every view
	if !errors.As(err, &f) || f.Kind != fault.InvalidClientTokenId && f.Kind != fault.AccessDenied ||
		a.Ring == nil || p.SessionToken == "" || !strings.HasPrefix(p.AccessKeyID, keyring.Temporary) {
		return c, err
	}
	if t, opens := a.tokens.open(v, p.SessionToken, p.AccessKeyID, a.Ring); opens == nil && t.Rests > v.Head.Index {
		return nil, &Behind{t.Rests, err}
	}
	return c, err
}

// prove finds the credential, checks the signature, and makes the caller.
func (a *Verifier) prove(v *view.View, req *sigv4.Request, p sigv4.Presented, profile sigv4.Profile, now time.Time) (*Caller, error) {
	if a.Ring == nil {
		return nil, errToken
	}
	f, err := a.credential(v, &p)
	if err != nil {
		return nil, err
	}
	if f == nil { // spend the same on a key id that nobody has (lesson L16)
		key := sigv4.DeriveKey("no such key has this secret", p.Scope)
		_ = sigv4.Verify(&p, req, &key, now, profile)
		if _, known := holderOf(v, p.AccessKeyID); known { // inactive, or not this Region's to open
			return nil, errToken
		}
		return nil, errUnknown
	}
	if err := a.checkSignature(req, &p, f, now, profile); err != nil {
		return nil, faultOf(err)
	}
	// Only now the token's own signature: a flood of made-up tokens costs no
	// more than a flood of made-up keys.
	if t := f.caller.token; t != nil {
		key := a.signingKey(v, t.signing)
		if key == nil {
			return nil, errUnknown
		}
		if t.Verify(key, nodeOf(a.Hot, v, f.caller.Session.minter), a.Region) != nil {
			return nil, errToken
		}
		if failpoint.On(failpoint.KeysByTimer) && now.After(key.NotAfter.Std()) {
			return nil, errToken
		}
	}
	return f.caller, a.Standing(v, f.caller, now)
}

// signingKey reads the record of a token's signing key; nil where there is
// none or it cannot be read.
func (a *Verifier) signingKey(r record.Reader, key record.Key) *record.SigningKey {
	e, ok := r.Entry(key)
	if !ok {
		return nil
	}
	k, err := view.Read(a.Hot, record.SigningKeys, e)
	if err != nil {
		return nil
	}
	return k
}

func nodeOf(ring *view.Ring, r record.Reader, key record.Key) *record.Node {
	e, ok := r.Entry(key)
	if !ok {
		return nil
	}
	n, err := view.Read(ring, record.Nodes, e)
	if err != nil {
		return nil
	}
	return n
}

func (a *Verifier) checkSignature(req *sigv4.Request, p *sigv4.Presented, f *found, now time.Time, profile sigv4.Profile) error {
	if p.Algorithm == sigv4.ECDSA {
		return a.checkPublic(req, p, f, now, profile)
	}
	key := f.keys.get(p.AccessKeyID, &p.Scope)
	if key == nil {
		secret, err := f.secret()
		if err != nil {
			return err
		}
		key = f.keys.derive(p.AccessKeyID, &p.Scope, secret)
		a.derived.Add(1)
	}
	return sigv4.Verify(p, req, key, now, profile)
}

// checkPublic verifies SigV4A: a long-term key's by the public half that its
// record holds, so that nothing is opened; a session's by its secret.
func (a *Verifier) checkPublic(req *sigv4.Request, p *sigv4.Presented, f *found, now time.Time, profile sigv4.Profile) error {
	if !sigv4.RegionSetHolds(p.RegionSet, a.Region) {
		return fault.SignatureDoesNotMatch.Errorf("Credential should be scoped to a valid region. ")
	}
	if f.public != nil {
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), f.public)
		if err != nil {
			return err
		}
		return sigv4.VerifyPublic(p, req, public, now, profile)
	}
	secret, err := f.secret()
	if err != nil {
		return err
	}
	key, err := sigv4.DeriveECDSA(p.AccessKeyID, secret)
	if err != nil {
		return err
	}
	return sigv4.VerifyPublic(p, req, &key.PublicKey, now, profile)
}

// credential finds what the request claims to be signed with: a long-term key
// in the view, or the session inside its token. Nil: nobody has it.
func (a *Verifier) credential(v *view.View, p *sigv4.Presented) (*found, error) {
	if p.SessionToken != "" {
		return a.temporary(v, p), nil
	}
	e, ok := v.Lookup(record.UserByKey.Name, p.AccessKeyID)
	kind := User
	if !ok {
		e, ok = v.Lookup(record.RootByKey.Name, p.AccessKeyID)
		kind = Root
	}
	if !ok {
		return nil, nil
	}
	form := FormOf(a.Hot, e)
	if form.Err != nil {
		return nil, form.Err
	}
	k := keyIn(form.longTermKeys(), p.AccessKeyID)
	if k == nil || !k.Active && !failpoint.On(failpoint.InactiveSigns) {
		return nil, nil
	}
	c := a.holder(v, kind, e, form, p.AccessKeyID)
	if c.regions(v) != nil { // this Region was not given what opens its secret
		return nil, nil
	}
	return &found{caller: c, keys: &form.keys, public: k.PublicV4A,
		secret: func() ([]byte, error) { return a.Ring.Secret(v, c.Account, k) }}, nil
}

func keyIn(keys []record.AccessKey, id string) *record.AccessKey {
	for i := range keys {
		if keys[i].ID == id {
			return &keys[i]
		}
	}
	return nil
}

// holder is the caller that holds a long-term credential.
func (a *Verifier) holder(v *view.View, kind Kind, e *record.Entry, form *Form, keyID string) *Caller {
	c := &Caller{Kind: kind, Account: e.Key.Account(), ID: e.Key.ID(), UserID: e.Key.ID(), ARN: form.ARN, KeyID: keyID,
		Principal: e, Form: form, Index: v.Head.Index, ring: a.Hot, through: a.through()}
	return c
}

// temporary opens a session token. The token is sealed to the access key id,
// so an opened one is of this key.
func (a *Verifier) temporary(v *view.View, p *sigv4.Presented) *found {
	if !strings.HasPrefix(p.AccessKeyID, keyring.Temporary) {
		return nil
	}
	t, err := a.tokens.open(v, p.SessionToken, p.AccessKeyID, a.Ring)
	if err != nil {
		return nil
	}
	c := t.again(v)
	if c == nil {
		signing, _ := v.Entry(t.signing)
		if c, err = claimed(a.Hot, v, Claim{Kind: Kind(t.Kind), Account: t.Account, ID: t.Principal, KeyID: t.keyID, Session: a.sessionOf(v, t)}); err != nil {
			return nil
		}
		c.Index, c.token, c.through = v.Head.Index, t, a.through()
		t.last.Store(&claimant{c, signing})
	}
	return &found{caller: c, keys: &t.keys, secret: func() ([]byte, error) { return []byte(t.Secret), nil }}
}

func (a *Verifier) sessionOf(r record.Reader, t *openedToken) *Session {
	s := &Session{ID: t.Claims.ID, Name: t.Name, Issued: time.Unix(t.Issued, 0).UTC(), Expires: time.Unix(t.Expires, 0).UTC(),
		SourceIdentity: t.SourceIdentity, Tags: t.Tags, Transitive: t.Transitive, ParentKey: t.ParentKey, ParentID: t.ParentID,
		Depth: t.Depth, Provider: t.Provider, Policy: t.Policy, PolicyARNs: t.PolicyARNs, HasPolicy: t.HasPolicy,
		Region: t.Region, Rests: t.Rests}
	if t.MFA > 0 {
		s.MFA = time.Unix(t.MFA, 0).UTC()
	}
	if key := a.signingKey(r, t.signing); key != nil {
		s.Minter, s.minter = key.Node, record.MakeKey(record.Nodes.Name, record.None, key.Node)
	}
	return s
}

// Bearer proves the holder of a service-specific credential.
func (a *Verifier) Bearer(v *view.View, bearer, service string, now time.Time) (*Caller, error) {
	id, secret, ok := keyring.ParseBearer(bearer)
	if !ok {
		return nil, errToken
	}
	e, ok := v.Lookup(record.UserByCredential.Name, id)
	if !ok {
		_ = keyring.BearerMatches(secret, make([]byte, 32))
		return nil, errUnknown
	}
	form := FormOf(a.Hot, e)
	if form.Err != nil {
		return nil, form.Err
	}
	u := form.User
	i := slices.IndexFunc(u.ServiceCredentials, func(c record.ServiceCredential) bool { return c.ID == id })
	if i < 0 {
		return nil, errToken
	}
	k := &u.ServiceCredentials[i]
	if !keyring.BearerMatches(secret, k.Hash) || !k.Active || k.Service != service {
		return nil, errToken
	}
	if k.Expires != 0 && !a.judge(now).Before(k.Expires.Std()) {
		return nil, errExpired
	}
	c := a.holder(v, User, e, form, id)
	return c, a.Standing(v, c, now)
}

// judge is the time against which expiry is judged.
func (a *Verifier) judge(now time.Time) time.Time {
	if a.Floor != nil && !failpoint.On(failpoint.NoTimeFloor) {
		if f := a.Floor(); f.After(now) {
			return f
		}
	}
	return now
}

// Standing says whether a proven caller may go on in a state: expiry, against the
// floor too, and all that Recheck asks.
func (a *Verifier) Standing(r record.Reader, c *Caller, now time.Time) error {
	if a.Ring == nil {
		return errToken
	}
	return Recheck(r, c, a.judge(now))
}

// Again makes a caller of a claim that was proven before, against this view.
func (a *Verifier) Again(v *view.View, claim Claim, now time.Time) (*Caller, error) {
	c, err := claimed(a.Hot, v, claim)
	if err != nil {
		return nil, errUnknown
	}
	c.Index, c.through = v.Head.Index, a.through()
	return c, a.Standing(v, c, now)
}
