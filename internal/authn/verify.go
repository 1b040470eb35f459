package authn

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// Verifier proves who sent a request, on one node.
type Verifier struct {
	Ring   *keyring.Ring
	Region string // that receives
	// AnyRegion accepts any well-formed Region name in a scope.
	AnyRegion bool
	// Floor is the newest verified commit time: nothing that expired before
	// it is accepted, whatever the clock says. Nil: there is none.
	Floor  func() time.Time
	tokens tokenCache
	keys   keyCache
}

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
	if err := a.scope(v, p, service); err != nil {
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
// §7): iam takes any Region of the deployment, the others the receiving one.
func (a *Verifier) scope(r record.Reader, p sigv4.Presented, service string) error {
	if p.Scope.Service != service {
		return fault.SignatureDoesNotMatch.Errorf("Credential should be scoped to correct service: '%s'. ", service)
	}
	region := p.Scope.Region
	switch {
	case p.Algorithm == sigv4.ECDSA: // names a set of Regions instead
		return nil
	case a.AnyRegion, region == a.Region, region == "us-east-1", region == "aws-global":
		return nil
	case service == "iam" && record.Has(r, record.Regions, record.None, region):
		return nil
	}
	return fault.SignatureDoesNotMatch.Errorf("Credential should be scoped to a valid region. ")
}

// verify finds the credential, checks the signature, and makes the caller.
func (a *Verifier) verify(v *view.View, req *sigv4.Request, p sigv4.Presented, profile sigv4.Profile, now time.Time) (*Caller, error) {
	c, secret, known, err := a.credential(v, &p, now)
	if err != nil {
		return nil, err
	}
	if !known { // spend the same on a key id that nobody has (lesson L16)
		key := sigv4.DeriveKey("no such key has this secret", p.Scope)
		_ = sigv4.Verify(&p, req, &key, now, profile)
		return nil, errToken
	}
	if err := a.checkSignature(req, &p, c, secret, now, profile); err != nil {
		return nil, faultOf(err)
	}
	// Only now the token's own signature: a flood of made-up tokens costs no
	// more than a flood of made-up keys.
	if c.token != nil && c.token.Verify(v, a.Region) != nil {
		return nil, errToken
	}
	return c, a.standing(v, c, now)
}

func (a *Verifier) checkSignature(req *sigv4.Request, p *sigv4.Presented, c *Caller, secret []byte, now time.Time, profile sigv4.Profile) error {
	if p.Algorithm == sigv4.ECDSA {
		if !sigv4.RegionSetHolds(p.RegionSet, a.Region) {
			return fault.SignatureDoesNotMatch.Errorf("Credential should be scoped to a valid region. ")
		}
		key, err := sigv4.DeriveECDSA(p.AccessKeyID, secret)
		if err != nil {
			return err
		}
		return sigv4.VerifyPublic(p, req, &key.PublicKey, now, profile)
	}
	key := a.keys.get(p.AccessKeyID, secret, p.Scope)
	return sigv4.Verify(p, req, key, now, profile)
}

// credential finds what the request claims to be signed with: a long-term key
// in the view, or the session inside its token.
func (a *Verifier) credential(v *view.View, p *sigv4.Presented, now time.Time) (c *Caller, secret []byte, known bool, err error) {
	if p.SessionToken != "" {
		return a.temporary(v, p, now)
	}
	if e, ok := v.Lookup(record.UserByKey.Name, p.AccessKeyID); ok {
		u, err := record.Users.Open(e)
		if err != nil {
			return nil, nil, false, err
		}
		return a.longTerm(v, p, u.Keys, userCaller(e, u, p.AccessKeyID, v.Head.Index))
	}
	if e, ok := v.Lookup(record.RootByKey.Name, p.AccessKeyID); ok {
		acct, err := record.Accounts.Open(e)
		if err != nil {
			return nil, nil, false, err
		}
		return a.longTerm(v, p, acct.RootKeys, rootCaller(e, acct.ID, p.AccessKeyID, v.Head.Index))
	}
	return nil, nil, false, nil
}

func (a *Verifier) longTerm(v *view.View, p *sigv4.Presented, keys []record.AccessKey, c *Caller) (*Caller, []byte, bool, error) {
	i := slices.IndexFunc(keys, func(k record.AccessKey) bool { return k.ID == p.AccessKeyID })
	if i < 0 || !keys[i].Active {
		return nil, nil, false, nil
	}
	secret, err := a.Ring.Secret(v, c.Account, &keys[i])
	return c, secret, err == nil, err
}

func userCaller(e *record.Entry, u *record.User, keyID string, index uint64) *Caller {
	return &Caller{Kind: User, Account: u.Account, ID: u.ID, UserID: u.ID, ARN: "arn:aws:iam::" + u.Account + ":user" + u.Path + u.Name,
		KeyID: keyID, Principal: e, Index: index}
}

func rootCaller(e *record.Entry, account, keyID string, index uint64) *Caller {
	return &Caller{Kind: Root, Account: account, ID: account, UserID: account, ARN: "arn:aws:iam::" + account + ":root",
		KeyID: keyID, Principal: e, Index: index}
}

// temporary opens a session token. The token is sealed to the access key id,
// so an opened one is of this key.
func (a *Verifier) temporary(v *view.View, p *sigv4.Presented, now time.Time) (*Caller, []byte, bool, error) {
	if !strings.HasPrefix(p.AccessKeyID, keyring.Temporary) {
		return nil, nil, false, nil
	}
	t, err := a.tokens.open(v, p.SessionToken, p.AccessKeyID, a.Ring)
	if err != nil {
		return nil, nil, false, nil
	}
	c, err := claimed(v, Claim{Kind: Kind(t.Kind), Account: t.Account, ID: t.Principal, KeyID: p.AccessKeyID, Session: sessionOf(v, t)})
	if err != nil {
		return nil, nil, false, nil
	}
	c.Index, c.token = v.Head.Index, t
	return c, []byte(t.Secret), true, nil
}

func sessionOf(r record.Reader, t *session.Token) *Session {
	s := &Session{ID: t.Claims.ID, Name: t.Name, Issued: time.Unix(t.Issued, 0).UTC(), Expires: time.Unix(t.Expires, 0).UTC(),
		SourceIdentity: t.SourceIdentity, Tags: t.Tags, Transitive: t.Transitive, ParentKey: t.ParentKey, ParentID: t.ParentID,
		Depth: t.Depth, Provider: t.Provider, Policy: t.Policy, PolicyARNs: t.PolicyARNs, HasPolicy: t.HasPolicy,
		Region: t.Region, Rests: t.Rests}
	if t.MFA > 0 {
		s.MFA = time.Unix(t.MFA, 0).UTC()
	}
	if k, err := record.Get(r, record.SigningKeys, record.None, t.KeyID); err == nil {
		s.Minter = k.Node
	}
	return s
}

// Bearer proves the holder of a service-specific credential.
func (a *Verifier) Bearer(v *view.View, bearer, service string, now time.Time) (*Caller, error) {
	id, secret, ok := keyring.ParseBearer(bearer)
	if !ok {
		return nil, errToken
	}
	e, found := v.Lookup(record.UserByCredential.Name, id)
	if !found {
		_ = keyring.BearerMatches(secret, make([]byte, 32))
		return nil, errToken
	}
	u, err := record.Users.Open(e)
	if err != nil {
		return nil, err
	}
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
	c := userCaller(e, u, id, v.Head.Index)
	return c, a.standing(v, c, now)
}

// judge is the time against which expiry is judged.
func (a *Verifier) judge(now time.Time) time.Time {
	if a.Floor != nil {
		if f := a.Floor(); f.After(now) {
			return f
		}
	}
	return now
}

// standing says whether a proven caller may go on: expiry and all that Recheck
// asks.
func (a *Verifier) standing(r record.Reader, c *Caller, now time.Time) error {
	return Recheck(r, c, a.judge(now))
}

// Again makes a caller of a claim that was proven before, against this view.
func (a *Verifier) Again(v *view.View, claim Claim, now time.Time) (*Caller, error) {
	c, err := claimed(v, claim)
	if err != nil {
		return nil, errToken
	}
	c.Index = v.Head.Index
	return c, a.standing(v, c, now)
}
