package operator

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
)

const denyInRegion = `{"cluster":"c","deny":[{"scope":"key","target":"AKIAALICEALICE123456"},{"scope":"sessions-before","target":"` + userID + `"}],"reason":"leaked","region":"us-east-1","sequence":1}`

func text(t *testing.T, c *operatorpb.Command) []byte {
	t.Helper()
	b, err := proto.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhatARegionDeniesComesToTheSameDenialsWhereverItIsRead(t *testing.T) {
	w := newWorld(t, "development")
	c := w.signed(RegionDeny, denyInRegion)
	id, list, err := Regional(w.view, text(t, c), "c", "us-east-1")
	if err != nil || len(list) != 2 || !denialForm.MatchString(list[0].ID) || list[0].ID == list[1].ID {
		t.Fatalf("%v %+v", err, list)
	}
	if d := list[0]; d.Scope != record.DenyKey || d.Target != "AKIAALICEALICE123456" || d.Reason != "leaked" || d.By != "ann" || d.Created != record.At(begin) {
		t.Errorf("%+v", d)
	}
	if d := list[1]; d.Before != record.At(begin)+1 {
		t.Errorf("sessions before %v", d.Before)
	}
	again, same, err := ReadRegional(text(t, c))
	if err != nil || again != id || same[0].ID != list[0].ID || same[1].ID != list[1].ID {
		t.Errorf("%v: %s and %s", err, id, again)
	}
	if other, _, _ := ReadRegional(text(t, w.signed(RegionDeny, denyInRegion))); other == id {
		t.Error("two commands have one id")
	}
}

func TestWhatOperatorsHaveNotSignedForThisRegionIsNotItsDenial(t *testing.T) {
	w := newWorld(t, "development")
	good := func() *operatorpb.Command { return w.signed(RegionDeny, denyInRegion) }
	with := func(old, new string) *operatorpb.Command {
		return w.signed(RegionDeny, strings.Replace(denyInRegion, old, new, 1))
	}
	changed := good()
	changed.Arguments = []byte(strings.Replace(denyInRegion, "AKIAALICE", "AKIABOB12", 1))
	stranger := good()
	stranger.Operator = "eve"
	approved := good()
	approved.Approvals = []*operatorpb.Approval{{Operator: "eve", Signature: make([]byte, 64)}}
	for name, c := range map[string]*operatorpb.Command{
		"changed":                  changed,
		"in another's name":        stranger,
		"approved by nobody":       approved,
		"of another cluster":       with(`"c"`, `"d"`),
		"of another Region":        with("us-east-1", "eu-west-1"),
		"without a sequence":       with(`"sequence":1`, `"sequence":0`),
		"another command":          w.signed("deny.create", `{"scope":"key","target":"AKIAALICEALICE123456"}`),
		"a pattern":                with("AKIAALICEALICE123456", "AKIA*"),
		"of no scope":              with(`"key"`, `"everything"`),
		"with a time that is none": with(`"scope":"key"`, `"before":"2026-01-01T00:00:00Z","scope":"key"`),
		"of nothing":               w.signed(RegionDeny, `{"cluster":"c","deny":[],"region":"us-east-1","sequence":1}`),
	} {
		if _, list, err := Regional(w.view, text(t, c), "c", "us-east-1"); err == nil {
			t.Errorf("%s: %+v", name, list)
		}
	}
	if _, _, err := Regional(w.view, []byte("{"), "c", "us-east-1"); err == nil {
		t.Error("what is no command is taken")
	}
}

func TestInProductionARegionDeniesByTheWordOfTwo(t *testing.T) {
	w, bob := pair(t)
	c := w.signed(RegionDeny, denyInRegion)
	if _, _, err := Regional(w.view, text(t, c), "c", "us-east-1"); err == nil {
		t.Error("one operator is enough")
	}
	if err := Approve(c, bob); err != nil {
		t.Fatal(err)
	}
	if _, list, err := Regional(w.view, text(t, c), "c", "us-east-1"); err != nil || list[0].By != "ann+bob" {
		t.Errorf("%v %+v", err, list)
	}
}

func TestARegionNodeReadsAndDeniesInItsRegionAndDoesNothingElse(t *testing.T) {
	w := newWorld(t, "development")
	var denied []*record.Denial
	failure := error(nil)
	s := &RegionServer{Server: &Server{View: w.Server.View, Now: w.Server.Now, Authorizer: w.Server.Authorizer},
		State: func() RegionState { return RegionState{Cluster: "c", Region: "us-east-1", Sequence: 1} },
		Deny: func(_ context.Context, _ string, _ []byte, list []*record.Denial) ([]string, error) {
			denied = list
			return []string{"us-east-1b"}, failure
		}}
	run := func(name, arguments string) (*operatorpb.Result, codes.Code) {
		r, err := s.Execute(context.Background(), w.signed(name, arguments))
		return r, status.Code(err)
	}
	r, code := run(RegionDeny, denyInRegion)
	var out []*record.Denial
	if code != codes.OK || len(denied) != 2 || len(r.Missing) != 1 || r.Revision != "" || json.Unmarshal(r.Body, &out) != nil || out[0].ID != denied[0].ID {
		t.Fatalf("%v %v", code, r)
	}
	failure = errors.New("on one node alone")
	if _, code := run(RegionDeny, denyInRegion); code != codes.Internal {
		t.Errorf("what is not acknowledged: %v", code)
	}
	for name, want := range map[string]codes.Code{"deny.list": codes.OK, "node.list": codes.OK, "region.list": codes.OK,
		"account.create": codes.FailedPrecondition, "node.fence": codes.FailedPrecondition, "nothing": codes.FailedPrecondition} {
		if _, code := run(name, "{}"); code != want {
			t.Errorf("%s: %v, want %v", name, code, want)
		}
	}
	for name, arguments := range map[string]string{"deny.create": `{"scope":"key","target":"AKIAALICEALICE123456"}`, "deny.lift": `{"id":"0123456789abcdef"}`} {
		if _, code := run(name, arguments); code != codes.FailedPrecondition {
			t.Errorf("%s: %v", name, code)
		}
	}
	unsigned := w.signed(RegionDeny, denyInRegion)
	unsigned.Signature = nil
	if _, err := s.Execute(context.Background(), unsigned); status.Code(err) != codes.PermissionDenied {
		t.Errorf("unsigned: %v", err)
	}
	late := w.signed(RegionDeny, denyInRegion)
	w.now = w.now.Add(2 * maxSkew)
	if _, err := s.Execute(context.Background(), late); status.Code(err) != codes.PermissionDenied {
		t.Errorf("late: %v", err)
	}
}

func TestContainmentNamesThePrincipalItsKeysAndSessionsAndWhatItCouldLeave(t *testing.T) {
	w := newWorld(t, "development")
	day := begin.Add(-24 * 3600e9)
	all := []record.Inline{{Name: "p", Document: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}}
	trusts := func(who string) string {
		return `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + who + `"},"Action":"sts:AssumeRole"}}`
	}
	put(w, record.Users, &record.User{Account: account, ID: "AIDAVICTIMVICTIM1234", Name: "victim", Path: "/", Inline: all, Created: record.At(day),
		Keys:               []record.AccessKey{{ID: "AKIAVICTIMVICTIM1234", Active: true}, {ID: "AKIAVICTIMVICTIM5678"}},
		ServiceCredentials: []record.ServiceCredential{{ID: "ACCAVICTIMVICTIM1234"}}})
	put(w, record.Users, &record.User{Account: account, ID: "AIDAMADEMADEMADE1234", Name: "made", Path: "/", Created: record.At(begin),
		Keys: []record.AccessKey{{ID: "AKIAMADEMADEMADE1234", Created: record.At(begin)}, {ID: "AKIAOLDOLDOLDOLD1234", Created: record.At(day) - 60}}})
	put(w, record.Users, &record.User{Account: empty, ID: "AIDAELSEELSEELSE1234", Name: "elsewhere", Path: "/", Created: record.At(begin)})
	put(w, record.Roles, &record.Role{Account: account, ID: roleID, Name: "open", Path: "/", Trust: trusts(account), Created: record.At(day) - 60})
	put(w, record.Roles, &record.Role{Account: account, ID: "AROACLOSEDCLOSED1234", Name: "closed", Path: "/", Trust: trusts("arn:aws:iam::" + account + ":user/alice"), Created: record.At(day) - 60})
	since := `"since":"` + day.UTC().Format("2006-01-02T15:04:05Z") + `"`

	c := good[Containment](w, "contain.plan", `{"principal":"arn:aws:iam::`+account+`:user/victim",`+since+`}`)
	var denied []string
	for _, d := range c.Deny {
		denied = append(denied, d.Scope+" "+d.Target)
	}
	if got, want := strings.Join(denied, ", "), "principal AIDAVICTIMVICTIM1234, key ACCAVICTIMVICTIM1234, key AKIAVICTIMVICTIM1234, key AKIAVICTIMVICTIM5678, sessions-before AIDAVICTIMVICTIM1234"; got != want {
		t.Errorf("denied\n%s, want\n%s", got, want)
	}
	if len(c.Assumes) != 1 || !strings.HasSuffix(c.Assumes[0], "role/open") {
		t.Errorf("assumes %v", c.Assumes)
	}
	var made []string
	for _, x := range c.Made {
		made = append(made, x.What+" "+x.Name)
	}
	if strings.Join(made, ", ") != "user made, access key made" {
		t.Errorf("made %v", made)
	}

	nobody := good[Containment](w, "contain.plan", `{"principal":"arn:aws:iam::`+account+`:user/alice",`+since+`}`)
	if len(nobody.Made) != 0 {
		t.Errorf("who may make nothing has made %v", nobody.Made)
	}
	role := good[Containment](w, "contain.plan", `{"principal":"arn:aws:iam::`+account+`:role/open",`+since+`}`)
	if len(role.Deny) != 2 || role.Deny[0].Target != roleID {
		t.Errorf("a role: %v", role.Deny)
	}
	root := good[Containment](w, "contain.plan", `{"principal":"arn:aws:iam::`+account+`:root",`+since+`}`)
	if len(root.Deny) != 2 || root.Deny[0].Scope != record.DenyKey || root.Deny[1].Target != account {
		t.Errorf("a root: %v", root.Deny)
	}
	w.refused("nobody", w.signed("contain.plan", `{"principal":"arn:aws:iam::`+account+`:user/absent",`+since+`}`), codes.FailedPrecondition, "no principal")
	made64 := good[[]*record.Denial](w, "deny.together", `{"deny":[{"scope":"key","target":"AKIAVICTIMVICTIM1234"},{"scope":"principal","target":"AIDAVICTIMVICTIM1234"}],"reason":"x"}`)
	if len(made64) != 2 || made64[0].Reason != "x" {
		t.Errorf("%v", made64)
	}
	w.refused("one of them is none", w.signed("deny.together", `{"deny":[{"scope":"key","target":"AKIAVICTIMVICTIM5678"},{"scope":"key","target":"*"}]}`), codes.FailedPrecondition, "never a pattern")
	if n := len(good[[]*record.Denial](w, "deny.list", "{}")); n != 2 {
		t.Errorf("%d denials: all of a command or none", n)
	}
}
