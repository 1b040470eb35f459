package sigv4

import (
	"slices"
	"strings"
)

// canonical appends the canonical request (IAM User Guide, "Create a signed
// AWS API request", task 1) with the given payload hash.
func (r *Request) canonical(b []byte, p *Presented, profile Profile, payload string) ([]byte, error) {
	b = append(append(b, r.Method...), '\n')
	b = append(appendPath(b, r.RawPath, profile.KeepPath), '\n')
	b, err := appendQuery(b, r.RawQuery, p.Carrier == InQuery)
	if err != nil {
		return nil, err
	}
	b = append(b, '\n')
	names := p.SignedHeaders
	for names != "" {
		name, rest, _ := strings.Cut(names, ";")
		names = rest
		if b, err = r.appendHeader(b, name); err != nil {
			return nil, err
		}
	}
	b = append(b, '\n')
	b = append(append(b, p.SignedHeaders...), '\n')
	return append(b, payload...), nil
}

// appendHeader appends one signed header: its values, trimmed, with runs of
// spaces as one, joined with commas.
func (r *Request) appendHeader(b []byte, name string) ([]byte, error) {
	b = append(append(b, name...), ':')
	if name == "host" {
		return append(appendTrimmed(b, r.Host), '\n'), nil
	}
	found := false
	for i := range r.Header {
		if !sameName(r.Header[i].Name, name) {
			continue
		}
		if found {
			b = append(b, ',')
		}
		found = true
		b = appendTrimmed(b, r.Header[i].Value)
	}
	if !found {
		return nil, refuse(SignatureDoesNotMatch, "The signed header '"+visible(name)+"' is not in the request.")
	}
	return append(b, '\n'), nil
}

func appendTrimmed(b []byte, s string) []byte {
	s = trimSpace(s)
	space := false
	for i := 0; i < len(s); i++ {
		if s[i] == ' ' {
			space = true
			continue
		}
		if space {
			b, space = append(b, ' '), false
		}
		b = append(b, s[i])
	}
	return b
}

// appendPath appends the canonical path: for S3 as it was sent, encoded once;
// else without dot segments and empty ones, encoded once more than it was.
func appendPath(b []byte, raw string, keep bool) []byte {
	if raw == "" {
		return append(b, '/')
	}
	if keep {
		for i := 0; i < len(raw); i++ {
			b = appendPathByte(b, raw, &i)
		}
		return b
	}
	if raw == "/" {
		return append(b, '/')
	}
	for _, s := range cleanSegments(raw) {
		b = append(b, '/')
		b = appendEncoded(b, s)
	}
	return b
}

// appendPathByte appends one character of a path encoded once: what is
// escaped stays so, in upper case, unless it need not be.
func appendPathByte(b []byte, raw string, i *int) []byte {
	c := raw[*i]
	if c == '%' && *i+2 < len(raw) {
		if hi, ok1 := hexValue(raw[*i+1]); ok1 {
			if lo, ok2 := hexValue(raw[*i+2]); ok2 {
				*i += 2
				return appendEncodedByte(b, hi<<4|lo)
			}
		}
	}
	if c == '/' {
		return append(b, c)
	}
	return appendEncodedByte(b, c)
}

// cleanSegments splits a path and removes empty and dot segments (RFC 3986,
// section 6). A path that ended in a slash still does.
func cleanSegments(raw string) []string {
	var out []string
	parts := strings.Split(raw[1:], "/")
	for i, s := range parts {
		last := i == len(parts)-1
		switch {
		case s == "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		case s == "." || s == "":
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return out
}

func appendEncoded(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		b = appendEncodedByte(b, s[i])
	}
	return b
}

const upperHex = "0123456789ABCDEF"

func appendEncodedByte(b []byte, c byte) []byte {
	if class[c]&unreserved != 0 {
		return append(b, c)
	}
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}

func hexValue(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// appendQuery appends the canonical query: parameters decoded, encoded again
// and sorted by name, then value. A presigned request's own signature is left
// out.
func appendQuery(b []byte, raw string, presigned bool) ([]byte, error) {
	if raw == "" {
		return b, nil
	}
	var list [][2]string
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		if len(list) == MaxParameters {
			return nil, malformedQuery()
		}
		name, value, _ := strings.Cut(pair, "=")
		name, ok1 := reencode(name)
		value, ok2 := reencode(value)
		if !ok1 || !ok2 {
			return nil, malformedQuery()
		}
		if presigned && name == "X-Amz-Signature" {
			continue
		}
		list = append(list, [2]string{name, value})
	}
	slices.SortFunc(list, func(x, y [2]string) int {
		if c := strings.Compare(x[0], y[0]); c != 0 {
			return c
		}
		return strings.Compare(x[1], y[1])
	})
	for i, p := range list {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p[0]...)
		b = append(b, '=')
		b = append(b, p[1]...)
	}
	return b, nil
}

// reencode decodes a query's name or value and encodes it anew.
func reencode(s string) (string, bool) {
	if all(s, unreserved) || s == "" {
		return s, true
	}
	plain, ok := unescape(s)
	return string(appendEncoded(make([]byte, 0, len(s)+16), plain)), ok
}

// unescape decodes %XX, and a plus to a space as every server does; false for
// a % that begins no escape.
func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch c {
		case '+':
			c = ' '
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, ok1 := hexValue(s[i+1])
			lo, ok2 := hexValue(s[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			c, i = hi<<4|lo, i+2
		}
		b = append(b, c)
	}
	return string(b), true
}
