package lint

import "github.com/holdfast-iam/holdfast/internal/lint/source"

// report keeps a finding at a value's place.
type report func(n *source.Node, format string, args ...any)

// Rule is one thing that is looked for. Its ID is for good: baselines name it.
type Rule struct {
	ID       string
	Severity Severity
	Help     string
	Source   string // where it comes from
	check    func(d *document, report report)
}

// Rules that a file breaks before there is a document to check.
var (
	syntax        = Rule{"syntax", Error, "The text is JSON or YAML, and no member stands twice.", guide + "reference_policies_grammar.html", nil}
	grammar       = Rule{"grammar", Error, "The policy has the form that AWS stores: its elements, operators, values and principals.", guide + "reference_policies_grammar.html", nil}
	unknownPolicy = Rule{"unknown-policy", Note, "A policy that only the deployment knows could not be checked.", "https://developer.hashicorp.com/terraform/internals/json-format", nil}
)

// Where the rules come from.
const (
	guide     = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
	reference = "https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html"
)

// Rules is all of them, in the order in which they are told.
var Rules = []Rule{
	syntax,
	{grammar.ID, grammar.Severity, grammar.Help, grammar.Source, checkGrammar},
	unknownPolicy,
	{"unknown-service", Warning, "An action's prefix is a service of AWS, or one given with --service.", reference, unknownService},
	{"unknown-action", Error, "An action exists; one with wildcards matches some action.", reference, unknownAction},
	{"unknown-condition-key", Error, "A condition key or a policy variable is a global key or one of its service.", guide + "reference_policies_condition-keys.html", unknownKey},
	{"key-not-for-action", Warning, "A service's condition key is one that an action of the statement can have: it is missing from every other request.", reference, keyNotForAction},
	{"resource-type", Warning, "An action works on a resource of the statement, and a resource is one that an action works on.", reference, resourceType},
	{"matches-nothing", Warning, "A statement can match a request: not if none of its actions works on any of its resources, or if it excludes everything.", guide + "reference_policies_elements_resource.html", matchesNothing},
	{"contradiction", Error, "The conditions of a statement can hold together.", guide + "reference_policies_multi-value-conditions.html", contradiction},
	{"literal-wildcard", Warning, "A wildcard in a value of StringEquals is a plain character, which no ARN has: StringLike or ArnLike was meant.", guide + "reference_policies_elements_condition_operators.html", literalWildcard},
	{"old-version", Warning, "Policy variables are plain text in a policy without \"Version\": \"2012-10-17\".", guide + "reference_policies_elements_version.html", oldVersion},
	{"denied-anyway", Warning, "An Allow is not taken away as a whole by an unconditional Deny of the same policy.", guide + "reference_policies_evaluation-logic.html", deniedAnyway},
	{"redundant-statement", Warning, "A statement says something that no wider statement of the same effect says.", guide + "access-analyzer-reference-policy-checks.html", redundantStatement},
	{"redundant-value", Note, "A value of a list is not covered by another of the same list.", guide + "access-analyzer-reference-policy-checks.html", redundantValue},
	{"privilege-escalation", Warning, "What a policy grants does not let its holder gain more than it grants.", guide + "id_roles_use_passrole.html", escalation},
	{"full-access", Warning, "A policy does not grant every action on every resource.", guide + "best-practices.html#grant-least-privilege", fullAccess},
	{"allow-not-action", Warning, "Allow with NotAction grants every action but some, those of services to come included.", guide + "reference_policies_elements_notaction.html", allowNotAction},
	{"allow-not-resource", Warning, "Allow with NotResource grants access to every resource but some, those to come included.", guide + "reference_policies_elements_notresource.html", allowNotResource},
	{"allow-not-principal", Error, "NotPrincipal stands with Deny only.", guide + "reference_policies_elements_notprincipal.html", allowNotPrincipal},
	{"everyone", Warning, "An Allow for everybody has a condition.", guide + "reference_policies_elements_principal.html", everyone},
	{"confused-deputy", Warning, "An Allow for a service says for whom it may act: aws:SourceAccount, aws:SourceArn, aws:SourceOrgID or aws:SourceOrgPaths.", guide + "confused-deputy.html", confusedDeputy},
}
