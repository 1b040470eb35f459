// Package policyline evaluates policies from lines of JSON: the laboratory
// behind `holdfast policy eval`.
//
// Invariant: every line in is one line out, in the same order; a bad line is an
// answer with an error, never a stop.
package policyline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/holdfast-iam/holdfast/policy"
)

// maxLine bounds one case in bytes.
const maxLine = 4 << 20

type testCase struct {
	ID       json.RawMessage `json:"id"`
	Request  request         `json:"request"`
	Policies policies        `json:"policies"`
}

type request struct {
	Principal struct {
		Type      string `json:"type"`
		ARN       string `json:"arn"`
		AccountID string `json:"accountId"`
	} `json:"principal"`
	Action          string            `json:"action"`
	Resource        string            `json:"resource"`
	ResourceAccount string            `json:"resourceAccount"`
	Context         map[string]values `json:"context"`
}

// values is one text or a list of them.
type values []string

// UnmarshalJSON reads a text, number or boolean, or a list of them.
func (v *values) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return err
	}
	list, ok := x.([]any)
	if !ok {
		list = []any{x}
	}
	*v = values{}
	for _, item := range list {
		switch item.(type) {
		case string, bool, json.Number:
			*v = append(*v, fmt.Sprint(item))
		default:
			return fmt.Errorf("a context value is a text or a list of texts")
		}
	}
	return nil
}

type named struct {
	Name     string          `json:"name"`
	Document json.RawMessage `json:"document"`
}

// policies: an absent restricting list means none; an empty one denies.
type policies struct {
	Identity        []named    `json:"identity"`
	Boundary        *[]named   `json:"boundary"`
	Session         *[]named   `json:"session"`
	Resource        []named    `json:"resource"`
	Endpoint        *[]named   `json:"endpoint"`
	ServiceControl  *[][]named `json:"serviceControl"`
	ResourceControl *[][]named `json:"resourceControl"`
}

type answer struct {
	ID       json.RawMessage `json:"id,omitempty"`
	Decision string          `json:"decision,omitempty"`
	By       string          `json:"decidedBy,omitempty"`
	Matched  []string        `json:"matchedStatements,omitempty"`
	Error    *problem        `json:"error,omitempty"`
}

type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Run answers every line of in on out.
func Run(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	w := bufio.NewWriter(out)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		if _, err := w.Write(append(Answer(lines.Bytes()), '\n')); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return lines.Err()
}

// Answer answers one case.
func Answer(line []byte) []byte {
	var c testCase
	a := answer{}
	if err := json.Unmarshal(line, &c); err != nil {
		a.Error = &problem{"InvalidInput", err.Error()}
	} else {
		a = c.decide()
	}
	a.ID = c.ID
	b, err := json.Marshal(a)
	if err != nil {
		return []byte(`{"error":{"code":"InvalidInput","message":"the id cannot be repeated"}}`)
	}
	return b
}

func (c *testCase) decide() answer {
	r := policy.Request{Action: c.Request.Action, Resource: c.Request.Resource, ResourceAccount: c.Request.ResourceAccount}
	if err := c.Request.principal(&r.Principal); err != nil {
		return answer{Error: &problem{"InvalidInput", err.Error()}}
	}
	for key, v := range c.Request.Context {
		r.Context.Set(key, v...)
		if len(v) == 1 && strings.EqualFold(key, "aws:PrincipalArn") && r.Principal.Kind == policy.RoleSession && strings.Contains(v[0], ":role/") {
			r.Principal.RoleARN = v[0] // a session's ARN has not its role's path
			r.Principal.ServiceLinked = strings.Contains(v[0], ":role/aws-service-role/")
		}
	}
	x := compiler{}
	p := policy.Policies{Identity: x.list(c.Policies.Identity), Resource: x.list(c.Policies.Resource), Boundary: x.restriction(c.Policies.Boundary),
		Session: x.restriction(c.Policies.Session), Endpoint: x.restriction(c.Policies.Endpoint),
		ServiceControl: x.levels(c.Policies.ServiceControl), ResourceControl: x.levels(c.Policies.ResourceControl)}
	if x.err != nil {
		return answer{Error: &problem{"MalformedPolicyDocument", x.err.Error()}}
	}
	p.RequiresResource = mustBeNamed(r.Action, r.Resource)
	d := policy.Evaluate(&p, &r)
	a := answer{Decision: d.Kind.String(), By: d.By.String()}
	for m := range d.Matched {
		name := m.Sid
		if name == "" {
			name = fmt.Sprint(m.Statement)
		}
		a.Matched = append(a.Matched, m.Policy+"/"+name)
	}
	return a
}

func (r *request) principal(p *policy.Principal) error {
	p.ARN, p.Account = r.Principal.ARN, r.Principal.AccountID
	if parts := strings.SplitN(p.ARN, ":", 6); p.Account == "" && len(parts) == 6 {
		p.Account = parts[4]
	}
	switch r.Principal.Type {
	case "AWS":
		p.Kind = kindOf(p)
	case "Service":
		p.Kind, p.Names = policy.Service, []string{p.ARN}
	case "Federated":
		p.Kind, p.Names = policy.Federated, []string{p.ARN}
	case "Anonymous":
		*p = policy.Principal{}
	case "RootUser":
		p.Kind = policy.RootUser
	default:
		return fmt.Errorf("principal type %q is not AWS, Service, Federated, Anonymous or RootUser", r.Principal.Type)
	}
	return nil
}

type compiler struct{ err error }

func (x *compiler) list(in []named) []policy.Named {
	out := make([]policy.Named, 0, len(in))
	for _, n := range in {
		d, err := policy.Parse(n.Document)
		if err != nil {
			if x.err == nil {
				x.err = fmt.Errorf("policy %q: %w", n.Name, err)
			}
			continue
		}
		out = append(out, policy.Named{Name: n.Name, Policy: policy.Compile(d)})
	}
	return out
}

func (x *compiler) restriction(in *[]named) policy.Restriction {
	if in == nil {
		return policy.None
	}
	return policy.Restrict(x.list(*in))
}

func (x *compiler) levels(in *[][]named) policy.Restriction {
	if in == nil {
		return policy.None
	}
	var levels [][]policy.Named
	for _, level := range *in {
		levels = append(levels, x.list(level))
	}
	return policy.Restrict(levels...)
}

// mustBeNamed says whether the resource's own policy must allow in any case:
// roles and their trust policies, and KMS keys (IAM User Guide, "Policy
// evaluation logic").
func mustBeNamed(action, resource string) bool {
	service, name, _ := strings.Cut(strings.ToLower(action), ":")
	parts := strings.SplitN(resource, ":", 6)
	if len(parts) != 6 {
		return false
	}
	switch service {
	case "sts":
		return parts[2] == "iam" && strings.HasPrefix(parts[5], "role/") &&
			(strings.HasPrefix(name, "assumerole") || name == "tagsession" || name == "setsourceidentity")
	case "kms":
		return parts[2] == "kms" && strings.HasPrefix(parts[5], "key/")
	}
	return false
}

// kindOf reads the kind of an AWS principal from its ARN, and a session's role
// with it.
func kindOf(p *policy.Principal) policy.PrincipalKind {
	parts := bytes.SplitN([]byte(p.ARN), []byte(":"), 6)
	if len(parts) != 6 {
		return policy.User
	}
	kind, rest, _ := bytes.Cut(parts[5], []byte("/"))
	switch string(kind) {
	case "root":
		return policy.RootUser
	case "assumed-role":
		role, _, _ := bytes.Cut(rest, []byte("/"))
		p.RoleARN = "arn:" + string(parts[1]) + ":iam::" + string(parts[4]) + ":role/" + string(role)
		return policy.RoleSession
	case "federated-user":
		return policy.FederatedUser
	case "role":
		p.RoleARN = p.ARN
		p.ServiceLinked = bytes.HasPrefix(rest, []byte("aws-service-role/"))
		return policy.RoleSession
	}
	return policy.User
}
