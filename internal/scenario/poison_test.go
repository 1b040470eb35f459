package scenario

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// poisons are records that are hostile, or that nobody here can read.
var poisons = []scenario{
	{id: "F12", name: "policies are written to cost much", shape: one, bugs: bugs(failpoint.RecursiveMatch, failpoint.AnyDocument), do: poisoned},
	{id: "F11a", name: "records are written as a later release may write them", shape: two, bugs: bugs(failpoint.LeavesOut, failpoint.ReadsAll), long: true, own: true, do: ofLater},
	{id: "F11b", name: "the log goes on in a format that nobody here reads", shape: two, bugs: bugs(failpoint.AnyFormat), long: true, own: true, do: ofLaterFormat},
}

// costly are policies by what is hostile about them. What is refused is no policy,
// or too much of one.
var costly = []struct {
	what, text string
	refused    bool
}{
	{"6 KiB of stars", statement(`"Resource":"arn:aws:drill:::` + strings.Repeat("*", 6<<10) + `"`), false},
	{"three thousand stars and what is between them", statement(`"Resource":"arn:aws:drill:::` + strings.Repeat("a*", 3000) + `b"`), false},
	{"three thousand stars that each take a character", statement(`"Resource":"arn:aws:drill:::` + strings.Repeat("*?", 3000) + `b"`), false},
	{"a hundred conditions with thirty stars", statement(`"Resource":"*","Condition":{"StringLike":{` + strings.TrimSuffix(strings.Repeat(`"drill:%d":"`+strings.Repeat("*a", 30)+`",`, 100), ",") + `}}`), false},
	{"two hundred statements", `{"Version":"2012-10-17","Statement":[` + strings.TrimSuffix(strings.Repeat(`{"Effect":"Allow","Action":"a*:*","Resource":"*"},`, 200), ",") + `]}`, false},
	{"ten thousand lists, each in the one before", statement(`"Resource":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), true},
	{"a thousand objects, each in the one before", statement(`"Resource":"*","Condition":` + strings.Repeat(`{"a":`, 1000) + `1` + strings.Repeat("}", 1000)), true},
	{"lists that nobody closes", `{"Statement":` + strings.Repeat("[", 100_000), true},
	{"two effects", statement(`"Resource":"*","Effect":"Deny"`), true},
	{"a name that is written in another case again", statement(`"Resource":"*","effect":"Deny"`), true},
	{"a text that is not UTF-8", statement(`"Resource":"arn:aws:drill:::` + "\xff" + `"`), true},
	{"something behind it", statement(`"Resource":"*"`) + `{}`, true},
}

// statement is a policy that allows to read something.
func statement(rest string) string {
	n := 0
	rest = regexp.MustCompile(`%d`).ReplaceAllStringFunc(rest, func(string) string { n++; return fmt.Sprint(n) })
	return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"drill:Read",` + rest + `}}`
}

// poisoned has a role get each: it is refused, or decided on, in time, and nobody
// else is the slower for it.
func poisoned(s *run) {
	before := s.Pids(s.nodes()...)
	role := s.role("poison", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"drill:Write","Resource":"*"}}`)
	s.under(&drill.Load{}, func() {
		for _, c := range costly {
			a := s.call(s.admin, "iam", "PutRolePolicy", "RoleName", role, "PolicyName", "costly", "PolicyDocument", c.text)
			s.check(a.Status == 200 && !c.refused || a.Status/100 == 4 && c.refused, "a policy with %s: %s %.300s", c.what, a, a.Body)
			for _, resource := range []string{"arn:aws:drill:::a", "arn:aws:drill:::" + strings.Repeat("a", 1500) + "c"} {
				got := s.decided("", role, "drill:Read", resource)
				s.must(got == "Allowed" || got == "ImplicitDeny", "what is decided by a policy with %s: %.300s", c.what, got)
			}
			a = s.call(s.admin, "iam", "SimulateCustomPolicy", "PolicyInputList.member.1", c.text, "ActionNames.member.1", "drill:Read", "ResourceArns.member.1", "arn:aws:drill:::"+strings.Repeat("a", 1500)+"c")
			s.check(a.Status == 200 && !c.refused || a.Status/100 == 4 && c.refused, "a policy with %s, simulated: %s %.300s", c.what, a, a.Body)
			s.call(s.admin, "iam", "DeleteRolePolicy", "RoleName", role, "PolicyName", "costly") // there is none when it was refused
		}
		s.tag(s.Client(""), "f12")
	})
	s.unmade(role)
	s.check(fmt.Sprint(before) == fmt.Sprint(s.Pids(s.nodes()...)), "a process ended")
	s.converge(30 * time.Second)
}

// role makes a role with a policy.
func (s *run) role(name, policy string) string {
	name = s.cast.Name + "-" + name
	s.made(s.admin, "iam", "CreateRole", "RoleName", name, "Path", drill.Path, "AssumeRolePolicyDocument",
		fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}}`, s.cast.Account))
	s.made(s.admin, "iam", "PutRolePolicy", "RoleName", name, "PolicyName", "own", "PolicyDocument", policy)
	return name
}

// unmade takes a role away.
func (s *run) unmade(role string) {
	s.made(s.admin, "iam", "DeleteRolePolicy", "RoleName", role, "PolicyName", "own")
	s.made(s.admin, "iam", "DeleteRole", "RoleName", role)
}

// decided is what a Region decides about a role: how, or what was answered instead.
func (s *run) decided(region, role, action, resource string) string {
	body, _ := json.Marshal(map[string]any{"principal": "arn:aws:sts::" + s.cast.Account + ":assumed-role/" + role + "/drill", "action": action, "resource": resource})
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Second)
	defer cancel()
	a, err := s.Client(region).Send(ctx, s.cast.User, "holdfast", "POST", "/holdfast/v1/authorize", map[string]string{"Content-Type": "application/json"}, body)
	if err != nil {
		return err.Error()
	}
	var answer struct{ Decision string }
	if a.Status != 200 || json.Unmarshal(a.Body, &answer) != nil {
		return fmt.Sprint(a.Status, " ", string(a.Body))
	}
	return answer.Decision
}

// ofLater has the control plane write records of a version, with a field, of a
// kind, and policies with an operator and an element, that are not known here. Who
// does not rest on one goes on; who does is denied, whatever it said; and nodes
// start with them.
func ofLater(s *run) {
	allow := statement(`"Resource":"*"`)
	denies := func(resource string) string {
		return `{"Version":"2012-10-17","Statement":{"Sid":"one","Effect":"Deny","Action":"drill:Read","Resource":"arn:aws:drill:::` + resource + `","Condition":{"StringEquals":{"aws:username":"nobody"}}}}`
	}
	users := map[string]drill.Credential{}
	for _, name := range []string{"version", "field", "group"} {
		full := s.cast.Name + "-" + name
		s.made(s.admin, "iam", "CreateUser", "UserName", full, "Path", drill.Path)
		s.made(s.admin, "iam", "PutUserPolicy", "UserName", full, "PolicyName", "own", "PolicyDocument", `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"iam:GetUser","Resource":"*"}}`)
		users[name] = s.made(s.admin, "iam", "CreateAccessKey", "UserName", full).Credential()
	}
	group, arn := s.cast.Name+"-later", "arn:aws:iam::"+s.cast.Account+":policy"+drill.Path+s.cast.Name+"-later"
	s.made(s.admin, "iam", "CreateGroup", "GroupName", group)
	s.made(s.admin, "iam", "AddUserToGroup", "GroupName", group, "UserName", s.cast.Name+"-group")
	operator, element, managed := s.role("operator", allow), s.role("element", allow), s.role("managed", allow)
	only := s.role("only", statement(`"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"`+s.cast.Account+`"}}`))
	s.made(s.admin, "iam", "CreatePolicy", "PolicyName", s.cast.Name+"-later", "Path", drill.Path, "PolicyDocument", denies("x"))
	s.made(s.admin, "iam", "AttachRolePolicy", "RoleName", managed, "PolicyArn", arn)
	s.converge(30 * time.Second)
	asked := func(when string, later bool) {
		for _, region := range s.Regions() {
			for name, key := range users {
				want := map[bool]int{false: 200, true: 403}[later && name != "field"]
				a := s.callAt(s.Client(region), key, "iam", "GetUser", "UserName", s.cast.Name)
				s.check(a.Status == want, "%s the user of %s is answered %s in %s", when, name, a, region)
			}
			for _, role := range []string{operator, element, managed, only} {
				got := s.decided(region, role, "drill:Read", "arn:aws:drill:::thing")
				s.check((got == "Allowed") != later && (got == "Allowed" || strings.HasSuffix(got, "Deny")), "%s of the role %s %s decides %s", when, role, region, got)
			}
		}
	}
	asked("before,", false)

	s.on("control", "trouble "+string(failpoint.WritesLater))
	lost := s.lost()
	s.under(&drill.Load{}, func() {
		c := s.controlClient(0)
		for _, call := range [][]string{
			{"TagUser", "UserName", s.cast.Name + "-version", "Tags.member.1.Key", "later-version", "Tags.member.1.Value", "v"},
			{"TagUser", "UserName", s.cast.Name + "-field", "Tags.member.1.Key", "later-field", "Tags.member.1.Value", "v"},
			{"PutGroupPolicy", "GroupName", group, "PolicyName", "later-version", "PolicyDocument", allow},
			{"PutRolePolicy", "RoleName", operator, "PolicyName", "later-operator", "PolicyDocument", denies("thing")},
			{"PutRolePolicy", "RoleName", only, "PolicyName", "later-operator", "PolicyDocument", denies("x")},
			{"PutRolePolicy", "RoleName", element, "PolicyName", "later-element", "PolicyDocument", denies("x")},
			{"CreatePolicyVersion", "PolicyArn", arn, "PolicyDocument", denies("later-version"), "SetAsDefault", "true"},
		} {
			a := s.callAt(c, s.admin, "iam", call[0], call[1:]...)
			s.must(a.Status == 200, "%s: %s %s", call[0], a, a.Body)
		}
		s.converge(30 * time.Second)
		asked("then", true)
	})
	s.off("trouble ")
	s.check(s.lost() == lost, "a stream was lost over a record that cannot be read")
	s.kill(s.nodes()...)
	s.converge(patience)
	s.under(&drill.Load{}, func() { asked("after a start,", true) })
}

// ofLaterFormat has the log go on in a later format: nobody applies any of it, what
// they had is served on, and they say what is to be done.
func ofLaterFormat(s *run) {
	was := s.Look(s.ctx)
	s.on("control", "trouble "+string(failpoint.LaterFormat))
	s.under(&drill.Load{}, func() {
		s.tag(s.controlClient(0), "f11")
		for _, node := range s.RegionNodes("") {
			s.until(node+" asks to be upgraded", 20*time.Second, func() bool {
				n := s.Look(s.ctx)[node]
				return n != nil && strings.Contains(n.Why, "upgrade this node")
			})
		}
		s.pass(2 * time.Second)
	})
	for node, n := range s.Look(s.ctx) {
		s.check(node == "control" || n.Revision == was[node].Revision, "%s went from %s to %s", node, was[node].Revision, n.Revision)
	}
}
