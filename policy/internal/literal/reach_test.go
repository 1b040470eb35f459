package literal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Every operator, alone, with IfExists and under both set operators, holds and fails, and every typed one meets what it
// cannot read.
func TestRandomConditionsReachEveryOperatorInEveryForm(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	held := map[string]int{}
	for range 800000 {
		operator, key, values := randomOperator(r)
		q := RandomRequest(r)
		holds, understood := conditionHolds(condition{operator, key, values}, true, &q)
		held[fmt.Sprint(operator, " ", holds, " ", understood)]++
	}
	want := func(what ...any) {
		if name := fmt.Sprint(what...); held[name] == 0 {
			t.Errorf("%s: never", name)
		}
	}
	for family, operators := range operatorFamilies {
		for _, operator := range operators {
			for _, set := range []string{"", "ForAllValues:", "ForAnyValue:"} {
				for _, suffix := range []string{"", "IfExists"} {
					want(set+operator+suffix, " ", true, " ", true)
					want(set+operator+suffix, " ", false, " ", true)
					if family != "String" {
						want(set+operator+suffix, " ", false, " ", false)
					}
				}
			}
		}
	}
	want("Null ", true, " ", true)
	want("Null ", false, " ", true)
	for _, unknown := range []string{"Null", "NullIfExists", "ForAnyValue:Null", "Foo", "ForSome:StringEquals"} {
		want(unknown, " ", false, " ", false)
	}
}

// Every principal meets every decision, in its account and another's, and by every type of policy that can decide.
func TestRandomCasesReachEveryPrincipal(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	decided := map[string]int{}
	for range 3000 {
		pol, err := ReadPolicies(RandomPolicies(r))
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			q := RandomRequest(r)
			decision, _ := pol.Decide(&q)
			decided[fmt.Sprint(principalOf(&q), " ", q.ResourceAccount == other, " ", decision)]++
		}
	}
	for _, who := range []string{"user", "session", "role", "federated", "linked", "RootUser", "Anonymous", "Service", "Federated"} {
		for _, crossAccount := range []bool{false, true} {
			for _, decision := range []string{"Allowed", "ImplicitDeny", "ExplicitDeny"} {
				if name := fmt.Sprint(who, " ", crossAccount, " ", decision); decided[name] == 0 {
					t.Errorf("%s: never", name)
				}
			}
		}
	}
}

func principalOf(q *Request) string {
	switch who := &q.Principal; {
	case who.Kind != "AWS":
		return who.Kind
	case who.ServiceLinked:
		return "linked"
	case who.RoleARN == who.ARN:
		return "role"
	case who.RoleARN != "":
		return "session"
	case strings.Contains(who.ARN, "federated-user"):
		return "federated"
	}
	return "user"
}
