package authn

import "testing"

// One account's tokens, each as large as it may be, would fill a node's memory.
func TestACacheIsBoundedInBytesToo(t *testing.T) {
	var c bounded[int, string]
	kept := func() (n int) {
		c.m.Load().Range(func(any, any) bool { n++; return true })
		return n
	}
	most := 0
	for i := range 3 * cacheBytes / (1 << 20) {
		c.put(i, "", 1<<20)
		most = max(most, kept())
	}
	if most > cacheBytes/(1<<20) {
		t.Errorf("%d MiB are kept, want %d", most, cacheBytes/(1<<20))
	}
	if _, ok := c.get(3*cacheBytes/(1<<20) - 1); !ok {
		t.Error("the last one is not kept")
	}
	for i := range 2 * cacheMax {
		c.put(-i, "", 0)
	}
	if n := kept(); n > cacheMax {
		t.Errorf("%d are kept", n)
	}
}
