package authz

import (
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

func attached(document string) []record.Inline {
	return []record.Inline{{Name: "p", Document: document}}
}

// places is an organization: home and abroad in units of it.
type places map[string]*Place

func (p places) find(_ record.Reader, account string) *Place { return p[account] }

// level allows everything but what the two documents do.
func level(scp, rcp string) Level {
	return Level{ServiceControl: attached(scp), ResourceControl: attached(rcp)}
}

func free() Level { return level(allowIt, allowIt) }

func member(levels ...Level) *Place {
	return &Place{Organization: "o-home", Path: "o-home/r-1/ou-1/", Levels: levels}
}

const allowStorage = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"storage:*","Resource":"*"}}`

func TestAnOrganizationsLevelsLimitItsAccounts(t *testing.T) {
	drop := level(denyIt, allowIt)
	drop.ServiceControl = append(drop.ServiceControl, record.Inline{Name: "all", Document: allowIt})
	guarded := level(allowIt, denyIt)
	guarded.ResourceControl = append(guarded.ResourceControl, record.Inline{Name: "all", Document: allowIt})
	for _, c := range []struct {
		name   string
		in     places
		caller string
		action string
		want   policy.Kind
		by     policy.Type
	}{
		{"no organization", nil, "user", "storage:Drop", policy.Allowed, policy.Identity},
		{"an account outside it", places{}, "user", "storage:Drop", policy.Allowed, policy.Identity},
		{"all levels allow", places{home: member(free(), free(), free())}, "user", "storage:Drop", policy.Allowed, policy.Identity},
		{"the root denies", places{home: member(drop, free(), free())}, "user", "storage:Drop", policy.ExplicitDeny, policy.ServiceControl},
		{"the account denies", places{home: member(free(), free(), drop)}, "role", "storage:Drop", policy.ExplicitDeny, policy.ServiceControl},
		{"it denies something else", places{home: member(free(), free(), drop)}, "role", "storage:Get", policy.Allowed, policy.Identity},
		{"a unit allows something else", places{home: member(free(), level(allowStorage, allowIt), free())}, "user", "queue:Send", policy.ImplicitDeny, policy.ServiceControl},
		{"root users too", places{home: member(free(), drop)}, "root", "storage:Drop", policy.ExplicitDeny, policy.ServiceControl},
		{"federated users too", places{home: member(free(), drop)}, "federated", "storage:Drop", policy.ExplicitDeny, policy.ServiceControl},
		{"the resources' side denies", places{home: member(free(), guarded)}, "user", "storage:Drop", policy.ExplicitDeny, policy.ResourceControl},
		{"a level without a policy", places{home: member(free(), Level{})}, "user", "storage:Get", policy.ImplicitDeny, policy.ServiceControl},
		{"no level at all", places{home: member()}, "user", "storage:Get", policy.ImplicitDeny, policy.ServiceControl},
		{"a policy that cannot be read", places{home: member(free(), level(`{`, allowIt))}, "user", "storage:Get", policy.ExplicitDeny, policy.ServiceControl},
		{"a service-linked role", places{home: member(level(denyIt, denyIt))}, "service-linked", "storage:Drop", policy.Allowed, policy.Identity},
		{"the management account", places{home: {Organization: "o-home", Path: "o-home/r-1/", Management: true, Levels: []Level{level(denyIt, denyIt)}}}, "user", "storage:Drop", policy.Allowed, policy.Identity},
	} {
		z := &Authorizer{}
		if c.in != nil {
			z.Organization = c.in.find
		}
		all := callers()
		all["service-linked"] = all["role"]
		if c.caller == "service-linked" {
			all["role"].Form.Role.Service = "storage.amazonaws.com"
		}
		d := z.Decide(state(), &Question{Caller: all[c.caller], Action: c.action, Resource: "*", Now: noon})
		if d.Kind != c.want || d.By != c.by {
			t.Errorf("%s: %s by %s", c.name, d.Kind, d.By)
		}
	}
}

// TestEachAccountIsLimitedByItsOwnPlace: SCPs are those of the caller's
// account, RCPs those of the resource's.
func TestEachAccountIsLimitedByItsOwnPlace(t *testing.T) {
	grant := policy.Compile(parsed(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"*","Resource":"*"}}`))
	locked := level(denyIt, denyIt)
	for _, c := range []struct {
		name string
		in   places
		want policy.Type
	}{
		{"nobody limits", places{home: member(free()), abroad: member(free())}, policy.Resource},
		{"the caller's account", places{home: member(locked), abroad: member(free())}, policy.ServiceControl},
		{"the resource's", places{home: member(free()), abroad: member(locked)}, policy.ResourceControl},
		{"the resource's management account", places{abroad: {Management: true}}, policy.Resource},
	} {
		z := &Authorizer{Organization: c.in.find}
		q := &Question{Caller: callers()["user"], Action: "storage:Drop", Resource: "arn:aws:storage::" + abroad + ":x", Account: abroad, ResourcePolicy: grant, Now: noon}
		d := z.Decide(state(), q)
		if d.By != c.want || (d.Kind == policy.Allowed) != (c.want == policy.Resource) {
			t.Errorf("%s: %s by %s", c.name, d.Kind, d.By)
		}
		told := z.Sentence(state(), q, d)
		if c.want == policy.ResourceControl && told != "User: arn:aws:iam::"+home+":user/x/alice is not authorized to perform: storage:Drop on resource: arn:aws:storage::"+abroad+":x" {
			t.Errorf("%s: another account's reason is told: %s", c.name, told)
		}
	}
}

func TestAnOrganizationsKeysAreOfCallerAndOwner(t *testing.T) {
	in := places{home: {Organization: "o-home", Path: "o-home/r-1/ou-1/", Levels: []Level{free()}}, abroad: {Organization: "o-abroad", Path: "o-abroad/r-2/", Management: true}}
	q := &Question{Caller: callers()["role"], Action: "storage:Get", Resource: "*", Account: abroad, Now: noon}
	value := shown(t, &Authorizer{Organization: in.find}, q)
	for key, want := range map[string]string{"aws:PrincipalOrgID": "o-home", "aws:ResourceOrgID": "o-abroad", "aws:ResourceAccount": abroad, "aws:PrincipalOrgPaths": "o-home/r-1/ou-1/",
		"aws:ResourceOrgPaths": "o-abroad/r-2/", "aws:SourceOrgID": "", "aws:SourceOrgPaths": ""} {
		if got := value(key); got != want {
			t.Errorf("%s is %q", key, got)
		}
	}
	q.Account = ""
	if got := shown(t, &Authorizer{Organization: in.find}, q)("aws:ResourceOrgID"); got != "o-home" {
		t.Errorf("the own account's resource is in %q", got)
	}
}

func parsed(t *testing.T, text string) *policy.Document {
	t.Helper()
	d, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}
