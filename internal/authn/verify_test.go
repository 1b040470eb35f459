package authn_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/sigv4"
)

const (
	badToken     = "InvalidClientTokenId"
	badSignature = "SignatureDoesNotMatch"
	noToken      = "MissingAuthenticationToken"
	expired      = "ExpiredToken"
	denied       = "AccessDenied"
)

func TestACallerIsWhoHoldsTheCredential(t *testing.T) {
	w := newWorld(t)
	of := func(kind authn.Kind, change func(*session.Claims)) signer {
		return w.session(func(_ *session.Header, c *session.Claims) {
			c.Kind = uint8(kind)
			change(c)
		})
	}
	user := func(c *session.Claims) { c.Principal, c.Name = userID, "" }
	root := func(c *session.Claims) { c.Principal, c.Name, c.ParentKey = account, "", w.root.id }
	for _, x := range []struct {
		name            string
		s               signer
		kind            authn.Kind
		id, userID, arn string
	}{
		{"root", w.root, authn.Root, account, account, "arn:aws:iam::" + account + ":root"},
		{"a user", w.alice, authn.User, userID, userID, "arn:aws:iam::" + account + ":user/team/alice"},
		{"a role's session", w.session(nil), authn.RoleSession, roleID, roleID + ":work", "arn:aws:sts::" + account + ":assumed-role/reader/work"},
		{"a user's session", of(authn.TokenSession, user), authn.TokenSession, userID, userID, "arn:aws:iam::" + account + ":user/team/alice"},
		{"root's session", of(authn.RootSession, root), authn.RootSession, account, account, "arn:aws:iam::" + account + ":root"},
		{"a federated user", of(authn.Federated, func(c *session.Claims) { c.Principal, c.Name = userID, "bob" }), authn.Federated, userID,
			account + ":bob", "arn:aws:sts::" + account + ":federated-user/bob"},
		{"a federated user of root's", of(authn.Federated, func(c *session.Claims) { root(c); c.Name = "bob" }), authn.Federated, account,
			account + ":bob", "arn:aws:sts::" + account + ":federated-user/bob"},
	} {
		c, err := w.ask(x.s)
		if err != nil {
			t.Errorf("%s: %v", x.name, err)
			continue
		}
		if c.Kind != x.kind || c.Account != account || c.ID != x.id || c.UserID != x.userID || c.ARN != x.arn || c.KeyID != x.s.id ||
			c.Index != w.view.Head.Index || (c.Session == nil) != (x.s.token == "") {
			t.Errorf("%s: %+v", x.name, c)
		}
	}
}

func TestASessionSaysWhatItsTokenSays(t *testing.T) {
	w := newWorld(t)
	c := w.caller(w.session(func(h *session.Header, c *session.Claims) {
		h.Rests = 7
		c.Tags, c.Transitive, c.MFA, c.Depth, c.HasPolicy = []record.Tag{{Key: "team", Value: "x"}}, []string{"team"}, now.Unix(), 2, true
	}))
	s := c.Session
	if s.ID != strings.Repeat("ab", 16) || s.Name != "work" || !s.Issued.Equal(now) || !s.Expires.Equal(now.Add(time.Hour)) || s.SourceIdentity != "alice@example.com" ||
		len(s.Tags) != 1 || s.Transitive[0] != "team" || !s.MFA.Equal(now) || s.ParentKey != w.alice.id || s.ParentID != userID || s.Depth != 2 || !s.HasPolicy ||
		s.Minter != node || s.Region != "us-east-1" || s.Rests != 7 {
		t.Errorf("%+v", s)
	}
}

func TestTheScopeNamesTheServiceAndARegionThatThisNodeAnswersFor(t *testing.T) {
	w := newWorld(t)
	w.v.Region = "eu-central-1"
	hosts := map[bool]string{true: "sts.amazonaws.com", false: "sts.eu-central-1.amazonaws.com"}
	for _, x := range []struct {
		name, region, service string // of the scope
		asked                 string // service
		any, v4a              bool
		want                  string
	}{
		{"the receiving Region", "eu-central-1", "sts", "sts", false, false, ""},
		{"the global endpoint's Region, there", "us-east-1", "sts", "sts", false, false, ""},
		{"the pseudo Region, there", "aws-global", "sts", "sts", false, false, ""},
		{"the global endpoint's Region, elsewhere", "us-east-1", "sts", "sts", false, false, badSignature},
		{"the global endpoint's Region, for a door", "us-east-1", "holdfast", "holdfast", false, false, badSignature},
		{"us-east-1, for iam", "us-east-1", "iam", "iam", false, false, ""},
		{"the partition's pseudo Region", "aws-global", "iam", "iam", false, false, ""},
		{"another Region of the deployment, for iam", "eu-west-1", "iam", "iam", false, false, ""},
		{"another Region of the deployment, for sts", "eu-west-1", "sts", "sts", false, false, badSignature},
		{"a Region that there is not", "ap-south-1", "iam", "iam", false, false, badSignature},
		{"a Region that there is not, where any will do", "ap-south-1", "sts", "sts", true, false, ""},
		{"another service", "eu-central-1", "iam", "sts", false, false, badSignature},
		{"another service, where any Region will do", "eu-central-1", "s3", "sts", true, false, badSignature},
		{"a set of Regions with the receiving one", "eu-central-1,eu-west-1", "sts", "sts", false, true, ""},
		{"a pattern for the receiving one", "eu-*", "sts", "sts", false, true, ""},
		{"a set of Regions without it", "us-east-1", "sts", "sts", false, true, badSignature},
		{"a set of Regions of another service", "*", "iam", "sts", false, true, badSignature},
	} {
		w.v.AnyRegion = x.any
		r, p := w.request(w.alice, signing{region: x.region, service: x.service, v4a: x.v4a, host: hosts[strings.HasSuffix(x.name, ", there")]})
		_, err := w.v.Signed(w.view, r, p, x.asked, now)
		if got := code(t, err); got != x.want {
			t.Errorf("%s: %q (%v), want %q", x.name, got, err, x.want)
		}
	}
}

func TestARequestWithoutACredentialIsNobodys(t *testing.T) {
	w := newWorld(t)
	for name, header := range map[string][]sigv4.Header{"nothing": nil, "a Bearer": {{Name: "Authorization", Value: "Bearer " + w.bearer}}} {
		r := &sigv4.Request{Method: "GET", RawPath: "/", Host: "h", Header: header}
		p, err := sigv4.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.v.Signed(w.view, r, p, "sts", now)
		wantCode(t, err, noToken)
		_, err = w.v.Foreign(w.view, r, p, now)
		if got := code(t, err); got != noToken {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestAnEmptyVerifierAndAnUnparsedRequestProveNobody(t *testing.T) {
	w := newWorld(t)
	r, p := w.request(w.alice, signing{region: "us-east-1", service: "sts"})
	empty := &authn.Verifier{AnyRegion: true}
	if c, err := empty.Signed(w.view, r, p, "sts", now); err == nil || c != nil {
		t.Errorf("no ring: %+v", c)
	}
	if c, err := new(authn.Verifier).Foreign(w.view, r, p, now); err == nil || c != nil {
		t.Errorf("no ring, foreign: %+v", c)
	}
	s := w.session(nil)
	r, p = w.request(s, signing{region: "us-east-1", service: "sts"})
	if c, err := empty.Signed(w.view, r, p, "sts", now); err == nil || c != nil {
		t.Errorf("no ring, a session: %+v", c)
	}
	_, err := empty.Bearer(w.view, w.bearer, "bedrock.amazonaws.com", now)
	wantCode(t, err, badToken)
	_, err = empty.Again(w.view, authn.Claim{Kind: authn.User, Account: account, ID: userID, KeyID: w.alice.id}, now)
	wantCode(t, err, badToken)
	_, err = w.v.Signed(w.view, r, sigv4.Presented{}, "sts", now)
	wantCode(t, err, noToken)
	_, err = w.v.Signed(w.view, r, sigv4.Presented{Carrier: sigv4.InHeader, Algorithm: sigv4.HMAC, AccessKeyID: w.alice.id, Scope: p.Scope}, "sts", now)
	if err == nil {
		t.Error("a Presented that Parse did not make was proven")
	}
}

func TestAWrongSignatureIsRefusedForEachKindOfCredential(t *testing.T) {
	w := newWorld(t)
	for name, s := range map[string]signer{"user": w.alice, "root": w.root, "session": w.session(nil)} {
		for _, v4a := range []bool{false, true} {
			wrong := s
			wrong.secret = "another"
			r, p := w.request(wrong, signing{region: "us-east-1", service: "sts", v4a: v4a})
			if _, err := w.v.Signed(w.view, r, p, "sts", now); code(t, err) != badSignature {
				t.Errorf("%s, SigV4A %v: %v", name, v4a, err)
			}
			r, p = w.request(s, signing{region: "us-east-1", service: "sts", v4a: v4a})
			if _, err := w.v.Signed(w.view, r, p, "sts", now); err != nil {
				t.Errorf("%s, SigV4A %v, the right one: %v", name, v4a, err)
			}
			r.Body = []byte("Action=DeleteUser")
			if _, err := w.v.Signed(w.view, r, p, "sts", now); code(t, err) != badSignature {
				t.Errorf("%s, SigV4A %v, another body: %v", name, v4a, err)
			}
		}
	}
}

func TestAKeptSigningKeyIsOfItsDayRegionServiceAndKeyAlone(t *testing.T) {
	w := newWorld(t)
	w.caller(w.alice) // what was derived is kept from here on
	for _, x := range []struct {
		name string
		how  signing
	}{
		{"the next day", signing{region: "us-east-1", service: "sts", at: now.Add(24 * time.Hour)}},
		{"another Region", signing{region: "aws-global", service: "sts", at: now, host: "sts.amazonaws.com"}},
		{"another service", signing{region: "us-east-1", service: "iam", at: now}},
	} {
		r, p := w.request(w.alice, x.how)
		if _, err := w.v.Signed(w.view, r, p, x.how.service, x.how.at); err != nil {
			t.Errorf("%s: %v", x.name, err)
		}
	}
	k, secret, err := w.ring.NewAccessKey(w.view, account, now)
	if err != nil {
		t.Fatal(err)
	}
	second := signer{id: k.ID, secret: secret}
	edit(w, record.Users, account, userID, func(u *record.User) { u.Keys = append(u.Keys, k) })
	if c := w.caller(second); c.ID != userID || c.KeyID != second.id {
		t.Errorf("the second key: %+v", c)
	}
	crossed := signer{w.alice.id, second.secret, ""}
	if _, err := w.ask(crossed); code(t, err) != badSignature {
		t.Errorf("one key's id with the other's secret: %v", err)
	}
}

func TestSigV4AOfALongTermKeyIsVerifiedWhereNoSecretCanBeOpened(t *testing.T) {
	w := newWorld(t)
	w.v.Ring = new(keyring.Ring) // a node to which no key was delivered
	for name, s := range map[string]signer{"user": w.alice, "root": w.root} {
		r, p := w.request(s, signing{region: "*", service: "sts", v4a: true})
		if c, err := w.v.Signed(w.view, r, p, "sts", now); err != nil || c.KeyID != s.id {
			t.Errorf("%s: %v", name, err)
		}
		wrong := s
		wrong.secret = "another"
		r, p = w.request(wrong, signing{region: "*", service: "sts", v4a: true})
		if _, err := w.v.Signed(w.view, r, p, "sts", now); code(t, err) != badSignature {
			t.Errorf("%s, another secret: %v", name, err)
		}
		if _, err := w.ask(s); err == nil {
			t.Errorf("%s: a SigV4 signature was verified without the secret", name)
		}
	}
}

func TestAKeyThatIsInactiveGoneOrUnknownIsAnInvalidToken(t *testing.T) {
	for _, x := range []struct {
		name string
		do   func(w *world) signer
	}{
		{"inactive", func(w *world) signer {
			edit(w, record.Users, account, userID, func(u *record.User) { u.Keys[0].Active = false })
			return w.alice
		}},
		{"root's inactive", func(w *world) signer {
			edit(w, record.Accounts, account, account, func(a *record.Account) { a.RootKeys[0].Active = false })
			return w.root
		}},
		{"deleted", func(w *world) signer {
			edit(w, record.Users, account, userID, func(u *record.User) { u.Keys = nil })
			return w.alice
		}},
		{"of a user that is gone", func(w *world) signer { w.remove("user", account, userID); return w.alice }},
		{"of an account that is gone", func(w *world) signer { w.remove("account", account, account); return w.alice }},
		{"that nobody has", func(*world) signer { return signer{"AKIAIOSFODNN7EXAMPLE", "s", ""} }},
		{"a temporary one without its token", func(w *world) signer { s := w.session(nil); s.token = ""; return s }},
		{"a long-term one with a session's token", func(w *world) signer { s := w.alice; s.token = w.session(nil).token; return s }},
	} {
		w := newWorld(t)
		w.caller(w.alice) // kept forms must not outlive the change
		w.caller(w.root)
		s := x.do(w)
		if _, err := w.ask(s); code(t, err) != badToken {
			t.Errorf("%s: %v, want %s", x.name, err, badToken)
		}
		s.secret = "wrong" // nor does the answer tell whether the secret is right
		if _, err := w.ask(s); code(t, err) != badToken && s.token == "" && x.name != "of an account that is gone" {
			t.Errorf("%s, with a wrong secret: %v, want %s", x.name, err, badToken)
		}
	}
}

func TestAnUnknownKeyIDCostsTheSameDerivationAsAKnownOne(t *testing.T) {
	w := newWorld(t)
	cost := func(s signer) time.Duration {
		s.secret = "wrong"
		best := time.Hour
		w.v.Hot = nil // no derived key is kept
		for range 200 {
			r, p := w.request(s, signing{region: "us-east-1", service: "sts"})
			begun := time.Now()
			_, err := w.v.Signed(w.view, r, p, "sts", now)
			if took := time.Since(begun); took < best {
				best = took
			}
			if err == nil {
				t.Fatal("verified")
			}
		}
		return best
	}
	known, unknown := cost(w.alice), cost(signer{id: "AKIAIOSFODNN7EXAMPLE"})
	if unknown < known/4 {
		t.Errorf("an unknown key id costs %v, a known one %v", unknown, known)
	}
	// And what the answer says is the same, whatever the signature.
	for _, secret := range []string{"wrong", "no such key has this secret"} {
		_, err := w.ask(signer{"AKIAIOSFODNN7EXAMPLE", secret, ""})
		wantCode(t, err, badToken)
	}
}

func TestABearerProvesTheUserForItsOneService(t *testing.T) {
	const service, id = "bedrock.amazonaws.com", "ACCAALICEALICEALICE1"
	set := func(do func(*record.ServiceCredential)) func(w *world) {
		return func(w *world) {
			edit(w, record.Users, account, userID, func(u *record.User) { do(&u.ServiceCredentials[0]) })
		}
	}
	other, _ := keyring.NewBearer(id)
	unknown, _ := keyring.NewBearer("ACCANOBODYNOBODYNOB1")
	for _, x := range []struct {
		name    string
		do      func(w *world)
		bearer  string // "" for alice's
		service string
		want    string
	}{
		{"good", nil, "", service, ""},
		{"one that ends later", set(func(c *record.ServiceCredential) { c.Expires = record.At(now.Add(time.Second)) }), "", service, ""},
		{"one that ends now", set(func(c *record.ServiceCredential) { c.Expires = record.At(now) }), "", service, expired},
		{"another service", nil, "", "codecommit.amazonaws.com", badToken},
		{"no service", nil, "", "", badToken},
		{"inactive", set(func(c *record.ServiceCredential) { c.Active = false }), "", service, badToken},
		{"without a hash", set(func(c *record.ServiceCredential) { c.Hash = nil }), "", service, badToken},
		{"another secret", nil, other, service, badToken},
		{"an id that nobody has", nil, unknown, service, badToken},
		{"no Bearer of ours", nil, "eyJhbGciOiJIUzI1NiJ9.e30.x", service, badToken},
		{"nothing", nil, " ", service, badToken},
		{"of a user that is gone", func(w *world) { w.remove("user", account, userID) }, "", service, badToken},
		{"of an account that is gone", func(w *world) { w.remove("account", account, account) }, "", service, badToken},
		{"of a denied user", func(w *world) { w.deny(record.Denial{Scope: record.DenyID, Target: userID}) }, "", service, denied},
		{"denied itself", func(w *world) { w.deny(record.Denial{Scope: record.DenyKey, Target: id}) }, "", service, denied},
	} {
		w := newWorld(t)
		if x.do != nil {
			x.do(w)
		}
		if x.bearer == "" {
			x.bearer = w.bearer
		}
		c, err := w.v.Bearer(w.view, x.bearer, x.service, now)
		if got := code(t, err); got != x.want {
			t.Errorf("%s: %q (%v), want %q", x.name, got, err, x.want)
		}
		if err == nil && (c.Kind != authn.User || c.ID != userID || c.KeyID != id || c.ARN != "arn:aws:iam::"+account+":user/team/alice") {
			t.Errorf("%s: %+v", x.name, c)
		}
	}
}

func TestABearerThatEndedByTheCommitTimeIsExpiredWhateverTheClockSays(t *testing.T) {
	w := newWorld(t)
	edit(w, record.Users, account, userID, func(u *record.User) { u.ServiceCredentials[0].Expires = record.At(now.Add(time.Minute)) })
	w.v.Floor = func() time.Time { return now.Add(time.Minute) }
	_, err := w.v.Bearer(w.view, w.bearer, "bedrock.amazonaws.com", now)
	wantCode(t, err, expired)
}

func TestAForeignRequestIsProvenWhateverItsScope(t *testing.T) {
	w := newWorld(t)
	r, p := w.request(w.alice, signing{region: "mars-north-1", service: "storage"})
	if c, err := w.v.Foreign(w.view, r, p, now); err != nil || c.ID != userID {
		t.Errorf("%v", err)
	}
	_, err := w.v.Signed(w.view, r, p, "sts", now)
	wantCode(t, err, badSignature)
	r.Body = append(r.Body, 'x')
	_, err = w.v.Foreign(w.view, r, p, now)
	wantCode(t, err, badSignature)
}

func TestOnlyS3ScopesLeavePathAndPayloadAsTheyAre(t *testing.T) {
	w := newWorld(t)
	for service, want := range map[string]string{"s3": "", "s3-object-lambda": "", "storage": badSignature} {
		r := &sigv4.Request{Method: "GET", RawPath: "/a//../b", Host: "h"}
		if err := sigv4.Sign(r, w.alice.id, w.alice.secret, "", "us-east-1", service, now, sigv4.S3); err != nil {
			t.Fatal(err)
		}
		p, err := sigv4.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.v.Foreign(w.view, r, p, now)
		if got := code(t, err); got != want {
			t.Errorf("%s: %q (%v), want %q", service, got, err, want)
		}
	}
}

func TestASignatureErrorBecomesTheFaultOfItsCode(t *testing.T) {
	for code, want := range map[string]fault.Kind{sigv4.IncompleteSignature: fault.IncompleteSignature, sigv4.SignatureDoesNotMatch: fault.SignatureDoesNotMatch,
		sigv4.MissingAuthenticationToken: fault.MissingAuthenticationToken, sigv4.InvalidQueryParameter: fault.InvalidQueryParameter,
		sigv4.InvalidClientTokenId: fault.InvalidClientTokenId, sigv4.AccessDenied: fault.AccessDenied, "another": fault.IncompleteSignature} {
		if err := authn.Fault(&sigv4.Error{Code: code, Message: "m"}); !errors.Is(err, want) {
			t.Errorf("%s: %v", code, err)
		}
	}
}
