package authn_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// afterwards is what can happen to what a role's session rests on.
var afterwards = []struct {
	name string
	do   func(w *world)
	want string
}{
	{"nothing", func(*world) {}, ""},
	{"the parent key is inactive", func(w *world) {
		edit(w, record.Users, account, userID, func(u *record.User) { u.Keys[0].Active = false })
	}, badToken},
	{"the parent key is gone", func(w *world) { edit(w, record.Users, account, userID, func(u *record.User) { u.Keys = nil }) }, badToken},
	{"its user is gone", func(w *world) { w.remove("user", account, userID) }, badToken},
	{"the role is gone", func(w *world) { w.remove("role", account, roleID) }, badToken},
	{"the account is gone", func(w *world) { w.remove("account", account, account) }, badToken},
	{"the minter is fenced", func(w *world) { edit(w, record.Nodes, record.None, node, func(n *record.Node) { n.Fenced = true }) }, badToken},
	{"the minter is gone", func(w *world) { w.remove("node", record.None, node) }, badToken},
	{"the session is denied", func(w *world) { w.deny(record.Denial{Scope: record.DenySession, Target: strings.Repeat("ab", 16)}) }, denied},
	{"another session is", func(w *world) { w.deny(record.Denial{Scope: record.DenySession, Target: strings.Repeat("cd", 16)}) }, ""},
	{"the parent key is denied", func(w *world) { w.deny(record.Denial{Scope: record.DenyKey, Target: w.alice.id}) }, denied},
	{"another key is", func(w *world) { w.deny(record.Denial{Scope: record.DenyKey, Target: w.root.id}) }, ""},
	{"the role is denied", func(w *world) { w.deny(record.Denial{Scope: record.DenyID, Target: roleID}) }, denied},
	{"who asked for it is denied", func(w *world) { w.deny(record.Denial{Scope: record.DenyID, Target: userID}) }, denied},
	{"a part of the role's id is", func(w *world) { w.deny(record.Denial{Scope: record.DenyID, Target: roleID[:19]}) }, ""},
	{"a longer id that begins like the role's is", func(w *world) { w.deny(record.Denial{Scope: record.DenyID, Target: roleID + "2"}) }, ""},
	{"the minter is denied", func(w *world) { w.deny(record.Denial{Scope: record.DenyMinter, Target: node}) }, denied},
	{"the account is denied", func(w *world) { w.deny(record.Denial{Scope: record.DenyAccount, Target: account}) }, denied},
	{"another account is", func(w *world) { w.deny(record.Denial{Scope: record.DenyAccount, Target: "999999999999"}) }, ""},
	{"the source identity is denied in the account", func(w *world) {
		w.deny(record.Denial{Scope: record.DenyIdentity, Account: account, Target: "alice@example.com"})
	}, denied},
	{"the source identity is in another account", func(w *world) {
		w.deny(record.Denial{Scope: record.DenyIdentity, Account: "999999999999", Target: "alice@example.com"})
	}, ""},
	{"sessions before the next second are denied", func(w *world) {
		w.deny(record.Denial{Scope: record.DenyBefore, Target: roleID, Before: record.At(now) + 1})
	}, denied},
	{"sessions before its own second are", func(w *world) {
		w.deny(record.Denial{Scope: record.DenyBefore, Target: roleID, Before: record.At(now)})
	}, ""},
	{"sessions of another are", func(w *world) {
		w.deny(record.Denial{Scope: record.DenyBefore, Target: "AROAOTHEROTHEROTHER1", Before: record.At(now) + 1})
	}, ""},
	{"a denial of the session was lifted", func(w *world) {
		w.deny(record.Denial{Scope: record.DenySession, Target: strings.Repeat("ab", 16), Lifted: true})
	}, ""},
}

func TestASessionLastsNoLongerThanWhatItRestsOn(t *testing.T) {
	for _, x := range afterwards {
		w := newWorld(t)
		s := w.session(nil)
		w.caller(s) // from here on the opened token is kept
		x.do(w)
		if _, err := w.ask(s); code(t, err) != x.want {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
}

func TestAProvenCallerIsAskedAgainOnTheStateOfTheCommit(t *testing.T) {
	for _, x := range afterwards {
		w := newWorld(t)
		c := w.caller(w.session(nil))
		x.do(w)
		if err := authn.Recheck(w.view, c, now); code(t, err) != x.want {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
}

func TestAClaimProvenBeforeIsProvenAgainByTheSameRules(t *testing.T) {
	for _, x := range afterwards {
		w := newWorld(t)
		c := w.caller(w.session(nil))
		claim := authn.Claim{Kind: c.Kind, Account: c.Account, ID: c.ID, KeyID: c.KeyID, Session: c.Session}
		x.do(w)
		again, err := w.v.Again(w.view, claim, now)
		if code(t, err) != x.want {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
		if err == nil && (again.ARN != c.ARN || again.UserID != c.UserID || again.Index != w.view.Head.Index) {
			t.Errorf("%s: %+v", x.name, again)
		}
	}
}

func TestAClaimThatDoesNotFitItsKindIsRefused(t *testing.T) {
	w := newWorld(t)
	s := w.caller(w.session(nil)).Session
	for _, x := range []struct {
		name  string
		claim authn.Claim
		want  string
	}{
		{"a user", authn.Claim{Kind: authn.User, Account: account, ID: userID, KeyID: w.alice.id}, ""},
		{"root", authn.Claim{Kind: authn.Root, Account: account, ID: account, KeyID: w.root.id}, ""},
		{"a role's session", authn.Claim{Kind: authn.RoleSession, Account: account, ID: roleID, Session: s}, ""},
		{"nothing", authn.Claim{}, badToken},
		{"nobody", authn.Claim{Account: account, ID: userID, KeyID: w.alice.id}, badToken},
		{"a kind that there is not", authn.Claim{Kind: 99, Account: account, ID: userID, KeyID: w.alice.id}, badToken},
		{"a role without a session", authn.Claim{Kind: authn.RoleSession, Account: account, ID: roleID}, badToken},
		{"a federated user without a session", authn.Claim{Kind: authn.Federated, Account: account, ID: userID}, badToken},
		{"a user's session without one", authn.Claim{Kind: authn.TokenSession, Account: account, ID: userID}, badToken},
		{"root's session without one", authn.Claim{Kind: authn.RootSession, Account: account, ID: account}, badToken},
		{"a user with a session", authn.Claim{Kind: authn.User, Account: account, ID: userID, Session: s}, badToken},
		{"root with a session", authn.Claim{Kind: authn.Root, Account: account, ID: account, Session: s}, badToken},
		{"a role's id as a user", authn.Claim{Kind: authn.User, Account: account, ID: roleID, KeyID: w.alice.id}, badToken},
		{"a user's id as a role", authn.Claim{Kind: authn.RoleSession, Account: account, ID: userID, Session: s}, badToken},
		{"another account", authn.Claim{Kind: authn.User, Account: "999999999999", ID: userID, KeyID: w.alice.id}, badToken},
		{"a key that nobody has", authn.Claim{Kind: authn.User, Account: account, ID: userID, KeyID: "AKIAIOSFODNN7EXAMPLE"}, badToken},
		{"a credential that nobody has", authn.Claim{Kind: authn.User, Account: account, ID: userID, KeyID: "ACCANOBODYNOBODYNOB1"}, badToken},
	} {
		if _, err := w.v.Again(w.view, x.claim, now); code(t, err) != x.want {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
}

func TestALongTermCallerIsDeniedByKeyByIDAndByAccount(t *testing.T) {
	for _, x := range []struct {
		name string
		d    record.Denial
		want string
	}{
		{"the key", record.Denial{Scope: record.DenyKey}, denied}, // Target: the key
		{"the user", record.Denial{Scope: record.DenyID, Target: userID}, denied},
		{"the account", record.Denial{Scope: record.DenyAccount, Target: account}, denied},
		{"its sessions", record.Denial{Scope: record.DenyBefore, Target: userID, Before: record.At(now) + 1}, ""},
		{"a key as a principal", record.Denial{Scope: record.DenyID, Target: "AKIAIOSFODNN7EXAMPLE"}, ""},
	} {
		w := newWorld(t)
		if x.d.Target == "" {
			x.d.Target = w.alice.id
		}
		w.deny(x.d)
		_, err := w.ask(w.alice)
		if code(t, err) != x.want {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
		if err != nil && !strings.Contains(err.Error(), "arn:aws:iam::"+account+":user/team/alice is denied by an operator") {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

func TestRecheckKnowsNobody(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]*authn.Caller{"nil": nil, "zero": {}, "a kind alone": {Kind: authn.Root}, "without a kind": {Principal: w.caller(w.alice).Principal}} {
		if err := authn.Recheck(w.view, c, now); code(t, err) != noToken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASessionEndsAtItsTimeAndByTheCommitTimeWhateverTheClockSays(t *testing.T) {
	w := newWorld(t)
	s := w.session(nil)
	end := now.Add(time.Hour)
	for _, x := range []struct {
		name      string
		at, floor time.Time
		want      string
	}{
		{"just before", end.Add(-time.Second), time.Time{}, ""},
		{"at its end", end, time.Time{}, expired},
		{"after it", end.Add(time.Hour), time.Time{}, expired},
		{"the clock is behind the commits", end.Add(-time.Minute), end, expired},
		{"the commits are behind the clock", end.Add(-time.Minute), end.Add(-time.Hour), ""},
		{"the commits are before its end", now, end.Add(-time.Second), ""},
	} {
		w.v.Floor = func() time.Time { return x.floor }
		if _, err := w.askAt(s, x.at); code(t, err) != x.want {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
		w.v.Floor = nil
		c, err := w.askAt(s, now)
		if err != nil {
			t.Fatal(err)
		}
		w.v.Floor = func() time.Time { return x.floor }
		if err := w.v.Standing(w.view, c, x.at); code(t, err) != x.want {
			t.Errorf("%s, asked again: %v, want %q", x.name, err, x.want)
		}
	}
}

func TestATokenIsOfItsMintersPublishedKey(t *testing.T) {
	stranger := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	for _, x := range []struct {
		name string
		do   func(w *world) signer
	}{
		{"signed by a stranger", func(w *world) signer { return w.sessionSigned(stranger, nil) }},
		{"of a key that was never published", func(w *world) signer {
			return w.session(func(h *session.Header, _ *session.Claims) { h.KeyID = "unpublished" })
		}},
		{"of a revoked key", func(w *world) signer {
			s := w.session(nil)
			w.caller(s)
			edit(w, record.SigningKeys, record.None, w.minter.ID, func(k *record.SigningKey) { k.Revoked = true })
			return s
		}},
		{"of another Region than its key", func(w *world) signer {
			return w.session(func(h *session.Header, _ *session.Claims) { h.Region = "eu-west-1" })
		}},
		{"that only another Region accepts", func(w *world) signer {
			w.v.Region, w.v.AnyRegion = "eu-west-1", true
			return w.session(func(h *session.Header, _ *session.Claims) { h.Regional = true })
		}},
		{"of a longer life than there is", func(w *world) signer {
			return w.session(func(_ *session.Header, c *session.Claims) { c.Expires = c.Issued + 36*3600 + 1 })
		}},
		{"issued before its key", func(w *world) signer {
			return w.session(func(_ *session.Header, c *session.Claims) { c.Issued -= 3600 })
		}},
		{"of a kind that is no session's", func(w *world) signer {
			return w.session(func(_ *session.Header, c *session.Claims) { c.Kind = uint8(authn.User); c.Principal = userID })
		}},
		{"with another key id", func(w *world) signer {
			s := w.session(nil)
			w.caller(s) // what is kept of it is of its own key id
			s.id, _ = keyring.NewKeyID(keyring.Temporary, account)
			return s
		}},
		{"with one character changed", func(w *world) signer {
			s := w.session(nil)
			w.caller(s)
			b := []byte(s.token)
			b[len(b)/2] ^= 1
			s.token = string(b)
			return s
		}},
		{"of an opening key that is not here", func(w *world) signer {
			return w.session(func(h *session.Header, _ *session.Claims) { h.Generation = 2 })
		}},
	} {
		w := newWorld(t)
		if _, err := w.ask(x.do(w)); code(t, err) != badToken {
			t.Errorf("%s: %v, want %s", x.name, err, badToken)
		}
	}
}

func TestARegionalTokenIsGoodInItsRegion(t *testing.T) {
	w := newWorld(t)
	w.caller(w.session(func(h *session.Header, _ *session.Claims) { h.Regional = true }))
}

func TestAnUnprovenCallerIsFoundByItsWholeARN(t *testing.T) {
	w := newWorld(t)
	for _, x := range []struct {
		arn  string
		kind authn.Kind
		want string
	}{
		{"arn:aws:iam::" + account + ":root", authn.Root, ""},
		{"arn:aws:iam::" + account + ":user/team/alice", authn.User, ""},
		{"arn:aws:iam::" + account + ":role/reader", authn.RoleSession, ""},
		{"arn:aws:sts::" + account + ":assumed-role/reader/work", authn.RoleSession, ""},
		{"arn:aws:iam::" + account + ":user/alice", 0, "NoSuchEntity"},
		{"arn:aws:iam::" + account + ":user/team/bob", 0, "NoSuchEntity"},
		{"arn:aws:iam::" + account + ":user/team/ALICE", 0, "NoSuchEntity"},
		{"arn:aws:iam::" + account + ":role/path/reader", 0, "NoSuchEntity"},
		{"arn:aws:iam::999999999999:root", 0, "NoSuchEntity"},
		{"arn:aws:sts::" + account + ":assumed-role/other/work", 0, "NoSuchEntity"},
		{"arn:aws:sts::" + account + ":assumed-role/reader/", 0, "InvalidParameterValue"},
		{"arn:aws:sts::" + account + ":assumed-role/reader/a/b", 0, "InvalidParameterValue"},
		{"arn:aws:iam::" + account + ":group/admins", 0, "InvalidParameterValue"},
		{"arn:aws:s3:::bucket", 0, "InvalidParameterValue"},
		{"alice", 0, "InvalidParameterValue"},
		{"", 0, "InvalidParameterValue"},
	} {
		c, err := authn.Unproven(w.view, x.arn)
		if code(t, err) != x.want || err == nil && c.Kind != x.kind {
			t.Errorf("%s: %+v %v, want %q", x.arn, c, err, x.want)
		}
	}
}

func TestFormsAreKeptByTheirRecordAndNotBeyondIt(t *testing.T) {
	w := newWorld(t)
	first, second := w.caller(w.alice), w.caller(w.alice)
	if first.Form != second.Form {
		t.Error("made twice")
	}
	edit(w, record.Users, account, userID, func(u *record.User) { u.Path = "/" })
	if c := w.caller(w.alice); c.Form == first.Form || c.ARN != "arn:aws:iam::"+account+":user/alice" {
		t.Errorf("%s after the change", c.ARN)
	}
}

func TestAPrincipalWhoseRecordCannotBeReadIsNobody(t *testing.T) {
	for kind, id := range map[string]string{"user": userID, "role": roleID} {
		w := newWorld(t)
		c := w.caller(w.alice)
		if kind == "role" {
			c = w.caller(w.session(nil))
		}
		value := []byte(`["neither user nor role"]`)
		e := record.NewEntry(record.MakeKey(kind, account, id), value)
		tx := w.view.Begin()
		if err := tx.Put(e, value); err != nil {
			t.Fatal(err)
		}
		v := &view.View{State: tx.State(), Head: w.view.Head}
		if !e.Bad {
			t.Fatal("it can be read")
		}
		if err := authn.Recheck(v, c, now); code(t, err) != badToken {
			t.Errorf("%s: %v", kind, err)
		}
		claim := authn.Claim{Kind: c.Kind, Account: c.Account, ID: c.ID, KeyID: c.KeyID, Session: c.Session}
		if _, err := w.v.Again(v, claim, now); code(t, err) != badToken {
			t.Errorf("%s again: %v", kind, err)
		}
	}
}

func TestABearersCallerIsAskedAgainForItsCredential(t *testing.T) {
	for _, x := range []struct {
		name string
		do   func(u *record.User)
		want string
	}{
		{"as it was", func(*record.User) {}, ""},
		{"inactive", func(u *record.User) { u.ServiceCredentials[0].Active = false }, badToken},
		{"gone", func(u *record.User) { u.ServiceCredentials = nil }, badToken},
	} {
		w := newWorld(t)
		c, err := w.v.Bearer(w.view, w.bearer, "bedrock.amazonaws.com", now)
		if err != nil {
			t.Fatal(err)
		}
		edit(w, record.Users, account, userID, x.do)
		if err := authn.Recheck(w.view, c, now); code(t, err) != x.want {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
}

func TestATokenMadeForALongTermKeyIDIsRefused(t *testing.T) {
	w := newWorld(t)
	token, err := session.Mint(session.Header{Region: "us-east-1", KeyID: w.minter.ID, Generation: 1}, w.claims(), w.alice.id, w.opening, w.minter.Key())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.ask(signer{w.alice.id, w.claims().Secret, token}); code(t, err) != badToken {
		t.Errorf("%v", err)
	}
}

func TestACallerIsAsAnotherStateHasThePrincipal(t *testing.T) {
	w := newWorld(t)
	for name, s := range map[string]signer{"user": w.alice, "root": w.root, "session": w.session(nil)} {
		c := w.caller(s)
		if same, err := c.At(w.view); err != nil || same != c {
			t.Errorf("%s: made anew on the same state: %v", name, err)
		}
	}
	user, role := w.caller(w.alice), w.caller(w.session(nil))
	edit(w, record.Users, account, userID, func(u *record.User) { u.Name, u.Tags = "alicia", []record.Tag{{Key: "k"}} })
	edit(w, record.Roles, account, roleID, func(r *record.Role) { r.Tags = []record.Tag{{Key: "k"}} })
	now, err := user.At(w.view)
	if err != nil || now.ARN != "arn:aws:iam::"+account+":user/team/alicia" || len(now.Form.User.Tags) != 1 || now.KeyID != user.KeyID || now.Kind != authn.User || now.Index != user.Index {
		t.Errorf("%+v %v", now, err)
	}
	now, err = role.At(w.view)
	if err != nil || len(now.Form.Role.Tags) != 1 || now.Session != role.Session || now.ARN != role.ARN {
		t.Errorf("%+v %v", now, err)
	}
	if len(user.Form.User.Tags) != 0 {
		t.Error("the caller itself was changed")
	}
	w.remove("user", account, userID)
	if _, err := user.At(w.view); code(t, err) != badToken {
		t.Errorf("gone: %v", err)
	}
}

func TestAKeptSessionsCallerIsOfTheViewThatItIsAskedOn(t *testing.T) {
	w := newWorld(t)
	s := w.session(nil)
	first := w.caller(s)
	if again := w.caller(s); again != first {
		t.Error("nothing changed, and the caller was made anew")
	}
	edit(w, record.Users, account, userID, func(u *record.User) { u.Path = "/" }) // nothing that the caller is made of
	if c := w.caller(s); c.Index != w.view.Head.Index || c.ARN != first.ARN || first.Index == c.Index {
		t.Errorf("%+v", c)
	}
	edit(w, record.Roles, account, roleID, func(r *record.Role) { r.Name = "writer" })
	c := w.caller(s)
	if e, _ := w.view.Entry(c.Principal.Key); c.Principal != e || c.Form.Role.Name != "writer" || c.ARN != "arn:aws:sts::"+account+":assumed-role/writer/work" {
		t.Errorf("%+v", c)
	}
	edit(w, record.SigningKeys, record.None, w.minter.ID, func(k *record.SigningKey) { k.Revoked = true })
	if _, err := w.ask(s); code(t, err) != badToken {
		t.Errorf("%v", err)
	}
}

// TestARefusalByAViewThatIsBehindTheSessionIsInDoubtAndAnAllowStands (protocol
// rule 15): what the view lacks may be what the session rests on.
func TestARefusalByAViewThatIsBehindTheSessionIsInDoubtAndAnAllowStands(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(h *session.Header, c *session.Claims)
		code   string
		doubt  bool
	}{
		{"known", func(*session.Header, *session.Claims) {}, "", false},
		{"of a role that is not there", func(_ *session.Header, c *session.Claims) { c.Principal = "AROAUNKNOWNUNKNOWN00" }, badToken, true},
		{"of a key that is not there", func(_ *session.Header, c *session.Claims) { c.ParentKey = "AKIAUNKNOWNUNKNOWN00" }, badToken, true},
		{"of a minter's key that is not there", func(h *session.Header, _ *session.Claims) { h.KeyID = "unknown" }, badToken, true},
		{"that has ended", func(_ *session.Header, c *session.Claims) { c.Issued, c.Expires = c.Issued-7200, c.Expires-7200 }, "ExpiredToken", false},
	} {
		for _, ahead := range []uint64{0, 1} {
			w := newWorld(t)
			s := w.session(func(h *session.Header, c *session.Claims) {
				x.change(h, c)
				h.Rests = w.view.Head.Index + ahead
			})
			_, err := w.ask(s)
			var behind *authn.Behind
			if x.code == "ExpiredToken" && code(t, err) == badToken {
				continue // issued before its key
			}
			if got := code(t, err); got != x.code || errors.As(err, &behind) != (x.doubt && ahead > 0) {
				t.Errorf("%s, %d ahead: %q (%v), in doubt: %v", x.name, ahead, got, err, behind)
			}
			if behind != nil && behind.Rests != w.view.Head.Index+1 {
				t.Errorf("%s rests on %d", x.name, behind.Rests)
			}
			s.secret = "wrong"
			if _, err := w.ask(s); errors.As(err, &behind) && code(t, err) == badSignature {
				t.Errorf("%s: a wrong signature is in doubt", x.name)
			}
		}
	}
}
