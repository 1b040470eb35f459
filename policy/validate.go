package policy

import (
	"errors"
	"slices"
	"strings"
)

// Errors in the words of IAM's MalformedPolicyDocument.
var (
	errSyntax      = errors.New("Syntax errors in policy.")
	errNoVersion   = errors.New("Policy document must be version 2012-10-17 or greater.")
	errStatement   = errors.New("Syntax error: policy must contain at least one statement.")
	errPrincipal   = errors.New("Policy document should not specify a principal.")
	errNoPrincipal = errors.New("Missing required field Principal")
	// An RCP speaks of everyone and names its actions (AWS Organizations User
	// Guide, "RCP syntax").
	errEveryone    = errors.New(`The principal of a resource control policy must be "*".`)
	errNotAction   = errors.New("A resource control policy must not have NotAction.")
	errNoAction    = errors.New("Missing required field Action")
	errNoResource  = errors.New("Policy statement must contain resources.")
	errHasResource = errors.New("Has prohibited field Resource")
	errEffect      = errors.New("Missing required field Effect")
	errSids        = errors.New("Statement IDs (SID) in a single policy must be unique.")
	errSidForm     = errors.New("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*")
	errVendor      = errors.New("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
	errTrustAction = errors.New("AssumeRole policy may only specify STS AssumeRole actions.")
	errFormat      = errors.New("The policy failed legacy parsing")
)

// Validate says whether AWS would store the document as a policy of the type.
// The error's words are those of MalformedPolicyDocument.
func (d *Document) Validate(t Type) error {
	if t != Identity && t != Resource && t != Trust && t != Session && t != ServiceControl && t != ResourceControl {
		return errSyntax
	}
	if d.version != "" && d.version != version2012 && d.version != version2008 {
		return errSyntax
	}
	if d.version != version2012 && (t == ServiceControl || t == ResourceControl) {
		return errNoVersion
	}
	if len(d.statements) == 0 {
		return errStatement
	}
	seen := map[string]bool{}
	for i := range d.statements {
		s := &d.statements[i]
		if s.sid != "" && seen[s.sid] {
			return errSids
		}
		seen[s.sid] = true
		if err := s.validate(t); err != nil {
			return err
		}
	}
	return nil
}

func (s *statement) validate(t Type) error {
	switch {
	case s.effect == "":
		return errEffect
	case s.effect != "Allow" && s.effect != "Deny":
		return errSyntax
	case t != Resource && !alphanumeric(s.sid):
		return errSidForm
	case !s.hasAction || len(s.actions) == 0:
		return errNoAction
	case t == ResourceControl && s.notAction:
		return errNotAction
	}
	if err := s.validatePrincipal(t); err != nil {
		return err
	}
	if err := s.validateResource(t); err != nil {
		return err
	}
	for _, a := range s.actions {
		if err := validAction(a, t); err != nil {
			return err
		}
	}
	for _, c := range s.conditions {
		if err := c.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (s *statement) validatePrincipal(t Type) error {
	wants := t == Resource || t == Trust || t == ResourceControl
	switch {
	case wants && s.principal == nil:
		return errNoPrincipal
	case !wants && s.principal != nil:
		return errPrincipal
	case s.principal == nil:
		return nil
	case t == ResourceControl && (s.not || !s.principal.everyone):
		return errEveryone
	case t == Trust && s.not && s.effect == "Allow":
		return errors.New("Allow with NotPrincipal is not allowed.")
	}
	for _, p := range s.principal.byType {
		switch p.kind {
		case "AWS", "Service", "Federated", "CanonicalUser":
		default:
			return errSyntax
		}
		if len(p.values) == 0 {
			return errNoPrincipal
		}
		for _, v := range p.values {
			if !validPrincipal(p.kind, v) {
				return errors.New("Invalid principal in policy: \"" + p.kind + "\":\"" + v + "\"")
			}
		}
	}
	return nil
}

// validPrincipal checks a principal's form. Wildcards stand alone.
func validPrincipal(kind, v string) bool {
	if v == "*" {
		return kind == "AWS"
	}
	if v == "" || strings.ContainsAny(v, "*? \t\r\n") || !ascii(v) {
		return false
	}
	switch kind {
	case "AWS":
		if len(v) == 12 && digitsOnly(v) {
			return true
		}
		if strings.HasPrefix(v, "arn:") {
			return strings.Count(v, ":") >= 5
		}
		return len(v) >= 16 && alphanumeric(v) // a unique id
	case "Service":
		return strings.Contains(v, ".")
	}
	return true
}

func (s *statement) validateResource(t Type) error {
	if t == Trust {
		if s.hasRes {
			return errHasResource
		}
		return nil
	}
	if !s.hasRes || len(s.resources) == 0 {
		return errNoResource
	}
	for _, r := range s.resources {
		if r == "*" || strings.HasPrefix(r, "${") || strings.HasPrefix(r, "*") {
			continue
		}
		if !strings.HasPrefix(r, "arn:") {
			return errors.New("Resource " + r + " must be in ARN format or \"*\".")
		}
	}
	return nil
}

func validAction(a string, t Type) error {
	if a == "*" {
		if t == Trust {
			return errTrustAction
		}
		return nil
	}
	vendor, name, ok := strings.Cut(a, ":")
	if !ok || vendor == "" {
		return errVendor
	}
	if name == "" || !actionText(vendor) || !actionText(name) {
		return errFormat
	}
	if t == Trust && fold(vendor) != "sts" {
		return errTrustAction
	}
	return nil
}

func actionText(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_*?", c) >= 0) {
			return false
		}
	}
	return true
}

func (c *condition) validate() error {
	base, _, _, ok := splitOperator(fold(c.operator))
	if !ok {
		return errors.New("Invalid Condition type : " + c.operator + ".")
	}
	if vendor, name, ok := strings.Cut(c.key, ":"); !ok || vendor == "" || name == "" || !ascii(c.key) {
		return errVendor
	}
	if base == nullOperator {
		if len(c.values) == 0 || slices.ContainsFunc(c.values, func(v string) bool { return !isFlag(v) }) {
			return errSyntax
		}
		return nil
	}
	op := operators[base]
	for _, v := range c.values {
		if _, ok := op.compile(&compiler{variables: true}, []string{v}); !ok && !strings.Contains(v, "${") {
			return errors.New("The value " + v + " is not valid for the condition " + c.operator + " " + c.key + ".")
		}
	}
	return nil
}

func alphanumeric(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

func isFlag(s string) bool {
	_, ok := toFlag(s)
	return ok
}
