package policy

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	naive "github.com/holdfast-iam/holdfast/policy/internal/literal"
)

// The engine of go test -fuzz spends a tenth of a millisecond on every input, twenty times what a document takes to
// parse. So an input stands for a burst: itself and its neighbours, which a random source makes that the input seeds.
// What failed once fails again from the engine's input alone, and an input is interesting if any of its burst is.

// burst is how many executions an input comes to; scripts/policy-fuzz.sh reads the number here.
const burst = 64

// eachNeighbour calls try with a text and its neighbours, a burst of them.
func eachNeighbour(text string, try func(text string)) {
	r, b := naive.Source(text), naive.BaseOf(text)
	try(text)
	for range burst - 1 {
		try(b.Neighbour(r))
	}
}

// eachUsable calls use with a text and neighbours until it had use for count of them. Where nothing near is of use, as
// no document, neighbours of a seed follow, and at last the seed, which always is.
func eachUsable(r *rand.Rand, text string, count int, use func(text string) bool) {
	b := naive.BaseOf(text)
	for range count {
		for tries := 1; !use(text); tries++ {
			text = b.Neighbour(r)
			if tries%6 == 0 {
				text = naive.Seeds[r.IntN(len(naive.Seeds))]
				b = naive.BaseOf(text)
			}
		}
		text = b.Neighbour(r)
	}
}

func TestEveryThirdNeighbourOfADocumentIsADocument(t *testing.T) {
	parsed, seen := 0, map[string]bool{}
	for _, text := range naive.Seeds {
		eachNeighbour(text, func(near string) {
			seen[near] = true
			if _, err := Parse([]byte(near)); err == nil {
				parsed++
			}
		})
	}
	if made := burst * len(naive.Seeds); parsed < made/3 || len(seen) < made*9/10 {
		t.Errorf("of %d neighbours %d parse, %d are different", made, parsed, len(seen))
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range naive.Seeds {
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"Statement":[{"Sid":"\ud83d\ude00\u0000"}]}x`))
	f.Fuzz(func(t *testing.T, text []byte) {
		eachNeighbour(string(text), func(text string) { parsesOrSaysWhere(t, text) })
	})
}

func parsesOrSaysWhere(t *testing.T, text string) {
	d, err := Parse([]byte(text))
	if err != nil {
		if e, ok := err.(*SyntaxError); !ok || e.Offset < 0 || e.Offset > len(text) {
			t.Fatalf("%q: %#v", text, err)
		}
		return
	}
	if !json.Valid([]byte(text)) {
		t.Fatalf("%q is no JSON and parses", text)
	}
	for n := range d.statements {
		start, end := d.Statement(n)
		if again, err := Parse([]byte(`{"Statement":` + text[start:end] + `}`)); err != nil || len(again.statements) != 1 {
			t.Fatalf("%q: statement %d does not stand at %d-%d: %v", text, n, start, end, err)
		}
	}
	d.ContextKeys()
}

func FuzzValidate(f *testing.F) {
	for i, text := range naive.Seeds {
		f.Add(text, uint8(i+1))
	}
	f.Fuzz(func(t *testing.T, text string, kind uint8) {
		eachUsable(naive.Source(text), text, burst, func(text string) bool {
			d, err := Parse([]byte(text))
			if err != nil {
				return false
			}
			whatIsValidIsUnderstood(t, text, d, Type(kind))
			kind++ // so that neighbours are looked at as other types
			return true
		})
	})
}

func whatIsValidIsUnderstood(t *testing.T, text string, d *Document, as Type) {
	err := d.Validate(as)
	p := Compile(d)
	if err != nil {
		return
	}
	if len(p.statements) != len(d.statements) {
		t.Fatalf("%q: a valid statement is not compiled", text)
	}
	for i := range p.statements {
		for _, c := range p.statements[i].tests {
			if c.bad && !strings.Contains(text, "${") {
				t.Fatalf("%q: %s %s is valid and not understood", text, c.name, c.keyName)
			}
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("arn:aws:s3:::b/*", "arn:aws:s3:::b/a")
	f.Add("*?é*a", "xéa")
	f.Add("a:*:?:d*:e:*x", "a:b:c:d:e:f:x")
	f.Fuzz(func(t *testing.T, wanted, found string) {
		r := naive.Source(wanted, found)
		wanted = naive.Fit(wanted, 100)
		matchesAsTheLiteralOne(t, wanted, naive.Fit(found, 200))
		for n := range burst - 1 {
			pattern := wanted
			for range n % 4 {
				pattern = naive.Fit(naive.Cut(r, pattern), 100)
			}
			matchesAsTheLiteralOne(t, pattern, naive.Fit(naive.Meeting(r, pattern), 200))
		}
	})
}

func matchesAsTheLiteralOne(t *testing.T, wanted, found string) {
	e := &evaluation{left: budget}
	text := naive.Matches(wanted, found)
	if p := compilePattern(wanted, true, false, false); p.matches(e, found, asText) != text {
		t.Fatalf("%q matches %q: literal %v", wanted, found, text)
	}
	arn := naive.MatchesARN(wanted, found)
	if p := compilePattern(wanted, true, false, true); p.matches(e, found, asARN) != arn && strings.Count(wanted, ":") >= 5 && strings.Count(found, ":") >= 5 {
		t.Fatalf("%q matches the ARN %q: literal %v", wanted, found, arn)
	}
	if spent := budget - e.left; spent > 64+2*(len(wanted)+8)*(len(found)+8) {
		t.Fatalf("%q and %q cost %d steps", wanted, found, spent)
	}
}

// perDocument is how many of a burst's requests are made of one document, which each evaluator reads once.
const perDocument = 32

// steps is how much of the work budget one of these decisions may cost.
const steps = budget / 10

// FuzzDecide gives a document to both evaluators, as a policy of the identity, of the resource and of the organization,
// and makes requests of what stands in it.
func FuzzDecide(f *testing.F) {
	for _, text := range naive.Seeds {
		f.Add(text, "s3:GetObject", "arn:aws:s3:::b/a", "v", "w")
	}
	f.Fuzz(func(t *testing.T, text, action, resource, one, two string) {
		r := naive.Source(text, action, resource, one, two)
		given := []string{naive.Fit(action, 40), naive.Fit(resource, 80), naive.Fit(one, 40), naive.Fit(two, 40)}
		e := new(evaluation) // used again, as those of the pool
		eachUsable(r, text, burst/perDocument, func(text string) bool {
			w, ok := readTwice(text)
			for n := 0; ok && n < perDocument; n++ {
				q := w.ask(r, given)
				w.decide(t, e, q, n%8 == 0)
			}
			return ok
		})
	})
}

// twice is a document as both evaluators hold it, and what requests about it are made of.
type twice struct {
	compiled           Policies
	literal            *naive.Policies
	text               string
	actions, resources []string
	keys               []string
	values             map[string][]string // of conditions, by folded key
}

func readTwice(text string) (*twice, bool) {
	d, err := Parse([]byte(text))
	if err != nil || len(text) > 2*naive.Longest {
		return nil, false
	}
	other, err := naive.ReadPolicies([]byte(`{"identity":[{"document":` + text + `}],"resource":[{"document":` + text + `}],"serviceControl":[[{"document":` + text + `}]]}`))
	if err != nil {
		return nil, false // it is stricter about versions and types of principals
	}
	list := []Named{{"p", Compile(d)}}
	w := &twice{compiled: open(), literal: other, text: text, keys: append(d.ContextKeys(), "x:asked"), values: map[string][]string{}}
	w.compiled.Identity, w.compiled.Resource, w.compiled.ServiceControl = list, list, Restrict(list)
	for _, s := range d.statements {
		w.actions, w.resources = append(w.actions, s.actions...), append(w.resources, s.resources...)
		for _, c := range s.conditions {
			w.values[fold(c.key)] = append(w.values[fold(c.key)], c.values...)
		}
	}
	return w, true
}

// question is one request in the words of both evaluators.
type question struct {
	compiled Request
	literal  naive.Request
}

const account111 = "111122223333"

// askers are principals of every kind, in the words of both.
var askers = []struct {
	compiled Principal
	literal  naive.Principal
}{
	{ask().Principal, naive.Principal{Kind: "AWS", ARN: bob, Account: account111, ID: "AIDABOBBOBBOBBOB"}},
	{Principal{Kind: RootUser, ARN: "arn:aws:iam::111122223333:root", Account: account111}, naive.Principal{Kind: "RootUser", ARN: "arn:aws:iam::111122223333:root", Account: account111}},
	{Principal{Kind: RoleSession, ARN: "arn:aws:sts::111122223333:assumed-role/R/s", Account: account111, RoleARN: "arn:aws:iam::111122223333:role/R", UniqueID: "AROARROLEROLEROL"},
		naive.Principal{Kind: "AWS", ARN: "arn:aws:sts::111122223333:assumed-role/R/s", Account: account111, RoleARN: "arn:aws:iam::111122223333:role/R", ID: "AROARROLEROLEROL"}},
	{Principal{Kind: Service, Names: []string{"s.amazonaws.com"}}, naive.Principal{Kind: "Service", Names: []string{"s.amazonaws.com"}}},
	{Principal{Kind: Federated, Names: []string{"f"}}, naive.Principal{Kind: "Federated", Names: []string{"f"}}},
	{Principal{}, naive.Principal{Kind: "Anonymous"}},
}

// ask makes a request that the document's own patterns match, or nearly: given are action, resource and two values of
// the engine's, for now and then.
func (w *twice) ask(r *rand.Rand, given []string) *question {
	q := new(question)
	who := &askers[max(r.IntN(2*len(askers))-len(askers), 0)] // every second is the user
	q.compiled.Principal, q.literal.Principal = who.compiled, who.literal
	near := func(patterns []string, given string) string {
		if len(patterns) == 0 || r.IntN(8) == 0 {
			return given
		}
		return naive.Fit(naive.Meeting(r, patterns[r.IntN(len(patterns))]), 80)
	}
	var fill []string // what stands for variables
	for _, key := range w.keys {
		if r.IntN(8) == 0 {
			continue
		}
		values := []string{near(w.values[fold(key)], given[2])}
		fill = append(fill, "${"+key+"}", values[0])
		for r.IntN(4) == 0 {
			values = append(values, near(w.values[fold(key)], given[3]))
		}
		values = values[min(r.IntN(16), 1)^1:] // rarely one less, which may be none
		q.compiled.Context.Set(key, values...)
		q.literal.Context = append(q.literal.Context, naive.Key{Name: key, Values: values})
	}
	q.literal.Action = near(w.actions, given[0])
	if q.literal.Resource = near(w.resources, given[1]); strings.Contains(q.literal.Resource, "${") {
		q.literal.Resource = naive.Fit(strings.NewReplacer(fill...).Replace(q.literal.Resource), 200)
	}
	q.compiled.Action, q.compiled.Resource = q.literal.Action, q.literal.Resource
	return q
}

// decide compares what both say, in steps that documents and requests of this size may cost.
func (w *twice) decide(t *testing.T, e *evaluation, q *question, explain bool) {
	var got Decision
	e.begin(&q.compiled)
	e.decide(&w.compiled, &got)
	if want, by := w.literal.Decide(&q.literal); got.Kind.String() != want {
		t.Fatalf("%q, %+v: compiled %s by %s, literal %s by %s", w.text, q.literal, got.Kind, got.By, want, by)
	}
	if spent := budget - e.left; spent > steps {
		t.Fatalf("%q, %+v: %d steps", w.text, q.literal, spent)
	}
	if !explain {
		return
	}
	if explained, _ := Explain(&w.compiled, &q.compiled); explained != got {
		t.Fatalf("%q, %+v: explained, it is another decision", w.text, q.literal)
	}
}
