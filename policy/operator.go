package policy

import (
	"bytes"
	"cmp"
	"encoding/base64"
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
	compile func(c *compiler, values []string) (matcher, bool)
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
	"numericequals":             {false, numbers(equal)},
	"numericnotequals":          {true, numbers(equal)},
	"numericlessthan":           {false, numbers(less)},
	"numericlessthanequals":     {false, numbers(lessOrEqual)},
	"numericgreaterthan":        {false, numbers(greater)},
	"numericgreaterthanequals":  {false, numbers(greaterOrEqual)},
	"dateequals":                {false, dates(equal)},
	"datenotequals":             {true, dates(equal)},
	"datelessthan":              {false, dates(less)},
	"datelessthanequals":        {false, dates(lessOrEqual)},
	"dategreaterthan":           {false, dates(greater)},
	"dategreaterthanequals":     {false, dates(greaterOrEqual)},
	"bool":                      {false, compileFlags},
	"binaryequals":              {false, compileBinaries},
	"ipaddress":                 {false, compilePrefixes},
	"notipaddress":              {true, compilePrefixes},
}

const nullOperator = "null"

// manyTexts is how many plain texts are looked up rather than gone through.
const manyTexts = 12

func compileEqual(c *compiler, values []string) (matcher, bool) {
	if len(values) == 1 && !strings.Contains(values[0], "${") {
		text := values[0]
		return func(e *evaluation, value string) verdict {
			e.left -= 8
			return verdictOf(text == value)
		}, true
	}
	set, rest := split(c.values(values, false, false))
	return func(e *evaluation, value string) verdict {
		if e.oneOf(set, value) {
			return yes
		}
		for i := range rest {
			e.left -= 8
			if text, ok := rest[i].expand(e); ok && text == value {
				return yes
			}
		}
		return no
	}, true
}

// oneOf says whether a value is one of many plain texts.
func (e *evaluation) oneOf(set map[string]bool, value string) bool {
	if set == nil {
		return false
	}
	e.left -= 12 + len(value)/8
	return set[value]
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

// values compiles those of a condition on texts.
func (c *compiler) values(values []string, wildcards, arn bool) []pattern {
	start, end := len(c.operands), len(c.operands)+len(values)
	if end > cap(c.operands) {
		c.operands, start, end = make([]pattern, 0, len(values)), 0, len(values)
	}
	c.operands = c.operands[:end]
	list := c.operands[start:end:end]
	for i, v := range values {
		list[i] = c.compilePattern(v, wildcards, c.variables, arn)
	}
	return list
}

func compileEqualFold(c *compiler, values []string) (matcher, bool) {
	list := c.values(values, false, false)
	return func(e *evaluation, value string) verdict {
		for i := range list {
			e.left -= 8
			if text, ok := list[i].expand(e); ok && len(text) == len(value) {
				if e.left -= len(value); sameFolded(text, value) {
					return yes
				}
			}
		}
		return no
	}, true
}

// sameFolded compares texts of one length without regard to ASCII case, and no
// other: U+017F and U+212A do not meet s and k.
func sameFolded(a, b string) bool {
	for i := 0; i < len(a); i++ {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// lower is the lower case of an ASCII letter, and any other byte itself.
func lower(c byte) byte { return lowered[c] }

var lowered = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if 'A' <= c && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

func compileLike(c *compiler, values []string) (matcher, bool) {
	set, rest := split(c.values(values, true, false))
	return func(e *evaluation, value string) verdict {
		if e.oneOf(set, value) {
			return yes
		}
		for i := range rest {
			if rest[i].matches(e, value, asText) {
				return yes
			}
		}
		return no
	}, true
}

// compileARN compares ARNs part by part. A value that is no ARN matches none.
func compileARN(c *compiler, values []string) (matcher, bool) {
	list := c.values(values, true, true)
	readable := true
	for i := range list {
		p := &list[i]
		readable = readable && (p.shape == variables || p.shape == anything || strings.Count(p.text, ":") >= 5)
	}
	return func(e *evaluation, value string) verdict {
		if !strings.HasPrefix(value, "arn:") {
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

// The relations of numbers and dates, by how a value compares with the policy's.
func equal(order int) bool          { return order == 0 }
func less(order int) bool           { return order < 0 }
func lessOrEqual(order int) bool    { return order <= 0 }
func greater(order int) bool        { return order > 0 }
func greaterOrEqual(order int) bool { return order >= 0 }

func numbers(holds func(order int) bool) func(*compiler, []string) (matcher, bool) {
	return ordered(toNumber, (*evaluation).number, decimal.compare, holds)
}

func dates(holds func(order int) bool) func(*compiler, []string) (matcher, bool) {
	return ordered(toDate, (*evaluation).date, time.Time.Compare, holds)
}

// ordered is an operator on numbers or dates: read reads the policy's values,
// and of the request's.
func ordered[T any](read func(string) (T, bool), of func(*evaluation, string) (T, bool), compare func(value, operand T) int, holds func(order int) bool) func(*compiler, []string) (matcher, bool) {
	return func(_ *compiler, values []string) (matcher, bool) {
		list, ok := parsed(values, read)
		return func(e *evaluation, value string) verdict {
			e.left -= len(list) * len(value) / 8
			v, ok := of(e, value)
			return among(e, list, ok, func(o T) bool { return holds(compare(v, o)) })
		}, ok
	}
}

// among says whether any of the policy's values is met by the request's, which
// readable says could be read.
func among[T any](e *evaluation, list []T, readable bool, met func(T) bool) verdict {
	if !readable {
		return invalid
	}
	for _, o := range list {
		e.left -= 8
		if met(o) {
			return yes
		}
	}
	return no
}

// compileFlags is Bool, which alone of the typed operators takes variables.
func compileFlags(c *compiler, values []string) (matcher, bool) {
	var written [2]bool // whether false and true are among the values
	var rest []pattern
	readable := true
	for _, v := range values {
		p := c.compilePattern(v, false, c.variables, false)
		if p.shape != exact {
			rest = append(rest, p)
			continue
		}
		f, ok := toFlag(p.text)
		written[at(f)], readable = true, readable && ok
	}
	return func(e *evaluation, value string) verdict {
		e.left -= 8
		f, ok := toFlag(value)
		met := written[at(f)]
		for i := range rest {
			text, known := rest[i].expand(e)
			o, read := toFlag(text)
			ok = ok && (read || !known)
			met = met || known && f == o
		}
		if !ok {
			return invalid
		}
		return verdictOf(met)
	}, readable
}

func at(flag bool) int {
	if flag {
		return 1
	}
	return 0
}

func compileBinaries(_ *compiler, values []string) (matcher, bool) {
	list, ok := parsed(values, toBinary)
	return func(e *evaluation, value string) verdict {
		e.left -= 64 + 2*len(value)
		b, ok := toBinary(value)
		return among(e, list, ok, func(o []byte) bool {
			e.left -= len(o) / 16
			return bytes.Equal(b, o)
		})
	}, ok
}

func compilePrefixes(_ *compiler, values []string) (matcher, bool) {
	list, ok := parsed(values, toPrefix)
	return func(e *evaluation, value string) verdict {
		a, ok := e.address(value)
		return among(e, list, ok, func(o netip.Prefix) bool { return o.Contains(a) })
	}, ok
}

// kept is the last text that was read as a T. The conditions of a request
// mostly ask for the same ones, and many requests come from one address within
// one second.
type kept[T any] struct {
	text  string
	value T
	ok    bool
}

func (k *kept[T]) read(text string, read func(string) (T, bool)) (T, bool) {
	if k.text != text || text == "" {
		k.text = text
		k.value, k.ok = read(text)
	}
	return k.value, k.ok
}

// Reading a value of the request is charged whether it was kept or not: a
// decision must not depend on the requests before.

func (e *evaluation) number(s string) (decimal, bool) {
	e.left -= 32 + 2*len(s)
	return toNumber(s)
}

func (e *evaluation) date(s string) (time.Time, bool) {
	e.left -= 200 + len(s) // which text that is no date takes
	return e.lastDate.read(s, toDate)
}

func (e *evaluation) address(s string) (netip.Addr, bool) {
	e.left -= 64 + 2*len(s)
	return e.lastAddress.read(s, toAddress)
}

func toAddress(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap().WithZone(""), true
}

func toFlag(s string) (value, ok bool) {
	switch {
	case s == "true" || len(s) == 4 && sameFolded(s, "true"):
		return true, true
	case s == "false" || len(s) == 5 && sameFolded(s, "false"):
		return false, true
	}
	return false, false
}

func toBinary(s string) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	return b, err == nil
}

// decimal is a number, compared exactly: its digits before and behind the
// point, without zeros that do not count. Zero is not negative.
type decimal struct {
	negative        bool
	whole, fraction string
}

// toNumber reads an integer or decimal (IAM User Guide, "Numeric condition
// operators"); AWS names no exponents.
func toNumber(s string) (decimal, bool) {
	s, negative := strings.CutPrefix(s, "-")
	if !negative {
		s = strings.TrimPrefix(s, "+")
	}
	whole, fraction, point := strings.Cut(s, ".")
	if !digitsOnly(whole) || point && !digitsOnly(fraction) {
		return decimal{}, false
	}
	whole, fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	return decimal{negative && (whole != "" || fraction != ""), whole, fraction}, true
}

func (d decimal) compare(o decimal) int {
	if d.negative != o.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	order := cmp.Compare(len(d.whole), len(o.whole))
	if order == 0 {
		order = cmp.Compare(d.whole, o.whole)
	}
	if order == 0 {
		order = cmp.Compare(d.fraction, o.fraction)
	}
	if d.negative {
		return -order
	}
	return order
}

// dateForm is the one form of ISO 8601 that a text can have of those that the W3C's
// note names, which AWS refers to; empty for none. A time has a zone.
func dateForm(s string) string {
	switch n := len(s); {
	case n == len("2006"):
		return "2006"
	case n == len("2006-01"):
		return "2006-01"
	case n == len("2006-01-02"):
		return "2006-01-02"
	case n < len("2006-01-02T15:04Z") || s[13] != ':' || strings.Contains(s, ","):
		return "" // Go's parser takes an hour of one digit, and a comma for the point
	case s[16] == ':':
		return time.RFC3339Nano
	}
	return "2006-01-02T15:04Z07:00"
}

// toDate reads ISO 8601, or seconds since 1970: digits alone, but for four,
// which are a year.
func toDate(s string) (time.Time, bool) {
	if len(s) != 4 && len(s) <= 18 && digitsOnly(s) {
		n, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(n, 0), err == nil
	}
	form := dateForm(s)
	if form == "" {
		return time.Time{}, false
	}
	t, err := time.Parse(form, s)
	return t, err == nil
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
