package replica

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// The packed copy stands beside the snapshot and holds the same view in the
// form that it has in memory, indexes included: a start reads it without
// decoding or sorting anything. It is good for this build's layout alone;
// without it, a start reads the snapshot.
//
// It is magic, then chunks behind their lengths, each with its SHA-256: one of
// head, seed and layout, those of the records, those of the indexes. Records
// are numbered in their order, and indexes name them by number. The last chunk
// is the SHA-256 over all chunks' own.
const (
	packedFile  = "packed"
	packedMagic = "holdfast packed 1\n"
	chunkSize   = 4 << 20 // bytes at which a chunk is closed
)

// Kinds of chunks.
const (
	chunkHead = iota + 1
	chunkRecords
	chunkIndex // begins an index
	chunkMore  // goes on with it
	chunkEnd
)

// packer writes a packed copy.
type packer struct {
	w   *bufio.Writer
	all []byte // the chunks' sums
	b   []byte // the open chunk
	err error
}

func (p *packer) text(s string) {
	p.b = binary.AppendUvarint(p.b, uint64(len(s)))
	p.b = append(p.b, s...)
}

func (p *packer) close() {
	sum := sha256.Sum256(p.b)
	p.all = append(p.all, sum[:]...)
	var n [prefix]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(p.b)))
	for _, part := range [][]byte{n[:], p.b, sum[:]} {
		if _, err := p.w.Write(part); err != nil && p.err == nil {
			p.err = err
		}
	}
	p.b = p.b[:0]
}

// writePacked writes the packed copy of a view, whole or not at all.
func writePacked(dir string, v *view.View, seed []byte) error {
	tmp := filepath.Join(dir, packedFile+".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	p := &packer{w: bufio.NewWriterSize(f, 1<<20), b: make([]byte, 0, chunkSize+chunkSize/4)}
	if err := p.view(v, seed); err != nil {
		return err
	}
	if err := errors.Join(p.err, p.w.Flush(), f.Sync()); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, packedFile)); err != nil {
		return err
	}
	return syncDir(dir)
}

func (p *packer) view(v *view.View, seed []byte) error {
	head, err := record.Marshal(&v.Head)
	if err != nil {
		return err
	}
	if _, err := p.w.WriteString(packedMagic); err != nil {
		return err
	}
	layout := record.Layout()
	p.b = append(p.b, chunkHead)
	p.text(string(head))
	p.text(string(seed))
	p.text(string(layout[:]))
	p.b = binary.AppendUvarint(p.b, uint64(v.Len()))
	p.close()
	number := make(map[*record.Entry]uint32, v.Len())
	p.records(v, number)
	v.Parts(func(index string, hot bool, terms func(func(string, *record.Entry) bool)) bool {
		p.index(index, hot, terms, number)
		return p.err == nil
	})
	p.b = append(p.b, chunkEnd)
	p.b = append(p.b, p.all...)
	p.close()
	return p.err
}

func (p *packer) records(v *view.View, number map[*record.Entry]uint32) {
	v.All(func(e *record.Entry) bool {
		if len(p.b) == 0 {
			p.b = append(p.b, chunkRecords)
		}
		number[e] = uint32(len(number))
		p.text(string(e.Key))
		p.b = append(p.b, e.Hash[:]...)
		flag := byte(0)
		if e.Bad {
			flag = 1
		}
		p.b = append(p.b, flag)
		p.text(e.Packed)
		p.text(e.Raw)
		if len(p.b) >= chunkSize {
			p.close()
		}
		return p.err == nil
	})
	if len(p.b) > 0 {
		p.close()
	}
}

func (p *packer) index(index string, hot bool, terms func(func(string, *record.Entry) bool), number map[*record.Entry]uint32) {
	p.b = append(p.b, chunkIndex)
	p.text(index)
	flag := byte(0)
	if hot {
		flag = 1
	}
	p.b = append(p.b, flag)
	terms(func(term string, e *record.Entry) bool {
		if len(p.b) == 0 {
			p.b = append(p.b, chunkMore)
		}
		p.text(term)
		p.b = binary.AppendUvarint(p.b, uint64(number[e]))
		if len(p.b) >= chunkSize {
			p.close()
		}
		return p.err == nil
	})
	if len(p.b) > 0 {
		p.close()
	}
}

// readPacked reads the packed copy of the very view that the snapshot beside
// it is of. Any doubt is an error: the snapshot is read then.
func readPacked(dir string, want *record.Head) (*view.View, []byte, error) {
	f, err := os.Open(filepath.Join(dir, packedFile))
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<20)
	magic := make([]byte, len(packedMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != packedMagic {
		return nil, nil, errDamaged
	}
	first, _, err := readChunk(r)
	if err != nil {
		return nil, nil, err
	}
	if sha256.Sum256(first.b) != first.sum {
		return nil, nil, errDamaged
	}
	u := &unpacker{s: text(first.b)}
	head, count, seed, err := u.head(want)
	if err != nil {
		return nil, nil, err
	}
	chunks, err := readChunks(r, first.sum)
	if err != nil {
		return nil, nil, err
	}
	state, err := assemble(chunks, count, seed)
	if err != nil {
		return nil, nil, err
	}
	return &view.View{State: state, Head: *head}, seed, nil
}

type chunk struct {
	b   []byte
	sum [sha256.Size]byte
}

// readChunk reads one chunk without checking its sum.
func readChunk(r io.Reader) (c chunk, kind byte, err error) {
	var n [prefix]byte
	if _, err := io.ReadFull(r, n[:]); err != nil {
		return c, 0, errDamaged
	}
	size := binary.BigEndian.Uint32(n[:])
	if size == 0 || size > maxPiece {
		return c, 0, errDamaged
	}
	c.b = make([]byte, size) // its own memory: it goes when nothing in it is used any more
	if _, err := io.ReadFull(r, c.b); err != nil {
		return c, 0, errDamaged
	}
	if _, err := io.ReadFull(r, c.sum[:]); err != nil {
		return c, 0, errDamaged
	}
	return c, c.b[0], nil
}

// readChunks reads the rest of the file and checks every sum, side by side.
func readChunks(r io.Reader, first [sha256.Size]byte) ([]chunk, error) {
	sums := first[:]
	var chunks []chunk
	var wait sync.WaitGroup
	var mu sync.Mutex
	good := true
	free := make(chan struct{}, runtime.NumCPU())
	for {
		c, kind, err := readChunk(r)
		if err != nil {
			wait.Wait()
			return nil, err
		}
		free <- struct{}{}
		wait.Go(func() {
			defer func() { <-free }()
			if sha256.Sum256(c.b) != c.sum {
				mu.Lock()
				defer mu.Unlock()
				good = false
			}
		})
		if kind == chunkEnd {
			wait.Wait()
			if !good || !bytes.Equal(c.b[1:], sums) {
				return nil, errDamaged
			}
			return chunks, nil
		}
		sums = append(sums, c.sum[:]...)
		chunks = append(chunks, c)
	}
}

// assemble decodes chunks whose sums were checked.
func assemble(chunks []chunk, count int, seed []byte) (*view.State, error) {
	entries := make([]*record.Entry, 0, count)
	var parts []view.Part
	for i := range chunks {
		u := &unpacker{s: text(chunks[i].b[1:])}
		switch chunks[i].b[0] {
		case chunkRecords:
			entries = u.records(entries)
		case chunkIndex:
			parts = append(parts, view.Part{Index: u.text(), Hot: u.flag()})
			u.terms(&parts[len(parts)-1], entries)
		case chunkMore:
			if len(parts) == 0 {
				return nil, errDamaged
			}
			u.terms(&parts[len(parts)-1], entries)
		default:
			return nil, errDamaged
		}
		if u.bad {
			return nil, errDamaged
		}
	}
	if len(entries) != count {
		return nil, errDamaged
	}
	return view.Assemble(seed, entries, parts), nil
}

// text is a chunk's bytes as a string without a copy: nothing writes them any
// more.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// unpacker takes values from a chunk.
type unpacker struct {
	s   string
	bad bool
}

func (u *unpacker) number() uint64 {
	var x uint64
	for i := 0; i < len(u.s) && i < binary.MaxVarintLen64; i++ {
		x |= uint64(u.s[i]&0x7f) << (7 * i)
		if u.s[i] < 0x80 {
			u.s = u.s[i+1:]
			return x
		}
	}
	u.bad, u.s = true, ""
	return 0
}

func (u *unpacker) take(n uint64) string {
	if n > uint64(len(u.s)) {
		u.bad, u.s = true, ""
		return ""
	}
	piece := u.s[:n]
	u.s = u.s[n:]
	return piece
}

func (u *unpacker) text() string { return u.take(u.number()) }

func (u *unpacker) flag() bool { return u.take(1) == "\x01" }

// head reads the first chunk: it must be of this layout and of the view that
// is wanted.
func (u *unpacker) head(want *record.Head) (head *record.Head, count int, seed []byte, err error) {
	if u.take(1) != string(rune(chunkHead)) {
		return nil, 0, nil, errDamaged
	}
	headText, seedText, layoutText := u.text(), u.text(), u.text()
	n := u.number()
	head = new(record.Head)
	if u.bad || n > 1<<31 || json.Unmarshal([]byte(headText), head) != nil {
		return nil, 0, nil, errDamaged
	}
	layout := record.Layout()
	if layoutText != string(layout[:]) || head.Lineage != want.Lineage || head.Index != want.Index || head.Chain != want.Chain || head.State != want.State {
		return nil, 0, nil, errors.New("replica: the packed copy is of another build or view")
	}
	return head, int(n), []byte(seedText), nil
}

func (u *unpacker) records(entries []*record.Entry) []*record.Entry {
	for u.s != "" && !u.bad {
		e := &record.Entry{Key: record.Key(u.text())}
		copy(e.Hash[:], u.take(sha256.Size))
		e.Bad = u.flag()
		e.Packed, e.Raw = u.text(), u.text()
		entries = append(entries, e)
	}
	return entries
}

func (u *unpacker) terms(p *view.Part, entries []*record.Entry) {
	for u.s != "" && !u.bad {
		term, n := u.text(), u.number()
		if n >= uint64(len(entries)) {
			u.bad = true
			return
		}
		p.Terms, p.Entries = append(p.Terms, term), append(p.Entries, entries[n])
	}
}

// verifyEntries says again, record by record, that what is served comes to
// the hashes that the signed digest is over. It takes seconds for a million.
func verifyEntries(v *view.View) error {
	var failed error
	v.All(func(e *record.Entry) bool {
		value, err := e.Stored()
		if err != nil || record.HashEntry(e.Key, value) != e.Hash {
			failed = errDamaged
		}
		return failed == nil
	})
	return failed
}
