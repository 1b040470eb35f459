package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// ways are all ways in: what a credential can be used for. Each returns the
// code that it was refused with, "" when it got in.
var ways = map[string]func(e *endpoint, c credential) string{
	"a read":  func(e *endpoint, c credential) string { return e.iam(c, "ListUsers").code() },
	"a write": func(e *endpoint, c credential) string { return e.iam(c, "CreateGroup", "GroupName", "g").code() },
	"its name": func(e *endpoint, c credential) string {
		return e.sts(c, "GetCallerIdentity").code()
	},
	"a role": func(e *endpoint, c credential) string { return e.assume(c, "all", "way").code() },
	"a door": func(e *endpoint, c credential) string { return e.door(c, "/holdfast/v1/authorize", question).code() },
	"a door's batch": func(e *endpoint, c credential) string {
		return e.door(c, "/holdfast/v1/authorize", map[string]any{"questions": []any{question}}).code()
	},
	"AuthZEN":         func(e *endpoint, c credential) string { return e.door(c, "/access/v1/evaluation", evaluation).code() },
	"a shown request": shown,
}

var question = map[string]any{"principal": "arn:aws:iam::111122223333:user/admin", "action": "storage:Get", "resource": "arn:aws:storage:::a"}
var evaluation = map[string]any{"subject": map[string]string{"type": "principal", "id": "arn:aws:iam::111122223333:user/admin"},
	"action": map[string]string{"name": "storage:Get"}, "resource": map[string]string{"type": "arn", "id": "arn:aws:storage:::a"}}

// shown has the victim's signed request shown to the decision door by the
// administrator's service.
func shown(e *endpoint, c credential) string {
	e.t.Helper()
	r := e.door(e.asker(), "/holdfast/v1/authorize", map[string]any{"request": e.signedFor(c, "storage", "photos.example.com"), "action": "storage:Get", "resource": "arn:aws:storage:::a"})
	return r.code()
}

// TestWhatWasTakenAwayIsRefusedFromItsRevisionOn takes a credential away in
// each way there is, and tries every way in with it, on the next request.
func TestWhatWasTakenAwayIsRefusedFromItsRevisionOn(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	e.newRole(admin, "all", allowAll)
	d.serviceFor("admin")
	for i, c := range takings {
		t.Run(c.name, func(t *testing.T) {
			e := e.in(t)
			name := fmt.Sprintf("victim%d", i)
			victim := takeable{d: d, e: e, admin: admin, name: name}
			victim.key = e.newUser(admin, name, allowAll)
			d.serviceFor(name)
			used := victim.key
			if c.session {
				used = e.made(e.sts(victim.key, "GetSessionToken")).credential()
			}
			if c.role {
				e.newRole(admin, name, allowAll)
				d.serviceForRole(name)
				used = e.made(e.assume(victim.key, name, "victim", "SourceIdentity", name)).credential()
			}
			victim.used = used
			works := []string{}
			for way, in := range ways {
				if code := in(e, used); code == "" || code == "EntityAlreadyExists" {
					works = append(works, way)
				}
			}
			if len(works) < 2 {
				t.Fatalf("only %v let it in before", works)
			}
			c.take(&victim)
			for _, way := range works {
				if code := ways[way](e, used); code == "" || code == "EntityAlreadyExists" || strings.HasPrefix(code, "Internal") {
					t.Errorf("%s lets it in: %q", way, code)
				}
			}
		})
	}
}

// takeable is what a credential can be taken away from.
type takeable struct {
	d         *deploymentUnderTest
	e         *endpoint
	admin     credential
	name      string
	key, used credential
}

func (v *takeable) do(action string, params ...string) {
	v.e.t.Helper()
	v.e.made(v.e.iam(v.admin, action, append(params, "UserName", v.name)...))
}

// id is the unique id of the victim's user, or of its role.
func (v *takeable) id(action, element string) string {
	r := v.e.made(v.e.iam(v.admin, action, "UserName", v.name, "RoleName", v.name))
	return r.element(element)
}

func (v *takeable) deny(args ...string) {
	v.e.t.Helper()
	out, err := exec.Command(v.d.bin, append([]string{"--data", v.d.data, "deny"}, args...)...).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "on every node") {
		v.e.t.Fatalf("%v %s", err, out)
	}
}

var takings = []struct {
	name          string
	session, role bool
	take          func(*takeable)
}{
	{"a key deleted", false, false, func(v *takeable) { v.do("DeleteAccessKey", "AccessKeyId", v.key.id) }},
	{"a key deactivated", false, false, func(v *takeable) { v.do("UpdateAccessKey", "AccessKeyId", v.key.id, "Status", "Inactive") }},
	{"a key denied", false, false, func(v *takeable) { v.deny("key", v.key.id) }},
	{"a user denied", false, false, func(v *takeable) { v.deny("principal", v.id("GetUser", "UserId")) }},
	{"a user deleted", false, false, func(v *takeable) {
		v.do("DeleteUserPolicy", "PolicyName", "p")
		v.do("DeleteAccessKey", "AccessKeyId", v.key.id)
		v.do("DeleteUser")
	}},
	{"an account denied", false, false, func(v *takeable) {
		v.deny("account", "111122223333")
		v.e.t.Cleanup(func() { v.lift() })
	}},
	{"the parent key of a role's session deleted", false, true, func(v *takeable) { v.do("DeleteAccessKey", "AccessKeyId", v.key.id) }},
	{"the parent key of a role's session deactivated", false, true, func(v *takeable) {
		v.do("UpdateAccessKey", "AccessKeyId", v.key.id, "Status", "Inactive")
	}},
	{"a role's session denied by its key", false, true, func(v *takeable) { v.deny("key", v.used.id) }},
	{"a role denied", false, true, func(v *takeable) { v.deny("principal", v.id("GetRole", "RoleId")) }},
	{"a role's sessions before now denied", false, true, func(v *takeable) { v.deny("sessions-before", v.id("GetRole", "RoleId")) }},
	{"a source identity denied", false, true, func(v *takeable) { v.deny("source-identity", v.name, "--account", "111122223333") }},
	{"a role deleted", false, true, func(v *takeable) {
		v.e.made(v.e.iam(v.admin, "DeleteRolePolicy", "RoleName", v.name, "PolicyName", "p"))
		v.e.made(v.e.iam(v.admin, "DeleteRole", "RoleName", v.name))
	}},
	{"a role deleted and made again", false, true, func(v *takeable) {
		v.e.made(v.e.iam(v.admin, "DeleteRolePolicy", "RoleName", v.name, "PolicyName", "p"))
		v.e.made(v.e.iam(v.admin, "DeleteRole", "RoleName", v.name))
		v.e.newRole(v.admin, v.name, allowAll)
	}},
	{"the user of a session token denied", true, false, func(v *takeable) { v.deny("principal", v.id("GetUser", "UserId")) }},
	{"the key of a session token deleted", true, false, func(v *takeable) { v.do("DeleteAccessKey", "AccessKeyId", v.key.id) }},
}

// lift lifts the denial of the account: nothing else of the test would get in.
func (v *takeable) lift() {
	out, err := exec.Command(v.d.bin, "--data", v.d.data, "deny", "list", "--format", "json").Output()
	var list []record.Denial
	if err != nil || json.Unmarshal(out, &list) != nil {
		v.e.t.Fatalf("%v %s", err, out)
	}
	for _, x := range list {
		if x.Scope == record.DenyAccount {
			v.deny("lift", x.ID)
		}
	}
}

// TestAKeyDeletedWhileItWritesCommitsNothingAfterIt has a key write from many
// connections while it is deleted: no write of it has a later index.
func TestAKeyDeletedWhileItWritesCommitsNothingAfterIt(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	e.http.Transport = manyConnections(32)
	for round := range 5 {
		name := fmt.Sprintf("writer%d", round)
		key := e.newUser(admin, name, allowAll)
		var mu sync.Mutex
		var indexes []uint64
		var wg sync.WaitGroup
		begun := make(chan struct{}, 32)
		for w := range 32 {
			wg.Go(func() {
				for n := 0; ; n++ {
					r, err := e.try(key, "iam", "2010-05-08", "CreateGroup", url.Values{"GroupName": {fmt.Sprintf("g%d-%d-%d", round, w, n)}})
					if err != nil || r.status != 200 {
						return
					}
					mu.Lock()
					indexes = append(indexes, indexOf(t, r))
					mu.Unlock()
					if n == 1 {
						begun <- struct{}{}
					}
				}
			})
		}
		for range 8 {
			<-begun
		}
		deleted := indexOf(t, e.made(e.iam(admin, "DeleteAccessKey", "UserName", name, "AccessKeyId", key.id)))
		wg.Wait()
		slices.Sort(indexes)
		if last := indexes[len(indexes)-1]; last > deleted {
			t.Errorf("index %d was written with a key deleted at %d", last, deleted)
		}
		t.Logf("%d writes, the last at %d, the key deleted at %d", len(indexes), indexes[len(indexes)-1], deleted)
	}
}

func indexOf(t *testing.T, r *reply) uint64 {
	t.Helper()
	_, index, err := record.ParseRevision(r.header.Get("X-Holdfast-Revision"))
	if err != nil {
		t.Errorf("%q: %v", r.header.Get("X-Holdfast-Revision"), err)
	}
	return index
}
