package session

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

var opening = []byte("0123456789abcdef0123456789abcdef")

func openingOf(string, int) ([]byte, error) { return opening, nil }

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
	unchanged(t, text, func(other string) bool { return accepted(other, key.Public().(ed25519.PublicKey)) })
}

// unchanged holds a token's every change against accepted.
func unchanged(t *testing.T, text string, accepted func(string) bool) {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			b := append([]byte{}, raw...)
			b[i] ^= 1 << bit
			if accepted(base64.RawURLEncoding.EncodeToString(b)) {
				t.Fatalf("bit %d of byte %d does not matter", bit, i)
			}
		}
	}
	for n := range raw {
		if accepted(base64.RawURLEncoding.EncodeToString(raw[:n])) {
			t.Fatalf("accepted cut to %d bytes", n)
		}
	}
	for _, other := range []string{text + "A", text + "=", " " + text, text + "\n", base64.StdEncoding.EncodeToString(raw) + "=="} {
		if accepted(other) {
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
	if !changed || later[1].ID != set[1].ID || len(later) != 4 || later[3].NotBefore != set[2].NotAfter {
		t.Errorf("%+v", later)
	}
	back, err := ParseKeySet(later.Encode())
	if err != nil || back[3].ID != later[3].ID {
		t.Error("the set does not survive its encoding")
	}
	if later[0].Public("n", "r").NotAfter != record.Time(later[0].NotAfter) {
		t.Error("public half differs")
	}
}

// FuzzOpen: nothing but what was minted is accepted, and what can be read at all
// is spelled in one way. The tokens are those of the golden files: every process
// of a campaign knows the same.
func FuzzOpen(f *testing.F) {
	minted := map[string]bool{}
	for _, file := range []string{"testdata/layout1.token", "testdata/layout2.token"} {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		text := strings.TrimSpace(string(b))
		minted[text] = true
		f.Add(text)
	}
	f.Add("")
	public := ed25519.NewKeyFromSeed(opening).Public().(ed25519.PublicKey)
	f.Fuzz(func(t *testing.T, other string) {
		if !minted[other] && accepted(other, public) {
			t.Fatalf("accepted %q", other)
		}
		tok, _, err := Split(other)
		if err != nil {
			return
		}
		header := tok.append(nil)
		if len(tok.wraps) > 0 {
			header = tok.appendWraps(append(append(header, byte(len(tok.wraps))), tok.ephemeral...))
		}
		if !bytes.Equal(header, tok.signed[:tok.length]) {
			t.Fatalf("%q: the header is read as that of another token", other)
		}
	})
}
