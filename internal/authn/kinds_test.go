package authn_test

import (
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/authn"
)

// IAM User Guide, "Compare AWS STS credentials", and "Request temporary
// security credentials": what each kind of credential may call.
func TestWhatAKindOfCredentialMayCallAtAll(t *testing.T) {
	with := &authn.Session{MFA: time.Unix(1, 0)}
	without := &authn.Session{}
	ops := []struct{ service, op string }{{"iam", "CreateUser"}, {"iam", "GetUser"}, {"sts", "AssumeRole"}, {"sts", "GetSessionToken"},
		{"sts", "GetFederationToken"}, {"sts", "GetCallerIdentity"}, {"sts", "DecodeAuthorizationMessage"}, {"holdfast", "Authorize"}, {"s3", "GetObject"}}
	for _, x := range []struct {
		name string
		c    *authn.Caller
		may  string // y or n for each of ops
	}{
		{"root", &authn.Caller{Kind: authn.Root}, "yynyyyyyn"},
		{"a user", &authn.Caller{Kind: authn.User}, "yyyyyyyyn"},
		{"a role's session", &authn.Caller{Kind: authn.RoleSession, Session: without}, "yyynnyyyn"},
		{"a federated user", &authn.Caller{Kind: authn.Federated, Session: with}, "nnnnnynyn"},
		{"a user's session", &authn.Caller{Kind: authn.TokenSession, Session: without}, "nnynnynyn"},
		{"a user's session with MFA", &authn.Caller{Kind: authn.TokenSession, Session: with}, "yyynnynyn"},
		{"root's session", &authn.Caller{Kind: authn.RootSession, Session: without}, "nnnnnynyn"},
		{"root's session with MFA", &authn.Caller{Kind: authn.RootSession, Session: with}, "yynnnynyn"},
		{"nobody", &authn.Caller{}, "nnnnnnnnn"},
		{"no caller", nil, "nnnnnnnnn"},
		{"a kind that there is not", &authn.Caller{Kind: 99}, "nnnnnnnnn"},
	} {
		got := ""
		for _, o := range ops {
			if authn.Allowed(x.c, o.service, o.op) == nil {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != x.may {
			t.Errorf("%s: %s, want %s", x.name, got, x.may)
		}
	}
}

func TestARefusalOfAKindHasAWSsCode(t *testing.T) {
	for _, x := range []struct {
		kind        authn.Kind
		service, op string
		want        string
	}{
		{authn.Nobody, "iam", "GetUser", noToken},
		{authn.Root, "sts", "AssumeRole", denied},
		{authn.RoleSession, "sts", "GetSessionToken", denied},
		{authn.TokenSession, "iam", "GetUser", badToken},
		{authn.Federated, "iam", "GetUser", badToken},
	} {
		if got := code(t, authn.Allowed(&authn.Caller{Kind: x.kind}, x.service, x.op)); got != x.want {
			t.Errorf("%d %s:%s: %q, want %q", x.kind, x.service, x.op, got, x.want)
		}
	}
}
