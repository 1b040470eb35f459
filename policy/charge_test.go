package policy

import (
	"strings"
	"testing"
)

// What a kind of work is charged is measured by the benchmarks' hostile requests. These are the charges as they stand:
// who changes one measures again.
func TestWhatEachKindOfWorkIsCharged(t *testing.T) {
	const value, long = "0123456789abcdef", "arn:aws:storage:us-east-1:111122223333:photos/0123456789abcdef-x"
	texts := `"a","b","c","d","e","f","g","h","i","j","k","l"`
	for _, c := range []struct {
		members string // of an Allow for everything
		value   string // of k:v
		charge  int
	}{
		{``, value, 24},
		{`"StringEquals":{"k:v":"x"}`, value, 56},
		{`"StringEquals":{"k:v":["x","y","z"]}`, value, 72},
		{`"StringEquals":{"k:v":[` + texts + `]}`, value, 62},
		{`"StringEquals":{"k:v":[` + texts + `,"${k:v}x"]}`, value, 98},
		{`"StringEqualsIgnoreCase":{"k:v":["x","0123456789ABCDEX"]}`, value, 80},
		{`"StringLike":{"k:v":["x","y*","?x","*f*z*","0*9*z*"]}`, value, 150},
		{`"StringLike":{"k:v":["*é?z*","é*","?é"]}`, "aéééébéeéé", 209},
		{`"StringLike":{"k:v":"*0?2*4?69*"}`, value, 103},
		{`"StringLike":{"k:v":"0*f"}`, value, 60},
		{`"StringLike":{"k:v":"?1*abcdeg*"}`, value, 89},
		{`"StringLike":{"k:v":"*1?3*e?"}`, value, 99},
		{`"StringLike":{"k:v":"*??z*"}`, "ééx", 74},
		{`"StringLike":{"k:v":"*zz?"}`, value, 79},
		{`"StringLike":{"k:v":"${k:v}x*"}`, value, 103},
		{`"ArnLike":{"k:v":["*","arn:aws:*:us-*:*:x"]}`, long, 60},
		{`"ArnLike":{"k:v":"arn:aws:storage:us-*-?:*2222*:x"}`, long, 127},
		{`"NumericEquals":{"k:v":[1,2,3]}`, "123456789.123456", 142},
		{`"DateEquals":{"k:v":["2020","2021"]}`, "2022-01-01T00:00:00Z", 289},
		{`"Bool":{"k:v":"false"}`, "true", 56},
		{`"Bool":{"k:v":["false","${k:v}x"]}`, "true", 81},
		{`"BinaryEquals":{"k:v":["` + strings.Repeat("YWJj", 16) + `","YQ=="]}`, "YWJj", 139},
		{`"IpAddress":{"k:v":["10.0.0.0/8","11.0.0.0/8"]}`, "12.0.0.1", 144},
		{`"Null":{"k:v":"true"}`, value, 48},
		{`"ForAllValues:StringEquals":{"k:v":"x"}`, value, 56},
		{`"ForAllValues:StringEquals":{"k:two":"x"}`, value, 50},
	} {
		if got := charged(t, `"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{`+c.members+`}`, c.value); got != c.charge {
			t.Errorf("%s of %s: %d", c.members, c.value, got)
		}
	}
	for members, charge := range map[string]int{
		`"Action":"storage:Get*","Resource":"*"`: 24,
		`"Action":"*","Resource":["arn:aws:storage:::docs/*","arn:aws:storage:::pho*x","arn:aws:*:::photos/${k:v}"]`: 119,
		`"Action":"*","Resource":"*","Principal":{"AWS":["111122224444","111122225555"]}`:                            56,
	} {
		if got := charged(t, `"Effect":"Deny",`+members, value); got != charge {
			t.Errorf("%s: %d", members, got)
		}
	}
}

// charged is what a decision takes from the budget.
func charged(t *testing.T, members, value string) int {
	p := open()
	p.Resource = named(t, members)
	r := ask()
	r.Context.SetOne("k:v", value)
	r.Context.Set("k:two", "", "")
	e, d := new(evaluation), Decision{}
	e.begin(r)
	e.decide(&p, &d)
	return budget - e.left
}
