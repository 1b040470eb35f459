package keyring

import (
	"bytes"
	"path/filepath"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var now = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// world is a control plane's ring and a Region node's over one state.
func world(t *testing.T) (control, region, other *Ring, s *view.State) {
	t.Helper()
	control = &Ring{KEK: newKey()}
	p := view.Empty(make([]byte, 16)).Begin()
	rings := map[string]*Ring{}
	for _, name := range []string{"us-east-1", "eu-west-1"} {
		keys, err := NewNodeKeys(name+"a", false)
		if err != nil {
			t.Fatal(err)
		}
		public, err := keys.HPKEPublic()
		if err != nil {
			t.Fatal(err)
		}
		k, err := control.NewRegionKey(p, name, 1, []*record.Node{{ID: keys.ID, HPKE: public}}, now)
		if err != nil {
			t.Fatal(err)
		}
		put(t, p, record.RegionKeys, k)
		if rings[name], err = NewRegionRing(keys, name); err != nil {
			t.Fatal(err)
		}
	}
	a, err := control.NewAccountKey(p, "111122223333", 1, []string{"us-east-1"}, now)
	if err != nil {
		t.Fatal(err)
	}
	put(t, p, record.AccountKeys, a)
	return control, rings["us-east-1"], rings["eu-west-1"], p.State()
}

func put[R any](t *testing.T, tx record.Tx, k *record.Kind[R], v *R) {
	t.Helper()
	if err := record.Put(tx, k, v); err != nil {
		t.Fatal(err)
	}
}

func TestASecretOpensInTheRegionsThatTheAccountHasAndNowhereElse(t *testing.T) {
	control, region, other, s := world(t)
	k, secret, err := control.NewAccessKey(s, "111122223333", now)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]*Ring{"control": control, "region": region} {
		got, err := r.Secret(s, "111122223333", &k)
		if err != nil || string(got) != secret {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := other.Secret(s, "111122223333", &k); err == nil {
		t.Error("another Region opened it")
	}
	moved := k
	moved.ID = "AKIAOTHER"
	if _, err := (&Ring{KEK: control.KEK}).Secret(s, "111122223333", &moved); err == nil {
		t.Error("a ciphertext was moved to another key id")
	}
	if bytes.Contains(k.Sealed, []byte(secret)) {
		t.Error("the secret stands in clear")
	}
}

func TestASealedAnswerOpensForItsCallAlone(t *testing.T) {
	control, _, _, s := world(t)
	sealed, err := control.SealAnswer(s, "111122223333", "call", []byte("answer"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := control.OpenAnswer(s, "111122223333", "call", sealed); err != nil || string(got) != "answer" {
		t.Errorf("%q %v", got, err)
	}
	if _, err := control.OpenAnswer(s, "111122223333", "other", sealed); err == nil {
		t.Error("opened for another call")
	}
	if _, err := control.OpenMessage(s, "111122223333", sealed); err == nil {
		t.Error("opened for another purpose")
	}
}

func TestAnAccessKeyIDCarriesItsAccount(t *testing.T) {
	for _, account := range []string{"000000000000", "111122223333", "999999999999"} {
		id, err := NewKeyID(LongTerm, account)
		if err != nil || len(id) != 20 {
			t.Fatal(id, err)
		}
		if got, err := AccountOf(id); err != nil || got != account {
			t.Errorf("%s carries %s, want %s (%v)", id, got, account, err)
		}
	}
	// A pair from the published description of the encoding.
	if got, _ := AccountOf("ASIAY34FZKBOKMUTVV7A"); got != "609629065308" {
		t.Errorf("published example carries %s", got)
	}
	for _, bad := range []string{"", "AKIA", "AKIAaaaaaaaaaaaaaaaa", "XXXXY34FZKBOKMUTVV7A", "AKIAY34FZKBOKMUTVV7A1"} {
		if _, err := AccountOf(bad); err == nil {
			t.Errorf("%q carries an account", bad)
		}
	}
}

func TestAKeyFileThatOthersCanReadIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "kek")
	if err := MakeKEK(path); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKEK(path); err == nil {
		t.Error("its directory can be read by others")
	}
}

func TestABearerMatchesItsHashAlone(t *testing.T) {
	bearer, hash := NewBearer("ACCAX")
	id, secret, ok := ParseBearer(bearer)
	if !ok || id != "ACCAX" || !BearerMatches(secret, hash) || BearerMatches(secret+"x", hash) || BearerMatches(secret, nil) {
		t.Errorf("%s %v", id, ok)
	}
}

func FuzzParseBearer(f *testing.F) {
	b, _ := NewBearer("ACCAX")
	f.Add(b)
	f.Fuzz(func(t *testing.T, s string) {
		if id, secret, ok := ParseBearer(s); ok && (id == "" || secret == "") {
			t.Fatal(s)
		}
	})
}

func FuzzAccountOf(f *testing.F) {
	f.Add("ASIAY34FZKBOKMUTVV7A")
	f.Fuzz(func(t *testing.T, s string) {
		if a, err := AccountOf(s); err == nil && len(a) != 12 {
			t.Fatal(s, a)
		}
	})
}
