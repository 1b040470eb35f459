package native

import (
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/arn"
	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// bounded checks a question against its service's record.
func bounded(s *record.Service, q *Question) error {
	if !slices.ContainsFunc(s.Actions, func(p string) bool { return strings.HasPrefix(record.Fold(q.Action), record.Fold(p)) }) {
		return fault.AccessDenied.Errorf("Service %s may ask only about actions that begin with %s.", s.Name, strings.Join(s.Actions, ", "))
	}
	switch service, name, _ := strings.Cut(q.Action, ":"); {
	case strings.ContainsAny(q.Action, "*?"):
		return fault.InvalidParameterValue.Errorf("The action %q is a pattern; ask about one action.", q.Action)
	case service == "" || name == "":
		return fault.InvalidParameterValue.Errorf("The action %q is not of the form service:Name.", q.Action)
	}
	if !slices.ContainsFunc(s.Resources, func(p string) bool { return arn.Match(p, q.Resource) }) {
		return fault.AccessDenied.Errorf("Service %s may ask only about resources like %s.", s.Name, strings.Join(s.Resources, ", "))
	}
	if len(q.ResourcePolicy) > maxPolicy {
		return fault.InvalidParameterValue.Errorf("The resource policy is longer than %d bytes.", maxPolicy)
	}
	return boundedContext(s, q.Context)
}

func boundedContext(s *record.Service, context map[string][]string) error {
	if len(context) > maxContextKeys {
		return fault.InvalidParameterValue.Errorf("More than %d context keys.", maxContextKeys)
	}
	for key, values := range context {
		folded := record.Fold(key)
		own := slices.ContainsFunc(s.Keys, func(p string) bool { return strings.HasPrefix(folded, record.Fold(p)) })
		if !authz.OfNetwork(key) && (!own || authz.Reserved(key)) {
			return fault.AccessDenied.Errorf("Service %s may not say the context key %s: keys of the principal, session and time are set here, and its own begin with %s.",
				s.Name, key, orNone(s.Keys))
		}
		if len(values) > maxContextValues {
			return fault.InvalidParameterValue.Errorf("Context key %s has more than %d values.", key, maxContextValues)
		}
		for _, v := range values {
			if len(v) > maxValue {
				return fault.InvalidParameterValue.Errorf("A value of context key %s is longer than %d bytes.", key, maxValue)
			}
		}
	}
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "(none)"
	}
	return strings.Join(list, ", ")
}

func serves(s *record.Service, account string) bool {
	return slices.Contains(s.Accounts, "*") || slices.Contains(s.Accounts, account)
}
