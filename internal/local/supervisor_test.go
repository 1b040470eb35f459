package local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestALogThatHasGrownIsEmptiedWhileItsProcessGoesOnWriting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f, err := openLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	holds := func(path, want string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v; want %q", filepath.Base(path), b, err, want)
		}
	}
	write := func(text string) {
		t.Helper()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := shorten(path, 10); err != nil {
			t.Fatal(err)
		}
	}
	write("ten bytes\n")
	holds(path, "ten bytes\n")
	write("and more\n")
	holds(path, "")
	holds(path+".1", "ten bytes\nand more\n")
	write("after\n")
	holds(path, "after\n")
	write(strings.Repeat("x", 10))
	holds(path+".1", "after\n"+strings.Repeat("x", 10))
	if err := shorten(path+"-of-nobody", 10); err != nil {
		t.Error(err)
	}
}
