package admission

import (
	"hash/maphash"
	"io"
	"sync/atomic"
)

// freeBody is what each request's body may take without being counted: nearly every
// one is smaller. Connections bound how many there are.
const freeBody = 16 << 10

// Bodies bounds what requests hold in memory before anybody has proven anything: a
// request is read whole before it takes a slot, and its client may take its time.
type Bodies struct {
	all, each int64 // bytes together, and of one address
	seed      maphash.Seed
	held      atomic.Int64
	by        [buckets]atomic.Int64
}

// NewBodies bounds the bytes of all bodies together, and those of one address.
func NewBodies(all, each int64) *Bodies {
	return &Bodies{all: all, each: each, seed: maphash.MakeSeed()}
}

// Body is one request's body, until Release.
type Body struct {
	io.ReadCloser
	of          *Bodies
	bucket      int
	read, taken int64
}

// Of counts a body that comes from an address.
func (b *Bodies) Of(body io.ReadCloser, address string) *Body {
	bucket, _ := bucketsOf(b.seed, address, "")
	return &Body{ReadCloser: body, of: b, bucket: bucket}
}

// Read is a Refusal where there is no room for more.
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if more := b.read - freeBody - b.taken; more > 0 {
		b.taken += more
		held, by := b.of.held.Add(more), b.of.by[b.bucket].Add(more)
		if held > b.of.all || by > b.of.each {
			return 0, &Refusal{Read, Full}
		}
	}
	return n, err
}

// Release gives the room back. The request is over.
func (b *Body) Release() {
	b.of.held.Add(-b.taken)
	b.of.by[b.bucket].Add(-b.taken)
	b.taken = 0
}
