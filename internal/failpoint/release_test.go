package failpoint

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAReleaseBinaryHoldsNoFailpointAndNoOtherClock reads the symbols and the
// bytes of both builds: what is looked for is found in the one with the tag.
func TestAReleaseBinaryHoldsNoFailpointAndNoOtherClock(t *testing.T) {
	for _, build := range []struct {
		tags string
		with bool
	}{{"", false}, {"faults", true}} {
		bin := filepath.Join(t.TempDir(), "holdfast")
		if out, err := exec.Command("go", "build", "-tags", build.tags, "-o", bin, "../../cmd/holdfast").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		symbols, err := exec.Command("go", "tool", "nm", bin).Output()
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(bin)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"/internal/failpoint.", "/internal/replica.believe", "needy.func", "/internal/feed.bent"} {
			if strings.Contains(string(symbols), name) != build.with {
				t.Errorf("tags %q: a symbol with %s: %v", build.tags, name, !build.with)
			}
		}
		for _, word := range []string{Variable, string(AckBeforeCommit), string(BelievesBatches), string(NoTimeFloor)} {
			if bytes.Contains(text, []byte(word)) != build.with {
				t.Errorf("tags %q: the word %s: %v", build.tags, word, !build.with)
			}
		}
	}
}

func TestNoTwoBugsHaveOneName(t *testing.T) {
	seen := map[Bug]bool{}
	for _, b := range Bugs {
		if seen[b] || !Known(b) {
			t.Errorf("%q stands twice", b)
		}
		seen[b] = true
	}
}
