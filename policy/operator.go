package policy

import (
	"bytes"
	"encoding/base64"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// verdict is what a comparison comes to. The zero value is no match; invalid
// is a value that the operator cannot understand: an Allow does not match, a
// Deny does.
type verdict uint8

const (
	no verdict = iota
	yes
	invalid
)

func verdictOf(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// operand is one policy value, parsed at compile time for its operator.
type operand struct {
	pattern pattern
	number  float64
	time    time.Time
	prefix  netip.Prefix
	binary  []byte
	flag    bool
	bad     bool
}

// operator is one row of the language's table.
type operator struct {
	negated bool
	parse   func(s string, variables bool) operand
	match   func(e *evaluation, o *operand, value string) verdict
}

// operators by folded name, without IfExists and set prefix (IAM User Guide,
// "IAM JSON policy elements: Condition operators").
var operators = map[string]operator{
	"stringequals":              {false, parseText, equal},
	"stringnotequals":           {true, parseText, equal},
	"stringequalsignorecase":    {false, parseText, equalFold},
	"stringnotequalsignorecase": {true, parseText, equalFold},
	"stringlike":                {false, parsePattern, like},
	"stringnotlike":             {true, parsePattern, like},
	"arnequals":                 {false, parsePattern, arnLike},
	"arnlike":                   {false, parsePattern, arnLike},
	"arnnotequals":              {true, parsePattern, arnLike},
	"arnnotlike":                {true, parsePattern, arnLike},
	"numericequals":             {false, parseNumber, number(func(v, o float64) bool { return v == o })},
	"numericnotequals":          {true, parseNumber, number(func(v, o float64) bool { return v == o })},
	"numericlessthan":           {false, parseNumber, number(func(v, o float64) bool { return v < o })},
	"numericlessthanequals":     {false, parseNumber, number(func(v, o float64) bool { return v <= o })},
	"numericgreaterthan":        {false, parseNumber, number(func(v, o float64) bool { return v > o })},
	"numericgreaterthanequals":  {false, parseNumber, number(func(v, o float64) bool { return v >= o })},
	"dateequals":                {false, parseDate, date(func(v, o time.Time) bool { return v.Equal(o) })},
	"datenotequals":             {true, parseDate, date(func(v, o time.Time) bool { return v.Equal(o) })},
	"datelessthan":              {false, parseDate, date(func(v, o time.Time) bool { return v.Before(o) })},
	"datelessthanequals":        {false, parseDate, date(func(v, o time.Time) bool { return !v.After(o) })},
	"dategreaterthan":           {false, parseDate, date(func(v, o time.Time) bool { return v.After(o) })},
	"dategreaterthanequals":     {false, parseDate, date(func(v, o time.Time) bool { return !v.Before(o) })},
	"bool":                      {false, parseFlag, sameFlag},
	"binaryequals":              {false, parseBinary, sameBinary},
	"ipaddress":                 {false, parsePrefix, within},
	"notipaddress":              {true, parsePrefix, within},
}

const nullOperator = "null"

func parseText(s string, variables bool) operand {
	return operand{pattern: compilePattern(s, false, variables)}
}

func parsePattern(s string, variables bool) operand {
	return operand{pattern: compilePattern(s, true, variables)}
}

func parseNumber(s string, _ bool) operand {
	n, ok := toNumber(s)
	return operand{number: n, bad: !ok}
}

func parseDate(s string, _ bool) operand {
	t, ok := toDate(s)
	return operand{time: t, bad: !ok}
}

func parseFlag(s string, _ bool) operand {
	f := fold(s)
	return operand{flag: f == "true", bad: f != "true" && f != "false"}
}

func parseBinary(s string, _ bool) operand {
	b, err := base64.StdEncoding.DecodeString(s)
	return operand{binary: b, bad: err != nil}
}

func parsePrefix(s string, _ bool) operand {
	p, ok := toPrefix(s)
	return operand{prefix: p, bad: !ok}
}

func equal(e *evaluation, o *operand, value string) verdict {
	text, ok := o.pattern.expand(e)
	e.pay(len(value))
	return verdictOf(ok && text == value)
}

func equalFold(e *evaluation, o *operand, value string) verdict {
	text, ok := o.pattern.expand(e)
	e.pay(len(value))
	return verdictOf(ok && len(text) == len(value) && strings.EqualFold(text, value) && fold(text) == fold(value))
}

func like(e *evaluation, o *operand, value string) verdict {
	text, ok := o.pattern.expand(e)
	return verdictOf(ok && e.glob(text, value))
}

// arnLike compares ARNs part by part. A value that is no ARN matches none.
func arnLike(e *evaluation, o *operand, value string) verdict {
	text, ok := o.pattern.expand(e)
	return verdictOf(ok && strings.Count(value, ":") >= 5 && e.matchARN(text, value))
}

func number(compare func(value, operand float64) bool) func(*evaluation, *operand, string) verdict {
	return func(_ *evaluation, o *operand, value string) verdict {
		n, ok := toNumber(value)
		if !ok {
			return invalid
		}
		return verdictOf(compare(n, o.number))
	}
}

func date(compare func(value, operand time.Time) bool) func(*evaluation, *operand, string) verdict {
	return func(_ *evaluation, o *operand, value string) verdict {
		t, ok := toDate(value)
		if !ok {
			return invalid
		}
		return verdictOf(compare(t, o.time))
	}
}

func sameFlag(_ *evaluation, o *operand, value string) verdict {
	f := fold(value)
	if f != "true" && f != "false" {
		return invalid
	}
	return verdictOf((f == "true") == o.flag)
}

func sameBinary(_ *evaluation, o *operand, value string) verdict {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return invalid
	}
	return verdictOf(bytes.Equal(b, o.binary))
}

func within(_ *evaluation, o *operand, value string) verdict {
	a, err := netip.ParseAddr(value)
	if err != nil {
		return invalid
	}
	return verdictOf(o.prefix.Contains(a.Unmap().WithZone("")))
}

func toNumber(s string) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || strings.ContainsAny(s, "xXpP_") {
		return 0, false
	}
	return n, true
}

// dateForms are the ISO 8601 forms of the W3C profile that AWS takes.
var dateForms = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02", "2006-01", "2006"}

// toDate reads ISO 8601, or seconds since 1970 when there are more digits than
// a year has.
func toDate(s string) (time.Time, bool) {
	if len(s) > 4 && len(s) <= 18 && digitsOnly(s) {
		n, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(n, 0), err == nil
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func digitsOnly(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func toPrefix(s string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked(), true
		}
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}
