package native

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/sigv4"
)

// handleLife is how long a handle is good for at most.
const handleLife = 15 * time.Minute

// maxHandle bounds a handle's text in bytes.
const maxHandle = 16 << 10

// SignedRequest is a request that a client sent to the service, as it came.
type SignedRequest struct {
	Method  string      `json:"method"`
	Target  string      `json:"target"` // raw path and query
	Host    string      `json:"host"`
	Headers [][2]string `json:"headers"`
	// Body, or PayloadHash when the service kept only the hash it computed
	// itself (hex SHA-256).
	Body        []byte `json:"body,omitempty"`
	PayloadHash string `json:"payloadHash,omitempty"`
}

// prove authenticates a client's request against the service's record: host
// and scope are compared with the record, not with the request.
func (d *Decider) prove(v *view.View, a *Asker, r *SignedRequest) (*authn.Caller, error) {
	if !slices.Contains(a.Service.Hosts, record.Fold(r.Host)) {
		return nil, fault.AccessDenied.Errorf("Service %s does not answer for the host %q.", a.Service.Name, r.Host)
	}
	req, err := r.received()
	if err != nil {
		return nil, err
	}
	shown, err := sigv4.Parse(req)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(a.Service.Scopes, shown.Scope.Service) {
		return nil, fault.SignatureDoesNotMatch.Errorf("Credential should be scoped to correct service: '%s'. ", strings.Join(a.Service.Scopes, "' or '"))
	}
	return d.Verifier.Foreign(v, req, shown, d.Now())
}

// received is the request as a signature covers it.
func (r *SignedRequest) received() (*sigv4.Request, error) {
	path, query, _ := strings.Cut(r.Target, "?")
	req := &sigv4.Request{Method: r.Method, RawPath: path, RawQuery: query, Host: r.Host, Body: r.Body}
	for _, h := range r.Headers {
		req.Header = append(req.Header, sigv4.Header{Name: h[0], Value: h[1]})
	}
	if r.PayloadHash != "" {
		if len(r.Body) > 0 {
			return nil, fault.InvalidParameterCombination.Errorf("Give body or payloadHash, not both.")
		}
		sum, err := hex.DecodeString(r.PayloadHash)
		if err != nil || len(sum) != 32 {
			return nil, fault.InvalidParameterValue.Errorf("payloadHash is no SHA-256 in hex.")
		}
		req.BodyHash = (*[32]byte)(sum)
	}
	return req, nil
}

// Proof is the answer of Authenticate.
type Proof struct {
	Principal string    `json:"principal"`
	Account   string    `json:"account"`
	UserID    string    `json:"userId"`
	Handle    string    `json:"handle"`
	Expires   time.Time `json:"expires"`
	Revision  string    `json:"revision"`
}

// handle is what a handle holds, sealed to the asking service.
type handle struct {
	Kind    authn.Kind     `json:"k"`
	Account string         `json:"a"`
	ID      string         `json:"i"`
	KeyID   string         `json:"key"`
	Session *authn.Session `json:"s,omitempty"`
	Expires int64          `json:"e"` // Unix seconds
}

// authenticated is Authenticate, on a newer view where v is too old for it.
func (d *Decider) authenticated(ctx context.Context, v *view.View, a *Asker, r *SignedRequest) (proof *Proof, at *view.View, err error) {
	err = d.judged(ctx, v, a.Leave, func(newer *view.View, _ bool) (err error) {
		at = newer
		if a.place.Again(ctx) != nil {
			return throttled()
		}
		if err := d.Verifier.Standing(newer, a.Caller, d.Now()); err != nil {
			return err
		}
		proof, err = d.Authenticate(newer, a, r)
		return err
	})
	return proof, at, err
}

// Authenticate proves a request and returns a handle for later questions.
func (d *Decider) Authenticate(v *view.View, a *Asker, r *SignedRequest) (*Proof, error) {
	c, err := d.prove(v, a, r)
	if err != nil {
		return nil, err
	}
	if !serves(a.Service, c.Account) {
		return nil, fault.AccessDenied.Errorf("Service %s does not serve account %s.", a.Service.Name, c.Account)
	}
	expires := d.Now().Add(handleLife)
	if c.Session != nil && c.Session.Expires.Before(expires) {
		expires = c.Session.Expires
	}
	plain, err := json.Marshal(handle{c.Kind, c.Account, c.ID, c.KeyID, c.Session, expires.Unix()})
	if err != nil {
		return nil, err
	}
	sealed, err := d.Verifier.Ring.SealRegion(v, d.Region, "handle", a.Service.Name, plain)
	if err != nil {
		return nil, err
	}
	return &Proof{Principal: c.ARN, Account: c.Account, UserID: c.UserID, Handle: base64.RawURLEncoding.EncodeToString(sealed),
		Expires: expires.UTC().Truncate(time.Second), Revision: record.Revision(v.Head.Lineage, v.Head.Index)}, nil
}

// openHandle opens a handle that was sealed to this service and checks the
// credential behind it again.
func (d *Decider) openHandle(v *view.View, a *Asker, text string) (*authn.Caller, error) {
	bad := fault.InvalidClientTokenId.Errorf("The handle is not valid here.")
	if len(text) > maxHandle || strings.ContainsAny(text, "\r\n") {
		return nil, bad
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, bad
	}
	plain, err := d.Verifier.Ring.OpenRegion(v, d.Region, "handle", a.Service.Name, sealed)
	if err != nil { // its key may be newer than this view
		return nil, &authn.Unknown{Err: bad}
	}
	var h handle
	if err := json.Unmarshal(plain, &h); err != nil {
		return nil, bad
	}
	now := d.Now()
	if now.Unix() >= h.Expires {
		return nil, fault.ExpiredToken.Errorf("The handle has expired.")
	}
	return d.Verifier.Again(v, authn.Claim{Kind: h.Kind, Account: h.Account, ID: h.ID, KeyID: h.KeyID, Session: h.Session}, now)
}
