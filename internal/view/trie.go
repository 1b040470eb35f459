package view

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"unsafe"

	"github.com/dchest/siphash"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// The trie: 32 ways a level by five bits of the keyed hash, leaves of at most
// leafMax items. A subtree is a leaf exactly when it holds at most leafMax
// items, so its shape depends on its content alone and equal content has one
// digest. The hash is keyed by the lineage's seed, so nobody can choose names
// that fall together, and two nodes of a lineage agree.
const (
	leafMax  = 64
	fanBits  = 5
	fan      = 1 << fanBits
	maxDepth = 12 // five bits each of 64; at the bottom a leaf may grow
)

// The digests of a record trie's nodes are worked out by seal, once for all
// changes of a commit: a state is sealed before anybody sees it.

// item is one key of a trie with its entry. In the record trie the key is the
// record's; in an index it is the term.
type item struct {
	hash  uint64
	key   string
	entry *record.Entry
}

// tnode is immutable once its tree is published. Either items (leaf) or kids.
type tnode struct {
	count  int
	digest record.Hash // zero in index tries, and until it is sealed
	items  []item      // sorted by hash, then key
	kids   *[fan]*tnode
}

// trie is a persistent map. The zero trie with a seed is empty.
type trie struct {
	root   *tnode
	k0, k1 uint64
}

func newTrie(seed []byte) trie {
	var b [16]byte
	copy(b[:], seed)
	return trie{k0: binary.LittleEndian.Uint64(b[:8]), k1: binary.LittleEndian.Uint64(b[8:])}
}

// hash reads the key where it stands: a copy would cost more than the hash.
func (t *trie) hash(key string) uint64 {
	return siphash.Hash(t.k0, t.k1, unsafe.Slice(unsafe.StringData(key), len(key)))
}

func slot(hash uint64, depth int) int { return int(hash>>(64-fanBits*(depth+1))) & (fan - 1) }

func order(a item, hash uint64, key string) int {
	if c := cmp.Compare(a.hash, hash); c != 0 {
		return c
	}
	return cmp.Compare(a.key, key)
}

func find(items []item, hash uint64, key string) (int, bool) {
	return slices.BinarySearchFunc(items, item{hash: hash, key: key}, func(a, b item) int { return order(a, b.hash, b.key) })
}

// get returns the entry under key, or nil.
func (t *trie) get(key string) *record.Entry {
	hash := t.hash(key)
	n := t.root
	for depth := 0; n != nil; depth++ {
		if n.kids == nil {
			if i, ok := find(n.items, hash, key); ok {
				return n.items[i].entry
			}
			return nil
		}
		n = n.kids[slot(hash, depth)]
	}
	return nil
}

// put returns the trie with key bound to e.
func (t trie) put(key string, e *record.Entry) trie {
	t.root = t.insert(t.root, item{t.hash(key), key, e}, 0)
	return t
}

// drop returns the trie without key.
func (t trie) drop(key string) trie {
	t.root = t.remove(t.root, t.hash(key), key, 0)
	return t
}

func (t *trie) insert(n *tnode, it item, depth int) *tnode {
	if n == nil {
		return t.leaf([]item{it})
	}
	if n.kids != nil {
		kids := *n.kids
		i := slot(it.hash, depth)
		kids[i] = t.insert(kids[i], it, depth+1)
		return t.branch(&kids)
	}
	i, found := find(n.items, it.hash, it.key)
	if found {
		items := slices.Clone(n.items)
		items[i] = it
		return t.leaf(items)
	}
	items := make([]item, 0, len(n.items)+1)
	items = append(append(append(items, n.items[:i]...), it), n.items[i:]...)
	return t.build(items, depth)
}

func (t *trie) remove(n *tnode, hash uint64, key string, depth int) *tnode {
	if n == nil {
		return nil
	}
	if n.kids == nil {
		i, found := find(n.items, hash, key)
		if !found {
			return n
		}
		if len(n.items) == 1 {
			return nil
		}
		return t.leaf(slices.Delete(slices.Clone(n.items), i, i+1))
	}
	i := slot(hash, depth)
	kid := t.remove(n.kids[i], hash, key, depth+1)
	if kid == n.kids[i] {
		return n
	}
	kids := *n.kids
	kids[i] = kid
	if n.count-1 <= leafMax {
		return t.leaf(gather(&kids))
	}
	return t.branch(&kids)
}

// gather returns the items below kids in order: slots are the hash's leading
// bits, so they are in order already.
func gather(kids *[fan]*tnode) []item {
	var items []item
	for _, k := range kids {
		items = appendItems(items, k)
	}
	return items
}

func appendItems(items []item, n *tnode) []item {
	switch {
	case n == nil:
		return items
	case n.kids == nil:
		return append(items, n.items...)
	}
	for _, k := range n.kids {
		items = appendItems(items, k)
	}
	return items
}

// build makes the subtree of sorted items: a leaf, or a branch of subtrees.
func (t *trie) build(items []item, depth int) *tnode {
	if len(items) == 0 {
		return nil
	}
	if len(items) <= leafMax || depth >= maxDepth {
		return t.leaf(items)
	}
	var kids [fan]*tnode
	for len(items) > 0 {
		i := slot(items[0].hash, depth)
		n := 1
		for n < len(items) && slot(items[n].hash, depth) == i {
			n++
		}
		kids[i] = t.build(items[:n:n], depth+1)
		items = items[n:]
	}
	return t.branch(&kids)
}

func (t *trie) leaf(items []item) *tnode { return &tnode{count: len(items), items: items} }

func (t *trie) branch(kids *[fan]*tnode) *tnode {
	n := &tnode{kids: kids}
	for _, k := range kids {
		if k != nil {
			n.count += k.count
		}
	}
	return n
}

// seal works out the digests of the nodes that are new since the last time: a
// node that has one has nothing new below it.
func (n *tnode) seal() {
	if n == nil || n.digest != (record.Hash{}) {
		return
	}
	if n.kids == nil {
		h := sha256.New()
		h.Write([]byte("leaf"))
		for i := range n.items {
			h.Write(n.items[i].entry.Hash[:])
		}
		h.Sum(n.digest[:0])
		return
	}
	var b [6 + fan*32]byte
	copy(b[:], "branch")
	for i, k := range n.kids {
		if k != nil {
			k.seal()
			copy(b[6+i*32:], k.digest[:])
		}
	}
	n.digest = sha256.Sum256(b[:])
}

func (t *trie) digest() record.Hash {
	if t.root == nil {
		return sha256.Sum256([]byte("empty"))
	}
	return t.root.digest
}

func (t *trie) len() int {
	if t.root == nil {
		return 0
	}
	return t.root.count
}

// all yields the entries in order of their hashes.
func (t *trie) all(yield func(*record.Entry) bool) { walk(t.root, yield) }

func walk(n *tnode, yield func(*record.Entry) bool) bool {
	if n == nil {
		return true
	}
	for i := range n.items {
		if !yield(n.items[i].entry) {
			return false
		}
	}
	if n.kids != nil {
		for _, k := range n.kids {
			if !walk(k, yield) {
				return false
			}
		}
	}
	return true
}
