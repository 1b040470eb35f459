package record

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

var nasty = []string{"", "a", `"`, `\`, "\n\r\t\b\f", "\x00\x1f", "\x7f", "é", "\u2028\u2029", "<&>", "\xff", "{}[]:,null", strings.Repeat("long ", 60)}

// scatter sets every field to something, often to nothing.
func scatter(v reflect.Value, r *rand.Rand) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(nasty[r.IntN(len(nasty))] + nasty[r.IntN(len(nasty))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, 300, 1 << 36, -62135596800}[r.IntN(6)])
	case reflect.Uint8:
		v.SetUint(r.Uint64N(256))
	case reflect.Slice:
		n := []int{0, 0, 1, 3, 200}[r.IntN(5)]
		if v.Type().Elem().Kind() != reflect.Uint8 {
			n = min(n, 130)
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			scatter(v.Index(i), r)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			scatter(v.Field(i), r)
		}
	}
}

// canonical holds the codecs of one kind against encoding/json.
func canonical[R any](t *testing.T, k *Kind[R]) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		v, same := new(R), new(R)
		scatter(reflect.ValueOf(v).Elem(), r)
		packed := pack(v)
		if err := unpack(packed, same); err != nil {
			t.Fatal(err)
		}
		want, err := k.Encode(same)
		if err != nil {
			t.Fatal(err)
		}
		got, err := k.stored(packed)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%s is written as\n%s, want\n%s (%v)", k.Name, got, want, err)
		}
		decoded, err := k.Decode(got)
		if err != nil {
			t.Fatal(err)
		}
		library, err := k.Encode(decoded) // not the same where the text was no UTF-8
		again, exact := k.readStored(got)
		if err != nil || exact != (string(library) == string(got)) || exact && again != pack(decoded) {
			t.Fatalf("%s of %s is read as %q, exact %v (%v)", k.Name, got, again, exact, err)
		}
		if cut := got[:r.IntN(len(got))]; true {
			if _, exact := k.readStored(cut); exact {
				t.Fatalf("%s: exact without its end", cut)
			}
		}
	}
}

func TestCanonicalJSONIsTheLibrarys(t *testing.T) {
	canonical(t, Geneses)
	canonical(t, Operators)
	canonical(t, Nodes)
	canonical(t, Regions)
	canonical(t, RegionKeys)
	canonical(t, AccountKeys)
	canonical(t, OpeningKeys)
	canonical(t, SigningKeys)
	canonical(t, Services)
	canonical(t, Denials)
	canonical(t, Accounts)
	canonical(t, Users)
	canonical(t, Groups)
	canonical(t, Roles)
	canonical(t, InstanceProfiles)
	canonical(t, Policies)
	canonical(t, KeyUses)
	canonical(t, Freshnesses)
}

// FuzzStored reads stored forms by both ways: what is taken as canonical must
// be what the library reads and writes.
func FuzzStored(f *testing.F) {
	u := &User{Account: "1", ID: "A", Name: "n\n\"", Path: "/", Created: 1, Tags: []Tag{{Key: "k"}}, Keys: []AccessKey{{ID: "AK", Active: true, Sealed: []byte{1, 2}}}}
	value, err := Users.Encode(u)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(value)
	f.Add([]byte(`{"v":1,"r":{"account":"","id":"","name":"\u0061","path":"","created":"2026-01-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		packed, exact := Users.readStored(value)
		if !exact {
			return
		}
		v, err := Users.Decode(value)
		if err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		if again, err := Users.Encode(v); err != nil || string(again) != string(value) || pack(v) != packed {
			t.Fatalf("%s is %s (%v)", value, again, err)
		}
	})
}
