package literal

import "strings"

// grant is how a statement names the principal, from the least to the most that this gives within one account.
type grant int

const (
	grantsNothing      grant = iota
	delegates                // to the account: its identity-based policies must allow too
	grantsWithinLimits       // to the role behind a session: boundary and session policy still limit
	grantsDirectly           // to the user or session itself
)

// principalApplies: a statement without a Principal speaks of the identity that it is attached to.
func principalApplies(st *statement, req *request, pol policies) grant {
	if st.hasNot {
		return notPrincipalApplies(st, req, pol)
	}
	if !st.hasPrincipal {
		return grantsDirectly
	}
	best := grantsNothing
	for _, named := range st.principal {
		best = max(best, names(named, req.principal))
	}
	return best
}

// notPrincipalApplies: "deny access to all principals except the principal specified".
// The page also says that AWS "might" deny a session whose role or account is not listed, "depending on the service";
// "any existing policies without the required ARN will continue to work", so listing any form of the principal is
// enough here.
func notPrincipalApplies(st *statement, req *request, pol policies) grant {
	if !st.deny {
		return grantsNothing // "NotPrincipal must be used with Effect: Deny. Using it with Allow is not supported."
	}
	if pol.boundary != nil && req.principal.kind == "AWS" {
		// "will always deny any IAM principal that has a permissions boundary policy attached, regardless of the values"
		return grantsDirectly
	}
	for _, named := range st.notPrincipal {
		if names(named, req.principal) != grantsNothing {
			return grantsNothing
		}
	}
	return grantsDirectly
}

// names compares one named principal. Nothing is a pattern: "You cannot use a wildcard to match part of a principal
// name or ARN."
// Source: IAM User Guide, "AWS JSON policy elements: Principal".
func names(named namedPrincipal, who principal) grant {
	switch named.kind {
	case "*":
		// "For IAM users and role principals within your account, no other permissions are required", and "permissions
		// boundaries or session policies do not limit permissions granted using … a wildcard (*) in the Principal".
		return grantsDirectly
	case "AWS":
		return namesAWS(named.value, who)
	case "Service", "Federated":
		if who.kind == named.kind && (named.value == who.arn || named.value == "*") {
			return grantsDirectly
		}
	}
	return grantsNothing // CanonicalUser: a case has no canonical user id to compare
}

func namesAWS(value string, who principal) grant {
	if who.kind == "Service" || who.kind == "Federated" {
		return grantsNothing // {"AWS": "*"} equals "*" "for anonymous users"; a service is not an AWS principal
	}
	if value == "*" {
		return grantsDirectly
	}
	if who.kind == "Anonymous" {
		return grantsNothing
	}
	part := strings.SplitN(value, ":", 6)
	wholeAccount := value == who.account ||
		len(part) == 6 && part[0] == "arn" && part[2] == "iam" && part[4] == who.account && part[5] == "root"
	switch {
	case wholeAccount && who.account != "" && who.kind == "RootUser":
		return grantsDirectly // the root user is the account
	case value == who.arn && value != who.roleARN:
		return grantsDirectly
	case value == who.roleARN && value != "":
		return grantsWithinLimits
	case wholeAccount && who.account != "":
		return delegates // "the account ARN and the shortened account ID both delegate permissions to the account"
	}
	return grantsNothing
}
