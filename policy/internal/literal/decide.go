package literal

import "strings"

// Answer is the decision on one case line.
type Answer struct {
	ID        string
	Decision  string // Allowed, ExplicitDeny or ImplicitDeny
	DecidedBy string // identity, boundary, session, resource, serviceControl, resourceControl, endpoint; or root
	Err       error
}

// Decide answers one line of `policy eval`. A line that cannot be read has Err and no decision.
func Decide(line []byte) Answer {
	id, req, pol, err := readLine(line)
	if err != nil {
		return Answer{ID: id, Err: err}
	}
	decision, by := pol.Decide(&req)
	return Answer{ID: id, Decision: decision, DecidedBy: by}
}

// Decide decides a request.
// Source: IAM User Guide, "How AWS enforcement code logic evaluates requests to allow or deny access" and
// "Cross-account policy evaluation logic".
func (pol *Policies) Decide(req *Request) (decision, by string) {
	if req.Principal.ServiceLinked {
		// "SCPs do not affect any service-linked role"; "RCPs can't be used to restrict … calls by service-linked roles".
		// RCPs do apply to service principals: AWS's example EnforceConfusedDeputyProtection "requires that AWS service
		// principals accessing your resources only do so on behalf of requests from your organization".
		others := *pol
		others.serviceControl, others.resourceControl = nil, nil
		pol = &others
	}
	// Deny evaluation: "In all those policies, the enforcement code looks for a Deny statement that applies".
	if by, ok := explicitDeny(req, pol); ok {
		return "ExplicitDeny", by
	}
	// RCPs, then SCPs: every level must allow.
	if !everyLevelAllows(pol.resourceControl, req, pol) {
		return "ImplicitDeny", "resourceControl"
	}
	if !everyLevelAllows(pol.serviceControl, req, pol) {
		return "ImplicitDeny", "serviceControl"
	}
	// An endpoint policy "does not override or replace identity-based policies or resource-based policies".
	if !permits(pol.endpoint, req, pol) {
		return "ImplicitDeny", "endpoint"
	}
	granted := grantOf(pol.resource, req, pol)
	switch {
	case req.Principal.Kind != "AWS" && req.Principal.Kind != "RootUser":
		// Nobody's user, role or account: there is no identity-based policy that could allow.
		if granted == grantsNothing {
			return "ImplicitDeny", "resource"
		}
		return "Allowed", "resource"
	case req.ResourceAccount == "" || req.Principal.Account == req.ResourceAccount:
		return sameAccount(req, pol, granted)
	}
	return crossAccount(req, pol, granted)
}

func explicitDeny(req *Request, pol *Policies) (string, bool) {
	for _, t := range [...]struct {
		name   string
		levels [][]document
	}{
		{"serviceControl", pol.serviceControl}, {"resourceControl", pol.resourceControl}, {"resource", [][]document{pol.resource}},
		{"identity", [][]document{pol.identity}}, {"boundary", [][]document{pol.boundary}}, {"session", [][]document{pol.session}},
		{"endpoint", [][]document{pol.endpoint}},
	} {
		for _, level := range t.levels {
			if denies(level, req, pol) {
				return t.name, true
			}
		}
	}
	return "", false
}

func denies(list []document, req *Request, pol *Policies) bool {
	for _, doc := range list {
		for i := range doc.statements {
			st := &doc.statements[i]
			if st.deny && applies(st, doc.variables, req, pol) != grantsNothing {
				return true
			}
		}
	}
	return false
}

// sameAccount follows "Policy evaluation for requests within a single account".
func sameAccount(req *Request, pol *Policies, granted grant) (decision, by string) {
	// "If a resource-based policy grants permission directly to the IAM user or the session principal that is making
	// the request, then an implicit deny in an identity-based policy, a permissions boundary, or a session policy does
	// not impact the final decision."
	if granted == grantsDirectly {
		return "Allowed", "resource"
	}
	// "IAM role trust policies and KMS key policies are exceptions to this logic, because they must explicitly allow
	// access for principals."
	if granted == grantsNothing && pol.requiresResource {
		return "ImplicitDeny", "resource"
	}
	// "Resource-based policies that grant permissions to an IAM role ARN are limited by an implicit deny in a
	// permissions boundary or session policy", and not by one in an identity-based policy.
	by = "resource"
	if granted != grantsWithinLimits {
		if by = identityAllows(req, pol); by == "" {
			return "ImplicitDeny", "identity"
		}
	}
	if limit := limitedBy(req, pol); limit != "" {
		return "ImplicitDeny", limit
	}
	return "Allowed", by
}

// crossAccount: "AWS performs two evaluations … The request is allowed only if both evaluations return a decision of
// Allow." What names a session or a user directly is good "within the same account" only.
func crossAccount(req *Request, pol *Policies, granted grant) (decision, by string) {
	by = identityAllows(req, pol)
	if by == "" {
		return "ImplicitDeny", "identity"
	}
	if limit := limitedBy(req, pol); limit != "" {
		return "ImplicitDeny", limit
	}
	if granted == grantsNothing {
		return "ImplicitDeny", "resource"
	}
	return "Allowed", "resource"
}

// identityAllows: "By default, all requests are implicitly denied with the exception of the AWS account root user,
// which has full access."
func identityAllows(req *Request, pol *Policies) string {
	if req.Principal.Kind == "RootUser" {
		return "root"
	}
	if pol.identity != nil && permits(pol.identity, req, pol) {
		return "identity"
	}
	return ""
}

// limitedBy checks the permissions boundary, then the session policy.
func limitedBy(req *Request, pol *Policies) string {
	if !permits(pol.boundary, req, pol) {
		return "boundary"
	}
	// "If there is no session policy, the code checks whether the principal is a role session. If [so] the request is
	// Allowed. Otherwise, the request is implicitly denied": a federated user has no permissions without one.
	if pol.session == nil && strings.Contains(req.Principal.ARN, ":federated-user/") {
		return "session"
	}
	if !permits(pol.session, req, pol) {
		return "session"
	}
	return ""
}

// mustBeAllowedByResource: a role for the calls that its trust policy is for, or a KMS key.
func mustBeAllowedByResource(req *Request) bool {
	part := strings.SplitN(req.Resource, ":", 6)
	if len(part) != 6 {
		return false
	}
	action := strings.ToLower(req.Action)
	role := part[2] == "iam" && strings.HasPrefix(part[5], "role/")
	return role && strings.HasPrefix(action, "sts:") ||
		part[2] == "kms" && strings.HasPrefix(part[5], "key/") && strings.HasPrefix(action, "kms:")
}

// permits: an absent type restricts nothing; a present one needs an Allow.
func permits(list []document, req *Request, pol *Policies) bool {
	return list == nil || grantOf(list, req, pol) != grantsNothing
}

// everyLevelAllows: "there must be an explicit Allow statement at every level from the root through each OU in the
// direct path to the account (including the target account itself)".
// Source: Organizations User Guide, "SCP evaluation".
func everyLevelAllows(levels [][]document, req *Request, pol *Policies) bool {
	if levels == nil {
		return true
	}
	for _, level := range levels {
		if grantOf(level, req, pol) == grantsNothing {
			return false
		}
	}
	return len(levels) > 0
}

// grantOf is the best that the Allow statements of a list grant.
func grantOf(list []document, req *Request, pol *Policies) grant {
	best := grantsNothing
	for _, doc := range list {
		for i := range doc.statements {
			st := &doc.statements[i]
			if st.allow {
				best = max(best, applies(st, doc.variables, req, pol))
			}
		}
	}
	return best
}

// applies says whether a statement applies to the request, and how it names the principal.
func applies(st *statement, variables bool, req *Request, pol *Policies) grant {
	if !actionApplies(st, req) || !resourceApplies(st, variables, req) || !conditionsHold(st, variables, req) {
		return grantsNothing
	}
	return principalApplies(st, req, pol)
}

func actionApplies(st *statement, req *Request) bool {
	listed := false
	for _, pattern := range st.actions {
		listed = listed || matchesAction(pattern, req.Action)
	}
	return listed != st.notAction
}

func resourceApplies(st *statement, variables bool, req *Request) bool {
	if st.everyResource {
		return true
	}
	listed := false
	for _, pattern := range st.resources {
		listed = listed || matchesResource(pattern, req.Resource, variables, req)
	}
	return listed != st.notResource
}
