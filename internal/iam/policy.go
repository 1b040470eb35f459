package iam

import (
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/wire"
	"github.com/holdfast-iam/holdfast/policy"
)

func policyOps() []api.Op {
	return []api.Op{
		write("CreatePolicy", newPolicy, createPolicy),
		read("GetPolicy", thePolicy[policyIn], getPolicy),
		write("DeletePolicy", thePolicy[policyIn], deletePolicy),
		read("ListPolicies", anything[listPoliciesIn], listPolicies),
		write("CreatePolicyVersion", thePolicy[createVersionIn], createPolicyVersion),
		read("GetPolicyVersion", thePolicy[versionIn], getPolicyVersion),
		write("DeletePolicyVersion", thePolicy[versionIn], deletePolicyVersion),
		read("ListPolicyVersions", thePolicy[listVersionsIn], listPolicyVersions),
		write("SetDefaultPolicyVersion", thePolicy[versionIn], setDefaultPolicyVersion),
	}
}

// Policy is a managed policy on the wire.
type Policy struct {
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
	Tags                          []Tag `q:"omitempty"`
}

func wirePolicy(c *api.Call, p *record.Policy, full bool) Policy {
	w := Policy{PolicyName: p.Name, PolicyId: p.ID, Arn: policyARN(p), Path: p.Path, DefaultVersionId: p.Default, IsAttachable: true,
		AttachmentCount: attachments(c, p), CreateDate: stamp(p.Created), UpdateDate: stamp(p.Updated)}
	w.PermissionsBoundaryUsageCount = boundaries(c, p)
	if full {
		w.Description, w.Tags = p.Description, wireTags(p.Tags)
	}
	return w
}

func attachments(c *api.Call, p *record.Policy) int {
	return count(c, record.UserByPolicy.Name, p) + count(c, record.GroupByPolicy.Name, p) + count(c, record.RoleByPolicy.Name, p)
}

func boundaries(c *api.Call, p *record.Policy) int {
	return count(c, record.UserByBoundary.Name, p) + count(c, record.RoleByBoundary.Name, p)
}

// count counts an account's holders of a policy in one index.
func count(c *api.Call, index string, p *record.Policy) int {
	n := 0
	c.Tx.Range(index, record.PolicyTerm(c.Account, p.Ref()), "", func(string, *record.Entry) bool {
		n++
		return true
	})
	return n
}

type policyNamed interface{ policyARN() string }

type policyIn struct {
	PolicyArn ARN `q:"required"`
}

func (in *policyIn) policyARN() string { return string(in.PolicyArn) }

func thePolicy[In any](c *api.Call, in *In) ([]api.Access, error) {
	text := any(in).(policyNamed).policyARN()
	p, err := findPolicy(c, text)
	if err != nil {
		return one(text, nil)
	}
	return one(text, tagContext(nil, p.Tags))
}

// ownPolicy finds a policy that the account may change: not one of AWS's.
func ownPolicy(c *api.Call, text string) (*record.Policy, error) {
	p, err := findPolicy(c, text)
	if err == nil && p.Account != c.Account {
		return nil, fault.AccessDenied.Errorf("Policy is outside your own account.")
	}
	return p, err
}

type createPolicyIn struct {
	PolicyName     PolicyName `q:"required"`
	Path           PolicyPath
	PolicyDocument PolicyText `q:"required"`
	Description    Description
	Tags           Tags
}

func newPolicy(c *api.Call, in *createPolicyIn) ([]api.Access, error) {
	return created(arnOf(c.Account, "policy", orSlash(Path(in.Path)), string(in.PolicyName)), tagContext(in.Tags, nil), in.Tags, "iam:TagPolicy")
}

type policyOut struct{ Policy Policy }

func managedDocument(text string) error {
	if !sized(maxManaged, text) {
		return fault.LimitExceeded.Errorf("Cannot exceed quota for PolicySize: %d", maxManaged)
	}
	return document(text, policy.Identity)
}

func createPolicy(c *api.Call, in *createPolicyIn) (*policyOut, error) {
	if nameTaken(c, record.Policies, record.PolicyByName, string(in.PolicyName)) {
		return nil, fault.EntityAlreadyExists.Errorf("A policy called %s already exists. Duplicate names are not allowed.", in.PolicyName)
	}
	if err := managedDocument(string(in.PolicyDocument)); err != nil {
		return nil, err
	}
	tags, err := addTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	at := record.At(c.Now)
	p := &record.Policy{Account: c.Account, ID: c.NewID("ANPA"), Name: string(in.PolicyName), Path: orSlash(Path(in.Path)), Description: string(in.Description),
		Created: at, Updated: at, Default: "v1", Next: 2, Tags: tags,
		Versions: []record.PolicyVersion{{ID: "v1", Document: string(in.PolicyDocument), Created: at}}}
	return &policyOut{wirePolicy(c, p, true)}, record.Put(c.Tx, record.Policies, p)
}

func getPolicy(c *api.Call, in *policyIn) (*policyOut, error) {
	p, err := findPolicy(c, string(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	return &policyOut{wirePolicy(c, p, true)}, nil
}

func deletePolicy(c *api.Call, in *policyIn) (*api.Nothing, error) {
	p, err := ownPolicy(c, string(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	w := wirePolicy(c, p, false)
	switch {
	case w.AttachmentCount > 0:
		return nil, fault.DeleteConflict.Errorf("Cannot delete a policy attached to entities.")
	case w.PermissionsBoundaryUsageCount > 0:
		return nil, fault.DeleteConflict.Errorf("Cannot delete a policy that is used as a permissions boundary.")
	case len(p.Versions) > 1:
		return nil, fault.DeleteConflict.Errorf("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
	}
	record.Delete(c.Tx, record.Policies, p)
	return &api.Nothing{}, nil
}

type listPoliciesIn struct {
	Scope             Scope
	OnlyAttached      bool
	PathPrefix        PolicyPath
	PolicyUsageFilter PolicyUsage
	page
}

type listPoliciesOut struct {
	Policies []Policy
	paged
}

// wants applies the filters on how a policy is used.
func (in *listPoliciesIn) wants(c *api.Call, p *record.Policy) bool {
	switch {
	case in.PolicyUsageFilter == "PermissionsBoundary":
		return boundaries(c, p) > 0
	case in.OnlyAttached || in.PolicyUsageFilter == "PermissionsPolicy":
		return attachments(c, p) > 0
	}
	return true
}

// listPolicies lists AWS's first, then the account's own: the marker says in
// which of the two lists the page starts.
func listPolicies(c *api.Call, in *listPoliciesIn) (*listPoliciesOut, error) {
	out := &listPoliciesOut{Policies: []Policy{}}
	accounts := []string{record.AWS, c.Account}
	switch in.Scope {
	case "AWS":
		accounts = accounts[:1]
	case "Local":
		accounts = accounts[1:]
	}
	after := ""
	if in.Marker != "" {
		text, err := openMarker(c, in.Marker)
		if err != nil {
			return nil, err
		}
		after = text
	}
	last, n, more := "", 0, false
	for _, account := range accounts {
		prefix := account + record.Sep
		from := ""
		if strings.HasPrefix(after, prefix) {
			from = after
		} else if after != "" && account == record.AWS {
			continue // the page starts in the account's own
		}
		err := record.Scan(c.Tx, record.Policies, record.PolicyByName, prefix, from, func(term string, p *record.Policy) bool {
			if !strings.HasPrefix(p.Path, string(in.PathPrefix)) || !in.wants(c, p) {
				return true
			}
			if n == in.most() {
				more = true
				return false
			}
			n, last = n+1, term
			out.Policies = append(out.Policies, wirePolicy(c, p, false))
			return true
		})
		if err == nil && more {
			out.paged, err = next(c, last)
		}
		if err != nil || more {
			return out, err
		}
	}
	return out, nil
}

type createVersionIn struct {
	PolicyArn      ARN        `q:"required"`
	PolicyDocument PolicyText `q:"required"`
	SetAsDefault   bool
}

func (in *createVersionIn) policyARN() string { return string(in.PolicyArn) }

type policyVersion struct {
	Document         *wire.Document
	VersionId        string
	IsDefaultVersion bool
	CreateDate       time.Time
}

type versionOut struct{ PolicyVersion policyVersion }

func wireVersion(p *record.Policy, v *record.PolicyVersion, full bool) policyVersion {
	w := policyVersion{VersionId: v.ID, IsDefaultVersion: v.ID == p.Default, CreateDate: stamp(v.Created)}
	if full {
		d := encoded(v.Document)
		w.Document = &d
	}
	return w
}

func createPolicyVersion(c *api.Call, in *createVersionIn) (*versionOut, error) {
	p, err := ownPolicy(c, string(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	if len(p.Versions) >= maxVersions {
		return nil, fault.LimitExceeded.Errorf("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
	}
	if err := managedDocument(string(in.PolicyDocument)); err != nil {
		return nil, err
	}
	v := record.PolicyVersion{ID: "v" + itoa(p.Next), Document: string(in.PolicyDocument), Created: record.At(c.Now)}
	p.Next++
	p.Versions = append(p.Versions, v)
	if in.SetAsDefault {
		p.Default = v.ID
	}
	p.Updated = v.Created
	return &versionOut{wireVersion(p, &v, false)}, record.Put(c.Tx, record.Policies, p)
}

type versionIn struct {
	PolicyArn ARN       `q:"required"`
	VersionId VersionID `q:"required"`
}

func (in *versionIn) policyARN() string { return string(in.PolicyArn) }

func findVersion(p *record.Policy, id string) (int, error) {
	i := slices.IndexFunc(p.Versions, func(v record.PolicyVersion) bool { return v.ID == id })
	if i < 0 {
		return 0, fault.NoSuchEntity.Errorf("Policy %s version %s does not exist or is not attachable.", policyARN(p), id)
	}
	return i, nil
}

func getPolicyVersion(c *api.Call, in *versionIn) (*versionOut, error) {
	p, err := findPolicy(c, string(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	i, err := findVersion(p, string(in.VersionId))
	if err != nil {
		return nil, err
	}
	return &versionOut{wireVersion(p, &p.Versions[i], true)}, nil
}

func deletePolicyVersion(c *api.Call, in *versionIn) (*api.Nothing, error) {
	p, err := ownPolicy(c, string(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	i, err := findVersion(p, string(in.VersionId))
	if err != nil {
		return nil, err
	}
	if p.Versions[i].ID == p.Default {
		return nil, fault.DeleteConflict.Errorf("Cannot delete the default version of a policy.")
	}
	p.Versions = slices.Delete(p.Versions, i, i+1)
	return &api.Nothing{}, record.Put(c.Tx, record.Policies, p)
}

type listVersionsIn struct {
	PolicyArn ARN `q:"required"`
	page
}

func (in *listVersionsIn) policyARN() string { return string(in.PolicyArn) }

type listVersionsOut struct {
	Versions []policyVersion
	paged
}

func listPolicyVersions(c *api.Call, in *listVersionsIn) (*listVersionsOut, error) {
	p, err := findPolicy(c, string(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	newest := slices.Clone(p.Versions)
	slices.Reverse(newest)
	list, next, err := slice(c, newest, in.page)
	if err != nil {
		return nil, err
	}
	out := &listVersionsOut{Versions: []policyVersion{}, paged: next}
	for i := range list {
		out.Versions = append(out.Versions, wireVersion(p, &list[i], false))
	}
	return out, nil
}

func setDefaultPolicyVersion(c *api.Call, in *versionIn) (*api.Nothing, error) {
	p, err := ownPolicy(c, string(in.PolicyArn))
	if err != nil {
		return nil, err
	}
	i, err := findVersion(p, string(in.VersionId))
	if err != nil {
		return nil, err
	}
	p.Default = p.Versions[i].ID // UpdateDate stays: it is when the newest version was made (IAM API Reference, Policy)
	return &api.Nothing{}, record.Put(c.Tx, record.Policies, p)
}
