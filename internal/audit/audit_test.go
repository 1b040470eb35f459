package audit

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// chain makes commits of the given sizes with a chain that holds.
func chain(t *testing.T, sizes ...int) []*record.LogValue {
	t.Helper()
	var values []*record.LogValue
	var link record.Hash
	index := uint64(0)
	for _, n := range sizes {
		v := &record.LogValue{}
		for range n {
			index++
			public := []byte(fmt.Sprintf(`{"i":%d,"ch":[{"k":"user/1/%d","v":{"name":"<&>"}}]}`, index, index))
			private := []byte(fmt.Sprintf(`{"op":"CreateUser","requestId":"%d"}`, index))
			link = record.Link(link, public, sha256.Sum256(private))
			v.Records = append(v.Records, record.Logged{Public: public, Private: private})
		}
		v.Head = record.Head{Index: index, Chain: link}
		values = append(values, v)
	}
	return values
}

func open(t *testing.T, dir string) *Files {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func verified(t *testing.T, dir string, first, last uint64) {
	t.Helper()
	gotFirst, gotLast, err := Verify(dir)
	if err != nil || gotFirst != first || gotLast != last {
		t.Fatalf("first %d last %d: %v; want %d and %d", gotFirst, gotLast, err, first, last)
	}
}

func TestEveryRecordIsWrittenOnceInOrderAcrossRestarts(t *testing.T) {
	dir, values := t.TempDir(), chain(t, 1, 3, 2, 4)
	f := open(t, dir)
	for _, part := range [][]*record.LogValue{values[:1], values[:2], values[1:3]} { // they overlap
		if err := f.Append(part); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	f = open(t, dir)
	if f.Index() != 6 {
		t.Fatalf("resumed at %d", f.Index())
	}
	if err := f.Append(values); err != nil {
		t.Fatal(err)
	}
	verified(t, dir, 1, 10)
}

func TestWhatDoesNotFollowIsRefused(t *testing.T) {
	dir, values := t.TempDir(), chain(t, 1, 1, 1)
	f := open(t, dir)
	if err := f.Append(values[:1]); err != nil {
		t.Fatal(err)
	}
	if err := f.Append(values[2:]); err == nil {
		t.Error("a hole was written")
	}
	other := chain(t, 1, 1)
	other[1].Records[0].Private = []byte(`{"op":"DeleteUser"}`)
	if err := f.Append(other[1:]); err == nil {
		t.Error("a record that does not continue the chain was written")
	}
	if f.Index() != 1 {
		t.Errorf("index %d after refusals", f.Index())
	}
	verified(t, dir, 1, 1)
}

func TestALineThatACrashCutShortIsWrittenAgain(t *testing.T) {
	dir, values := t.TempDir(), chain(t, 2, 2)
	f := open(t, dir)
	if err := f.Append(values); err != nil {
		t.Fatal(err)
	}
	f.Close()
	path := filepath.Join(dir, fmt.Sprintf("%020d%s", 1, extension))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := int64(1); cut < info.Size(); cut += 37 {
		if err := os.Truncate(path, info.Size()-cut); err != nil {
			t.Fatal(err)
		}
		f := open(t, dir)
		if err := f.Append(values[wholeCommits(f.Index()):]); err != nil {
			t.Fatalf("cut %d, at index %d: %v", cut, f.Index(), err)
		}
		f.Close()
		verified(t, dir, 1, 4)
	}
}

// wholeCommits is how many commits of two are held altogether.
func wholeCommits(index uint64) int { return int(index / 2) }

func TestAHoleIsMarkedAndTheChainHoldsBehindIt(t *testing.T) {
	dir, values := t.TempDir(), chain(t, 2, 3, 2)
	f := open(t, dir)
	if err := f.Skip(2); err != nil {
		t.Fatal(err)
	}
	if err := f.Append(values[1:]); err != nil {
		t.Fatal(err)
	}
	verified(t, dir, 2, 7)
}

func TestATamperedFileIsFound(t *testing.T) {
	values := chain(t, 1, 3, 2)
	for name, change := range map[string]func([]string) []string{
		"a line taken out":   func(l []string) []string { return append(l[:2:2], l[3:]...) },
		"two lines swapped":  func(l []string) []string { l[2], l[3] = l[3], l[2]; return l },
		"an operation":       func(l []string) []string { l[3] = strings.Replace(l[3], "CreateUser", "DeleteUser", 1); return l },
		"a change":           func(l []string) []string { l[3] = strings.Replace(l[3], "user/1", "role/1", 1); return l },
		"half a line":        func(l []string) []string { l[5] = l[5][:9]; return l },
		"a line added twice": func(l []string) []string { return append(l, l[5]) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := open(t, dir)
			if err := f.Append(values); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, fmt.Sprintf("%020d%s", 1, extension))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			lines := change(strings.SplitAfter(strings.TrimSuffix(string(b), "\n"), "\n"))
			if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, _, err := Verify(dir); err == nil {
				t.Error("not found")
			}
		})
	}
}
