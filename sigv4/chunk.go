package sigv4

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits on a chunked body.
const (
	MaxChunk    = 16 << 20 // bytes of a signed chunk, which is held in memory until it verifies
	maxChunkSum = 5 << 40  // bytes of an object
	maxLine     = 4 << 10  // bytes of a chunk's or a trailer's line
)

// emptyHash is the SHA-256 of nothing.
const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// ChunkReader reads the payload out of a chunked (aws-chunked) body. With
// signed chunks no byte comes out before its chunk's signature has verified.
// Without, bytes come out as they arrive, and whoever reads them throws them
// away when Read ends in anything but io.EOF: only io.EOF says that the
// payload was whole, of the announced length, with the announced checksum.
//
// Errors are *Error, or what the source returned, and stay. Not for concurrent
// use.
type ChunkReader struct {
	src  *bufio.Reader
	seed Presented
	key  SigningKey

	signed    bool
	announced string    // the name in X-Amz-Trailer; empty: no trailer
	checksum  hash.Hash // of the payload so far; nil without a trailer
	trailer   Header
	left      int64 // bytes of payload that are still to come

	previous string // signature of what came before
	chunk    []byte // verified and not yet read
	buffer   []byte
	raw      int64 // bytes left of an unsigned chunk
	err      error
}

// OpenChunks verifies the headers of a request with a chunked body and returns
// the reader of its payload. It is Verify, and takes its place.
//
// Amazon S3 API Reference, "Transferring Payload in Multiple Chunks" and
// "Including Trailing Headers".
func OpenChunks(src io.Reader, p *Presented, r *Request, key *SigningKey, now time.Time, prof Profile) (*ChunkReader, error) {
	if err := Verify(p, r, key, now, prof); err != nil {
		return nil, err
	}
	return newChunkReader(src, p, r, *key)
}

// OpenChunksPublic is OpenChunks for a SigV4A signature, with which chunks
// themselves are unsigned.
func OpenChunksPublic(src io.Reader, p *Presented, r *Request, key *ecdsa.PublicKey, now time.Time, prof Profile) (*ChunkReader, error) {
	if err := VerifyPublic(p, r, key, now, prof); err != nil {
		return nil, err
	}
	return newChunkReader(src, p, r, SigningKey{})
}

func newChunkReader(src io.Reader, p *Presented, r *Request, key SigningKey) (*ChunkReader, error) {
	c := &ChunkReader{src: bufio.NewReaderSize(src, maxLine), seed: *p, key: key, previous: p.Signature}
	trailing := true
	switch p.PayloadHash {
	case StreamingPayload:
		c.signed, trailing = true, false
	case StreamingPayloadTrailer:
		c.signed = true
	case StreamingUnsignedTrailer:
	default:
		return nil, incomplete("The request has no chunked payload.")
	}
	length, _, err := r.only("x-amz-decoded-content-length")
	if err != nil {
		return nil, err
	}
	if c.left, err = strconv.ParseInt(length, 10, 64); err != nil || c.left < 0 || c.left > maxChunkSum || length[0] == '+' {
		return nil, refuse(MissingDecodedLength, "You must provide the Content-Length HTTP header.")
	}
	name, found, err := r.only("x-amz-trailer")
	if err != nil {
		return nil, err
	}
	if found != trailing {
		return nil, refuse(MalformedTrailer, "The request's x-amz-trailer and x-amz-content-sha256 do not agree.")
	}
	if found {
		c.announced = strings.ToLower(name)
		if c.checksum = newChecksum(c.announced); c.checksum == nil {
			return nil, refuse(InvalidChecksumAlgorithm, "The value specified in the x-amz-trailer header is not supported")
		}
	}
	return c, nil
}

// Trailer returns the trailing header, once Read has returned io.EOF. Its
// checksum has been compared with the payload's.
func (c *ChunkReader) Trailer() (Header, bool) {
	return c.trailer, c.err == io.EOF && c.announced != ""
}

// Read reads payload.
func (c *ChunkReader) Read(into []byte) (int, error) {
	if len(into) == 0 {
		return 0, nil
	}
	for c.err == nil && len(c.chunk) == 0 && c.raw == 0 {
		c.err = c.next()
	}
	switch {
	case len(c.chunk) > 0:
		n := copy(into, c.chunk)
		c.chunk = c.chunk[n:]
		return n, nil
	case c.raw > 0 && c.err == nil:
		return c.readRaw(into)
	}
	return 0, c.err
}

// readRaw passes on bytes of an unsigned chunk.
func (c *ChunkReader) readRaw(into []byte) (int, error) {
	n, err := c.src.Read(into[:min(int64(len(into)), c.raw)])
	c.raw -= int64(n)
	c.left -= int64(n)
	c.checksum.Write(into[:n])
	if err != nil {
		c.err = cut(err)
	} else if c.raw == 0 {
		c.err = c.lineEnd()
	}
	return n, nil
}

// next reads one chunk's line, and the chunk itself if it is signed. It
// returns io.EOF behind the last one.
func (c *ChunkReader) next() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	size, signature, err := c.head(line)
	if err != nil {
		return err
	}
	if c.signed {
		if err := c.readSigned(size, signature); err != nil {
			return err
		}
	} else {
		c.raw = size
	}
	if size > 0 {
		return nil
	}
	return c.end()
}

// head parses "size;chunk-signature=..." or "size".
func (c *ChunkReader) head(line string) (size int64, signature string, err error) {
	hexSize, rest, extended := strings.Cut(line, ";")
	if len(hexSize) > 11 {
		return 0, "", badChunk()
	}
	n, perr := strconv.ParseUint(hexSize, 16, 63)
	size = int64(n)
	if perr != nil || extended != c.signed || c.signed && size > MaxChunk {
		return 0, "", badChunk()
	}
	if size > c.left {
		return 0, "", wrongLength()
	}
	if c.signed {
		var ok bool
		if signature, ok = strings.CutPrefix(rest, "chunk-signature="); !ok || !isDigest(signature) {
			return 0, "", badChunk()
		}
	}
	return size, signature, nil
}

// readSigned takes a whole chunk in and verifies it. Memory grows with what
// arrives, not with what was announced.
func (c *ChunkReader) readSigned(size int64, signature string) error {
	const step = 64 << 10
	c.buffer = c.buffer[:0]
	for int64(len(c.buffer)) < size {
		n := int(min(step, size-int64(len(c.buffer))))
		c.buffer = slices.Grow(c.buffer, n)
		at := len(c.buffer)
		c.buffer = c.buffer[:at+n]
		if _, err := io.ReadFull(c.src, c.buffer[at:]); err != nil {
			return cut(err)
		}
	}
	if size > 0 {
		if err := c.lineEnd(); err != nil {
			return err
		}
	}
	digest := sha256.Sum256(c.buffer)
	if err := c.check("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n"+hex.EncodeToString(digest[:]), signature); err != nil {
		return err
	}
	c.left -= size
	c.chunk = c.buffer
	if c.checksum != nil {
		c.checksum.Write(c.buffer)
	}
	return nil
}

// check compares a signature in the chain and moves the chain on.
func (c *ChunkReader) check(kind, hashes, signature string) error {
	toSign := append([]byte(kind), '\n')
	toSign = append(appendStamp(toSign, c.seed.Time), '\n')
	toSign = append(appendScope(toSign, &c.seed), '\n')
	toSign = append(toSign, c.previous+"\n"+hashes...)
	if !matches(&c.key, toSign, signature) {
		e := refuse(SignatureDoesNotMatch, mismatchBrief)
		e.StringToSign = string(toSign)
		return e
	}
	c.previous = signature
	return nil
}

// end reads what follows the empty chunk: trailer, empty line, nothing.
func (c *ChunkReader) end() error {
	if c.left != 0 {
		return wrongLength()
	}
	if c.announced != "" {
		if err := c.readTrailer(); err != nil {
			return err
		}
	}
	if err := c.lineEnd(); err != nil {
		return err
	}
	if _, err := c.src.ReadByte(); err == nil {
		return badChunk()
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return io.EOF
}

// readTrailer reads the one announced header, and with signed chunks its
// signature, which covers "name:value\n".
func (c *ChunkReader) readTrailer() error {
	line, err := c.line()
	if err != nil {
		return err
	}
	name, value, ok := strings.Cut(line, ":")
	c.trailer = Header{name, trimSpace(value)}
	if !ok || !sameName(name, c.announced) {
		return badTrailer()
	}
	if c.signed {
		if line, err = c.line(); err != nil {
			return err
		}
		name, signature, _ := strings.Cut(line, ":")
		signature = trimSpace(signature)
		if !sameName(name, "x-amz-trailer-signature") || !isDigest(signature) {
			return badTrailer()
		}
		digest := sha256.Sum256([]byte(c.announced + ":" + c.trailer.Value + "\n"))
		if err := c.check("AWS4-HMAC-SHA256-TRAILER", hex.EncodeToString(digest[:]), signature); err != nil {
			return err
		}
	}
	if checksumText(c.checksum) != c.trailer.Value {
		return refuse(BadDigest, "The "+strings.TrimPrefix(c.announced, "x-amz-checksum-")+" you specified did not match the calculated checksum.")
	}
	return nil
}

// line reads one line that ends in CRLF.
func (c *ChunkReader) line() (string, error) {
	b, err := c.src.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", badChunk()
	}
	if err != nil {
		return "", cut(err)
	}
	b, ok := bytes.CutSuffix(b, []byte("\r\n"))
	if !ok {
		return "", badChunk()
	}
	return string(b), nil
}

func (c *ChunkReader) lineEnd() error {
	var b [2]byte
	if _, err := io.ReadFull(c.src, b[:]); err != nil {
		return cut(err)
	}
	if b != [2]byte{'\r', '\n'} {
		return badChunk()
	}
	return nil
}

// cut makes of an early end what S3 calls it.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return wrongLength()
	}
	return err
}

func wrongLength() *Error {
	return refuse(IncompleteBody, "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

func badChunk() *Error {
	return refuse(InvalidChunk, "The request's chunked body is malformed.")
}

func badTrailer() *Error {
	return refuse(MalformedTrailer, "The request contained trailing data that was not well-formed or did not conform to our published schema.")
}
