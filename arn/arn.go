// Package arn parses, prints and matches Amazon Resource Names.
//
// Invariant: Parse takes exactly what String prints, and matching never
// backtracks beyond the last star, so it is linear for all practical texts and
// quadratic at worst.
//
// Source: IAM User Guide, "Identify AWS resources with Amazon Resource Names".
package arn

import (
	"fmt"
	"strings"
)

// MaxLength bounds an ARN in bytes.
const MaxLength = 2048

// ARN is arn:partition:service:region:account:resource.
type ARN struct {
	Partition, Service, Region, Account, Resource string
}

// Parse splits an ARN into its six parts. The resource may hold colons.
func Parse(s string) (ARN, error) {
	if len(s) > MaxLength {
		return ARN{}, fmt.Errorf("an ARN is at most %d bytes long", MaxLength)
	}
	parts := strings.SplitN(s, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || parts[1] == "" || parts[2] == "" || parts[5] == "" {
		return ARN{}, fmt.Errorf("%q is no ARN of the form arn:partition:service:region:account:resource", s)
	}
	return ARN{parts[1], parts[2], parts[3], parts[4], parts[5]}, nil
}

// String prints the ARN.
func (a ARN) String() string {
	return "arn:" + a.Partition + ":" + a.Service + ":" + a.Region + ":" + a.Account + ":" + a.Resource
}

// Match says whether s matches the pattern, in which * stands for any text and
// ? for one character. In a pattern of six parts a wildcard of the first five
// does not reach over a colon; the pattern * matches everything.
func Match(pattern, s string) bool {
	if pattern == "*" {
		return true
	}
	for range 5 {
		p, pRest, pOK := strings.Cut(pattern, ":")
		t, tRest, tOK := strings.Cut(s, ":")
		if !pOK || !tOK || !Glob(p, t) {
			return false
		}
		pattern, s = pRest, tRest
	}
	return Glob(pattern, s)
}

// Glob says whether s matches the pattern, in which * stands for any text and
// ? for one byte. It keeps one place to come back to: the last star.
func Glob(pattern, s string) bool {
	p, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
