package operator

import (
	"cmp"
	"errors"
	"strconv"
	"strings"

	"github.com/holdfast-iam/holdfast/arn"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/policy"
)

// Asked is one question: may the principal do that?
type Asked struct {
	Principal string              `json:"principal"` // ARN of a user, role, role session or account root
	Action    string              `json:"action"`
	Resource  string              `json:"resource"`
	Context   map[string][]string `json:"context,omitempty"`
	Region    string              `json:"region,omitempty"`
}

// Told is the answer, with every statement that was considered.
type Told struct {
	Decision   string           `json:"decision"` // Allowed, ExplicitDeny, ImplicitDeny
	Allowed    bool             `json:"allowed"`
	DecidedBy  string           `json:"decidedBy"`
	Reason     string           `json:"reason,omitempty"` // AWS's sentence, for a denial
	Revision   string           `json:"revision"`
	Considered []ConsideredLine `json:"considered"`
}

// ConsideredLine is a statement that matched in principal, action and resource.
type ConsideredLine struct {
	Policy     string `json:"policy"`
	Statement  string `json:"statement"`
	Type       string `json:"type"`
	Effect     string `json:"effect"`
	Matched    bool   `json:"matched"`
	Failed     string `json:"failed,omitempty"` // operator and key of the first condition that did not hold
	MissingKey bool   `json:"missingKey,omitempty"`
}

// Limits of a question.
const (
	maxContext = 100
	maxText    = 2048
)

// can asks the engine that every door asks. It is the operator's own question,
// so it is bound by no service's record; keys that say who the principal is are
// set by authz here too.
func (s *Server) can(in *Asked, v *view.View) (any, error) {
	switch {
	case !actionForm.MatchString(in.Action) || strings.HasSuffix(in.Action, ":"):
		return nil, refuse("action %q is not service:Name, one action", in.Action)
	case in.Resource == "" || len(in.Resource) > maxText:
		return nil, refuse("the resource is empty or longer than %d bytes", maxText)
	case len(in.Context) > maxContext:
		return nil, refuse("more than %d context keys", maxContext)
	}
	seen := map[string]bool{}
	for key := range in.Context {
		if seen[record.Fold(key)] {
			return nil, refuse("context key %s stands twice: condition keys have no case", key)
		}
		seen[record.Fold(key)] = true
		if authz.Reserved(key) && !authz.OfNetwork(key) {
			return nil, refuse("context key %s is set by the deployment and cannot be given", key)
		}
	}
	caller, err := authn.Unproven(v, in.Principal)
	var f *fault.Error
	if errors.As(err, &f) {
		return nil, refuse("%s", f.Message)
	}
	if err != nil {
		return nil, err
	}
	q := &authz.Question{Caller: caller, Action: in.Action, Resource: in.Resource, Context: in.Context, Region: in.Region, Now: s.Now(), FromDoor: true}
	if a, err := arn.Parse(in.Resource); err == nil {
		q.Account = a.Account
	}
	d, considered := s.Authorizer.Explain(v, q)
	out := &Told{Decision: d.Kind.String(), Allowed: d.Kind == policy.Allowed, DecidedBy: d.By.String(),
		Revision: record.Revision(v.Head.Lineage, v.Head.Index), Considered: []ConsideredLine{}}
	if !out.Allowed {
		out.Reason = s.Authorizer.Sentence(v, q, d)
	}
	for _, c := range considered {
		out.Considered = append(out.Considered, ConsideredLine{Policy: c.Policy, Statement: cmp.Or(c.Sid, strconv.Itoa(c.Statement)), Type: c.Type.String(),
			Effect: map[bool]string{true: "Deny", false: "Allow"}[c.Deny], Matched: c.Holds, Failed: c.Failed, MissingKey: c.MissingKey})
	}
	return out, nil
}
