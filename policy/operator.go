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

// matcher says whether one value of the request meets any of the policy's
// values, which it holds parsed.
type matcher func(e *evaluation, value string) verdict

// operator is one row of the language's table. compile parses the policy's
// values; false: one of them is none of the operator's.
type operator struct {
	negated bool
	compile func(values []string, variables bool) (matcher, bool)
}

// operators by folded name, without IfExists and set prefix (IAM User Guide,
// "IAM JSON policy elements: Condition operators").
var operators = map[string]operator{
	"stringequals":              {false, compileEqual},
	"stringnotequals":           {true, compileEqual},
	"stringequalsignorecase":    {false, compileEqualFold},
	"stringnotequalsignorecase": {true, compileEqualFold},
	"stringlike":                {false, compileLike},
	"stringnotlike":             {true, compileLike},
	"arnequals":                 {false, compileARN},
	"arnlike":                   {false, compileARN},
	"arnnotequals":              {true, compileARN},
	"arnnotlike":                {true, compileARN},
	"numericequals":             {false, numbers(func(v, o float64) bool { return v == o })},
	"numericnotequals":          {true, numbers(func(v, o float64) bool { return v == o })},
	"numericlessthan":           {false, numbers(func(v, o float64) bool { return v < o })},
	"numericlessthanequals":     {false, numbers(func(v, o float64) bool { return v <= o })},
	"numericgreaterthan":        {false, numbers(func(v, o float64) bool { return v > o })},
	"numericgreaterthanequals":  {false, numbers(func(v, o float64) bool { return v >= o })},
	"dateequals":                {false, dates(time.Time.Equal)},
	"datenotequals":             {true, dates(time.Time.Equal)},
	"datelessthan":              {false, dates(time.Time.Before)},
	"datelessthanequals":        {false, dates(func(v, o time.Time) bool { return !v.After(o) })},
	"dategreaterthan":           {false, dates(time.Time.After)},
	"dategreaterthanequals":     {false, dates(func(v, o time.Time) bool { return !v.Before(o) })},
	"bool":                      {false, compileFlags},
	"binaryequals":              {false, compileBinaries},
	"ipaddress":                 {false, compilePrefixes},
	"notipaddress":              {true, compilePrefixes},
}

const nullOperator = "null"

// manyTexts is how many plain texts are looked up rather than gone through.
const manyTexts = 12

func compileEqual(values []string, withVariables bool) (matcher, bool) {
	list := patterns(values, false, withVariables, false)
	if len(list) == 1 && list[0].shape == exact {
		text := list[0].text
		return func(e *evaluation, value string) verdict {
			e.left -= 8
			return verdictOf(text == value)
		}, true
	}
	set, rest := split(list)
	return func(e *evaluation, value string) verdict {
		e.left -= 8 + len(value)
		if set[value] {
			return yes
		}
		for i := range rest {
			if text, ok := rest[i].expand(e); ok && text == value {
				return yes
			}
		}
		return no
	}, true
}

// split puts plain texts into a set, where there are many.
func split(list []pattern) (map[string]bool, []pattern) {
	if len(list) < manyTexts {
		return nil, list
	}
	set, rest := map[string]bool{}, list[:0]
	for _, p := range list {
		if p.shape == exact {
			set[p.text] = true
		} else {
			rest = append(rest, p)
		}
	}
	return set, rest
}

func patterns(values []string, wildcards, withVariables, arn bool) []pattern {
	list := make([]pattern, len(values))
	for i, v := range values {
		list[i] = compilePattern(v, wildcards, withVariables, arn)
	}
	return list
}

func compileEqualFold(values []string, withVariables bool) (matcher, bool) {
	list := patterns(values, false, withVariables, false)
	return func(e *evaluation, value string) verdict {
		for i := range list {
			e.left -= 8 + len(value)
			if text, ok := list[i].expand(e); ok && sameFolded(text, value) {
				return yes
			}
		}
		return no
	}, true
}

// sameFolded compares without regard to ASCII case, and no other: U+017F and
// U+212A do not meet s and k.
func sameFolded(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func compileLike(values []string, withVariables bool) (matcher, bool) {
	list := patterns(values, true, withVariables, false)
	return func(e *evaluation, value string) verdict {
		for i := range list {
			if list[i].matches(e, value, asText) {
				return yes
			}
		}
		return no
	}, true
}

// compileARN compares ARNs part by part. A value that is no ARN matches none.
func compileARN(values []string, withVariables bool) (matcher, bool) {
	list := patterns(values, true, withVariables, true)
	readable := true
	for i := range list {
		p := &list[i]
		readable = readable && (p.shape == variables || p.shape == anything || strings.Count(p.text, ":") >= 5)
	}
	return func(e *evaluation, value string) verdict {
		if strings.Count(value, ":") < 5 {
			return no
		}
		for i := range list {
			if list[i].matches(e, value, asARN) {
				return yes
			}
		}
		return no
	}, readable
}

// parsed reads all values of a policy by one function.
func parsed[T any](values []string, read func(string) (T, bool)) ([]T, bool) {
	list := make([]T, len(values))
	all := true
	for i, v := range values {
		var ok bool
		list[i], ok = read(v)
		all = all && ok
	}
	return list, all
}

func numbers(compare func(value, operand float64) bool) func([]string, bool) (matcher, bool) {
	return func(values []string, _ bool) (matcher, bool) {
		list, ok := parsed(values, toNumber)
		return func(e *evaluation, value string) verdict {
			e.left -= 16 + len(list)
			n, ok := toNumber(value)
			return among(list, ok, func(o float64) bool { return compare(n, o) })
		}, ok
	}
}

func dates(compare func(value, operand time.Time) bool) func([]string, bool) (matcher, bool) {
	return func(values []string, _ bool) (matcher, bool) {
		list, ok := parsed(values, toDate)
		return func(e *evaluation, value string) verdict {
			e.left -= 64 + len(list)
			t, ok := toDate(value)
			return among(list, ok, func(o time.Time) bool { return compare(t, o) })
		}, ok
	}
}

// among says whether any of the policy's values is met by the request's, which
// readable says could be read.
func among[T any](list []T, readable bool, met func(T) bool) verdict {
	if !readable && len(list) > 0 {
		return invalid
	}
	for _, o := range list {
		if met(o) {
			return yes
		}
	}
	return no
}

// compileFlags is Bool, which alone of the typed operators takes variables.
func compileFlags(values []string, withVariables bool) (matcher, bool) {
	list := patterns(values, false, withVariables, false)
	readable := true
	for i := range list {
		if list[i].shape == exact {
			_, ok := toFlag(list[i].text)
			readable = readable && ok
		}
	}
	return func(e *evaluation, value string) verdict {
		e.left -= 8
		f, ok := toFlag(value)
		return among(list, ok, func(p pattern) bool {
			text, known := p.expand(e)
			o, ok := toFlag(text)
			return known && ok && f == o
		})
	}, readable
}

func compileBinaries(values []string, _ bool) (matcher, bool) {
	list, ok := parsed(values, toBinary)
	return func(e *evaluation, value string) verdict {
		e.left -= 16 + len(value)
		b, ok := toBinary(value)
		return among(list, ok, func(o []byte) bool { return bytes.Equal(b, o) })
	}, ok
}

func compilePrefixes(values []string, _ bool) (matcher, bool) {
	list, ok := parsed(values, toPrefix)
	return func(e *evaluation, value string) verdict {
		e.left -= 16 + len(list)
		a, ok := e.address(value)
		return among(list, ok, func(o netip.Prefix) bool { return o.Contains(a) })
	}, ok
}

// address reads an IP address of the request; the last one is kept, since the
// conditions of a request mostly ask for the same.
func (e *evaluation) address(s string) (netip.Addr, bool) {
	if s == e.addressText && e.addressText != "" {
		return e.addressRead, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	e.addressText, e.addressRead = s, a.Unmap().WithZone("")
	return e.addressRead, true
}

func toFlag(s string) (value, ok bool) {
	switch {
	case sameFolded(s, "true"):
		return true, true
	case sameFolded(s, "false"):
		return false, true
	}
	return false, false
}

func toBinary(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	return b, err == nil
}

func toNumber(s string) (float64, bool) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || strings.ContainsAny(s, "eExXpP_") {
		return 0, false
	}
	return n, true
}

// dateForms are the ISO 8601 forms of the W3C profile that AWS takes.
var dateForms = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02", "2006-01", "2006"}

// toDate reads ISO 8601, or seconds since 1970: digits alone, but for four,
// which are a year.
func toDate(s string) (time.Time, bool) {
	if len(s) != 4 && len(s) <= 18 && digitsOnly(s) {
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
