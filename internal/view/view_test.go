package view

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/holdfast-iam/holdfast/internal/record"
)

var seed = []byte("0123456789abcdef")

func user(id, name string) (record.Key, []byte) {
	u := &record.User{Account: "1", ID: id, Name: name, Path: "/", Created: 1, Keys: []record.AccessKey{{ID: "AK" + id}}, Groups: []string{"G" + name}}
	value, err := record.Users.Encode(u)
	if err != nil {
		panic(err)
	}
	return record.Users.Key(u), value
}

// rebuilt makes the same state in bulk from a map.
func rebuilt(model map[record.Key]string, workers int) *State {
	return Build(seed, func(yield func(*record.Entry) bool) {
		for k, v := range model {
			if !yield(record.NewEntry(k, []byte(v))) {
				return
			}
		}
	}, workers)
}

func TestAnyHistoryOfChangesIsTheSameAsItsContentBuiltAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Empty(seed).Begin()
		model := map[record.Key]string{}
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			id := fmt.Sprint(rapid.IntRange(0, 150).Draw(t, "id"))
			key, value := user(id, "n"+fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "name"))+id)
			f := p.Fork()
			gone := rapid.Bool().Draw(t, "delete")
			if gone {
				f.Delete(key)
			} else if err := f.Put(record.NewEntry(key, value), value); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 4).Draw(t, "drop") == 0 {
				continue // the fork is dropped: nothing happened
			}
			p.Adopt(f)
			if gone {
				delete(model, key)
			} else {
				model[key] = string(value)
			}
		}
		s := p.State()
		for workers := 1; workers <= 2; workers++ {
			other := rebuilt(model, workers)
			if s.Digest() != other.Digest() || s.Len() != len(model) {
				t.Fatalf("digest or size differs: %d records of %d", s.Len(), len(model))
			}
			same(t, s, other)
		}
	})
}

func same(t *rapid.T, a, b *State) {
	list := func(s *State) (terms []string) {
		for _, ix := range []string{"user.name", "user.group"} {
			s.Range(ix, "1", "", func(term string, e *record.Entry) bool {
				terms = append(terms, ix+term+string(e.Key)+fmt.Sprint(e.Hash))
				return true
			})
		}
		return terms
	}
	if x, y := list(a), list(b); !slices.Equal(x, y) {
		t.Fatalf("indexes differ:\n%q\n%q", x, y)
	}
	for e := range a.All {
		hit, ok := b.Lookup("user.key", "AK"+e.Key.ID())
		if !ok || hit.Hash != e.Hash {
			t.Fatalf("hot index lost %s", e.Key)
		}
	}
}

func TestOneDifferingByteChangesTheDigest(t *testing.T) {
	key, value := user("1", "a")
	p := Empty(seed).Begin()
	_ = p.Put(record.NewEntry(key, value), value)
	before := p.State()
	key, value = user("1", "b")
	_ = p.Put(record.NewEntry(key, value), value)
	if before.Digest() == p.State().Digest() || before.Digest() == Empty(seed).Digest() {
		t.Error("digest did not change")
	}
	if _, ok := before.Entry(key); !ok || before.Len() != 1 {
		t.Error("an old state changed")
	}
}

func TestARecordThatCannotBeReadKeepsItsBytesOutsideTheIndexes(t *testing.T) {
	key, _ := user("1", "a")
	p := Empty(seed).Begin()
	_ = p.Put(record.NewEntry(key, []byte(`{"v":99,"r":{}}`)), []byte(`{"v":99,"r":{}}`))
	s := p.State()
	e, ok := s.Entry(key)
	if b, err := e.Stored(); !ok || err != nil || string(b) != `{"v":99,"r":{}}` {
		t.Errorf("bytes are %q, %v", b, err)
	}
	if _, ok := s.Lookup("user.key", "AK1"); ok {
		t.Error("it is in an index")
	}
}

func TestChangesHoldOneChangeAKey(t *testing.T) {
	p := Empty(seed).Begin()
	key, value := user("1", "a")
	_ = p.Put(record.NewEntry(key, value), value)
	f := p.Fork()
	f.Delete(key)
	if n := len(f.Changes()); n != 1 {
		t.Errorf("fork has %d changes", n)
	}
	p.Adopt(f)
	if c := p.Changes(); len(c) != 1 || c[0].Value != nil {
		t.Errorf("changes %v", c)
	}
}

func TestReadersSeeWholeStatesWhileAWriterGoesOn(t *testing.T) {
	var current Current
	current.Store(&View{State: Empty(seed)})
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				v, n := current.Load(), 0
				v.Range("user.name", "1", "", func(string, *record.Entry) bool { n++; return true })
				if n != v.Len() || n%2 != 0 {
					t.Errorf("saw %d names of %d records", n, v.Len())
					return
				}
			}
		})
	}
	for i := range 500 {
		p := current.Load().Begin()
		for j := range 2 { // two users at a time
			key, value := user(fmt.Sprint(i, "-", j), fmt.Sprint("n", i, "-", j))
			_ = p.Put(record.NewEntry(key, value), value)
		}
		current.Store(&View{State: p.State()})
	}
	close(stop)
	readers.Wait()
}

func TestRangeStartsAfterATermAndStaysInItsPrefix(t *testing.T) {
	p := Empty(seed).Begin()
	for _, name := range []string{"a", "b", "c"} {
		key, value := user(name, name)
		_ = p.Put(record.NewEntry(key, value), value)
	}
	var got []string
	p.Range("user.name", record.NameTerm("1", ""), record.NameTerm("1", "a"), func(term string, _ *record.Entry) bool {
		got = append(got, term)
		return true
	})
	if want := []string{record.NameTerm("1", "b"), record.NameTerm("1", "c")}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	p.Range("user.name", record.NameTerm("2", ""), "", func(string, *record.Entry) bool { t.Error("another account"); return false })
}

func TestTheRingClearsTheOldestCompiledForm(t *testing.T) {
	var r Ring
	first := &record.Entry{}
	r.Compiled(first, func() any { return 1 })
	if r.Compiled(first, func() any { return 2 }) != 1 {
		t.Error("compiled twice")
	}
	for range ringSize {
		r.Compiled(&record.Entry{}, func() any { return 0 })
	}
	if first.Compiled.Load() != nil {
		t.Error("the first is still there")
	}
}

func BenchmarkChangeAmongHundredThousandUsers(b *testing.B) {
	model := map[record.Key]string{}
	for i := range 100_000 {
		key, value := user(fmt.Sprint(i), fmt.Sprint("n", i))
		model[key] = string(value)
	}
	s := rebuilt(model, 2)
	keys := slices.Collect(maps.Keys(model))
	b.ResetTimer()
	for i := range b.N {
		p := s.Begin()
		_ = p.Put(record.NewEntry(keys[i%len(keys)], []byte(model[keys[i%len(keys)]])), []byte(model[keys[i%len(keys)]]))
		s = p.State()
	}
}
