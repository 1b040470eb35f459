package literal

import (
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
)

// Neighbours of a text are made for fuzzing. They stand here and not with the targets, so that an engine that counts
// which lines of package policy an input reaches does not count these.

// Seeds are documents that between them hold every element; the engine makes the rest.
var Seeds = []string{
	`{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"s","Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::b/${aws:username, 'x'}"}]}`,
	`{"Statement":{"Effect":"Deny","NotAction":["a:?","b:*"],"NotResource":"arn:aws","NotPrincipal":{"AWS":["*","111122223333"],"Service":"s.amazonaws.com"}}}`,
	`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"StringLike":{"k:v":["a*","?é","${*}"]},"Null":{"k:n":true}}}}`,
	`{"Version":"2008-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"ForAllValues:NumericLessThanIfExists":{"k:v":[1.5,"2"]},"ForAnyValue:DateEquals":{"k:v":"2020-01-01"}}}}`,
	`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"IpAddress":{"k:v":"10.0.0.0/8"},"ArnNotLike":{"k:v":"arn:*:*:*:*:*"},"BinaryEquals":{"k:v":"YQ=="},"Bool":{"k:v":"${k:v}"}}}}`,
}

// Longest bounds what neighbours are made from, so that no input of the engine takes the time of a thousand.
const Longest = 1000

// Source is a random source that the input seeds.
func Source(input ...string) *rand.Rand {
	h := fnv.New64a()
	for _, s := range input {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	return rand.New(rand.NewPCG(h.Sum64(), uint64(len(input))))
}

// members are elements whole, which may stand behind an opening brace; words stand in strings, and marks anywhere.
var (
	members = strings.Fields(`"Version":"2012-10-17" "Version":"2008-10-17" "Id":"i" "Sid":"s" "Effect":"Allow" "Effect":"Deny" "Principal":"*" "NotPrincipal":{"AWS":["111122223333","*"]}
		"Principal":{"AWS":"arn:aws:iam::111122223333:user/bob"} "Principal":{"Service":"s.amazonaws.com","Federated":"f"} "AWS":"*" "Service":["a.b"] "Action":"*" "Action":[] "NotAction":["s3:Get*","iam:?et*"]
		"Resource":"*" "NotResource":"arn:aws:s3:::b/*" "Condition":{"Null":{"aws:username":"true"}} "Condition":{"StringLike":{"k:v":["a*","${k:w,'d'}"]}} "k:v":"${k:w}" "k:w":[1,true] "Bool":{"k:v":false}
		"Condition":{"ForAnyValue:StringNotEquals":{"k:v":"a"},"DateLessThan":{"k:d":"2020-01-01T00:00:00Z"}} "ForAllValues:StringLike":{"k:v":["a","?*"]} "Statement":[] "Statement":{}`)
	words = append(strings.FieldsFunc(`2012-10-17|2008-10-17|Allow|Deny|AWS|Service|Federated|CanonicalUser|*|?|${|}|${*}|${?}|${$}|${aws:username}|${k:v}|${k:v, 'd'}|, 'd'}|:|::|a:b|s3:Get*|s3:GetObject|*:*|arn:aws:s3:::b/*|arn:aws
		|arn:aws:s3:::b/${k:v}|arn:*:*:*:*:*|arn:aws:iam::111122223333:root|111122223333|aws:username|aws:SourceIp|k:v|k:w|true|false|TRUE|1.5|-0|1e5|+1|007|9007199254740993|.5|2020|2020-01-01|2020-01-01T00:00:00Z|2020-02-30
		|2020-01-01T24:00:00+02:00|1577836800|10.0.0.0/8|10.0.0.1|::1|2001:db8::/32|::ffff:10.0.0.1|10.0.0.0/33|YQ==|YQ|%%|é|😀|\u0041|\ud83d\ude00|\ud800|\u0000|\n|\\|\"|x`, func(c rune) bool { return strings.ContainsRune("|\n\t", c) }), operatorWords()...)
	marks = strings.Fields(`{ } [ ] , : " \ {} [] "" null true 1 -1.5e+10 [1,true] ["x","y"] */`)
)

// operatorWords are the names of the operators in every form, and no name.
func operatorWords() (names []string) {
	for _, family := range families {
		for _, name := range operatorFamilies[family] {
			names = append(names, name, "ForAllValues:"+name, "ForAnyValue:"+name, name+"IfExists")
		}
	}
	return append(names, "", "Null", "NullIfExists", "ForAllValues:", "ForAnyValue:", "IfExists")
}

// Base is what neighbours are made from: a text, split at its quotes. Every second part is a string.
type Base []string

// BaseOf is the base of a text.
func BaseOf(text string) Base { return strings.Split(text[:min(len(text), Longest)], `"`) }

// Neighbour is a text that a few changes make of the base: most of whole strings and members, so that many neighbours
// of a document are documents; the others look at no border.
func (b Base) Neighbour(r *rand.Rand) string {
	if len(b) < 3 {
		return Cut(r, strings.Join(b, `"`))
	}
	parts := slices.Clone(b)
	for more := true; more; more = r.IntN(3) == 0 {
		parts.change(r)
	}
	text := strings.Join(parts, `"`)
	if r.IntN(5) == 0 {
		text = Cut(r, text)
	}
	return text
}

// change makes one change of a string, or puts a member before it.
func (b Base) change(r *rand.Rand) {
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
		b[i] = Cut(r, b[i])
	case 3:
		b[i] += pick(r, words)
	case 4:
		b[i-1], b[i], b[i+1] = b[i-1]+"[", b[i]+`","`+pick(r, words), "]"+b[i+1]
	case 5:
		if brace := strings.IndexByte(b[i-1], '{') + 1; brace > 0 {
			b[i-1] = b[i-1][:brace] + pick(r, members) + "," + b[i-1][brace:]
		} else {
			b[i] = Cut(r, b[i]) + pick(r, words)
		}
	}
}

// some finds a string that has a part behind it.
func (b Base) some(r *rand.Rand) int { return 2*r.IntN((len(b)-1)/2) + 1 }

// Cut changes a letter or a range, or puts something in its place.
func Cut(r *rand.Rand, text string) string {
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
	other := pick(r, Seeds)
	return text[:a] + other[r.IntN(len(other)):]
}

// Meeting is a text that a pattern matches, or nearly: its letters come again where it has wildcards.
func Meeting(r *rand.Rand, pattern string) string {
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
		return Cut(r, b.String())
	}
	return b.String()
}

// Fit is a text that both evaluators take for the same: no policy and no request holds other bytes.
func Fit(s string, length int) string {
	return strings.ToValidUTF8(compiledWildcards.Replace(s[:min(len(s), length)]), "")
}

var compiledWildcards = strings.NewReplacer("\x00", "*", "\x01", "?")
