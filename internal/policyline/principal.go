package policyline

import (
	"errors"
	"fmt"
	"strings"

	"github.com/holdfast-iam/holdfast/policy"
)

// Principal is who asks, as a case names it.
type Principal struct {
	Type    string // AWS, Service, Federated, Anonymous or RootUser
	ARN     string // or a service's or provider's name
	Account string // empty: the one that the ARN names
	Role    string // what the context says in aws:PrincipalArn: a session's own ARN has not its role's path
}

// Check says whether the principal can be understood.
func (p *Principal) Check() error {
	switch p.Type {
	case "Anonymous":
	case "AWS", "Service", "Federated":
		if p.ARN == "" {
			return errors.New("the principal's arn is missing")
		}
	case "RootUser":
		if p.account() == "" {
			return errors.New("the root user's account is missing")
		}
	case "":
		return errors.New("the principal's type is missing")
	default:
		return fmt.Errorf("principal type %q is not AWS, Service, Federated, Anonymous or RootUser", brief(p.Type))
	}
	return nil
}

func (p *Principal) account() string {
	if p.Account != "" {
		return p.Account
	}
	return accountOf(p.ARN)
}

// accountOf is the account that an ARN names, empty for none.
func accountOf(arn string) string {
	for range 4 {
		_, rest, ok := strings.Cut(arn, ":")
		if !ok {
			return ""
		}
		arn = rest
	}
	account, _, _ := strings.Cut(arn, ":")
	if strings.Trim(account, "0123456789") != "" {
		return ""
	}
	return account
}

// Asked is the principal as policies see it.
func (p *Principal) Asked() policy.Principal {
	q := policy.Principal{ARN: p.ARN, Account: p.account()}
	switch p.Type {
	case "AWS":
		q.Kind = policy.User
		p.kind(&q)
	case "RootUser":
		q.Kind = policy.RootUser
	case "Service":
		q.Kind, q.Names = policy.Service, []string{p.ARN}
	case "Federated":
		q.Kind, q.Names = policy.Federated, []string{p.ARN}
	default:
		return policy.Principal{}
	}
	return q
}

// kind reads the kind of an AWS principal from its ARN, and a session's role
// with it.
func (p *Principal) kind(q *policy.Principal) {
	parts := strings.SplitN(p.ARN, ":", 6)
	if len(parts) != 6 {
		return
	}
	kind, rest, _ := strings.Cut(parts[5], "/")
	switch kind {
	case "root":
		q.Kind = policy.RootUser
	case "assumed-role":
		q.Kind = policy.RoleSession
		name, _, _ := strings.Cut(rest, "/")
		roles := "arn:" + parts[1] + ":iam::" + parts[4] + ":role/"
		q.RoleARN = roles + name
		if strings.HasPrefix(p.Role, roles) && strings.HasSuffix(p.Role, "/"+name) {
			q.RoleARN = p.Role
		}
		q.ServiceLinked = strings.HasPrefix(q.RoleARN, roles+"aws-service-role/")
	case "federated-user":
		q.Kind = policy.FederatedUser
	case "role":
		q.Kind, q.RoleARN = policy.RoleSession, p.ARN
		q.ServiceLinked = strings.HasPrefix(rest, "aws-service-role/")
	}
}

// Complete fills in what the request leaves to its ARNs: whose the resource
// is, and whether the resource's own policy must allow in any case.
func Complete(p *policy.Policies, r *policy.Request) {
	if r.ResourceAccount == "" {
		r.ResourceAccount = accountOf(r.Resource)
	}
	p.RequiresResource = mustBeNamed(r.Action, r.Resource)
}

// mustBeNamed: roles and their trust policies, and KMS keys, must be named by
// their own policies (IAM User Guide, "Policy evaluation logic").
func mustBeNamed(action, resource string) bool {
	service, name, _ := strings.Cut(action, ":")
	switch {
	case strings.EqualFold(service, "sts"):
		name = strings.ToLower(name)
		return typeOf(resource, "iam", "role/") &&
			(strings.HasPrefix(name, "assumerole") || name == "tagsession" || name == "setsourceidentity")
	case strings.EqualFold(service, "kms"):
		return typeOf(resource, "kms", "key/")
	}
	return false
}

func typeOf(arn, service, kind string) bool {
	parts := strings.SplitN(arn, ":", 6)
	return len(parts) == 6 && parts[2] == service && strings.HasPrefix(parts[5], kind)
}
