package policy

import "testing"

func TestADenialIsWordedAsAWSDoesForEveryTypeOfPolicy(t *testing.T) {
	allow, deny := named(t, `"Effect":"Allow","Action":"*","Resource":"*"`), named(t, `"Effect":"Deny","Action":"*","Resource":"*"`)
	const start = "User: " + bob + " is not authorized to perform: storage:GetObject on resource: " + thing
	for _, c := range []struct {
		name     string
		set      func(p *Policies, list []Named)
		explicit string
		implicit string
	}{
		{"identity", func(p *Policies, list []Named) { p.Identity = list },
			" with an explicit deny in an identity-based policy", " because no identity-based policy allows the storage:GetObject action"},
		{"resource", func(p *Policies, list []Named) { p.Resource, p.RequiresResource = list, true },
			" with an explicit deny in a resource-based policy", " because no resource-based policy allows the storage:GetObject action"},
		{"boundary", func(p *Policies, list []Named) { p.Boundary = Restrict(list) },
			" with an explicit deny in a permissions boundary", " because no permissions boundary allows the storage:GetObject action"},
		{"session", func(p *Policies, list []Named) { p.Session = Restrict(list) },
			" with an explicit deny in a session policy", " because no session policy allows the storage:GetObject action"},
		{"SCP", func(p *Policies, list []Named) { p.ServiceControl = Restrict(allow, list) },
			" with an explicit deny in a service control policy", " because no service control policy allows the storage:GetObject action"},
		{"RCP", func(p *Policies, list []Named) { p.ResourceControl = Restrict(list) },
			" with an explicit deny in a resource control policy", " because no resource control policy allows the storage:GetObject action"},
		{"endpoint", func(p *Policies, list []Named) { p.Endpoint = Restrict(list) },
			" with an explicit deny in a VPC endpoint policy", " because no VPC endpoint policy allows the storage:GetObject action"},
	} {
		said := func(list []Named) string {
			p := open()
			p.Identity = allow
			c.set(&p, list)
			d := Evaluate(&p, ask())
			return d.Sentence(bob, "storage:GetObject", thing)
		}
		denial := deny
		if c.name == "resource" {
			denial = named(t, `"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"`)
		}
		if got := said(denial); got != start+c.explicit {
			t.Errorf("%s: %q", c.name, got)
		}
		if got := said(nil); got != start+c.implicit {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	trust := Decision{Kind: ExplicitDeny, By: Trust}
	if got := trust.Sentence(bob, "sts:AssumeRole", "*"); got != "User: "+bob+" is not authorized to perform: sts:AssumeRole with an explicit deny in the role trust policy" {
		t.Error(got)
	}
	trust.Kind = ImplicitDeny
	if got := trust.Sentence(bob, "sts:AssumeRole", ""); got != "User: "+bob+" is not authorized to perform: sts:AssumeRole because no role trust policy allows the sts:AssumeRole action" {
		t.Error(got)
	}
}

func TestAnExplanationNamesTheFirstConditionThatFailsAndSaysWhetherItsKeyIsMissing(t *testing.T) {
	const is, isNot, gone, unclear = `"StringEquals":{"k:is":"v"}`, `"StringLike":{"K:is":"w"}`, `"Bool":{"k:gone":"true"}`, `"Foo":{"k:is":"v"}`
	for _, c := range []struct {
		effect, conditions string
		holds              bool
		failed             string
		missing            bool
	}{
		{"Allow", is, true, "", false},
		{"Allow", is + "," + isNot, false, "StringLike K:is", false},
		{"Allow", is + "," + gone, false, "Bool k:gone", true},
		{"Allow", gone + "," + isNot, false, "Bool k:gone", true},
		{"Allow", is + "," + unclear, false, "Foo k:is", false},
		{"Deny", isNot, false, "StringLike K:is", false},
		{"Deny", unclear + "," + is, true, "", false},
		{"Deny", unclear + "," + gone, false, "Bool k:gone", true},
	} {
		p := open()
		p.Identity = named(t, `"Sid":"s","Effect":"`+c.effect+`","Action":"*","Resource":"*","Condition":{`+c.conditions+`}`)
		r := ask()
		r.Context.SetOne("k:is", "v")
		_, considered := Explain(&p, r)
		want := Match{Type: Identity, Policy: "p", Sid: "s", Deny: c.effect == "Deny", Holds: c.holds, Failed: c.failed, MissingKey: c.missing}
		if len(considered) != 1 || considered[0] != want {
			t.Errorf("%s %s: %+v", c.effect, c.conditions, considered)
		}
	}
}
