//go:build !race

// The race detector drops what sync.Pool holds at random, so that allocations
// can only be counted without it. The test command runs these on their own.

package policy

import "testing"

func TestEvaluatingAllocatesNothing(t *testing.T) {
	p := open()
	p.Identity = named(t, `"Effect":"Allow","Action":["storage:Get*","storage:List*"],"Resource":"arn:aws:storage:::photos/*","Condition":{"StringLike":{"k:s":"v*"},"IpAddress":{"k:ip":"10.0.0.0/8"},"Bool":{"k:b":"true"}}`)
	r := conditioned()
	r.Action = "storage:getobject"
	if n := testing.AllocsPerRun(100, func() { Evaluate(&p, r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
