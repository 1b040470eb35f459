package literal

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestRandomCasesAreReadableAndReachEveryDecisionAndDecider(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const worlds, requests = 2000, 10
	const cases = worlds * requests
	decisions, deciders := map[string]int{}, map[string]int{}
	for range worlds {
		text := RandomPolicies(r)
		pol, err := ReadPolicies(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		for range requests {
			q := RandomRequest(r)
			decision, by := pol.Decide(&q)
			decisions[decision]++
			deciders[decision+" by "+by]++
		}
	}
	for _, decision := range []string{"Allowed", "ImplicitDeny", "ExplicitDeny"} {
		if part := decisions[decision] * 100 / cases; part < 25 || part > 45 {
			t.Errorf("%s: %d%% of the cases, want about a third", decision, part)
		}
	}
	for _, decider := range []string{"Allowed by identity", "Allowed by resource", "Allowed by root",
		"ImplicitDeny by identity", "ImplicitDeny by resource", "ImplicitDeny by boundary", "ImplicitDeny by session",
		"ImplicitDeny by serviceControl", "ImplicitDeny by resourceControl", "ImplicitDeny by endpoint",
		"ExplicitDeny by identity", "ExplicitDeny by resource", "ExplicitDeny by boundary", "ExplicitDeny by session",
		"ExplicitDeny by serviceControl", "ExplicitDeny by resourceControl", "ExplicitDeny by endpoint"} {
		if deciders[decider] < 20 {
			t.Errorf("%s: %d cases, want more", decider, deciders[decider])
		}
	}
	t.Log(decisions, deciders)
}

func TestTheSameSeedGivesTheSameCases(t *testing.T) {
	one, two := rand.New(rand.NewPCG(7, 7)), rand.New(rand.NewPCG(7, 7))
	for range 100 {
		if a, b := Line(one), Line(two); !bytes.Equal(a, b) {
			t.Fatalf("%s\n%s", a, b)
		}
	}
}

func TestShrinkingKeepsTheDifferenceAndRemovesTheRest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	denied := func(line []byte) bool {
		got := Decide(line)
		return got.Err == nil && got.Decision == "ExplicitDeny" && got.DecidedBy == "identity"
	}
	for range 2000 {
		line := Line(r)
		if !denied(line) {
			continue
		}
		small := Shrink(line, denied)
		if !denied(small) {
			t.Fatalf("shrunk to another decision: %s", small)
		}
		if len(small) > 400 {
			t.Errorf("%d bytes are left: %s", len(small), small)
		}
	}
}
