package authn_test

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/session"
)

const (
	away     = "me-south-1" // an opt-in Region
	awayNode = "me-south-1a"
)

// optIn admits an opt-in Region with a node whose signing key it returns.
func (w *world) optIn() session.PrivateKey {
	w.t.Helper()
	set, _ := session.KeySet(nil).Grow(now)
	w.change(func(tx record.Tx) error {
		return all(w.ring.NewRegion(tx, away, true, now),
			record.Put(tx, record.Nodes, &record.Node{ID: awayNode, Role: record.RegionNode, Region: away}),
			record.Put(tx, record.SigningKeys, set[0].Public(awayNode, away)))
	})
	return set[0]
}

// wide is a session's credential that both classes of Regions read, minted in
// one of them.
func (w *world) wide(region string, key session.PrivateKey) signer {
	w.t.Helper()
	own, other, class := record.DefaultClass, away, ""
	if region == away {
		own, other, class = away, record.DefaultClass, away
	}
	opening, generation, err := w.ring.Opening(w.view, own, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	sealing, err := keyring.SealingOf(w.view, other)
	if err != nil {
		w.t.Fatal(err)
	}
	id, err := keyring.NewKeyID(keyring.Temporary, account)
	if err != nil {
		w.t.Fatal(err)
	}
	c := w.claims()
	token, err := session.Mint(session.Header{Region: region, KeyID: key.ID, Class: class, Generation: generation}, c, id, opening, key.Key(),
		session.Recipient{Class: other, Generation: sealing.Generation, Public: sealing.Public})
	if err != nil {
		w.t.Fatal(err)
	}
	return signer{id, c.Secret, token}
}

func TestAnOptInRegionIsOfTheAccountsThatHaveEnabledIt(t *testing.T) {
	w := newWorld(t)
	awayKey := w.optIn()
	narrow, wide, foreign := w.session(nil), w.wide("us-east-1", w.minter), w.wide(away, awayKey)
	verifier := func(region string) *authn.Verifier {
		return &authn.Verifier{Ring: w.ring, Region: region, OptIn: region == away, AnyRegion: true, Hot: w.v.Hot}
	}
	home, there := verifier("us-east-1"), verifier(away)
	claims := map[string]authn.Claim{}
	for _, enabled := range []bool{false, true, false} { // what is kept of a token says nothing of its account
		edit(w, record.Accounts, account, account, func(a *record.Account) {
			if a.Regions = nil; enabled {
				a.Regions = []string{"ap-south-2", away}
			}
		})
		for _, x := range []struct {
			name string
			v    *authn.Verifier
			s    signer
			good bool
		}{
			{"root, at home", home, w.root, true},
			{"a user, at home", home, w.alice, true},
			{"a session, at home", home, narrow, true},
			{"a session for all Regions, at home", home, wide, true},
			{"a session that the opt-in Region issued, at home", home, foreign, enabled},
			{"root, in the opt-in Region", there, w.root, enabled},
			{"a user, in the opt-in Region", there, w.alice, enabled},
			{"a session for all Regions, in the opt-in Region", there, wide, enabled},
			{"a session that it issued, in the opt-in Region", there, foreign, enabled},
		} {
			want := badToken
			if x.good {
				want = ""
			}
			req, p := w.request(x.s, signing{region: "us-east-1", service: "sts"})
			c, err := x.v.Signed(w.view, req, p, "sts", now)
			if code(t, err) != want {
				t.Errorf("enabled %v, %s: %v, want %q", enabled, x.name, err, want)
			}
			if err == nil {
				claims[x.name] = authn.Claim{Kind: c.Kind, Account: c.Account, ID: c.ID, KeyID: c.KeyID, Session: c.Session}
			}
			if claim, proven := claims[x.name]; proven {
				if _, err := x.v.Again(w.view, claim, now); code(t, err) != want {
					t.Errorf("enabled %v, %s, by a handle: %v, want %q", enabled, x.name, err, want)
				}
			}
		}
		if _, err := there.Bearer(w.view, w.bearer, "bedrock.amazonaws.com", now); (err == nil) != enabled {
			t.Errorf("enabled %v, a Bearer: %v", enabled, err)
		}
	}
}

// TestWhatAnOptInRegionCannotOpenIsRefusedAsWhatNobodyHas: its nodes have no key
// of an account that has not enabled it.
func TestWhatAnOptInRegionCannotOpenIsRefusedAsWhatNobodyHas(t *testing.T) {
	w := newWorld(t)
	w.optIn()
	w.v = &authn.Verifier{Ring: &keyring.Ring{Node: awayNode, Region: away}, Region: away, OptIn: true, AnyRegion: true}
	for name, s := range map[string]signer{"root": w.root, "a user": w.alice, "a session": w.session(nil)} {
		if _, err := w.ask(s); code(t, err) != badToken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestACallerWhoCameByAnOptInRegionIsAskedAgain: on the control plane, which
// opens everything, and at the revision of the commit.
func TestACallerWhoCameByAnOptInRegionIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	awayKey := w.optIn()
	foreign := w.wide(away, awayKey)
	alice := w.caller(w.alice)
	if _, err := alice.Through(w.view, away); code(t, err) != badToken {
		t.Errorf("a user whose account has not enabled it: %v", err)
	}
	edit(w, record.Accounts, account, account, func(a *record.Account) { a.Regions = []string{away} })
	through, err := w.caller(w.alice).Through(w.view, away)
	if err != nil {
		t.Fatal(err)
	}
	issued := w.caller(foreign)
	edit(w, record.Users, account, userID, func(u *record.User) { u.Path = "/" }) // At makes the caller anew
	if through, err = through.At(w.view); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*authn.Caller{"who came by it": through, "with a session that it issued": issued} {
		if err := authn.Recheck(w.view, c, now); err != nil {
			t.Errorf("enabled, %s: %v", name, err)
		}
	}
	edit(w, record.Accounts, account, account, func(a *record.Account) { a.Regions = nil })
	for name, c := range map[string]*authn.Caller{"who came by it": through, "with a session that it issued": issued} {
		if err := authn.Recheck(w.view, c, now); code(t, err) != badToken {
			t.Errorf("disabled, %s: %v", name, err)
		}
	}
	if err := authn.Recheck(w.view, w.caller(w.alice), now); err != nil {
		t.Errorf("disabled, who came by another: %v", err)
	}
}
