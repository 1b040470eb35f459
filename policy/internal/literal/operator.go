package literal

import (
	"bytes"
	"encoding/base64"
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The table of "IAM JSON policy elements: Condition operators". A negated operator is its positive one, and not.
var negatedOperators = map[string]string{
	"StringNotEquals":           "StringEquals",
	"StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
	"StringNotLike":             "StringLike",
	"NumericNotEquals":          "NumericEquals",
	"DateNotEquals":             "DateEquals",
	"NotIpAddress":              "IpAddress",
	"ArnNotEquals":              "ArnEquals",
	"ArnNotLike":                "ArnLike",
}

// compareValue says whether one value of the policy matches one value of the request under a positive operator.
// A value of the request that is not of the operator's type matches nothing.
func compareValue(operator string, wanted []symbol, found string) bool {
	switch operator {
	case "StringEquals":
		return plain(wanted) == found
	case "StringEqualsIgnoreCase":
		return asciiLower(plain(wanted)) == asciiLower(found)
	case "StringLike":
		return matches(wanted, []rune(found))
	case "ArnEquals", "ArnLike": // "behave identically"
		return strings.HasPrefix(found, "arn:") && matchesARN(wanted, found)
	case "Bool":
		want, _ := parseBool(plain(wanted))
		have, ok := parseBool(found)
		return ok && want == have
	case "BinaryEquals":
		want, _ := base64.StdEncoding.DecodeString(plain(wanted))
		have, err := base64.StdEncoding.DecodeString(found) // a case is JSON, so its binary values are in base 64 too
		return err == nil && bytes.Equal(want, have)
	case "IpAddress":
		want, _ := parseRange(plain(wanted))
		have, err := netip.ParseAddr(found)
		return err == nil && have.Zone() == "" && want.Contains(have)
	}
	if relation, ok := strings.CutPrefix(operator, "Numeric"); ok {
		want, _ := parseNumber(plain(wanted))
		have, ok := parseNumber(found)
		return ok && related(relation, have.Cmp(want))
	}
	relation := strings.TrimPrefix(operator, "Date")
	want, _ := parseDate(plain(wanted))
	have, ok := parseDate(found)
	return ok && related(relation, have.Compare(want))
}

// readable says whether a policy's value is of the operator's type.
func readable(operator string, wanted []symbol) bool {
	var ok bool
	switch operator {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike":
		return true
	case "ArnEquals", "ArnLike":
		parts := segments(wanted)
		return len(parts) == 6 && plain(parts[0]) == "arn"
	case "Bool":
		_, ok = parseBool(plain(wanted))
	case "BinaryEquals":
		_, err := base64.StdEncoding.DecodeString(plain(wanted))
		ok = err == nil
	case "IpAddress":
		_, ok = parseRange(plain(wanted))
	default:
		if strings.HasPrefix(operator, "Numeric") {
			_, ok = parseNumber(plain(wanted))
		} else {
			_, ok = parseDate(plain(wanted))
		}
	}
	return ok
}

// takesVariables: string and ARN operators, and Bool, which the operators page supports and the variables page does
// not; the operators page is the newer and says it next to the operator.
func takesVariables(operator string) bool {
	return strings.HasPrefix(operator, "String") || strings.HasPrefix(operator, "Arn") || operator == "Bool"
}

func knownOperator(operator string) bool {
	switch operator {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike", "Bool", "BinaryEquals", "IpAddress", "ArnEquals", "ArnLike":
		return true
	}
	for _, family := range []string{"Numeric", "Date"} {
		if relation, ok := strings.CutPrefix(operator, family); ok {
			switch relation {
			case "Equals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals":
				return true
			}
		}
	}
	return false
}

func related(relation string, order int) bool {
	switch relation {
	case "Equals":
		return order == 0
	case "LessThan":
		return order < 0
	case "LessThanEquals":
		return order <= 0
	case "GreaterThan":
		return order > 0
	case "GreaterThanEquals":
		return order >= 0
	}
	return false
}

// asciiLower folds ASCII only: AWS does not say how other letters fold, and the design's rule is ASCII.
func asciiLower(s string) string {
	lower := []byte(s)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return string(lower)
}

// parseBool: AWS writes "true" and "false" and does not speak of case; case is ignored.
func parseBool(s string) (value, ok bool) {
	switch asciiLower(s) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}

var decimal = regexp.MustCompile(`^[+-]?[0-9]+(\.[0-9]+)?$`)

// parseNumber: "an integer or decimal value"; AWS names no exponents.
func parseNumber(s string) (*big.Rat, bool) {
	if !decimal.MatchString(s) {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

// parseDate: "one of the W3C implementations of the ISO 8601 date formats or epoch (UNIX) time". Four digits are both
// a W3C year and an epoch second; they are a year, because AWS names that form first.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range []string{"2006", "2006-01", "2006-01-02", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00"} {
		if at, err := time.Parse(layout, s); err == nil { // Parse takes fractions of a second after the seconds
			return at, true
		}
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(seconds, 0), true
}

// parseRange: "If you specify an IP address without the associated routing prefix, IAM uses the default prefix value
// of /32": one address; for IPv6 that is /128, because the first 32 bits of an IPv6 address are not an address.
func parseRange(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		address, err := netip.ParseAddr(s)
		if err != nil || address.Zone() != "" {
			return netip.Prefix{}, false
		}
		return netip.PrefixFrom(address, address.BitLen()), true
	}
	prefix, err := netip.ParsePrefix(s)
	return prefix.Masked(), err == nil
}
