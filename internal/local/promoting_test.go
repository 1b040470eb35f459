package local

import "testing"

func TestADirectoryIsPromotedByOneAtATime(t *testing.T) {
	l := Layout{Dir: t.TempDir()}
	done, err := l.Promoting()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Promoting(); err == nil {
		t.Error("a second promotion begins while the first is under way")
	}
	done()
	if done, err = l.Promoting(); err != nil {
		t.Errorf("after the first: %v", err)
	} else {
		done()
	}
}
