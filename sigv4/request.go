package sigv4

import "strings"

// Limits on what is looked at. A request beyond one of them is refused.
const (
	MaxHeaders       = 256     // header lines
	MaxSignedHeaders = 64      // names in SignedHeaders
	MaxAuthorization = 8 << 10 // bytes of the Authorization value
	MaxSessionToken  = 16 << 10
	MaxPath          = 16 << 10
	MaxQuery         = 64 << 10
	MaxParameters    = 2048 // parameters in the query
)

// Header is one header line as received.
type Header struct {
	Name, Value string
}

// Request is what a signature covers, as it was received and before anybody
// decoded, merged or rewrote any of it.
type Request struct {
	Method string
	// RawPath is the target up to the question mark, still percent-encoded.
	RawPath string
	// RawQuery is the target after the question mark.
	RawQuery string
	// Host is the Host header, or :authority, with its port if it was sent.
	Host string
	// Header holds all other header lines. Lines of one name keep their order.
	Header []Header
	// Body is the whole body. It is not looked at when BodyHash is set, or when
	// the signature does not cover it and the profile allows that.
	Body []byte
	// BodyHash is the SHA-256 of the body, for a caller that has hashed it
	// already. Nil: computed from Body.
	BodyHash *[32]byte
}

// wellFormed refuses what no HTTP server should have let through, because the
// canonical form would not tell it from something else.
func (r *Request) wellFormed() error {
	switch {
	case !isToken(r.Method) || len(r.Method) > 32:
		return incomplete("The request method is not valid.")
	case len(r.RawPath) > MaxPath || len(r.RawQuery) > MaxQuery:
		return incomplete("The request target is too long.")
	case r.RawPath != "" && r.RawPath[0] != '/':
		return incomplete("The request target must be a path.")
	case strings.IndexByte(r.RawPath, '?') >= 0:
		return incomplete("The request path must not hold a query.")
	case len(r.Header) > MaxHeaders:
		return incomplete("The request has too many headers.")
	}
	return nil
}

// only returns the value of a header that must not be repeated.
func (r *Request) only(name string) (value string, found bool, err error) {
	for i := range r.Header {
		h := &r.Header[i]
		if !sameName(h.Name, name) {
			continue
		}
		if found {
			return "", true, repeatedHeader(name)
		}
		value, found = trimSpace(h.Value), true
	}
	return value, found, nil
}

// sameName compares a header's name with a lower-case one, in ASCII only.
func sameName(name, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i := 0; i < len(name); i++ {
		if lowerByte(name[i]) != lower[i] {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// trimSpace removes what HTTP calls optional white space.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// The classes of bytes that the grammar needs.
const (
	unreserved  = 1 << iota // RFC 3986, section 2.3
	tokenByte               // RFC 9110, section 5.6.2
	scopeByte               // in a Region or a service of a credential scope
	keyByte                 // in an access key id
	graphicByte             // visible ASCII
)

// class has the classes of every byte.
var class = func() (t [256]uint8) {
	for i := range t {
		c := byte(i)
		alnum := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if alnum || strings.IndexByte("-._~", c) >= 0 {
			t[i] |= unreserved
		}
		if alnum || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 {
			t[i] |= tokenByte
		}
		if alnum || strings.IndexByte("-._", c) >= 0 {
			t[i] |= scopeByte
		}
		if c > ' ' && c < 0x7f {
			t[i] |= graphicByte
			if c != '/' && c != ',' && c != '"' && c != '\'' {
				t[i] |= keyByte
			}
		}
	}
	return t
}()

// all reports whether s is not empty and every byte is of the class.
func all(s string, of uint8) bool {
	for i := 0; i < len(s); i++ {
		if class[s[i]]&of == 0 {
			return false
		}
	}
	return s != ""
}

func isToken(s string) bool { return all(s, tokenByte) }
