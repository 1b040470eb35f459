package wire

import "unicode/utf8"

// A Document is a policy document in an output. On the wire it is
// percent-encoded as RFC 3986 says (a space is %20, a plus %2B), which is what
// IAM's clients decode.
type Document string

const upperHex = "0123456789ABCDEF"

// appendEscapedURI appends s with all but RFC 3986's unreserved characters
// percent-encoded.
func appendEscapedURI(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// appendXMLText appends s as character data that is also safe in an attribute.
// What XML 1.0 cannot hold (most control characters, broken UTF-8) becomes
// U+FFFD; tab and line ends become references, or a parser would change them.
// Source: https://www.w3.org/TR/xml/#charsets and #sec-line-ends.
func appendXMLText(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		c, size := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(s[i:])
		}
		if escape := xmlEscape(c, size); escape != "" {
			dst = append(dst, s[from:i]...)
			dst = append(dst, escape...)
			from = i + size
		}
		i += size
	}
	return append(dst, s[from:]...)
}

// xmlEscape returns what stands for a character, or "" for itself.
func xmlEscape(c rune, size int) string {
	switch {
	case c == '&':
		return "&amp;"
	case c == '<':
		return "&lt;"
	case c == '>':
		return "&gt;"
	case c == '"':
		return "&quot;"
	case c == '\'':
		return "&#39;"
	case c == '\t':
		return "&#x9;"
	case c == '\n':
		return "&#xA;"
	case c == '\r':
		return "&#xD;"
	case c < ' ', c == 0xFFFE, c == 0xFFFF, c == utf8.RuneError && size == 1:
		return "\uFFFD"
	}
	return ""
}

// appendJSONText appends s as a JSON string, quotes included. Broken UTF-8
// becomes U+FFFD.
func appendJSONText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c, size := rune(s[i]), 1
		if c >= utf8.RuneSelf {
			c, size = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case c == '"', c == '\\':
			dst = append(dst, '\\', byte(c))
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ', c == '<', c == '>', c == '&': // the last three lest a browser sees HTML
			dst = append(dst, '\\', 'u', '0', '0', upperHex[c>>4], upperHex[c&15])
		default:
			dst = utf8.AppendRune(dst, c)
		}
		i += size
	}
	return append(dst, '"')
}
