package lint

import (
	"testing"

	"github.com/holdfast-iam/holdfast/arn"
)

// words is every text of at most n of the characters.
func words(characters string, n int) []string {
	list := []string{""}
	for from := 0; n > 0; n-- {
		end := len(list)
		for _, w := range list[from:end] {
			for _, c := range characters {
				list = append(list, w+string(c))
			}
		}
		from = end
	}
	return list
}

// TestPatternsCoverAndMeetAsTheTextsThatTheyMatchSay compares with all short
// texts: covers is never said wrongly, meets is said exactly.
func TestPatternsCoverAndMeetAsTheTextsThatTheyMatchSay(t *testing.T) {
	texts, patterns := words("ab", 6), words("a*?", 3)
	missed := 0
	for _, p := range patterns {
		for _, q := range patterns {
			covers, meets := true, false
			for _, text := range texts {
				inP, inQ := arn.Glob(p, text), arn.Glob(q, text)
				covers = covers && (inP || !inQ)
				meets = meets || inP && inQ
			}
			if got := compileGlob(p).covers(compileGlob(q)); got && !covers {
				t.Errorf("%q covers %q, it is said", p, q)
			} else if covers && !got {
				missed++
			}
			if got := compileGlob(p).meets(compileGlob(q)); got != meets {
				t.Errorf("%q meets %q: %v", p, q, got)
			}
		}
	}
	if all := len(patterns) * len(patterns); missed*20 > all {
		t.Errorf("%d of %d pairs are missed", missed, all)
	}
}

func TestAVariableCoversItselfAloneAndMeetsAnything(t *testing.T) {
	for _, c := range []struct {
		p, q          string
		covers, meets bool
	}{
		{"home/${aws:username}/*", "home/${aws:username}/x", true, true},
		{"home/${aws:username}", "home/${aws:userid}", false, true},
		{"home/*", "home/${aws:username}", true, true},
		{"home/?", "home/${aws:username}", false, true},
		{"home/${aws:username}", "home/alice", false, true},
		{"home/${aws:username}", "work/alice", false, false},
		{"${*}", "*", false, true},
		{"*", "${*}", true, true},
		{"a${*}", "a*", false, true},
		{"${", "${", true, true},
	} {
		p, q := compileGlob(c.p), compileGlob(c.q)
		if p.covers(q) != c.covers || p.meets(q) != c.meets || q.meets(p) != c.meets {
			t.Errorf("%q and %q: covers %v, meets %v", c.p, c.q, p.covers(q), p.meets(q))
		}
	}
}

func TestAWildcardDoesNotReachOverTheColonsOfAnARN(t *testing.T) {
	for _, c := range []struct {
		p, q          string
		covers, meets bool
	}{
		{"arn:aws:s3:::*", "arn:aws:s3:::b/*", true, true},
		{"arn:aws:s3*:b", "arn:aws:s3:us-east-1:111122223333:b", false, false},
		{"*", "arn:aws:s3:::b", true, true},
		{"arn:aws:s3:::b", "*", false, true},
		{"arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/a", true, true},
		{"arn:aws:sqs", "arn:aws:sqs:us-east-1:111122223333:q", true, true}, // completed
	} {
		p, q := compileResource(c.p), compileResource(c.q)
		if p.covers(q) != c.covers || p.meets(q) != c.meets {
			t.Errorf("%q and %q: covers %v, meets %v", c.p, c.q, p.covers(q), p.meets(q))
		}
	}
}
