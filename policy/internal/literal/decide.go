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
// Source: IAM User Guide, "How AWS enforcement code logic evaluates requests to allow or deny access" and
// "Cross-account policy evaluation logic".
func Decide(line []byte) Answer {
	id, req, pol, err := readLine(line)
	if err != nil {
		return Answer{ID: id, Err: err}
	}
	decision, by := decide(&req, onlyApplicable(&req, pol))
	return Answer{ID: id, Decision: decision, DecidedBy: by}
}

// onlyApplicable drops the types of policy that do not apply to the principal.
func onlyApplicable(req *request, pol policies) policies {
	who := req.principal
	if who.kind != "AWS" && who.kind != "RootUser" {
		// Nobody's user, role or account: identity-based policies, boundaries, session policies and SCPs are attached
		// to something that these principals do not have.
		pol.identity, pol.boundary, pol.session, pol.serviceControl = nil, nil, nil, nil
	}
	// RCPs do apply to service principals: AWS's example EnforceConfusedDeputyProtection "requires that AWS service
	// principals accessing your resources only do so on behalf of requests from your organization".
	if strings.Contains(who.roleARN, ":role/aws-service-role/") {
		// "SCPs do not affect any service-linked role"; "RCPs can't be used to restrict … calls by service-linked roles".
		pol.serviceControl, pol.resourceControl = nil, nil
	}
	return pol
}

func decide(req *request, pol policies) (decision, by string) {
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
	case req.principal.kind != "AWS" && req.principal.kind != "RootUser":
		if granted == grantsNothing {
			return "ImplicitDeny", "resource"
		}
		return "Allowed", "resource"
	case req.principal.account == req.resourceAccount:
		return sameAccount(req, pol, granted)
	}
	return crossAccount(req, pol, granted)
}

func explicitDeny(req *request, pol policies) (string, bool) {
	types := []struct {
		name string
		list []document
	}{
		{"serviceControl", flatten(pol.serviceControl)}, {"resourceControl", flatten(pol.resourceControl)},
		{"resource", pol.resource}, {"identity", pol.identity}, {"boundary", pol.boundary}, {"session", pol.session},
		{"endpoint", pol.endpoint},
	}
	for _, t := range types {
		for _, doc := range t.list {
			for i := range doc.statements {
				st := &doc.statements[i]
				if st.deny && applies(st, doc.variables, req, pol) != grantsNothing {
					return t.name, true
				}
			}
		}
	}
	return "", false
}

func flatten(levels [][]document) []document {
	var all []document
	for _, level := range levels {
		all = append(all, level...)
	}
	return all
}

// sameAccount follows "Policy evaluation for requests within a single account".
func sameAccount(req *request, pol policies, granted grant) (decision, by string) {
	// "If a resource-based policy grants permission directly to the IAM user or the session principal that is making
	// the request, then an implicit deny in an identity-based policy, a permissions boundary, or a session policy does
	// not impact the final decision."
	if granted == grantsDirectly {
		return "Allowed", "resource"
	}
	// "IAM role trust policies and KMS key policies are exceptions to this logic, because they must explicitly allow
	// access for principals."
	if granted == grantsNothing && mustBeAllowedByResource(req) {
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
func crossAccount(req *request, pol policies, granted grant) (decision, by string) {
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
func identityAllows(req *request, pol policies) string {
	if req.principal.kind == "RootUser" {
		return "root"
	}
	if pol.identity != nil && permits(pol.identity, req, pol) {
		return "identity"
	}
	return ""
}

// limitedBy checks the permissions boundary, then the session policy.
func limitedBy(req *request, pol policies) string {
	if !permits(pol.boundary, req, pol) {
		return "boundary"
	}
	// "If there is no session policy, the code checks whether the principal is a role session. If [so] the request is
	// Allowed. Otherwise, the request is implicitly denied": a federated user has no permissions without one.
	if pol.session == nil && strings.Contains(req.principal.arn, ":federated-user/") {
		return "session"
	}
	if !permits(pol.session, req, pol) {
		return "session"
	}
	return ""
}

// mustBeAllowedByResource: a role for the calls that its trust policy is for, or a KMS key.
func mustBeAllowedByResource(req *request) bool {
	part := strings.SplitN(req.resource, ":", 6)
	if len(part) != 6 {
		return false
	}
	action := strings.ToLower(req.action)
	role := part[2] == "iam" && strings.HasPrefix(part[5], "role/")
	return role && strings.HasPrefix(action, "sts:") ||
		part[2] == "kms" && strings.HasPrefix(part[5], "key/") && strings.HasPrefix(action, "kms:")
}

// permits: an absent type restricts nothing; a present one needs an Allow.
func permits(list []document, req *request, pol policies) bool {
	return list == nil || grantOf(list, req, pol) != grantsNothing
}

// everyLevelAllows: "there must be an explicit Allow statement at every level from the root through each OU in the
// direct path to the account (including the target account itself)".
// Source: Organizations User Guide, "SCP evaluation".
func everyLevelAllows(levels [][]document, req *request, pol policies) bool {
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
func grantOf(list []document, req *request, pol policies) grant {
	best := grantsNothing
	for _, doc := range list {
		for i := range doc.statements {
			st := &doc.statements[i]
			if !st.deny {
				best = max(best, applies(st, doc.variables, req, pol))
			}
		}
	}
	return best
}

// applies says whether a statement applies to the request, and how it names the principal.
func applies(st *statement, variables bool, req *request, pol policies) grant {
	if !actionApplies(st, req) || !resourceApplies(st, variables, req) || !conditionsHold(st, variables, req) {
		return grantsNothing
	}
	return principalApplies(st, req, pol)
}

func actionApplies(st *statement, req *request) bool {
	listed := false
	for _, pattern := range st.actions {
		listed = listed || matchesAction(pattern, req.action)
	}
	return listed != st.notAction
}

func resourceApplies(st *statement, variables bool, req *request) bool {
	if st.everyResource {
		return true
	}
	listed := false
	for _, pattern := range st.resources {
		listed = listed || matchesResource(pattern, req.resource, variables, req)
	}
	return listed != st.notResource
}
