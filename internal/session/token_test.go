package session

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

var opening = []byte("0123456789abcdef0123456789abcdef")

func openingOf(int) ([]byte, error) { return opening, nil }

func minted(t testing.TB) (string, ed25519.PrivateKey) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(opening)
	c := &Claims{Kind: 3, ID: "0011", Secret: "s3cret", Account: "111122223333", Principal: "AROA", Name: "demo", Issued: 1, Expires: 2}
	text, err := Mint(Header{Region: "us-east-1", KeyID: "abcd", Generation: 1, Rests: 7}, c, "ASIAKEY", opening, key)
	if err != nil {
		t.Fatal(err)
	}
	return text, key
}

func accepted(text string, public ed25519.PublicKey) bool {
	tok, err := Open(text, "ASIAKEY", openingOf)
	return err == nil && tok.Signed(public)
}

func TestATokenSaysWhatWasMinted(t *testing.T) {
	text, key := minted(t)
	tok, err := Open(text, "ASIAKEY", openingOf)
	if err != nil || !tok.Signed(key.Public().(ed25519.PublicKey)) {
		t.Fatal(err)
	}
	if tok.Secret != "s3cret" || tok.Rests != 7 || tok.Region != "us-east-1" || tok.KeyID != "abcd" {
		t.Errorf("%+v", tok)
	}
}

func TestEveryFlippedBitTruncationAndExtensionIsRefused(t *testing.T) {
	text, key := minted(t)
	public := key.Public().(ed25519.PublicKey)
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			b := append([]byte{}, raw...)
			b[i] ^= 1 << bit
			if accepted(base64.RawURLEncoding.EncodeToString(b), public) {
				t.Fatalf("bit %d of byte %d does not matter", bit, i)
			}
		}
	}
	for n := range raw {
		if accepted(base64.RawURLEncoding.EncodeToString(raw[:n]), public) {
			t.Fatalf("accepted cut to %d bytes", n)
		}
	}
	for _, other := range []string{text + "A", text + "=", " " + text, text + "\n", base64.StdEncoding.EncodeToString(raw) + "=="} {
		if accepted(other, public) {
			t.Errorf("accepted %q", other)
		}
	}
}

func TestATokenIsRefusedWithAnotherAccessKey(t *testing.T) {
	text, _ := minted(t)
	if _, err := Open(text, "ASIAOTHER", openingOf); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestWhatDoesNotFitATokenIsRefused(t *testing.T) {
	c := &Claims{Policy: strings.Repeat("x", MaxToken)}
	if _, err := Mint(Header{Generation: 1}, c, "A", opening, ed25519.NewKeyFromSeed(opening)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if n := Packed(c); n <= 100 {
		t.Errorf("packed %d%%", n)
	}
}

func TestAKeySetAlwaysHoldsThePresentKeyAndTheNextTwo(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	set, changed := KeySet(nil).Grow(now)
	if !changed || len(set) != 3 || set[1].NotBefore != set[0].NotAfter {
		t.Fatalf("%+v", set)
	}
	if again, changed := set.Grow(now.Add(time.Hour)); changed || len(again) != 3 {
		t.Error("it grew without need")
	}
	later, changed := set.Grow(now.Add(KeyLife))
	if !changed || later[0].ID != set[1].ID || len(later) != 3 {
		t.Errorf("%+v", later)
	}
	back, err := ParseKeySet(later.Encode())
	if err != nil || back[2].ID != later[2].ID {
		t.Error("the set does not survive its encoding")
	}
	if later[0].Public("n", "r").NotAfter != record.Time(later[0].NotAfter) {
		t.Error("public half differs")
	}
}

func FuzzOpen(f *testing.F) {
	text, key := minted(f)
	f.Add(text)
	f.Add("")
	public := key.Public().(ed25519.PublicKey)
	f.Fuzz(func(t *testing.T, other string) {
		if other != text && accepted(other, public) {
			t.Fatalf("accepted %q", other)
		}
	})
}
