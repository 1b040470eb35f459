package policy

import "testing"

func validAs(t *testing.T, as Type, members string) bool {
	t.Helper()
	d, err := Parse([]byte(statementPolicy(members)))
	if err != nil {
		t.Fatalf("%s: %v", members, err)
	}
	return d.Validate(as) == nil
}

func TestWhatIsValidToTheEdge(t *testing.T) {
	const all = `"Effect":"Allow","Action":"*","Resource":"*"`
	aws := func(principal string) string { return all + `,"Principal":{"AWS":"` + principal + `"}` }
	resource := func(r string) string { return `"Effect":"Allow","Action":"*","Resource":"` + r + `"` }
	condition := func(operator, key, value string) string {
		return all + `,"Condition":{"` + operator + `":{"` + key + `":"` + value + `"}}`
	}
	for _, c := range []struct {
		as      Type
		members string
		valid   bool
	}{
		{Identity, `"Effect":"Allow","NotAction":"iam:*","Resource":"*"`, true},
		{ResourceControl, `"Effect":"Deny","NotAction":"iam:*","Resource":"*","Principal":"*"`, false},
		{Trust, `"Effect":"Deny","Action":"sts:AssumeRole","NotPrincipal":{"AWS":"111122223333"}`, true},
		{Trust, `"Effect":"Allow","Action":"sts:AssumeRole","NotPrincipal":{"AWS":"111122223333"}`, false},
		{Resource, `"Effect":"Allow","Action":"*","Resource":"*","NotPrincipal":{"AWS":"111122223333"}`, true},
		{Resource, aws("111122223333"), true},
		{Resource, aws("11112222333a"), false},
		{Resource, aws("11112222333"), false},
		{Resource, aws("arn:aws:iam::1:x"), true},
		{Resource, aws("arn:aws:iam::1"), false},
		{Resource, aws("AIDAAIDAAIDAAIDA"), true},
		{Resource, aws("AIDAAIDAAIDAAID"), false},
		{Resource, aws("AIDAAIDAAIDAAID-"), false},
		{Identity, resource("${aws:username}"), true},
		{Identity, resource("*x"), true},
		{Identity, resource("x*"), false},
		{Identity, resource("arn:"), true},
		{Identity, condition("StringEquals", "k:v", ""), true},
		{Identity, condition("StringEquals", "k:", ""), false},
		{Identity, condition("StringEquals", ":v", ""), false},
		{Identity, condition("StringEquals", "k", ""), false},
		{Identity, condition("NumericEquals", "k:v", "${k:w}"), true},
		{Identity, condition("NumericEquals", "k:v", "w"), false},
		{Identity, condition("Bool", "k:v", "*"), false},
		{Identity, condition("Bool", "k:v", "True"), true},
		{Identity, condition("ArnLike", "k:v", "*"), true},
		{Identity, condition("ArnLike", "k:v", "arn:*:*:*:*"), false},
	} {
		if validAs(t, c.as, c.members) != c.valid {
			t.Errorf("%s %s: valid %v", c.as, c.members, !c.valid)
		}
	}
}

// A letter is tried as the first and as the last.
func TestWhichLettersASidAndAnActionMayHave(t *testing.T) {
	for c := byte(' '); c < 0x7f; c++ {
		if c == '"' || c == '\\' || c == ':' {
			continue
		}
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		inAction := letter || c == '-' || c == '_' || c == '*' || c == '?'
		for _, text := range []string{string(c) + "a", "a" + string(c)} {
			if validAs(t, Identity, `"Sid":"`+text+`","Effect":"Allow","Action":"*","Resource":"*"`) != letter {
				t.Errorf("Sid %s: valid %v", text, !letter)
			}
			for _, action := range []string{text + ":A", "a:" + text} {
				if validAs(t, Identity, `"Effect":"Allow","Action":"`+action+`","Resource":"*"`) != inAction {
					t.Errorf("%s: valid %v", action, !inAction)
				}
			}
		}
	}
}
