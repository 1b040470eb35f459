package main

import (
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

func allowing(action, condition string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":%q,"Resource":"*","Condition":%s}}`, action, condition)
}

func trusting(principal string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":%q},"Action":"sts:AssumeRole"}}`, principal)
}

// TestWhoIsMadeAnewUnderAnOldNameInheritsNoTrust: a trust policy means the user
// that it named, not the name (lesson L25).
func TestWhoIsMadeAnewUnderAnOldNameInheritsNoTrust(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	const bob = "arn:aws:iam::111122223333:user/bob"
	first := e.newUser(admin, "bob", allowAll)
	e.made(e.iam(admin, "CreateRole", "RoleName", "vault", "AssumeRolePolicyDocument", trusting(bob)))
	e.made(e.assume(first, "vault", "session"))
	shown := func() string {
		text, err := url.QueryUnescape(e.made(e.iam(admin, "GetRole", "RoleName", "vault")).element("AssumeRolePolicyDocument"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if got := shown(); got != trusting(bob) {
		t.Errorf("the trust policy is shown as %s", got)
	}
	e.made(e.iam(admin, "UpdateUser", "UserName", "bob", "NewUserName", "robert", "NewPath", "/staff/"))
	e.made(e.assume(first, "vault", "renamed"))
	if got := shown(); got != trusting("arn:aws:iam::111122223333:user/staff/robert") {
		t.Errorf("of a renamed user: %s", got)
	}
	second := e.newUser(admin, "bob", allowAll)
	if r := e.assume(second, "vault", "session"); r.code() != "AccessDenied" {
		t.Errorf("the new bob has the old one's trust: %d %s", r.status, r.body)
	}
	id := e.iam(admin, "GetUser", "UserName", "robert").element("UserId")
	e.made(e.iam(admin, "DeleteAccessKey", "UserName", "robert", "AccessKeyId", first.id))
	e.made(e.iam(admin, "DeleteUserPolicy", "UserName", "robert", "PolicyName", "p"))
	e.made(e.iam(admin, "DeleteUser", "UserName", "robert"))
	if got := shown(); got != trusting(id) {
		t.Errorf("of a deleted user: %s", got)
	}
	if r := e.iam(admin, "UpdateAssumeRolePolicy", "RoleName", "vault", "PolicyDocument", trusting(id)); r.code() != "MalformedPolicyDocument" {
		t.Errorf("an id that nobody has: %d %s", r.status, r.body)
	}
	e.made(e.iam(admin, "UpdateAssumeRolePolicy", "RoleName", "vault", "PolicyDocument", trusting(bob)))
	e.made(e.assume(second, "vault", "session"))
}

// TestConditionsSeeTheBoundaryOfWhoIsTouched is the delegation of the IAM User
// Guide, "Permissions boundaries": who may write policies only for those who
// have the boundary.
func TestConditionsSeeTheBoundaryOfWhoIsTouched(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	const bound = "arn:aws:iam::aws:policy/ReadOnlyAccess"
	e.newUser(admin, "free", "")
	e.made(e.iam(admin, "CreateUser", "UserName", "bounded", "PermissionsBoundary", bound))
	e.made(e.iam(admin, "CreateRole", "RoleName", "bounded", "PermissionsBoundary", bound, "AssumeRolePolicyDocument", trusting("111122223333")))
	e.newRole(admin, "free", "")
	delegate := e.newUser(admin, "delegate", allowing("iam:*", `{"ArnEquals":{"iam:PermissionsBoundary":"`+bound+`"}}`))
	for _, c := range [][]string{
		{"PutUserPolicy", "UserName", "PolicyName", "x", "PolicyDocument", allowAll},
		{"AttachUserPolicy", "UserName", "PolicyArn", bound},
		{"DetachUserPolicy", "UserName", "PolicyArn", bound},
		{"DeleteUserPolicy", "UserName", "PolicyName", "x"},
		{"PutRolePolicy", "RoleName", "PolicyName", "x", "PolicyDocument", allowAll},
		{"UpdateAssumeRolePolicy", "RoleName", "PolicyDocument", trusting("111122223333")},
		{"UpdateRole", "RoleName", "MaxSessionDuration", "3600"},
		{"DeleteRolePolicy", "RoleName", "PolicyName", "x"},
		{"DeleteRole", "RoleName"},
	} {
		if r := e.iam(delegate, c[0], append([]string{c[1], "free"}, c[2:]...)...); r.code() != "AccessDenied" {
			t.Errorf("%s on one without the boundary: %d %s", c[0], r.status, r.body)
		}
		if r := e.iam(delegate, c[0], append([]string{c[1], "bounded"}, c[2:]...)...); r.status != 200 {
			t.Errorf("%s on one with the boundary: %d %s", c[0], r.status, r.body)
		}
	}
}

// TestTagsAtCreationTakeTheRightToTag: else whoever may create could give any
// tag that policies ask for.
func TestTagsAtCreationTakeTheRightToTag(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	creator := e.newUser(admin, "creator", allowing("iam:Create*", "{}"))
	for tagging, c := range map[string][]string{
		"iam:TagUser":            {"CreateUser", "UserName", "u"},
		"iam:TagRole":            {"CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", trusting("111122223333")},
		"iam:TagPolicy":          {"CreatePolicy", "PolicyName", "p", "PolicyDocument", allowAll},
		"iam:TagInstanceProfile": {"CreateInstanceProfile", "InstanceProfileName", "i"},
	} {
		with := append(c[1:len(c):len(c)], "Tags.member.1.Key", "team", "Tags.member.1.Value", "root")
		if r := e.iam(creator, c[0], with...); r.code() != "AccessDenied" || !strings.Contains(string(r.body), tagging) {
			t.Errorf("%s with tags: %d %s", c[0], r.status, r.body)
		}
		if r := e.iam(creator, c[0], c[1:]...); r.status != 200 {
			t.Errorf("%s without: %d %s", c[0], r.status, r.body)
		}
	}
	untagger := e.newUser(admin, "untagger", allowing("iam:UntagUser", `{"ForAllValues:StringEquals":{"aws:TagKeys":["mine"]},"Null":{"aws:TagKeys":"false"}}`))
	if r := e.iam(untagger, "UntagUser", "UserName", "u", "TagKeys.member.1", "team"); r.code() != "AccessDenied" {
		t.Errorf("another's tag taken away: %d %s", r.status, r.body)
	}
	e.made(e.iam(untagger, "UntagUser", "UserName", "u", "TagKeys.member.1", "mine"))
}

// TestADeniedPrincipalIsDeniedInEverySessionThatItsKeyBegan, however long the
// chain of roles.
func TestADeniedPrincipalIsDeniedInEverySessionThatItsKeyBegan(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	bob := e.newUser(admin, "bob", allowAll)
	e.newRole(admin, "one", allowAll)
	e.newRole(admin, "two", allowAll)
	one := e.made(e.assume(bob, "one", "first")).credential()
	two := e.made(e.assume(one, "two", "second")).credential()
	e.made(e.sts(two, "GetCallerIdentity"))
	id := e.iam(admin, "GetUser", "UserName", "bob").element("UserId")
	if out, err := exec.Command(d.bin, "--data", d.data, "deny", "principal", id, "--reason", "test").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	for name, c := range map[string]credential{"the user": bob, "a role's session": one, "a session behind it": two} {
		if r := e.sts(c, "GetCallerIdentity"); r.code() != "AccessDenied" {
			t.Errorf("%s of a denied user: %d %s", name, r.status, r.body)
		}
	}
}
