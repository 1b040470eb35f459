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

func TestReadingAndCompilingADocumentAllocatesLittle(t *testing.T) {
	text := []byte(`{"Version":"2012-10-17","Statement":[
		{"Sid":"Read","Effect":"Allow","Action":["s3:GetObject","s3:ListBucket","s3:GetObject*"],"Resource":["arn:aws:s3:::data/*","arn:aws:s3:::*/home/${aws:username}/*"]},
		{"Sid":"Write","Effect":"Allow","Action":"s3:Put*","Resource":"arn:aws:s3:::*","Condition":{"IpAddress":{"aws:SourceIp":["10.0.0.0/16","10.1.0.0/16"]},"StringLike":{"aws:username":"u*"}}},
		{"Sid":"Tls","Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`)
	n := testing.AllocsPerRun(100, func() {
		d, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		Compile(d)
	})
	if n > 32 {
		t.Errorf("%v allocations", n)
	}
}
