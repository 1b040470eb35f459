package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

func detailOps() []api.Op {
	return []api.Op{read("GetAccountAuthorizationDetails", anything[detailsIn], getAccountAuthorizationDetails)}
}

// EntityTypes filters GetAccountAuthorizationDetails.
type EntityTypes []EntityType

type detailsIn struct {
	Filter EntityTypes
	page
}

type policyDetail struct {
	PolicyName     string
	PolicyDocument wire.Document
}

type userDetail struct {
	Path                    string
	UserName                string
	UserId                  string
	Arn                     string
	CreateDate              time.Time
	UserPolicyList          []policyDetail
	GroupList               []string
	AttachedManagedPolicies []attachedPolicy
	PermissionsBoundary     *Boundary
	Tags                    []Tag
}

type groupDetail struct {
	Path                    string
	GroupName               string
	GroupId                 string
	Arn                     string
	CreateDate              time.Time
	GroupPolicyList         []policyDetail
	AttachedManagedPolicies []attachedPolicy
}

type roleDetail struct {
	Path                     string
	RoleName                 string
	RoleId                   string
	Arn                      string
	CreateDate               time.Time
	AssumeRolePolicyDocument wire.Document
	InstanceProfileList      []InstanceProfile
	RolePolicyList           []policyDetail
	AttachedManagedPolicies  []attachedPolicy
	PermissionsBoundary      *Boundary
	Tags                     []Tag
	RoleLastUsed             *roleLastUsed
}

type managedDetail struct {
	PolicyName                    string
	PolicyId                      string
	Arn                           string
	Path                          string
	DefaultVersionId              string
	AttachmentCount               int
	PermissionsBoundaryUsageCount int
	IsAttachable                  bool
	Description                   string `q:"omitempty"`
	CreateDate                    time.Time
	UpdateDate                    time.Time
	PolicyVersionList             []policyVersion
}

type detailsOut struct {
	UserDetailList  []userDetail
	GroupDetailList []groupDetail
	RoleDetailList  []roleDetail
	Policies        []managedDetail
	paged
}

// section is one of the five lists that the details go through, in order; a
// marker says which, and where in it the page starts.
type section struct {
	entity EntityType
	add    func(d *detailing, after string) error
}

var sections = []section{
	{"User", func(d *detailing, after string) error {
		return collect(d, record.Users, record.UserByName, d.c.Account, after, d.user)
	}},
	{"Group", func(d *detailing, after string) error {
		return collect(d, record.Groups, record.GroupByName, d.c.Account, after, d.group)
	}},
	{"Role", func(d *detailing, after string) error {
		return collect(d, record.Roles, record.RoleByName, d.c.Account, after, d.role)
	}},
	{"LocalManagedPolicy", func(d *detailing, after string) error {
		return collect(d, record.Policies, record.PolicyByName, d.c.Account, after, d.policy)
	}},
	{"AWSManagedPolicy", func(d *detailing, after string) error {
		return collect(d, record.Policies, record.PolicyByName, record.AWS, after, d.attachedPolicy)
	}},
}

// detailing is one page under way.
type detailing struct {
	c     *api.Call
	out   *detailsOut
	left  int
	last  string
	stop  bool // the page is full and there is more
	named bool // AWS's policies were asked for by name: those that nobody holds too
}

func getAccountAuthorizationDetails(c *api.Call, in *detailsIn) (*detailsOut, error) {
	d := &detailing{c: c, left: in.most(), named: slices.Contains(in.Filter, "AWSManagedPolicy"),
		out: &detailsOut{UserDetailList: []userDetail{}, GroupDetailList: []groupDetail{}, RoleDetailList: []roleDetail{}, Policies: []managedDetail{}}}
	first, after := EntityType(""), ""
	if in.Marker != "" {
		text, err := openMarker(c, in.Marker)
		if err != nil {
			return nil, err
		}
		kind, rest, _ := strings.Cut(text, " ")
		first, after = EntityType(kind), rest
	}
	for _, s := range sections {
		if first != "" && s.entity != first || len(in.Filter) > 0 && !slices.Contains(in.Filter, s.entity) {
			continue
		}
		first, d.last = "", after
		if err := s.add(d, after); err != nil {
			return nil, err
		}
		if d.stop {
			var err error
			d.out.paged, err = next(c, string(s.entity)+" "+d.last)
			return d.out, err
		}
		after = ""
	}
	return d.out, nil
}

// collect goes through one list from where the page starts. add returns
// whether it took the record.
func collect[R any](d *detailing, k *record.Kind[R], ix *record.Index[R], account, after string, add func(*R) (bool, error)) error {
	prefix := account + record.Sep
	if after != "" {
		after = prefix + after
	}
	var failed error
	err := record.Scan(d.c.Tx, k, ix, prefix, after, func(term string, v *R) bool {
		if d.left == 0 {
			d.stop = true
			return false
		}
		took, err := add(v)
		if failed = err; err != nil {
			return false
		}
		if took {
			d.left--
		}
		d.last = strings.TrimPrefix(term, prefix)
		return true
	})
	if err == nil {
		err = failed
	}
	return err
}

func (d *detailing) user(u *record.User) (bool, error) {
	w := userDetail{Path: u.Path, UserName: u.Name, UserId: u.ID, Arn: userARN(u), CreateDate: stamp(u.Created),
		UserPolicyList: inlineDetails(u.Inline), GroupList: []string{}, Tags: wireTags(u.Tags)}
	for _, id := range u.Groups {
		g, err := record.Get(d.c.Tx, record.Groups, u.Account, id)
		if err != nil {
			return false, err
		}
		w.GroupList = append(w.GroupList, g.Name)
	}
	var err error
	if w.AttachedManagedPolicies, err = attachedTo(d.c, u.Attached, ""); err != nil {
		return false, err
	}
	w.PermissionsBoundary, err = wireBoundary(d.c, u.Boundary)
	d.out.UserDetailList = append(d.out.UserDetailList, w)
	return true, err
}

func (d *detailing) group(g *record.Group) (bool, error) {
	list, err := attachedTo(d.c, g.Attached, "")
	d.out.GroupDetailList = append(d.out.GroupDetailList, groupDetail{Path: g.Path, GroupName: g.Name, GroupId: g.ID, Arn: groupARN(g),
		CreateDate: stamp(g.Created), GroupPolicyList: inlineDetails(g.Inline), AttachedManagedPolicies: list})
	return true, err
}

func (d *detailing) role(r *record.Role) (bool, error) {
	w := roleDetail{Path: r.Path, RoleName: r.Name, RoleId: r.ID, Arn: roleARN(r), CreateDate: stamp(r.Created), AssumeRolePolicyDocument: encoded(shownTrust(d.c, r.Trust)),
		InstanceProfileList: []InstanceProfile{}, RolePolicyList: inlineDetails(r.Inline), Tags: wireTags(r.Tags), RoleLastUsed: &roleLastUsed{}}
	var failed error
	err := record.Scan(d.c.Tx, record.InstanceProfiles, record.ProfileByRole, r.Account+record.Sep+r.ID+record.Sep, "", func(_ string, p *record.InstanceProfile) bool {
		var x InstanceProfile
		x, failed = wireProfile(d.c, p, false)
		w.InstanceProfileList = append(w.InstanceProfileList, x)
		return failed == nil
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return false, err
	}
	if w.AttachedManagedPolicies, err = attachedTo(d.c, r.Attached, ""); err != nil {
		return false, err
	}
	w.PermissionsBoundary, err = wireBoundary(d.c, r.Boundary)
	d.out.RoleDetailList = append(d.out.RoleDetailList, w)
	return true, err
}

func (d *detailing) policy(p *record.Policy) (bool, error) {
	s := wirePolicy(d.c, p, true)
	w := managedDetail{PolicyName: s.PolicyName, PolicyId: s.PolicyId, Arn: s.Arn, Path: s.Path, DefaultVersionId: s.DefaultVersionId,
		AttachmentCount: s.AttachmentCount, PermissionsBoundaryUsageCount: s.PermissionsBoundaryUsageCount, IsAttachable: s.IsAttachable,
		Description: s.Description, CreateDate: s.CreateDate, UpdateDate: s.UpdateDate, PolicyVersionList: []policyVersion{}}
	for i := len(p.Versions) - 1; i >= 0; i-- {
		w.PolicyVersionList = append(w.PolicyVersionList, wireVersion(p, &p.Versions[i], true))
	}
	d.out.Policies = append(d.out.Policies, w)
	return true, nil
}

// attachedPolicy takes those of AWS's policies that the account uses, all of
// them when they were asked for.
func (d *detailing) attachedPolicy(p *record.Policy) (bool, error) {
	if !d.named && attachments(d.c, p)+boundaries(d.c, p) == 0 {
		return false, nil
	}
	return d.policy(p)
}

func inlineDetails(list []record.Inline) []policyDetail {
	out := []policyDetail{}
	for _, p := range list {
		out = append(out, policyDetail{p.Name, encoded(p.Document)})
	}
	return out
}
