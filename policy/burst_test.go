package policy

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// The engine of go test -fuzz spends a tenth of a millisecond on every input, twenty times what a document takes to
// parse. So an input stands for a burst: itself and its neighbours, which a random source makes that the input seeds.
// What failed once fails again from the engine's input alone, and an input is interesting if any of its burst is.

// burst is how many executions an input comes to; scripts/policy-fuzz.sh reads the number here.
const burst = 64

// longest bounds what neighbours are made from, so that no input of the engine takes the time of a thousand.
const longest = 1000

// source is a random source that the input seeds.
func source(input ...string) *rand.Rand {
	h := fnv.New64a()
	for _, s := range input {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return rand.New(rand.NewPCG(h.Sum64(), uint64(len(input))))
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// members are elements whole, which may stand behind an opening brace; words stand in strings, and marks anywhere.
var (
	members = strings.Fields(`"Version":"2012-10-17" "Version":"2008-10-17" "Id":"i" "Sid":"s" "Effect":"Allow" "Effect":"Deny" "Principal":"*" "NotPrincipal":{"AWS":["111122223333","*"]}
		"Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"} "Principal":{"Service":"s.amazonaws.com","Federated":"f"} "AWS":"*" "Service":["a.b"] "Action":"*" "Action":[] "NotAction":["s3:Get*","iam:?et*"]
		"Resource":"*" "NotResource":"arn:aws:s3:::b/*" "Condition":{"Null":{"aws:username":"true"}} "Condition":{"StringLike":{"k:v":["a*","${k:w,'d'}"]}} "k:v":"${k:w}" "k:w":[1,true] "Bool":{"k:v":false}
		"Condition":{"ForAnyValue:StringNotEquals":{"k:v":"a"},"DateLessThan":{"k:d":"2020-01-01T00:00:00Z"}} "ForAllValues:StringLike":{"k:v":["a","?*"]} "Statement":[] "Statement":{}`)
	words = append(strings.Split(`2012-10-17|2008-10-17|Allow|Deny|AWS|Service|Federated|CanonicalUser|*|?|${|}|${*}|${?}|${$}|${aws:username}|${k:v}|${k:v, 'd'}|, 'd'}|:|::|a:b|s3:Get*|s3:GetObject|*:*|arn:aws:s3:::b/*|arn:aws
		|arn:aws:s3:::b/${k:v}|arn:*:*:*:*:*|arn:aws:iam::111122223333:root|111122223333|aws:username|aws:SourceIp|k:v|k:w|true|false|TRUE|1.5|-0|1e5|+1|007|9007199254740993|.5|2020|2020-01-01|2020-01-01T00:00:00Z|2020-02-30
		|2020-01-01T24:00:00+02:00|1577836800|10.0.0.0/8|10.0.0.1|::1|2001:db8::/32|::ffff:10.0.0.1|10.0.0.0/33|YQ==|YQ|%%|é|😀|\u0041|\ud83d\ude00|\ud800|\u0000|\n|\\|\"||x`, "|"), operatorWords()...)
	marks = strings.Fields(`{ } [ ] , : " \ {} [] "" null true 1 -1.5e+10 [1,true] ["x","y"] */`)
)

// operatorWords are the names of the operators in every form.
func operatorWords() (names []string) {
	for name := range operators {
		names = append(names, name, "ForAllValues:"+name, "ForAnyValue:"+name, name+"IfExists")
	}
	slices.Sort(names)
	return append(names, "Null", "NullIfExists", "ForAllValues:", "ForAnyValue:", "IfExists")
}

// base is what neighbours are made from: a text, split at its quotes. Every second part is a string.
type base []string

func baseOf(text string) base { return strings.Split(text[:min(len(text), longest)], `"`) }

// neighbour is a text that a few changes make of the base: most of whole strings and members, so that many neighbours
// of a document are documents; the others look at no border.
func (b base) neighbour(r *rand.Rand) string {
	if len(b) < 3 {
		return cut(r, strings.Join(b, `"`))
	}
	parts := slices.Clone(b)
	for more := true; more; more = r.IntN(3) == 0 {
		parts.change(r)
	}
	text := strings.Join(parts, `"`)
	if r.IntN(5) == 0 {
		text = cut(r, text)
	}
	return text
}

// change makes one change of a string, or puts a member before it.
func (b base) change(r *rand.Rand) {
	i := b.some(r)
	if b[i+1] == ":" { // it names something: values are changed more often
		i = b.some(r)
	}
	switch r.IntN(6) {
	case 0:
		b[i] = b[b.some(r)]
	case 1:
		b[i] = pick(r, words)
	case 2:
		b[i] = cut(r, b[i])
	case 3:
		b[i] += pick(r, words)
	case 4:
		b[i-1], b[i], b[i+1] = b[i-1]+"[", b[i]+`","`+pick(r, words), "]"+b[i+1]
	case 5:
		if brace := strings.IndexByte(b[i-1], '{') + 1; brace > 0 {
			b[i-1] = b[i-1][:brace] + pick(r, members) + "," + b[i-1][brace:]
		} else {
			b[i] = cut(r, b[i]) + pick(r, words)
		}
	}
}

// some finds a string that has a part behind it.
func (b base) some(r *rand.Rand) int { return 2*r.IntN((len(b)-1)/2) + 1 }

// cut changes a letter or a range, or puts something in its place.
func cut(r *rand.Rand, text string) string {
	a, c := r.IntN(len(text)+1), r.IntN(len(text)+1)
	b := min(a+1+r.IntN(20), len(text))
	switch r.IntN(7) {
	case 0:
		return text[:a] + string([]byte{byte(r.IntN(256))}) + text[min(a+1, len(text)):]
	case 1:
		return text[:a] + text[b:]
	case 2:
		return text[:b] + text[a:b] + text[b:]
	case 3:
		return text[:c] + text[a:b] + text[c:]
	case 4:
		return text[:a] + pick(r, words) + text[b:]
	case 5:
		return text[:a] + pick(r, marks) + text[c:][min(b-a, len(text)-c):]
	}
	other := pick(r, seeds)
	return text[:a] + other[r.IntN(len(other)):]
}

// eachNeighbour calls try with a text and its neighbours, a burst of them.
func eachNeighbour(text string, try func(text string)) {
	r, b := source(text), baseOf(text)
	try(text)
	for range burst - 1 {
		try(b.neighbour(r))
	}
}

// eachUsable calls use with a text and neighbours, and instead of those of which it says that it has no use with other
// neighbours, of a seed at last, which is always of use: with count texts that are.
func eachUsable(r *rand.Rand, text string, count int, use func(text string) bool) {
	b := baseOf(text)
	for n := range count {
		if n > 0 {
			text = b.neighbour(r)
		}
		for tries := 0; !use(text); tries++ {
			switch {
			case tries < 6:
				text = b.neighbour(r)
			case tries < 12:
				text = baseOf(pick(r, seeds)).neighbour(r)
			default:
				text = pick(r, seeds)
			}
		}
	}
}

// meeting is a text that a pattern matches, or nearly: its letters come again where it has wildcards.
func meeting(r *rand.Rand, pattern string) string {
	letters := append([]rune(pattern), 'a', ':', 'é')
	var b strings.Builder
	for _, c := range pattern {
		switch c {
		case '*':
			for range r.IntN(5) {
				b.WriteRune(pick(r, letters))
			}
		case '?':
			b.WriteRune(pick(r, letters))
		default:
			b.WriteRune(c)
		}
	}
	if r.IntN(3) == 0 {
		return cut(r, b.String())
	}
	return b.String()
}

// fit is a text that both evaluators take for the same: no policy and no request holds other bytes.
func fit(s string, length int) string {
	return strings.ToValidUTF8(compiledWildcards.Replace(s[:min(len(s), length)]), "")
}

var compiledWildcards = strings.NewReplacer("\x00", "*", "\x01", "?")

func TestEveryThirdNeighbourOfADocumentIsADocument(t *testing.T) {
	parsed, seen := 0, map[string]bool{}
	for _, text := range seeds {
		eachNeighbour(text, func(near string) {
			seen[near] = true
			if _, err := Parse([]byte(near)); err == nil {
				parsed++
			}
		})
	}
	if made := burst * len(seeds); parsed < made/3 || len(seen) < made*9/10 {
		t.Errorf("of %d neighbours %d parse, %d are different", made, parsed, len(seen))
	}
}
