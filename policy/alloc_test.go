//go:build !race

// The race detector drops what sync.Pool holds at random, so that allocations
// can only be counted without it. The test command runs these on their own.

package policy

import (
	"fmt"
	"testing"
)

func TestEvaluatingAllocatesNothing(t *testing.T) {
	p := open()
	p.Identity = named(t, `"Effect":"Allow","Action":["storage:Get*","storage:List*"],"Resource":"arn:aws:storage:::photos/*","Condition":{"StringLike":{"k:s":"v*"},"IpAddress":{"k:ip":"10.0.0.0/8"},"Bool":{"k:b":"true"}}`)
	r := conditioned()
	r.Action = "storage:getobject"
	if n := testing.AllocsPerRun(100, func() { Evaluate(&p, r) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestDecidingManyResourcesAllocatesNothingForEach(t *testing.T) {
	p := open()
	p.Identity = named(t, `"Effect":"Allow","Action":"storage:Get*","Resource":"arn:aws:storage:::photos/*","Condition":{"IpAddress":{"k:ip":"10.0.0.0/8"}}`)
	r := conditioned()
	resources := make([]string, 1000)
	for i := range resources {
		resources[i] = fmt.Sprint("arn:aws:storage:::photos/", i)
	}
	allowed := 0
	n := testing.AllocsPerRun(20, func() {
		p.EvaluateEach(r, resources, func(_ int, d *Decision) bool {
			if d.Kind == Allowed {
				allowed++
			}
			return true
		})
	})
	if n > 4 || allowed == 0 {
		t.Errorf("%v allocations for %d resources, %d allowed", n, len(resources), allowed)
	}
}
