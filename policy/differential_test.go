package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/holdfast-iam/holdfast/policy"
	"github.com/holdfast-iam/holdfast/policy/internal/literal"
)

// The two evaluators were written from the same pages and share nothing. Here they answer the same random questions:
// worlds of policies, read and compiled once by each, and many requests in each world.

// perWorld is how many requests are made in one world.
const perWorld = 100

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	given := os.Getenv(name)
	if given == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(given, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// HOLDFAST_POLICY_CASES says how many decisions to compare, HOLDFAST_POLICY_SEED in which worlds.
func TestTheCompiledEvaluatorDecidesAsTheLiteralOne(t *testing.T) {
	decisions := number(t, "HOLDFAST_POLICY_CASES", 20000)
	seed := number(t, "HOLDFAST_POLICY_SEED", 1)
	var disagreements atomic.Int64
	var workers sync.WaitGroup
	step := uint64(runtime.GOMAXPROCS(0))
	for worker := range step {
		workers.Go(func() {
			for world := seed + worker; world < seed+decisions/perWorld; world += step {
				found, err := compareWorld(world)
				if err != nil {
					t.Errorf("world %d: %v", world, err)
					return
				}
				for _, c := range found {
					if disagreements.Add(1) <= 5 {
						t.Errorf("world %d: %s\n%s", world, c.difference, shrunk(c))
					}
				}
			}
		})
	}
	workers.Wait()
	if disagreements := disagreements.Load(); disagreements > 0 {
		t.Errorf("%d disagreements in %d decisions", disagreements, decisions)
	}
}

// question is one case on its own: what disagrees is told and shrunk in this form.
type question struct {
	Policies   json.RawMessage `json:"policies"`
	Request    literal.Request `json:"request"`
	difference string
}

// compareWorld asks all questions of one world and returns those on which the answers differ.
func compareWorld(seed uint64) (found []question, err error) {
	r := rand.New(rand.NewPCG(seed, 1))
	text := literal.RandomPolicies(r)
	w, err := readWorld(text)
	if err != nil {
		return nil, err
	}
	var q policy.Request
	for n := range perWorld {
		asked := literal.RandomRequest(r)
		translate(&asked, &q)
		difference := w.compare(&asked, &q)
		if difference == "" && n%10 == 0 { // the other ways to ask go through the same code: a tenth is enough
			difference = w.compareWays(&q)
		}
		if difference != "" {
			found = append(found, question{text, asked, difference})
		}
	}
	return found, nil
}

// world is the policies of a case as each evaluator holds them.
type world struct {
	compiled *policy.Policies
	literal  *literal.Policies
}

func readWorld(text []byte) (w world, err error) {
	if w.literal, err = literal.ReadPolicies(text); err != nil {
		return w, fmt.Errorf("%w in %s", err, text)
	}
	w.compiled, err = compiledPolicies(text)
	return w, err
}

type namedText struct {
	Name     string
	Document json.RawMessage
}

func compiledPolicies(text []byte) (*policy.Policies, error) {
	var given struct {
		Identity, Resource              []namedText
		Boundary, Session, Endpoint     *[]namedText
		ServiceControl, ResourceControl *[][]namedText
		RequiresResource                bool
	}
	if err := json.Unmarshal(text, &given); err != nil {
		return nil, err
	}
	var failed error
	list := func(in []namedText) (out []policy.Named) {
		for _, n := range in {
			d, err := policy.Parse(n.Document)
			if err != nil {
				failed = fmt.Errorf("%w in %s", err, n.Document)
				continue
			}
			out = append(out, policy.Named{Name: n.Name, Policy: policy.Compile(d)})
		}
		return out
	}
	one := func(in *[]namedText) policy.Restriction {
		if in == nil {
			return policy.None
		}
		return policy.Restrict(list(*in))
	}
	levels := func(in *[][]namedText) policy.Restriction {
		if in == nil {
			return policy.None
		}
		var all [][]policy.Named
		for _, level := range *in {
			all = append(all, list(level))
		}
		return policy.Restrict(all...)
	}
	return &policy.Policies{Identity: list(given.Identity), Resource: list(given.Resource), Boundary: one(given.Boundary),
		Session: one(given.Session), Endpoint: one(given.Endpoint), ServiceControl: levels(given.ServiceControl),
		ResourceControl: levels(given.ResourceControl), RequiresResource: given.RequiresResource}, failed
}

// translate puts a question of the literal evaluator into q, whose memory is used again.
func translate(asked *literal.Request, q *policy.Request) {
	who := &asked.Principal
	q.Principal = policy.Principal{Kind: kindOf(who), ARN: who.ARN, Account: who.Account, UniqueID: who.ID, RoleARN: who.RoleARN,
		Names: who.Names, ServiceLinked: who.ServiceLinked}
	q.Action, q.Resource, q.ResourceAccount = asked.Action, asked.Resource, asked.ResourceAccount
	q.Context.Reset(nil)
	for _, key := range asked.Context {
		if len(key.Values) == 1 {
			q.Context.SetOne(key.Name, key.Values[0])
		} else {
			q.Context.Set(key.Name, key.Values...)
		}
	}
}

func kindOf(who *literal.Principal) policy.PrincipalKind {
	switch who.Kind {
	case "AWS":
		switch {
		case who.RoleARN != "":
			return policy.RoleSession
		case strings.Contains(who.ARN, ":federated-user/"):
			return policy.FederatedUser
		}
		return policy.User
	case "RootUser":
		return policy.RootUser
	case "Service":
		return policy.Service
	case "Federated":
		return policy.Federated
	}
	return policy.Anonymous
}

// compare says how the two answers differ, "" where they do not.
func (w *world) compare(asked *literal.Request, q *policy.Request) string {
	d := policy.Evaluate(w.compiled, q)
	if want, by := w.literal.Decide(asked); d.Kind.String() != want {
		return fmt.Sprintf("compiled %s by %s, literal %s by %s", d.Kind, d.By, want, by)
	}
	return ""
}

// compareWays asks the same question in the other ways that there are: explained, for many resources at once, and with
// the context in two layers, as a cached principal's keys lie under a request's.
func (w *world) compareWays(q *policy.Request) (difference string) {
	d := policy.Evaluate(w.compiled, q)
	explained, considered := policy.Explain(w.compiled, q)
	if explained != d {
		return fmt.Sprintf("evaluated %s by %s, explained %s by %s", d.Kind, d.By, explained.Kind, explained.By)
	}
	if told := denialTold(considered); told != (d.Kind == policy.ExplicitDeny) {
		return fmt.Sprintf("%s by %s, but the explanation tells of a denial: %v", d.Kind, d.By, told)
	}
	layered := *q
	layered.Context = policy.Context{}
	layered.Context.Reset(&q.Context)
	layered.Context.SetOne("x:layer", "above")
	if l := policy.Evaluate(w.compiled, &layered); l != d {
		return fmt.Sprintf("in one layer %s by %s, in two %s by %s", d.Kind, d.By, l.Kind, l.By)
	}
	w.compiled.EvaluateEach(q, literal.Resources, func(i int, each *policy.Decision) bool {
		alone := *q
		alone.Resource = literal.Resources[i]
		if one := policy.Evaluate(w.compiled, &alone); one != *each {
			difference = fmt.Sprintf("%s: alone %s by %s, among others %s by %s", alone.Resource, one.Kind, one.By, each.Kind, each.By)
		}
		return difference == ""
	})
	return difference
}

func denialTold(considered []policy.Match) bool {
	for _, m := range considered {
		if m.Deny && m.Holds {
			return true
		}
	}
	return false
}

// shrunk is the smallest case that still differs in the same way.
func shrunk(c question) []byte {
	text, err := json.Marshal(c)
	if err != nil {
		return []byte(err.Error())
	}
	return literal.Shrink(text, func(candidate []byte) bool { return differs(candidate) == c.difference })
}

func differs(text []byte) string {
	var c question
	if json.Unmarshal(text, &c) != nil || len(c.Policies) == 0 {
		return ""
	}
	w, err := readWorld(c.Policies)
	if err != nil {
		return ""
	}
	var q policy.Request
	translate(&c.Request, &q)
	if difference := w.compare(&c.Request, &q); difference != "" {
		return difference
	}
	return w.compareWays(&q)
}
