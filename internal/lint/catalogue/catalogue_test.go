package catalogue

import (
	"strings"
	"testing"
)

func TestEveryServiceIsReadWholly(t *testing.T) {
	services, actions := 0, 0
	Prefixes(func(prefix string) {
		s := Find(strings.ToUpper(prefix))
		if s == nil || s.Prefix != prefix || strings.ToLower(prefix) != prefix {
			t.Errorf("%s is not found", prefix)
			return
		}
		services++
		actions += len(s.Actions)
		for name, a := range s.Actions {
			for _, kind := range a.Types {
				if kind == nil || !strings.HasPrefix(kind.ARN, "arn:") {
					t.Errorf("%s:%s works on a type that is not there", prefix, name)
				}
			}
			for _, key := range a.Keys {
				if _, ok := s.Key(key); !ok {
					t.Errorf("%s:%s has %s, which is no key", prefix, name, key)
				}
			}
		}
	})
	if services < 400 || actions < 20000 {
		t.Errorf("%d services with %d actions", services, actions)
	}
	if Find("no-such-service") != nil {
		t.Error("a service that is none is found")
	}
}

func TestWhatStandsForAnyTextInAKeyIsOne(t *testing.T) {
	for _, c := range []struct {
		form, name string
		same       bool
	}{
		{"aws:ResourceTag/${TagKey}", "AWS:resourcetag/team/x", true},
		{"aws:ResourceTag/${TagKey}", "aws:ResourceTag/", false},
		{"aws:ResourceTag/${TagKey}", "aws:RequestTag/x", false},
		{"s3:ExistingObjectTag/<key>", "s3:ExistingObjectTag/a", true},
		{"a/${X}:b", "a/x:y:b", true},
		{"a/${X}:b", "a/:b", false},
		{"a/${X}:b", "a/x:c", false},
		{"s3:prefix", "s3:prefixes", false},
	} {
		if SameKey(c.form, c.name) != c.same {
			t.Errorf("%q and %q: %v", c.form, c.name, !c.same)
		}
	}
}

func TestAKeyHasTheTypeThatDecidesHowItIsCompared(t *testing.T) {
	for name, want := range map[string]string{"aws:tagkeys": "ArrayOfString", "aws:PrincipalArn": "ARN", "s3:prefix": "String", "saml:aud": "String",
		"secretsmanager:ResourceTag/owner": "String", "aws:nothing": "", "nothing:key": ""} {
		if kind, ok := Key(name); kind != want || ok != (want != "") {
			t.Errorf("%s is %q, want %q", name, kind, want)
		}
	}
}
