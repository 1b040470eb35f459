package sigv4

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
)

// scratch is the memory that one canonical request is built in. It is taken
// from a pool and given back, so that verifying allocates nothing.
type scratch struct {
	out   []byte // the canonical request
	query []byte // encoded names and values, in the order received
	pairs []pair // where they are
	used  [MaxHeaders]bool
}

// pair is one query parameter, as offsets into scratch.query.
type pair struct{ name, value, end int }

// maxPooled is the size above which a buffer is left to the collector.
const maxPooled = 64 << 10

var scratches = sync.Pool{New: func() any { return &scratch{out: make([]byte, 0, 2048)} }}

func takeScratch() *scratch { return scratches.Get().(*scratch) }

func (s *scratch) giveBack() {
	if cap(s.out)+cap(s.query) > maxPooled {
		return
	}
	s.out, s.query, s.pairs = s.out[:0], s.query[:0], s.pairs[:0]
	scratches.Put(s)
}

// canonical builds the canonical request into s.out, up to the payload hash,
// which the caller appends. IAM User Guide, "Create a signed AWS API request", step 1.
func (s *scratch) canonical(r *Request, signed string, prof *Profile) error {
	s.out = append(s.out[:0], r.Method...)
	s.out = append(s.out, '\n')
	s.out = appendPath(s.out, r.RawPath, prof)
	s.out = append(s.out, '\n')
	if r.RawQuery != "" {
		if err := s.appendQuery(r.RawQuery, prof); err != nil {
			return err
		}
	}
	s.out = append(s.out, '\n')
	if err := s.appendHeaders(r, signed, prof); err != nil {
		return err
	}
	s.out = append(s.out, '\n')
	s.out = append(s.out, signed...)
	s.out = append(s.out, '\n')
	return nil
}

// appendPath writes the canonical URI: the path as received, normalised and
// encoded once more, or for S3 encoded in the one right way and otherwise left
// alone. An encoded slash stays encoded: it is another path.
func appendPath(dst []byte, raw string, prof *Profile) []byte {
	start := len(dst)
	if prof.RawPath {
		if raw == "" {
			return append(dst, '/')
		}
		return appendSegment(dst, raw, prof.SingleEncode)
	}
	for rest := raw; rest != ""; {
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		switch segment {
		case "", ".":
		case "..":
			if i := bytes.LastIndexByte(dst[start:], '/'); i >= 0 {
				dst = dst[:start+i]
			}
		default:
			dst = appendSegment(append(dst, '/'), segment, prof.SingleEncode)
		}
	}
	if len(dst) == start || strings.HasSuffix(raw, "/") {
		dst = append(dst, '/')
	}
	return dst
}

const upperHex = "0123456789ABCDEF"

// appendSegment encodes every byte but the unreserved ones and the slash. With
// once, an escape that is there already counts as its byte.
func appendSegment(dst []byte, s string, once bool) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if class[c]&unreserved != 0 || c == '/' {
			dst = append(dst, c)
			continue
		}
		if once && c == '%' {
			if d, ok := escaped(s, i); ok {
				dst = appendByte(dst, d)
				i += 2
				continue
			}
		}
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
	}
	return dst
}

// appendByte writes one byte of data in its one encoded form.
func appendByte(dst []byte, c byte) []byte {
	if class[c]&unreserved != 0 {
		return append(dst, c)
	}
	return append(dst, '%', upperHex[c>>4], upperHex[c&15])
}

// escaped reads the escape that begins at s[i].
func escaped(s string, i int) (byte, bool) {
	if i+2 >= len(s) {
		return 0, false
	}
	hi, lo := fromHex(s[i+1]), fromHex(s[i+2])
	return hi<<4 | lo&15, hi < 16 && lo < 16
}

func fromHex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// unescape decodes a query name or value: a plus sign is a space, as in forms.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '%':
			d, ok := escaped(s, i)
			if !ok {
				return "", false
			}
			out = append(out, d)
			i += 2
		case '+':
			out = append(out, ' ')
		default:
			out = append(out, c)
		}
	}
	return string(out), true
}

// appendQuery writes the canonical query: every name and value in its one
// encoded form, sorted by name and then by value, without X-Amz-Signature.
func (s *scratch) appendQuery(raw string, prof *Profile) error {
	s.query, s.pairs = s.query[:0], s.pairs[:0]
	for raw != "" {
		var item string
		item, raw, _ = strings.Cut(raw, "&")
		if item == "" {
			continue
		}
		if len(s.pairs) >= MaxParameters {
			return refuse(InvalidQueryParameter, "The query string has too many parameters.")
		}
		name, value, _ := strings.Cut(item, "=")
		p := pair{name: len(s.query)}
		var ok bool
		if s.query, ok = appendParam(s.query, name); !ok {
			return malformedQuery()
		}
		if string(s.query[p.name:]) == paramSignature {
			s.query = s.query[:p.name]
			continue
		}
		p.value = len(s.query)
		if s.query, ok = appendParam(s.query, value); !ok {
			return malformedQuery()
		}
		p.end = len(s.query)
		s.pairs = append(s.pairs, p)
	}
	q := s.query
	slices.SortFunc(s.pairs, func(a, b pair) int {
		if c := bytes.Compare(q[a.name:a.value], q[b.name:b.value]); c != 0 {
			return c
		}
		return bytes.Compare(q[a.value:a.end], q[b.value:b.end])
	})
	for i, p := range s.pairs {
		if i > 0 {
			last := s.pairs[i-1]
			if !prof.RepeatedParameters && bytes.Equal(q[last.name:last.value], q[p.name:p.value]) {
				return refuse(InvalidQueryParameter, "A query parameter is repeated.")
			}
			s.out = append(s.out, '&')
		}
		s.out = append(s.out, q[p.name:p.value]...)
		s.out = append(s.out, '=')
		s.out = append(s.out, q[p.value:p.end]...)
	}
	return nil
}

func appendParam(dst []byte, s string) ([]byte, bool) {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '%':
			d, ok := escaped(s, i)
			if !ok {
				return dst, false
			}
			dst = appendByte(dst, d)
			i += 2
		case '+':
			dst = append(dst, '%', '2', '0')
		default:
			dst = appendByte(dst, c)
		}
	}
	return dst, true
}

// appendHeaders writes the canonical headers and checks that what must be
// signed is. The host is always the request's one host.
func (s *scratch) appendHeaders(r *Request, signed string, prof *Profile) error {
	clear(s.used[:len(r.Header)])
	host := false
	for rest := signed; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, ";")
		s.out = append(s.out, name...)
		s.out = append(s.out, ':')
		found, ok := false, true
		if name == "host" {
			host, found = true, r.Host != ""
			s.out, ok = appendValue(s.out, r.Host)
		}
		for i := range r.Header {
			h := &r.Header[i]
			if len(h.Name) != len(name) || !sameName(h.Name, name) {
				continue
			}
			if found {
				s.out = append(s.out, ',')
			}
			var fine bool
			s.out, fine = appendValue(s.out, h.Value)
			ok = ok && fine
			s.used[i], found = true, true
		}
		if !ok {
			return incomplete("The value of the header '" + name + "' is not valid.")
		}
		if !found {
			return refuse(SignatureDoesNotMatch, "The header '"+name+"' is in SignedHeaders but not in the request.")
		}
		s.out = append(s.out, '\n')
	}
	if !host {
		return refuse(SignatureDoesNotMatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if prof.UnsignedHeaders {
		return nil
	}
	return s.allSigned(r.Header, prof)
}

// allSigned refuses an x-amz- header that the signature does not cover: a
// service would act on it.
func (s *scratch) allSigned(headers []Header, prof *Profile) error {
	for i := range headers {
		name := headers[i].Name
		if s.used[i] || len(name) < len("x-amz-") || !sameName(name[:len("x-amz-")], "x-amz-") {
			continue
		}
		if prof.S3Codes {
			return refuse(AccessDenied, "There were headers present in the request which were not signed")
		}
		return refusef(SignatureDoesNotMatch, "An x-amz- header is not signed.",
			"'%s' must be a 'SignedHeader' in the AWS Authorization.", visible(name))
	}
	return nil
}

// appendValue trims a header's value and makes one space of several. Control
// characters, which could end a canonical line, are refused.
func appendValue(dst []byte, v string) ([]byte, bool) {
	v = trimSpace(v)
	plain := true
	for i := 0; i < len(v); i++ { // nearly every value goes as it is; v[0] is no space
		if class[v[i]]&graphicByte == 0 && (v[i] != ' ' || v[i-1] == ' ') {
			plain = false
			break
		}
	}
	if plain {
		return append(dst, v...), true
	}
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c == ' ' && v[i-1] == ' ' {
			continue // v[0] is no space
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return dst, false
		}
		dst = append(dst, c)
	}
	return dst, true
}

// appendStringToSign writes step 2 of the same page.
func appendStringToSign(dst []byte, p *Presented, canonicalHash *[32]byte) []byte {
	dst = append(dst, p.Algorithm.String()...)
	dst = append(dst, '\n')
	dst = appendStamp(dst, p.Time)
	dst = append(dst, '\n')
	dst = appendScope(dst, p)
	dst = append(dst, '\n')
	return hex.AppendEncode(dst, canonicalHash[:])
}

func appendScope(dst []byte, p *Presented) []byte {
	dst = append(dst, p.Scope.Date...)
	if p.Algorithm == HMAC {
		dst = append(dst, '/')
		dst = append(dst, p.Scope.Region...)
	}
	dst = append(dst, '/')
	dst = append(dst, p.Scope.Service...)
	return append(dst, "/"+terminator...)
}
