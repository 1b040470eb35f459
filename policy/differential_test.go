package policy_test

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/policyline"
	"github.com/holdfast-iam/holdfast/policy/internal/literal"
)

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

// compiledDecision is the answer of the evaluator that runs, or the code of its error.
func compiledDecision(line []byte) string {
	var answer struct {
		Decision string
		Error    *struct{ Code, Message string }
	}
	if err := json.Unmarshal(policyline.Answer(line), &answer); err != nil {
		return err.Error()
	}
	if answer.Error != nil {
		return "error " + answer.Error.Code + ": " + answer.Error.Message
	}
	return answer.Decision
}

func literalDecision(line []byte) string {
	answer := literal.Decide(line)
	if answer.Err != nil {
		return "error: " + answer.Err.Error()
	}
	return answer.Decision
}

// The two evaluators were written by different hands from the same pages. HOLDFAST_POLICY_CASES says how many random
// cases to compare (200000 take half a minute), HOLDFAST_POLICY_SEED which ones.
func TestTheCompiledEvaluatorDecidesAsTheLiteralOne(t *testing.T) {
	cases := number(t, "HOLDFAST_POLICY_CASES", 0)
	if cases == 0 {
		t.Skip("HOLDFAST_POLICY_CASES=200000 compares the evaluators")
	}
	seed := number(t, "HOLDFAST_POLICY_SEED", 1)
	r := rand.New(rand.NewPCG(seed, 0))
	shown, disagreements := 0, 0
	for n := range cases {
		line := literal.Case(r)
		compiled, naive := compiledDecision(line), literalDecision(line)
		if compiled == naive {
			continue
		}
		disagreements++
		if shown == 3 {
			continue
		}
		shown++
		small := literal.Shrink(line, func(candidate []byte) bool {
			return compiledDecision(candidate) == compiled && literalDecision(candidate) == naive
		})
		t.Errorf("seed %d, case %d: compiled %s, literal %s\n%s", seed, n, compiled, naive, small)
	}
	if disagreements > 0 {
		t.Errorf("%d disagreements in %d cases", disagreements, cases)
	}
}
