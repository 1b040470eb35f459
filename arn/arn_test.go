package arn

import (
	"strings"
	"testing"
)

func TestAnARNComesBackAsItWasWritten(t *testing.T) {
	for _, s := range []string{"arn:aws:iam::111122223333:user/a/b", "arn:aws:s3:::bucket/key:with:colons", "arn:aws-cn:sts:cn-north-1:1:assumed-role/r/s"} {
		a, err := Parse(s)
		if err != nil || a.String() != s {
			t.Errorf("%s: %v %v", s, a, err)
		}
	}
	for _, s := range []string{"", "arn", "arn:aws:iam::1", "arn:aws:iam::1:", "arn::iam::1:x", "urn:aws:iam::1:x", "arn:aws:" + strings.Repeat("x", MaxLength) + ":::r"} {
		if _, err := Parse(s); err == nil {
			t.Errorf("%q parses", s)
		}
	}
}

func TestWildcardsStayInTheirPart(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", "anything", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::c/x", false},
		{"arn:aws:s3:::*", "arn:aws:s3:::b:c", true},
		{"arn:*:s3:::b", "arn:aws:s3:::b", true},
		{"arn:*:b", "arn:aws:s3:::b", false},
		{"arn:aws:iam::*:user/?ob", "arn:aws:iam::1:user/bob", true},
		{"arn:aws:iam::*:user/?ob", "arn:aws:iam::1:user/ob", false},
		{"", "arn:aws:iam::1:x", false},
	} {
		if got := Match(c.pattern, c.s); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// slow matches by trying everything: the judge of Glob.
func slow(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '*':
		return slow(p[1:], s) || s != "" && slow(p, s[1:])
	}
	return s != "" && (p[0] == '?' || p[0] == s[0]) && slow(p[1:], s[1:])
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?c*", "axxbyc")
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(p) > 12 || len(s) > 12 {
			return
		}
		if Glob(p, s) != slow(p, s) {
			t.Fatalf("Glob(%q, %q) = %v", p, s, Glob(p, s))
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"arn:aws:iam::111122223333:user/a", "arn:aws:s3:::b:c:d", "arn::::::", "arn:aws:x:y:z", "::::::", "arn:aws:s3:::*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		switch {
		case err != nil && a != (ARN{}):
			t.Fatalf("%q is refused and still something: %+v", s, a)
		case err == nil && (a.String() != s || a.Partition == "" || a.Service == "" || a.Resource == "" || len(s) > MaxLength):
			t.Fatalf("%q parses as %+v", s, a)
		case err == nil && strings.Contains(a.Partition+a.Service+a.Region+a.Account, ":"):
			t.Fatalf("%q: a part holds a colon: %+v", s, a)
		}
	})
}
