package session

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/record"
)

var update = flag.Bool("update", false, "write the golden token of a layout that has none")

// keyOf is the opening key of a class in these tests: that of minted for the
// default class, so that both layouts open with the same.
func keyOf(class string, generation int) []byte {
	if class == record.DefaultClass {
		return opening
	}
	return []byte(fmt.Sprintf("%-32.32s", fmt.Sprint(class, generation)))
}

// has is what a node opens with that was given the opening keys of some classes.
func has(classes ...string) Opening {
	return func(class string, generation int) ([]byte, error) {
		for _, c := range classes {
			if c == class {
				return keyOf(class, generation), nil
			}
		}
		return nil, errors.New("not given")
	}
}

func recipients(t testing.TB, classes ...string) (to []Recipient) {
	t.Helper()
	for _, c := range classes {
		key, err := keyring.SealingPrivate(keyOf(c, 3))
		if err != nil {
			t.Fatal(err)
		}
		to = append(to, Recipient{c, 3, key.PublicKey().Bytes()})
	}
	return to
}

// mint makes a token of a class of minters for others; own is whether its own
// class is to read it.
func mint(t testing.TB, class string, own bool, to ...string) string {
	t.Helper()
	h := Header{Region: "us-east-1", KeyID: "abcd", Generation: 2, Rests: 7}
	if class != record.DefaultClass {
		h.Class, h.Region = class, class
	}
	if !own {
		h.Generation = 0
	}
	c := &Claims{Kind: 3, ID: "0011", Secret: "s3cret", Account: "111122223333", Principal: "AROA", Name: "demo", Issued: 1, Expires: 2}
	text, err := Mint(h, c, "ASIAKEY", keyOf(class, 2), ed25519.NewKeyFromSeed(opening), recipients(t, to...)...)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mintedWide(t testing.TB) string {
	t.Helper()
	return mint(t, record.DefaultClass, true, "me-south-1", "ap-south-2")
}

func TestATokenIsReadByTheClassesThatItWasMintedForAndByNoOther(t *testing.T) {
	all := []string{record.DefaultClass, "ap-south-2", "me-south-1"}
	for _, x := range []struct {
		name, minter string
		own          bool
		to           []string
		layout       byte
		readers      []string
	}{
		{"version 1 of a Region enabled by default", record.DefaultClass, true, nil, 1, []string{record.DefaultClass}},
		{"version 2 of one", record.DefaultClass, true, []string{"me-south-1"}, 2, []string{record.DefaultClass, "me-south-1"}},
		{"version 2 of one, for two", record.DefaultClass, true, []string{"me-south-1", "ap-south-2"}, 2, all},
		{"version 1 of an opt-in Region", "me-south-1", false, []string{record.DefaultClass}, 2, []string{record.DefaultClass}},
		{"version 2 of one", "me-south-1", true, []string{record.DefaultClass}, 2, []string{record.DefaultClass, "me-south-1"}},
		{"version 2 of one, for another", "me-south-1", true, []string{record.DefaultClass, "ap-south-2"}, 2, all},
	} {
		text := mint(t, x.minter, x.own, x.to...)
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil || raw[0] != x.layout {
			t.Errorf("%s: layout %d, %v", x.name, raw[0], err)
		}
		for _, class := range all {
			tok, err := Open(text, "ASIAKEY", has(class))
			if want := strings.Contains(strings.Join(x.readers, " "), class); (err == nil) != want {
				t.Errorf("%s: read by class %s: %v, want %v", x.name, class, err == nil, want)
			}
			if err == nil && (tok.Secret != "s3cret" || !tok.Signed(ed25519.NewKeyFromSeed(opening).Public().(ed25519.PublicKey))) {
				t.Errorf("%s: %+v", x.name, tok.Claims)
			}
		}
		if _, err := Open(text, "ASIAOTHER", has(all...)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s, with another access key: %v", x.name, err)
		}
	}
}

// TestWhatIsWrappedToAClassOpensWithItsKeyAlone: a minter has only the public
// half of another class, and a class only its own wrap.
func TestWhatIsWrappedToAClassOpensWithItsKeyAlone(t *testing.T) {
	text := mintedWide(t)
	if _, err := Open(text, "ASIAKEY", func(class string, _ int) ([]byte, error) {
		if class != "ap-south-2" {
			return nil, errors.New("not given")
		}
		return keyOf("me-south-1", 3), nil
	}); !errors.Is(err, ErrInvalid) {
		t.Errorf("the key of another class: %v", err)
	}
	if _, err := Open(text, "ASIAKEY", func(class string, _ int) ([]byte, error) {
		if class != "ap-south-2" {
			return nil, errors.New("not given")
		}
		return keyOf(class, 2), nil
	}); !errors.Is(err, ErrInvalid) {
		t.Errorf("another generation of the class: %v", err)
	}
}

func TestEveryChangeOfATokenForSeveralClassesIsRefused(t *testing.T) {
	public := ed25519.NewKeyFromSeed(opening).Public().(ed25519.PublicKey)
	for _, class := range []string{record.DefaultClass, "ap-south-2", "me-south-1"} {
		unchanged(t, mintedWide(t), func(other string) bool {
			tok, err := Open(other, "ASIAKEY", has(class))
			return err == nil && tok.Signed(public)
		})
	}
}

// TestTheHeaderIsSealedInAsWellAsSigned: what a class opens says for whom it
// was meant, whoever signed it.
func TestTheHeaderIsSealedInAsWellAsSigned(t *testing.T) {
	for _, class := range []string{record.DefaultClass, "ap-south-2", "me-south-1"} {
		text := mintedWide(t)
		tok, _, err := Split(text)
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := base64.RawURLEncoding.DecodeString(text)
		for i := range tok.length {
			b := bytes.Clone(raw)
			b[i] ^= 1
			if _, err := Open(base64.RawURLEncoding.EncodeToString(b), "ASIAKEY", has(class)); err == nil {
				t.Errorf("byte %d of the header does not matter to class %s", i, class)
			}
		}
	}
}

func TestAHeaderHasOneSpelling(t *testing.T) {
	sealed := make([]byte, wrapSize)
	good := func() Header {
		return Header{Region: "us-east-1", KeyID: "k", Generation: 1, ephemeral: make([]byte, publicSize),
			wraps: []wrap{{"ap-south-2", 1, sealed}, {"me-south-1", 1, sealed}}}
	}
	for name, change := range map[string]func(*Header){
		"":                             func(*Header) {},
		"classes out of order":         func(h *Header) { h.wraps[0], h.wraps[1] = h.wraps[1], h.wraps[0] },
		"a class twice":                func(h *Header) { h.wraps[1] = h.wraps[0] },
		"a class without a name":       func(h *Header) { h.wraps[0].class = "" },
		"a generation that is none":    func(h *Header) { h.wraps[0].generation = 0 },
		"no class":                     func(h *Header) { h.Class, h.wraps = "eu-south-1", nil },
		"more classes than there are":  func(h *Header) { h.wraps = tooMany(sealed) },
		"the default class by name":    func(h *Header) { h.Class = record.DefaultClass },
		"a minter without an audience": func(h *Header) { h.Generation = 0 },
		"the minter's own class again": func(h *Header) { h.Class = "me-south-1" },
	} {
		h := good()
		change(&h)
		b := h.append(nil)
		b = append(append(b, byte(len(h.wraps))), h.ephemeral...)
		b = h.appendWraps(b)
		var back Header
		if ok := back.parse(b); ok != (name == "") {
			t.Errorf("%q: parsed %v", name, ok)
		}
		if name == "" && (back.length != len(b) || back.fixed() != len(b)-2*(1+10+2+wrapSize)) {
			t.Errorf("length %d, before the wraps %d of %d", back.length, back.fixed(), len(b))
		}
	}
}

func tooMany(sealed []byte) (list []wrap) {
	for i := range MaxWraps + 1 {
		list = append(list, wrap{fmt.Sprintf("aa-%02d", i), 1, sealed})
	}
	return list
}

func TestClassesTakeRoomFromPolicyAndTags(t *testing.T) {
	c := &Claims{Policy: strings.Repeat("x", 1000)}
	to := recipients(t, "ap-south-2", "me-south-1")
	if alone, wide := Packed(c), Packed(c, to...); alone >= wide {
		t.Errorf("packed %d%% for one class, %d%% for three", alone, wide)
	}
	many := make([]string, MaxWraps)
	for i := range many {
		many[i] = fmt.Sprintf("xx-somewhere-%02d", i)
	}
	c = &Claims{Policy: strings.Repeat("x", 1200), ID: strings.Repeat("0", 32), Secret: strings.Repeat("s", 40), Account: "111122223333", Principal: "AROAAAAAAAAAAAAAAAAAA", Name: strings.Repeat("n", 64)}
	if n := Packed(c, recipients(t, many...)...); n > 100 {
		t.Errorf("packed %d%%", n)
	}
	h := Header{Region: "us-east-1", KeyID: strings.Repeat("k", 20), Generation: 1}
	if _, err := Mint(h, c, "ASIAKEY", opening, ed25519.NewKeyFromSeed(opening), recipients(t, many...)...); err != nil {
		t.Errorf("what is said to fit does not: %v", err)
	}
	if _, err := Mint(h, c, "ASIAKEY", opening, ed25519.NewKeyFromSeed(opening), recipients(t, append(many, "yy")...)...); !errors.Is(err, ErrWraps) {
		t.Errorf("for one class too many: %v", err)
	}
}

// TestTokensOfEachLayoutEverMintedAreRead: a token is read by every release that
// follows the one that minted it, for as long as it lasts.
func TestTokensOfEachLayoutEverMintedAreRead(t *testing.T) {
	for n, fresh := range map[byte]func() string{1: func() string { text, _ := minted(t); return text }, 2: func() string { return mintedWide(t) }} {
		path := fmt.Sprintf("testdata/layout%d.token", n)
		if _, err := os.Stat(path); *update && os.IsNotExist(err) {
			if err := os.WriteFile(path, []byte(fresh()+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSpace(string(b))
		for _, class := range []string{record.DefaultClass, "ap-south-2"}[:n] {
			tok, err := Open(text, "ASIAKEY", has(class))
			if err != nil || !tok.Signed(ed25519.NewKeyFromSeed(opening).Public().(ed25519.PublicKey)) || tok.Secret != "s3cret" || tok.Rests != 7 {
				t.Errorf("layout %d, class %s: %v", n, class, err)
			}
		}
		golden, _, err := Split(text)
		if err != nil {
			t.Fatal(err)
		}
		header := golden.append(nil)
		if raw, _ := base64.RawURLEncoding.DecodeString(text); !bytes.HasPrefix(raw, header) || raw[0] != n {
			t.Errorf("layout %d: a header is written otherwise now", n)
		}
		if len(fresh()) != len(text) {
			t.Errorf("layout %d: a token of the same claims has %d bytes, had %d", n, len(fresh()), len(text))
		}
	}
}
