package literal

import (
	"bytes"
	"encoding/base64"
	"math/big"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The table of "IAM JSON policy elements: Condition operators". A negated operator is its positive one, and not.
var negatedOperators = map[string]string{
	"stringnotequals":           "stringequals",
	"stringnotequalsignorecase": "stringequalsignorecase",
	"stringnotlike":             "stringlike",
	"numericnotequals":          "numericequals",
	"datenotequals":             "dateequals",
	"notipaddress":              "ipaddress",
	"arnnotequals":              "arnequals",
	"arnnotlike":                "arnlike",
}

// compareValue says whether one value of the policy matches one value of the request under a positive operator.
func compareValue(operator string, wanted []piece, found string) bool {
	switch operator {
	case "stringequals":
		return plain(wanted) == found
	case "stringequalsignorecase":
		return sameLetters(plain(wanted), found)
	case "stringlike":
		return matches(wanted, found)
	case "arnequals", "arnlike": // "behave identically"
		isARN := strings.HasPrefix(found, "arn:") && strings.Count(found, ":") >= 5
		return isARN && (matchesARN(wanted, found) || len(wanted) == 1 && wanted[0] == piece{"*", true})
	case "bool":
		want, _ := parseBool(plain(wanted))
		have, _ := parseBool(found)
		return want == have
	case "binaryequals":
		want, _ := base64.StdEncoding.DecodeString(plain(wanted))
		have, _ := base64.StdEncoding.DecodeString(found) // a case is JSON, so its binary values are in base 64 too
		return bytes.Equal(want, have)
	case "ipaddress":
		want, _ := parseRange(plain(wanted))
		have, _ := parseAddress(found)
		return want.Contains(have)
	}
	if relation, ok := strings.CutPrefix(operator, "numeric"); ok {
		want, _ := parseNumber(plain(wanted))
		have, _ := parseNumber(found)
		return related(relation, have.Cmp(want))
	}
	relation := strings.TrimPrefix(operator, "date")
	want, _ := parseDate(plain(wanted))
	have, _ := parseDate(found)
	return related(relation, have.Compare(want))
}

// readable says whether a value is of the operator's type.
func readable(operator, value string) bool {
	var ok bool
	switch operator {
	case "stringequals", "stringequalsignorecase", "stringlike":
		return true
	case "arnequals", "arnlike":
		return value == "*" || strings.Count(value, ":") >= 5
	case "bool":
		_, ok = parseBool(value)
	case "binaryequals":
		_, err := base64.StdEncoding.DecodeString(value)
		ok = err == nil
	case "ipaddress":
		_, ok = parseRange(value)
	default:
		if strings.HasPrefix(operator, "numeric") {
			_, ok = parseNumber(value)
		} else {
			_, ok = parseDate(value)
		}
	}
	return ok
}

// takesVariables: string and ARN operators, and Bool, which the operators page supports and the variables page does
// not; the operators page is the newer and says it next to the operator.
func takesVariables(operator string) bool {
	return strings.HasPrefix(operator, "string") || strings.HasPrefix(operator, "arn") || operator == "bool"
}

func knownOperator(operator string) bool {
	switch operator {
	case "stringequals", "stringequalsignorecase", "stringlike", "bool", "binaryequals", "ipaddress", "arnequals", "arnlike":
		return true
	}
	for _, family := range [...]string{"numeric", "date"} {
		if relation, ok := strings.CutPrefix(operator, family); ok {
			switch relation {
			case "equals", "lessthan", "lessthanequals", "greaterthan", "greaterthanequals":
				return true
			}
		}
	}
	return false
}

func related(relation string, order int) bool {
	switch relation {
	case "equals":
		return order == 0
	case "lessthan":
		return order < 0
	case "lessthanequals":
		return order <= 0
	case "greaterthan":
		return order > 0
	case "greaterthanequals":
		return order >= 0
	}
	return false
}

// asciiLower folds ASCII only: AWS does not say how other letters fold, and the design's rule is ASCII.
func asciiLower(s string) string {
	for i := 0; i < len(s); i++ {
		if 'A' <= s[i] && s[i] <= 'Z' {
			lower := []byte(s)
			for i, c := range lower {
				if 'A' <= c && c <= 'Z' {
					lower[i] = c + 'a' - 'A'
				}
			}
			return string(lower)
		}
	}
	return s
}

// sameLetters compares without regard to ASCII case.
func sameLetters(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		c, d := a[i], b[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if 'A' <= d && d <= 'Z' {
			d += 'a' - 'A'
		}
		if c != d {
			return false
		}
	}
	return true
}

// parseBool: AWS writes "true" and "false" and does not speak of case; case is ignored.
func parseBool(s string) (value, ok bool) {
	return sameLetters(s, "true"), sameLetters(s, "true") || sameLetters(s, "false")
}

// parseNumber: "an integer or decimal value"; AWS names no exponents.
func parseNumber(s string) (*big.Rat, bool) {
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || digits == "" || strings.Trim(digits, "0123456789.") != "" ||
		strings.Count(digits, ".") > 1 || digits[0] == '.' || digits[len(digits)-1] == '.' {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

var isoForms = []struct{ shape, layout string }{
	{"dddd", "2006"}, {"dddd-dd", "2006-01"}, {"dddd-dd-dd", "2006-01-02"},
	{"dddd-dd-ddTdd:ddZ", "2006-01-02T15:04Z07:00"}, {"dddd-dd-ddTdd:dd:ddZ", "2006-01-02T15:04:05Z07:00"},
	{"dddd-dd-ddTdd:dd:dd.dZ", "2006-01-02T15:04:05Z07:00"}, // Parse takes fractions of a second after the seconds
}

// parseDate: "one of the W3C implementations of the ISO 8601 date formats or epoch (UNIX) time". Four digits are both
// a W3C year and an epoch second; they are a year, because AWS names that form first.
func parseDate(s string) (time.Time, bool) {
	for _, form := range isoForms {
		if shapeOf(s) == form.shape {
			at, err := time.Parse(form.layout, s)
			return at, err == nil
		}
	}
	if s == "" || strings.Trim(s, "0123456789") != "" || len(s) > 18 { // 18 digits are more years than there are
		return time.Time{}, false
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(seconds, 0), err == nil
}

// shapeOf writes d for digits, one for a fraction, and Z for a zone.
func shapeOf(s string) string {
	if len(s) > 40 {
		return ""
	}
	shape := []byte(s)
	for i, c := range shape {
		if '0' <= c && c <= '9' {
			shape[i] = 'd'
		}
	}
	text := string(shape)
	for _, sign := range [...]string{"+dd:dd", "-dd:dd"} {
		if stem, ok := strings.CutSuffix(text, sign); ok {
			text = stem + "Z"
		}
	}
	if before, fraction, ok := strings.Cut(text, "."); ok && len(fraction) > 1 && strings.Trim(fraction[:len(fraction)-1], "d") == "" {
		text = before + ".d" + fraction[len(fraction)-1:]
	}
	return text
}

// parseRange: "If you specify an IP address without the associated routing prefix, IAM uses the default prefix value
// of /32": one address; for IPv6 that is /128, because the first 32 bits of an IPv6 address are not an address.
// An IPv4 address in IPv6's clothes (::ffff:10.0.0.1) is the IPv4 address.
func parseRange(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		address, err := netip.ParseAddr(s)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, false
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(s)
	if err == nil && prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), err == nil
}

// parseAddress reads the request's address. A zone is this host's name for a link and no part of the address.
func parseAddress(s string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(s)
	return address.Unmap().WithZone(""), err == nil
}
