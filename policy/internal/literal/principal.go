package literal

import (
	"slices"
	"strings"
)

// grant is how a statement names the principal, from the least to the most that this gives within one account.
type grant int

const (
	grantsNothing      grant = iota
	delegates                // to the account: its identity-based policies must allow too
	grantsWithinLimits       // to the role behind a session: boundary and session policy still limit
	grantsDirectly           // to the user or session itself
)

// principalApplies: a statement without a Principal speaks of the identity that it is attached to.
func principalApplies(st *statement, req *Request, pol *Policies) grant {
	if st.wrong && st.allow {
		return grantsNothing
	}
	if st.everyone {
		return grantsDirectly
	}
	if st.hasNot {
		return notPrincipalApplies(st, req, pol)
	}
	best := grantsNothing
	for _, named := range st.principal {
		best = max(best, names(named, &req.Principal, st.deny))
	}
	return best
}

// notPrincipalApplies: "deny access to all principals except the principal specified".
// "You must also specify the account ARN of the not-denied principal. … AWS might validate the account first, and then
// the user", for a session the account, the role and the session: so the account alone spares nobody but its root user.
// That the account is missing denies nobody: "might", "depending on the service".
func notPrincipalApplies(st *statement, req *Request, pol *Policies) grant {
	if !st.deny {
		return grantsNothing // "NotPrincipal must be used with Effect: Deny. Using it with Allow is not supported."
	}
	if pol.boundary != nil && req.Principal.Kind == "AWS" {
		// "will always deny any IAM principal that has a permissions boundary policy attached, regardless of the values"
		return grantsDirectly
	}
	for _, named := range st.notPrincipal {
		if by := names(named, &req.Principal, false); by > delegates || by == delegates && req.Principal.Kind == "RootUser" {
			return grantsNothing
		}
	}
	return grantsDirectly
}

// names compares one named principal. Nothing is a pattern: "You cannot use a wildcard to match part of a principal
// name or ARN." A principal of which AWS does not say whether it is meant is meant where inDoubt says so: by a Deny.
// Source: IAM User Guide, "AWS JSON policy elements: Principal".
func names(named namedPrincipal, who *Principal, inDoubt bool) grant {
	switch named.kind {
	case "*":
		// "For IAM users and role principals within your account, no other permissions are required", and "permissions
		// boundaries or session policies do not limit permissions granted using … a wildcard (*) in the Principal".
		return grantsDirectly
	case "AWS":
		return namesAWS(named.value, who, inDoubt)
	case "Service", "Federated":
		if who.Kind == named.kind && slices.Contains(who.Names, named.value) {
			return grantsDirectly
		}
	}
	return grantsNothing // CanonicalUser: nobody has a canonical user id here
}

func namesAWS(value string, who *Principal, inDoubt bool) grant {
	if who.Kind == "Service" || who.Kind == "Federated" {
		// {"AWS": "*"} equals "*" "for anonymous users"; of services AWS says nothing, and they are no AWS principals.
		if value == "*" && inDoubt {
			return grantsDirectly
		}
		return grantsNothing
	}
	if value == "*" {
		return grantsDirectly
	}
	if who.Kind == "Anonymous" || value == "" {
		return grantsNothing
	}
	part := strings.SplitN(value, ":", 6)
	wholeAccount := who.Account != "" && (value == who.Account ||
		len(part) == 6 && part[0] == "arn" && part[2] == "iam" && part[3] == "" && part[4] == who.Account && part[5] == "root")
	switch {
	case wholeAccount:
		return delegates // "the account ARN and the shortened account ID both delegate permissions to the account"
	case value == who.RoleARN, value == who.ID && who.RoleARN != "": // "the role unique principal ID" stands for the role
		return grantsWithinLimits
	case value == who.ARN, value == who.ID:
		return grantsDirectly
	}
	return grantsNothing
}
