package record

import (
	"reflect"
	"testing"
)

// fill sets every field of a record to something that is not its zero value.
func fill(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("text-" + string(rune('a'+n%26)))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(1700000000 + n))
	case reflect.Uint8:
		v.SetUint(uint64(n))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n+1)
		fill(v.Index(1), n+2)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n+i)
		}
	}
}

func survives[R any](t *testing.T, k *Kind[R]) {
	t.Helper()
	for _, full := range []bool{true, false} {
		v := new(R)
		if full {
			fill(reflect.ValueOf(v).Elem(), 1)
		}
		value, err := k.Encode(v)
		if err != nil {
			t.Fatal(err)
		}
		e := NewEntry(k.Key(v), value)
		if e.Packed == "" || e.Bad {
			t.Fatalf("%s does not survive packing: %s", k.Name, value)
		}
		back, err := e.Stored()
		if err != nil || string(back) != string(value) {
			t.Errorf("%s came back as %s, want %s (%v)", k.Name, back, value, err)
		}
	}
}

func TestEveryKindPacksAndComesBackToTheSameBytes(t *testing.T) {
	survives(t, Geneses)
	survives(t, Operators)
	survives(t, Nodes)
	survives(t, Regions)
	survives(t, RegionKeys)
	survives(t, AccountKeys)
	survives(t, OpeningKeys)
	survives(t, SigningKeys)
	survives(t, Services)
	survives(t, Denials)
	survives(t, Accounts)
	survives(t, Users)
	survives(t, Groups)
	survives(t, Roles)
	survives(t, InstanceProfiles)
	survives(t, Policies)
	survives(t, KeyUses)
	survives(t, Freshnesses)
}

func TestAValueOfANewerReleaseKeepsItsBytes(t *testing.T) {
	key := Users.Key(&User{Account: "1", ID: "A"})
	for name, c := range map[string]struct {
		value string
		bad   bool
	}{
		"an unknown field is readable":  {`{"v":1,"r":{"account":"1","id":"A","name":"n","path":"/","created":"2026-01-01T00:00:00Z","new":1}}`, false},
		"a newer version is not":        {`{"v":2,"r":{"account":"1","id":"A"}}`, true},
		"nor is another record's value": {`{"v":1,"r":{"account":"1","id":"B","name":"n","path":"/","created":"2026-01-01T00:00:00Z"}}`, true},
		"nor is something else":         {`{"v":1,"r":[]}`, true},
	} {
		e := NewEntry(key, []byte(c.value))
		if e.Raw != c.value || e.Bad != c.bad {
			t.Errorf("%s: raw %q bad %v", name, e.Raw, e.Bad)
		}
		if _, err := Users.Open(e); (err != nil) != c.bad {
			t.Errorf("%s: open says %v", name, err)
		}
	}
}

func FuzzEntry(f *testing.F) {
	for _, form := range Forms {
		f.Add(form.Name, []byte(`{"v":1,"r":{}}`))
	}
	f.Fuzz(func(t *testing.T, kind string, value []byte) {
		e := NewEntry(MakeKey(kind, "1", "2"), value)
		back, err := e.Stored()
		if err != nil || string(back) != string(value) {
			t.Fatalf("%q came back as %q (%v)", value, back, err)
		}
		if _, err := e.Terms(); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzUnpack(f *testing.F) {
	f.Add("")
	f.Add(pack(&User{Name: "a", Keys: []AccessKey{{ID: "k"}}}))
	f.Fuzz(func(t *testing.T, s string) {
		var u User
		_ = unpack(s, &u) // must not panic or allocate without bound
	})
}
