// Package iam holds IAM's operations: what may be done to users, groups,
// roles, policies and the rest, over record's transaction.
//
// Invariant: a write's body is a pure function of its call, so it can run again
// on a newer state; reads are wired in Regions too, so nothing here may need
// the store.
package iam

import (
	_ "embed" // unbuilt.txt
	"errors"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/wire"
	"github.com/holdfast-iam/holdfast/policy"
)

const (
	service = "iam"
	version = "2010-05-08"
)

// Env is what the room is given.
type Env struct {
	// NewAccessKey makes and seals a key of an account. Control plane.
	NewAccessKey func(r record.Reader, account string, now time.Time) (record.AccessKey, string, error)
	// NewBearer makes the Bearer of a service-specific credential.
	NewBearer func(id string) (bearer string, hash []byte)
	// Organization finds an account's place, as authz is given it; nil: there
	// are no organizations.
	Organization func(r record.Reader, account string) *authz.Place
}

//go:embed unbuilt.txt
var unbuilt string

// Unbuilt names the operations of the API that have no row yet.
func Unbuilt() (apiVersion string, names []string) { return version, strings.Fields(unbuilt) }

// Ops returns the table's rows.
func Ops(env Env) []api.Op {
	var all []api.Op
	for _, list := range [][]api.Op{userOps(), keyOps(env), groupOps(), roleOps(), policyOps(), inlineOps(), attachedOps(),
		boundaryOps(), tagOps(), profileOps(), accountOps(), credentialOps(env), emptyOps(), entityOps(), detailOps(), simulateOps(env)} {
		all = append(all, list...)
	}
	return all
}

func read[In, Out any](name string, on func(*api.Call, *In) ([]api.Access, error), body func(*api.Call, *In) (*Out, error)) api.Op {
	return api.Define(service, version, name, api.Read, on, body)
}

func write[In, Out any](name string, on func(*api.Call, *In) ([]api.Access, error), body func(*api.Call, *In) (*Out, error)) api.Op {
	return api.Define(service, version, name, api.Write, on, body)
}

// one is the access of an operation on one resource.
func one(resource string, context map[string][]string) ([]api.Access, error) {
	return []api.Access{{Resource: resource, Context: context}}, nil
}

// created is the access of an operation that makes something: with tags it
// takes the right to tag as well, or else whoever may create could give any
// tag that policies ask for.
func created(resource string, context map[string][]string, tags []Tag, tagging string) ([]api.Access, error) {
	list := []api.Access{{Resource: resource, Context: context}}
	if len(tags) > 0 {
		list = append(list, api.Access{Action: tagging, Resource: resource, Context: context})
	}
	return list, nil
}

// anything is the access of an operation that works on no one resource.
func anything[In any](*api.Call, *In) ([]api.Access, error) { return one("*", nil) }

func arnOf(account, kind, path, name string) string {
	return "arn:aws:iam::" + account + ":" + kind + path + name
}

func userARN(u *record.User) string   { return arnOf(u.Account, "user", u.Path, u.Name) }
func groupARN(g *record.Group) string { return arnOf(g.Account, "group", g.Path, g.Name) }
func roleARN(r *record.Role) string   { return arnOf(r.Account, "role", r.Path, r.Name) }
func policyARN(p *record.Policy) string {
	return arnOf(p.Account, "policy", p.Path, p.Name)
}
func profileARN(p *record.InstanceProfile) string {
	return arnOf(p.Account, "instance-profile", p.Path, p.Name)
}

func findUser(c *api.Call, name string) (*record.User, error) {
	u, err := record.Find(c.Tx, record.Users, record.UserByName, record.NameTerm(c.Account, name))
	return u, missing(err, "The user with name %s cannot be found.", name)
}

func findGroup(c *api.Call, name string) (*record.Group, error) {
	g, err := record.Find(c.Tx, record.Groups, record.GroupByName, record.NameTerm(c.Account, name))
	return g, missing(err, "The group with name %s cannot be found.", name)
}

func findRole(c *api.Call, name string) (*record.Role, error) {
	r, err := record.Find(c.Tx, record.Roles, record.RoleByName, record.NameTerm(c.Account, name))
	return r, missing(err, "The role with name %s cannot be found.", name)
}

func findProfile(c *api.Call, name string) (*record.InstanceProfile, error) {
	p, err := record.Find(c.Tx, record.InstanceProfiles, record.ProfileByName, record.NameTerm(c.Account, name))
	return p, missing(err, "Instance Profile %s cannot be found.", name)
}

// findPolicy finds a managed policy by its ARN: the account's own, or AWS's.
func findPolicy(c *api.Call, text string) (*record.Policy, error) {
	parts := strings.SplitN(text, ":", 6)
	gone := fault.NoSuchEntity.Errorf("Policy %s does not exist or is not attachable.", text)
	if len(parts) != 6 || !strings.HasPrefix(parts[5], "policy/") {
		return nil, fault.ValidationError.Errorf("Invalid ARN:  Could not be parsed!")
	}
	if parts[4] != c.Account && parts[4] != record.AWS {
		return nil, gone
	}
	name := parts[5][strings.LastIndexByte(parts[5], '/')+1:]
	p, err := record.Find(c.Tx, record.Policies, record.PolicyByName, record.NameTerm(parts[4], name))
	if errors.Is(err, record.ErrNotFound) || err == nil && policyARN(p) != text {
		return nil, gone
	}
	return p, err
}

// policyAt finds a managed policy by the reference that a holder keeps.
func policyAt(c *api.Call, ref record.PolicyRef) (*record.Policy, error) {
	account, id := ref.Resolve()
	return record.Get(c.Tx, record.Policies, account, id)
}

// missing turns a lookup's miss into NoSuchEntity; other errors stay.
func missing(err error, format, name string) error {
	if errors.Is(err, record.ErrNotFound) {
		return fault.NoSuchEntity.Errorf(format, name)
	}
	return err
}

// document checks a policy document of a request.
func document(text string, t policy.Type) error {
	if failpoint.On(failpoint.AnyDocument) {
		return nil
	}
	d, err := policy.Parse([]byte(text))
	if err != nil {
		return fault.MalformedPolicyDocument.Errorf("Syntax errors in policy. %v", err)
	}
	if err := d.Validate(t); err != nil {
		return fault.MalformedPolicyDocument.Errorf("%v", err)
	}
	return nil
}

// sized says whether a document fits, without its white space, as IAM counts.
func sized(n int, texts ...string) bool {
	total := 0
	for _, t := range texts {
		for i := 0; i < len(t); i++ {
			if c := t[i]; c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				total++
			}
		}
	}
	return total <= n
}

func encoded(text string) wire.Document { return wire.Document(text) }

func stamp(t record.Time) time.Time { return t.Std() }

// Tag is a tag on the wire.
type Tag struct {
	Key   TagKey   `q:"required"`
	Value TagValue `q:"required"`
}

func wireTags(list []record.Tag) []Tag {
	out := make([]Tag, len(list))
	for i, t := range list {
		out[i] = Tag{TagKey(t.Key), TagValue(t.Value)}
	}
	return out
}

const maxTags = 50

// addTags returns the tags with others added or changed.
func addTags(have []record.Tag, add []Tag) ([]record.Tag, error) {
	out := append([]record.Tag{}, have...)
	seen := map[string]bool{}
	for _, t := range add {
		folded := record.Fold(string(t.Key))
		if seen[folded] {
			return nil, fault.InvalidInput.Errorf("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[folded] = true
		if strings.HasPrefix(folded, "aws:") {
			return nil, fault.InvalidInput.Errorf("Tag keys that begin with aws: are reserved.")
		}
		found := false
		for i := range out {
			if record.Fold(out[i].Key) == folded {
				out[i], found = record.Tag{Key: string(t.Key), Value: string(t.Value)}, true
			}
		}
		if !found {
			out = append(out, record.Tag{Key: string(t.Key), Value: string(t.Value)})
		}
	}
	if len(out) > maxTags {
		return nil, fault.LimitExceeded.Errorf("The number of tags has reached the maximum limit of %d.", maxTags)
	}
	return out, nil
}

// tagContext is what policies see of a request's tags and of the resource's.
func tagContext(request []Tag, resource []record.Tag) map[string][]string {
	m := map[string][]string{}
	var keys []string
	for _, t := range request {
		m["aws:RequestTag/"+string(t.Key)] = []string{string(t.Value)}
		keys = append(keys, string(t.Key))
	}
	if keys != nil {
		m["aws:TagKeys"] = keys
	}
	for _, t := range resource {
		m["aws:ResourceTag/"+t.Key] = []string{t.Value}
		m["iam:ResourceTag/"+t.Key] = []string{t.Value}
	}
	return m
}

// or is what an optional member says, or a default.
func or[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}

func orSlash(p Path) string {
	if p == "" {
		return "/"
	}
	return string(p)
}

// page is the input of a list operation.
type page struct {
	Marker   Marker
	MaxItems *MaxItems
}

// paged is the output's half.
type paged struct {
	IsTruncated bool
	Marker      string `q:"omitempty"`
}

func (p page) most() int {
	if p.MaxItems == nil {
		return 100
	}
	return int(*p.MaxItems)
}

// take collects one page of a scan in order of terms. keep filters.
func take[R any](c *api.Call, k *record.Kind[R], ix *record.Index[R], prefix string, p page, keep func(*R) bool, add func(*R)) (paged, error) {
	after := ""
	if p.Marker != "" {
		rest, err := openMarker(c, p.Marker)
		if err != nil {
			return paged{}, err
		}
		after = prefix + rest
	}
	var out paged
	n, last := 0, ""
	more := false
	err := record.Scan(c.Tx, k, ix, prefix, after, func(term string, v *R) bool {
		if !keep(v) {
			return true
		}
		if n == p.most() {
			more = true
			return false
		}
		n, last = n+1, strings.TrimPrefix(term, prefix)
		add(v)
		return true
	})
	if err == nil && more {
		out, err = next(c, last)
	}
	return out, err
}

// slice returns one page of a list that lives inside a record.
func slice[T any](c *api.Call, list []T, p page) ([]T, paged, error) {
	from, err := markerNumber(c, p.Marker, len(list))
	if err != nil {
		return nil, paged{}, err
	}
	rest := list[from:]
	if n := p.most(); len(rest) > n {
		more, err := next(c, itoa(from+n))
		return rest[:n], more, err
	}
	return rest, paged{}, nil
}
