package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// nearly is a pattern that begins to match at every letter of a text of a's and never does.
func nearly(length int) string { return "*" + strings.Repeat("?a", length/2) + "?b*" }

// worst is a policy whose matching costs as much as its size allows.
func worst(t *testing.T, effect string) []Named {
	var b strings.Builder
	b.WriteString(`{"Version":"2012-10-17","Statement":[`)
	for b.Len() < maxDocument-3000 {
		fmt.Fprintf(&b, `{"Effect":%q,"Action":"*","Resource":"arn:aws:s:::%s"},`, effect, nearly(500))
	}
	b.WriteString(`{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	return []Named{{"worst", compiledFrom(t, b.String())}}
}

func TestARequestThatCostsTooMuchIsDeniedWithTheReason(t *testing.T) {
	r := ask()
	r.Resource = "arn:aws:s:::" + strings.Repeat("a", 20000)
	for _, effect := range []string{"Allow", "Deny"} {
		p := open()
		p.Identity = worst(t, effect)
		d := Evaluate(&p, r)
		if d.Kind != ImplicitDeny || d.By != workBudget {
			t.Errorf("%s: %s by %s", effect, d.Kind, d.By)
		}
		if d != first(Explain(&p, r)) {
			t.Errorf("%s: explained, it is another decision", effect)
		}
		for range d.Matched {
			t.Errorf("%s: a decision that was given up tells statements", effect)
		}
		if s := d.Sentence(bob, "storage:GetObject", thing); s != "User: "+bob+" is not authorized to perform: storage:GetObject on resource: "+thing+" because evaluating its policies takes too much work" {
			t.Error(s)
		}
	}
}

func first(d Decision, _ []Match) Decision { return d }

func TestManyValuesOfAKeyAreGivenUpWithinTheBudget(t *testing.T) {
	values := make([]string, 3000)
	for i := range values {
		values[i] = strings.Repeat("a", 1000)
	}
	r := ask()
	r.Context.Set("k:v", values...)
	for _, operator := range []string{"StringLike", "ForAllValues:StringLike", "ForAnyValue:StringNotLike"} {
		p := open()
		p.Identity = named(t, `"Effect":"Allow","Action":"*","Resource":"*","Condition":{"`+operator+`":{"k:v":"`+nearly(500)+`"}}`)
		if d := Evaluate(&p, r); d.Kind != ImplicitDeny || d.By != workBudget {
			t.Errorf("%s: %s by %s", operator, d.Kind, d.By)
		}
	}
}

// Matching keeps one star to come back to: the work is at most the product of the lengths, and grows with the text.
func TestTheWorkOfAMatchGrowsWithTheText(t *testing.T) {
	work := func(pattern string, length int) int {
		p := compilePattern(pattern, true, false, false)
		e := &evaluation{left: 100 * budget}
		p.matches(e, strings.Repeat("a", length), asText)
		return 100*budget - e.left
	}
	for _, pattern := range []string{nearly(2), nearly(20), nearly(200), "*aaaaaaaaab*", strings.Repeat("a*", 100) + "b*", strings.Repeat("*?", 100) + "b*", "*é?*b"} {
		one, ten := work(pattern, 1000), work(pattern, 10000)
		if ten > 13*one+64 { // the pattern is a part of the shorter text
			t.Errorf("%s: %d steps, for ten times the text %d", pattern, one, ten)
		}
		if limit := 64 + 2*(len(pattern)+8)*10000; ten > limit {
			t.Errorf("%s: %d steps, more than %d", pattern, ten, limit)
		}
	}
}

func TestADecisionTellsAtMostEightStatementsAndTheDenialAlways(t *testing.T) {
	allows := make([]string, 12)
	for i := range allows {
		allows[i] = fmt.Sprintf(`{"Sid":"a%d","Effect":"Allow","Action":"*","Resource":"*"}`, i)
	}
	text := func(more ...string) []Named {
		return []Named{{"p", compiledFrom(t, `{"Version":"2012-10-17","Statement":[`+strings.Join(append(slices.Clone(allows), more...), ",")+`]}`)}}
	}
	sids := func(d *Decision) (list []string) {
		for m := range d.Matched {
			list = append(list, fmt.Sprintf("%s/%s#%d %v %v", m.Policy, m.Sid, m.Statement, m.Deny, m.Holds))
		}
		return list
	}
	p := open()
	p.Identity = text()
	d := Evaluate(&p, ask())
	if got := sids(&d); len(got) != 8 || got[0] != "p/a0#0 false true" || got[7] != "p/a7#7 false true" {
		t.Errorf("%q", got)
	}
	for range d.Matched { // who has seen enough may stop
		break
	}
	p.Identity = text(`{"Sid":"d","Effect":"Deny","Action":"*","Resource":"*"}`, `{"Sid":"e","Effect":"Deny","Action":"*","Resource":"*"}`)
	d = Evaluate(&p, ask())
	if got := sids(&d); !slices.Equal(got, []string{"p/d#12 true true"}) {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNoKindOfDecisionDeniesAndWhatIsNoTypeIsNamed(t *testing.T) {
	for kind, want := range map[Kind]string{ImplicitDeny: "ImplicitDeny", ExplicitDeny: "ExplicitDeny", Allowed: "Allowed", 3: "ImplicitDeny", 255: "ImplicitDeny"} {
		if kind.String() != want {
			t.Errorf("%d: %s", kind, kind)
		}
	}
	for by, want := range map[Type]string{NoPolicy: "none", Identity: "identity-based policy", workBudget: "work budget", 200: "work budget"} {
		if by.String() != want {
			t.Errorf("%d: %s", by, by)
		}
	}
}

func TestManyResourcesCanBeGivenUpEarly(t *testing.T) {
	p := open()
	p.Identity = named(t, `"Effect":"Allow","Action":"*","Resource":"arn:aws:storage:::photos/*"`)
	var kinds []Kind
	p.EvaluateEach(ask(), []string{thing, "arn:aws:storage:::docs/x", thing}, func(i int, d *Decision) bool {
		kinds = append(kinds, d.Kind)
		return i < 1
	})
	if !slices.Equal(kinds, []Kind{Allowed, ImplicitDeny}) {
		t.Errorf("%v", kinds)
	}
}

func TestAPrincipalWhereNoneMayStandAndNoneWhereOneMust(t *testing.T) {
	const all = `,"Action":"*","Resource":"*"`
	alice := `,"Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"}`
	for name, c := range map[string]struct {
		change func(p *Policies)
		want   Kind
		by     Type
	}{
		"an Allow of an identity that names somebody":    {func(p *Policies) { p.Identity = each(t, allow+alice) }, ImplicitDeny, Identity},
		"a Deny of an identity that names somebody else": {func(p *Policies) { p.Identity = each(t, allow, deny+alice) }, ExplicitDeny, Identity},
		"an Allow of a resource that names nobody":       {func(p *Policies) { p.Identity, p.Resource = nil, each(t, allow) }, ImplicitDeny, Identity},
		"a Deny of a resource that names nobody":         {func(p *Policies) { p.Resource = each(t, deny) }, ExplicitDeny, Resource},
		"an endpoint's Allow that names nobody":          {func(p *Policies) { p.Endpoint = Restrict(each(t, allow)) }, Allowed, Identity},
		"an endpoint's Allow that names somebody else":   {func(p *Policies) { p.Endpoint = Restrict(each(t, allow+alice)) }, ImplicitDeny, Endpoint},
		"an RCP's Deny that names nobody":                {func(p *Policies) { p.ResourceControl = Restrict(each(t, allow, deny)) }, ExplicitDeny, ResourceControl},
		"an identity's Allow without Resource":           {func(p *Policies) { p.Identity = named(t, `"Effect":"Allow","Action":"*"`) }, ImplicitDeny, Identity},
		"an identity's Deny without Resource":            {func(p *Policies) { p.Identity = append(p.Identity, named(t, `"Effect":"Deny","Action":"*"`)...) }, ExplicitDeny, Identity},
		"a resource's Allow without Resource": {func(p *Policies) {
			p.Identity, p.Resource = nil, named(t, `"Effect":"Allow","Action":"*","Principal":"*"`)
		}, Allowed, Resource},
		"an Effect of another spelling": {func(p *Policies) { p.Identity = named(t, `"Effect":"allow"`+all) }, ImplicitDeny, Identity},
		"an Allow with NotPrincipal": {func(p *Policies) {
			p.Identity, p.Resource = nil, named(t, `"Effect":"Allow","NotPrincipal":{"AWS":"999999999999"}`+all)
		}, ImplicitDeny, Identity},
		"NotPrincipal and a boundary": {func(p *Policies) {
			p.Boundary, p.Resource = Restrict(each(t, allow)), named(t, `"Effect":"Deny","NotPrincipal":{"AWS":"`+bob+`"}`+all)
		}, ExplicitDeny, Resource},
		"NotPrincipal of the account alone": {func(p *Policies) { p.Resource = named(t, `"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"}`+all) }, ExplicitDeny, Resource},
		"a canonical user id is nobody's, nor the unique id": {func(p *Policies) {
			p.Identity, p.Resource = nil, named(t, `"Effect":"Allow","Principal":{"CanonicalUser":"AIDABOBBOBBOBBOB"}`+all)
		}, ImplicitDeny, Identity},
	} {
		p := open()
		p.Identity = each(t, allow)
		c.change(&p)
		if d := Evaluate(&p, ask()); d.Kind != c.want || d.By != c.by {
			t.Errorf("%s: %s by %s, want %s by %s", name, d.Kind, d.By, c.want, c.by)
		}
	}
}

func TestAContextAnswersForKeysOfEitherCaseAndBothLayers(t *testing.T) {
	var below, c Context
	below.Set("aws:TagKeys", "a", "b")
	below.SetOne("aws:username", "below")
	c.Reset(&below)
	c.SetOne("AWS:UserName", "above")
	c.SetOne("aws:username", "again")
	for key, want := range map[string]bool{"aws:tagkeys": true, "AWS:USERNAME": true, "aws:userid": false, "k": false} {
		if c.Has(key) != want {
			t.Errorf("%s: %v", key, !want)
		}
	}
	p := open()
	p.Identity = named(t, `"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:username":"again"},"ForAnyValue:StringEquals":{"aws:tagkeys":"b"}}`)
	r := ask()
	r.Context = c
	if d := Evaluate(&p, r); d.Kind != Allowed {
		t.Error(d.Kind)
	}
	r.Context.Reset(nil)
	if r.Context.Has("aws:username") {
		t.Error("a context that was emptied has a key")
	}
}

func TestACompilerThatHeldNothingCanBeUsedAgain(t *testing.T) {
	for _, members := range []string{``, `"Effect":"Allow","Action":"a:b"`, `"Effect":"Allow","Action":"*"`} {
		d, err := Parse([]byte(statementPolicy(members)))
		if err != nil {
			t.Fatal(err)
		}
		c := compilers.New().(*compiler)
		c.begin(d)
		c.statement(&d.statements[0], 0)
		c.end()
		p := open()
		p.Identity = named(t, `"Effect":"Allow","Action":["a:b","c:*"],"Resource":"*"`)
		for action, want := range map[string]bool{"a:b": true, "c:d": true, "a:c": false, "": false} {
			r := ask()
			if r.Action = action; (Evaluate(&p, r).Kind == Allowed) != want {
				t.Errorf("after %s, %s: %v", members, action, !want)
			}
		}
	}
}

func TestANameWithoutAPolicySaysNothing(t *testing.T) {
	p := open()
	p.Identity = []Named{{Name: "none"}}
	if d := Evaluate(&p, ask()); d.Kind != ImplicitDeny {
		t.Error(d.Kind)
	}
	p.Identity = append(p.Identity, each(t, allow)...)
	if d := Evaluate(&p, ask()); d.Kind != Allowed {
		t.Error(d.Kind)
	}
}

func TestACopyOfAContextCanBeGivenKeysOfItsOwn(t *testing.T) {
	var c Context
	for _, keys := range []int{40, 7} { // so that there is room for more when it is used again
		c.Reset(nil)
		for i := range keys {
			c.SetOne(fmt.Sprint("k:", i), "v")
		}
	}
	copies := make([]Context, 100)
	for i := range copies {
		copies[i] = c
		for n := range 20 {
			copies[i].SetOne(fmt.Sprint("x", n, ":", i), "v")
		}
	}
	for i := range copies {
		d := &copies[i]
		if !d.Has("k:0") || !d.Has("k:6") || !d.Has(fmt.Sprint("x19:", i)) || d.Has(fmt.Sprint("x0:", (i+1)%len(copies))) || d.Has("none") {
			t.Errorf("copy %d", i)
		}
	}
	if c.SetOne("y", "v"); !c.Has("y") || !c.Has("k:0") || c.Has("k:7") || c.Has("x0:0") || copies[0].Has("y") {
		t.Error("the one that was copied")
	}
}

func TestAmongManyTextsEachIsFound(t *testing.T) {
	for _, operator := range []string{"StringEquals", "StringLike"} {
		p := open()
		p.Identity = named(t, `"Effect":"Allow","Action":"*","Resource":"*","Condition":{"`+operator+`":{"k:v":["a","b","c","d","e","f","g","h","i","j","k","l","m","${k:w}"]}}`)
		for value, want := range map[string]Kind{"a": Allowed, "m": Allowed, "w": Allowed, "n": ImplicitDeny, "": ImplicitDeny} {
			r := ask()
			r.Context.SetOne("k:v", value)
			r.Context.SetOne("k:w", "w")
			if d := Evaluate(&p, r); d.Kind != want {
				t.Errorf("%s %q: %s", operator, value, d.Kind)
			}
		}
	}
}

// Neither may the text that variables come to be made for ever.
func TestManyLongVariablesAreGivenUpWithinTheBudget(t *testing.T) {
	p := open()
	p.Identity = named(t, `"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"k:v":"`+strings.Repeat("${k:w}", 3000)+`"}}`)
	r := ask()
	r.Context.SetOne("k:v", "v")
	r.Context.SetOne("k:w", strings.Repeat("w", 100_000))
	e := new(evaluation)
	e.begin(r)
	var d Decision
	if e.decide(&p, &d); d.By != workBudget || e.left < -budget {
		t.Errorf("%s by %s, %d spent", d.Kind, d.By, budget-e.left)
	}
}

// A user in ten groups with policies as long as they may be, and a request that carries thousands of tags.
func TestALargeHonestRequestComesNowhereNearTheBudget(t *testing.T) {
	var list []Named
	for n := range 20 {
		text := `{"Version":"2012-10-17","Statement":[`
		for i := 0; len(text) < 6144-600; i++ {
			text += fmt.Sprintf(`{"Effect":"Allow","Action":["storage:Get*","storage:List*"],"Resource":["arn:aws:storage:::team-%d-*/*","arn:aws:storage:*:*:thing/%d-*"],"Condition":{"StringLike":{"k:s":"other-%d*"},"StringEquals":{"aws:RequestTag/Team-%d":"x"}}},`, n, i, i, i) +
				`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"k:ip":["10.0.0.0/8","172.16.0.0/12"]},"DateGreaterThan":{"k:d":"2030-01-01T00:00:00Z"}}},`
		}
		text += `{"Effect":"Allow","Action":"storage:*","Resource":"arn:aws:storage:::photos/*","Condition":{"ForAllValues:StringLike":{"aws:TagKeys":["Team-*","Cost-*"]}}}]}`
		list = append(list, Named{"large", compiledFrom(t, text)})
	}
	p := open()
	p.Identity = list
	r := conditioned()
	var keys []string
	for i := range 3000 {
		keys = append(keys, fmt.Sprintf("Team-%d", i))
		r.Context.SetOne("aws:RequestTag/"+keys[i], strings.Repeat("v", 100))
	}
	r.Context.Set("aws:TagKeys", keys...)
	e := new(evaluation)
	e.begin(r)
	var d Decision
	e.decide(&p, &d)
	if spent := budget - e.left; d.Kind != Allowed || spent > budget/6 {
		t.Errorf("%s by %s, %d of %d spent", d.Kind, d.By, spent, budget)
	}
}

func TestAContextOfManyKeysKeepsThemApart(t *testing.T) {
	var below, c Context
	for i := range 1000 {
		below.SetOne(fmt.Sprint("below:", i), "b")
	}
	for range 2 { // its memory is used again
		c.Reset(&below)
		for i := range 2000 {
			c.SetOne(fmt.Sprint("K:", i), fmt.Sprint(i))
			c.SetOne(fmt.Sprint("k:", i/2), fmt.Sprint(i/2))
		}
		for i := range 2000 {
			key := fmt.Sprint("k:", i)
			if v, ok := c.get(key, markOf(key)); !ok || len(v) != 1 || v[0] != fmt.Sprint(i) {
				t.Fatalf("%s: %q", key, v)
			}
		}
		if !c.Has("below:999") || c.Has("below:1000") || c.Has("k:2000") {
			t.Error("a key of the other layer is lost, or one is made up")
		}
	}
	c.Reset(nil)
	if c.Has("k:1") || c.Has("below:1") {
		t.Error("a context that was emptied has a key")
	}
}

func TestACopyOfAContextMayHaveMoreKeys(t *testing.T) {
	var c Context
	c.SetOne("k:0", "v")
	more := c
	for i := range 7 {
		more.SetOne(fmt.Sprint("k:", i), "v")
	}
	for i := range 7 {
		if key := fmt.Sprint("k:", i); !more.Has(key) || c.Has(key) != (i == 0) {
			t.Errorf("%s: %v, in the copy %v", key, c.Has(key), more.Has(key))
		}
	}
}

// A variable's value may be no UTF-8. What follows a star stands at a character then as ever.
func TestAStarDoesNotStopInsideACharacter(t *testing.T) {
	p := open()
	p.Identity = named(t, `"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringLike":{"k:v":"*${k:w}?*x"}}`)
	for _, c := range []struct {
		value, variable string
		want            Kind
	}{{"\u00e9ax", "\xa9", ImplicitDeny}, {"a\xa9ax", "\xa9", Allowed}, {"\u00e9\u00e9ax", "\u00e9", Allowed}, {"\xc3ax", "\xc3", Allowed}} {
		r := ask()
		r.Context.SetOne("k:v", c.value)
		r.Context.SetOne("k:w", c.variable)
		if d := Evaluate(&p, r); d.Kind != c.want {
			t.Errorf("%q in %q: %s", c.variable, c.value, d.Kind)
		}
	}
}
