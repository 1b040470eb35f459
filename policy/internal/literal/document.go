package literal

import (
	"errors"
	"fmt"
)

// document is one policy. Variables work from version 2012-10-17 on.
type document struct {
	variables  bool
	statements []statement
}

type statement struct {
	allow         bool
	deny          bool
	principal     []namedPrincipal
	notPrincipal  []namedPrincipal
	hasPrincipal  bool
	hasNot        bool
	actions       []string
	notAction     bool
	resources     []string
	notResource   bool
	everyResource bool // a trust or topic policy without Resource: the resource is what the policy is attached to
	everyone      bool // a policy of an identity, or one that names nobody
	wrong         bool // AWS would not store it
	conditions    []condition
}

// namedPrincipal is one value of Principal: {"AWS": "…"}; the string "*" is everyone.
type namedPrincipal struct {
	kind  string
	value string
}

type condition struct {
	operator string
	key      string
	values   []string
}

// readDocument reads a policy of the given type.
// Source: IAM User Guide, "Grammar of the IAM JSON policy language".
func readDocument(value any, policyType string) (document, error) {
	fields, ok := value.(object)
	if !ok {
		return document{}, errors.New("a policy document is an object")
	}
	doc := document{}
	var statements any
	for _, field := range fields {
		switch field.name {
		case "Version":
			switch field.value {
			case "2012-10-17":
				doc.variables = true
			case "2008-10-17": // the default, without variables
			default:
				return document{}, fmt.Errorf("unknown Version %v", field.value)
			}
		case "Id":
		case "Statement":
			statements = field.value
		default:
			return document{}, fmt.Errorf("unknown element %q", field.name)
		}
	}
	list, many := statements.([]any)
	if !many {
		list = []any{statements}
	}
	for _, item := range list {
		st, err := readStatement(item, policyType)
		if err != nil {
			return document{}, err
		}
		doc.statements = append(doc.statements, st)
	}
	return doc, nil
}

func readStatement(value any, policyType string) (statement, error) {
	fields, ok := value.(object)
	if !ok {
		return statement{}, errors.New("a statement is an object")
	}
	st := statement{}
	seen := map[string]bool{}
	for _, field := range fields {
		seen[field.name] = true
		if err := readElement(&st, field); err != nil {
			return statement{}, err
		}
	}
	return st, checkElements(&st, seen, policyType)
}

func readElement(st *statement, field member) (err error) {
	switch field.name {
	case "Sid":
	case "Effect":
		st.allow, st.deny = field.value == "Allow", field.value == "Deny" // "The Effect value is case sensitive"
	case "Principal":
		st.hasPrincipal = true
		st.principal, err = readPrincipal(field.value)
	case "NotPrincipal":
		st.hasNot = true
		st.notPrincipal, err = readPrincipal(field.value)
	case "Action", "NotAction":
		st.notAction = field.name == "NotAction"
		st.actions, err = oneOrMany(field.value)
	case "Resource", "NotResource":
		st.notResource = field.name == "NotResource"
		st.resources, err = oneOrMany(field.value)
	case "Condition":
		st.conditions, err = readConditions(field.value)
	default:
		return fmt.Errorf("unknown element %q", field.name)
	}
	return err
}

// checkElements notes what AWS would not store: a statement with a Principal where none may stand, or without an element
// that it must have. Nothing is granted by it, and what it would deny is denied.
func checkElements(st *statement, seen map[string]bool, policyType string) error {
	if seen["Action"] && seen["NotAction"] || seen["Resource"] && seen["NotResource"] || seen["Principal"] && seen["NotPrincipal"] {
		return errors.New("a statement has one of Action and NotAction, Resource and NotResource, Principal and NotPrincipal")
	}
	named := policyType == "resource" || policyType == "endpoint" || policyType == "resourceControl"
	names := seen["Principal"] || seen["NotPrincipal"]
	st.everyResource = !seen["Resource"] && !seen["NotResource"]
	st.everyone = !names || !named
	// "You must use the Principal element in resource-based policies", and "cannot in an identity-based policy".
	st.wrong = names && !named || !names && policyType == "resource" || st.everyResource && policyType != "resource"
	return nil
}

func readPrincipal(value any) ([]namedPrincipal, error) {
	if value == "*" {
		return []namedPrincipal{{"*", "*"}}, nil
	}
	kinds, ok := value.(object)
	if !ok {
		return nil, errors.New("a Principal is \"*\" or an object")
	}
	var named []namedPrincipal
	for _, kind := range kinds {
		switch kind.name {
		case "AWS", "Service", "Federated", "CanonicalUser":
		default:
			return nil, fmt.Errorf("unknown kind of principal %q", kind.name)
		}
		values, err := oneOrMany(kind.value)
		if err != nil {
			return nil, err
		}
		for _, v := range values {
			named = append(named, namedPrincipal{kind.name, v})
		}
	}
	return named, nil
}

func readConditions(value any) ([]condition, error) {
	operators, ok := value.(object)
	if !ok {
		return nil, errors.New("a Condition is an object")
	}
	var conditions []condition
	for _, operator := range operators {
		keys, ok := operator.value.(object)
		if !ok {
			return nil, fmt.Errorf("the operator %q needs an object", operator.name)
		}
		for _, key := range keys {
			values, err := oneOrMany(key.value)
			if err != nil {
				return nil, err
			}
			conditions = append(conditions, condition{operator.name, key.name, values})
		}
	}
	return conditions, nil
}
