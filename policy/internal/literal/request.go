package literal

import (
	"errors"
	"fmt"
	"strings"
)

type request struct {
	principal       principal
	action          string
	resource        string
	resourceAccount string
	context         []contextKey
}

type principal struct {
	kind    string // AWS, Service, Federated, Anonymous, RootUser
	arn     string
	account string
	roleARN string // of a role, or of the role behind a role session
}

type contextKey struct {
	name   string // lower case: key names are not case-sensitive
	values []string
}

// policies by type. A nil list is absent: there is no policy of that type.
type policies struct {
	identity, boundary, session, resource, endpoint []document
	serviceControl, resourceControl                 [][]document
}

func readLine(line []byte) (id string, req request, pol policies, err error) {
	value, err := decodeOrdered(line)
	if err != nil {
		return "", req, pol, err
	}
	fields, ok := value.(object)
	if !ok {
		return "", req, pol, errors.New("a case is an object")
	}
	id, _ = text(fields, "id")
	asked, ok := fields.get("request")
	askedFields, isObject := asked.(object)
	if !ok || !isObject {
		return id, req, pol, errors.New("a case needs a request")
	}
	if req, err = readRequest(askedFields); err != nil {
		return id, req, pol, err
	}
	given, ok := fields.get("policies")
	if !ok {
		return id, req, pol, nil
	}
	givenFields, isObject := given.(object)
	if !isObject {
		return id, req, pol, errors.New("policies is an object")
	}
	pol, err = readPolicies(givenFields)
	return id, req, pol, err
}

func text(fields object, name string) (string, bool) {
	value, _ := fields.get(name)
	s, ok := value.(string)
	return s, ok
}

func readRequest(fields object) (request, error) {
	req := request{}
	req.action, _ = text(fields, "action")
	req.resource, _ = text(fields, "resource")
	req.resourceAccount, _ = text(fields, "resourceAccount")
	who, _ := fields.get("principal")
	whoFields, ok := who.(object)
	if !ok {
		return req, errors.New("a request needs a principal")
	}
	req.principal.kind, _ = text(whoFields, "type")
	req.principal.arn, _ = text(whoFields, "arn")
	req.principal.account, _ = text(whoFields, "accountId")
	switch req.principal.kind {
	case "AWS", "Service", "Federated", "Anonymous", "RootUser":
	default:
		return req, fmt.Errorf("unknown type of principal %q", req.principal.kind)
	}
	if given, ok := fields.get("context"); ok {
		keys, isObject := given.(object)
		if !isObject {
			return req, errors.New("a context is an object")
		}
		for _, key := range keys {
			if key.value == nil { // "the value is effectively null": as if the key were not there
				continue
			}
			values, err := oneOrMany(key.value)
			if err != nil {
				return req, err
			}
			req.context = append(req.context, contextKey{strings.ToLower(key.name), values})
		}
	}
	completeAccounts(&req)
	return req, nil
}

// completeAccounts fills what the case leaves to the ARNs.
func completeAccounts(req *request) {
	who := &req.principal
	part := strings.SplitN(who.arn, ":", 6)
	if who.account == "" && len(part) == 6 && (who.kind == "AWS" || who.kind == "RootUser") {
		who.account = part[4]
	}
	if len(part) == 6 && part[2] == "iam" && strings.HasPrefix(part[5], "role/") {
		who.roleARN = who.arn
	}
	if len(part) == 6 && part[2] == "sts" && strings.HasPrefix(part[5], "assumed-role/") {
		// A session's ARN has the role's name without its path. "For IAM roles, the request context [aws:PrincipalArn]
		// returns the ARN of the role", path included; without that key the path is taken to be "/".
		name := strings.Split(part[5], "/")[1]
		who.roleARN = "arn:" + part[1] + ":iam::" + part[4] + ":role/" + name
		if values, ok := req.lookup("aws:PrincipalArn"); ok && len(values) == 1 &&
			strings.HasPrefix(values[0], "arn:"+part[1]+":iam::"+part[4]+":role/") &&
			strings.HasSuffix(values[0], "/"+name) {
			who.roleARN = values[0]
		}
	}
	if req.resourceAccount == "" {
		// AWS always knows the owner; a case that does not say is taken by the ARN, else as the caller's own account.
		if part := strings.SplitN(req.resource, ":", 6); len(part) == 6 {
			req.resourceAccount = part[4]
		}
		if req.resourceAccount == "" {
			req.resourceAccount = who.account
		}
	}
}

// lookup finds a context key; names are not case-sensitive.
func (req *request) lookup(name string) ([]string, bool) {
	for _, key := range req.context {
		if key.name == strings.ToLower(name) {
			return key.values, true
		}
	}
	return nil, false
}

func readPolicies(fields object) (policies, error) {
	pol := policies{}
	lists := map[string]*[]document{"identity": &pol.identity, "boundary": &pol.boundary, "session": &pol.session,
		"resource": &pol.resource, "endpoint": &pol.endpoint}
	levels := map[string]*[][]document{"serviceControl": &pol.serviceControl, "resourceControl": &pol.resourceControl}
	for _, field := range fields {
		if field.value == nil {
			continue
		}
		var err error
		if list, ok := lists[field.name]; ok {
			*list, err = readList(field.value, field.name)
		} else if level, ok := levels[field.name]; ok {
			*level, err = readLevels(field.value, field.name)
		} else {
			err = fmt.Errorf("unknown type of policy %q", field.name)
		}
		if err != nil {
			return pol, fmt.Errorf("%s: %w", field.name, err)
		}
	}
	return pol, nil
}

func readLevels(value any, policyType string) ([][]document, error) {
	items, ok := value.([]any)
	if !ok {
		return nil, errors.New("want a list of levels")
	}
	levels := [][]document{}
	for _, item := range items {
		level, err := readList(item, policyType)
		if err != nil {
			return nil, err
		}
		levels = append(levels, level)
	}
	return levels, nil
}

func readList(value any, policyType string) ([]document, error) {
	items, ok := value.([]any)
	if !ok {
		return nil, errors.New("want a list of policies")
	}
	list := []document{}
	for _, item := range items {
		named, ok := item.(object)
		if !ok {
			return nil, errors.New("want an object with name and document")
		}
		body, _ := named.get("document")
		doc, err := readDocument(body, policyType)
		if err != nil {
			return nil, err
		}
		list = append(list, doc)
	}
	return list, nil
}
