package literal

import (
	"errors"
	"fmt"
	"strings"
)

// Request is one question.
type Request struct {
	Principal       Principal
	Action          string
	Resource        string
	ResourceAccount string // empty: the principal's own
	Context         []Key
}

// Principal is who asks.
type Principal struct {
	Kind    string // AWS, Service, Federated, Anonymous, RootUser
	ARN     string
	Account string
	RoleARN string   // of a role, or of the role behind a role session
	ID      string   // the unique id of the user or role
	Names   []string // of a service or an identity of a provider
	// ServiceLinked roles stand outside SCPs and RCPs.
	ServiceLinked bool
}

// Key is one key of the request's context.
type Key struct {
	Name   string
	Values []string
}

// Policies by type. A nil list is absent: there is no policy of that type.
type Policies struct {
	identity, boundary, session, resource, endpoint []document
	serviceControl, resourceControl                 [][]document
	// requiresResource: the resource's own policy must allow in any case, as a role's trust policy.
	requiresResource bool
}

func readLine(line []byte) (id string, req Request, pol *Policies, err error) {
	value, err := decodeOrdered(line)
	if err != nil {
		return "", req, nil, err
	}
	fields, ok := value.(object)
	if !ok {
		return "", req, nil, errors.New("a case is an object")
	}
	id, _ = text(fields, "id")
	asked, ok := fields.get("request")
	askedFields, isObject := asked.(object)
	if !ok || !isObject {
		return id, req, nil, errors.New("a case needs a request")
	}
	if req, err = readRequest(askedFields); err != nil {
		return id, req, nil, err
	}
	pol = &Policies{}
	if given, ok := fields.get("policies"); ok {
		pol, err = readPolicies(given)
	}
	if err == nil && mustBeAllowedByResource(&req) {
		pol.requiresResource = true
	}
	return id, req, pol, err
}

func text(fields object, name string) (string, bool) {
	value, _ := fields.get(name)
	s, ok := value.(string)
	return s, ok
}

func readRequest(fields object) (Request, error) {
	req := Request{}
	req.Action, _ = text(fields, "action")
	req.Resource, _ = text(fields, "resource")
	req.ResourceAccount, _ = text(fields, "resourceAccount")
	who, _ := fields.get("principal")
	whoFields, ok := who.(object)
	if !ok {
		return req, errors.New("a request needs a principal")
	}
	req.Principal.Kind, _ = text(whoFields, "type")
	req.Principal.ARN, _ = text(whoFields, "arn")
	req.Principal.Account, _ = text(whoFields, "accountId")
	switch req.Principal.Kind {
	case "Service", "Federated":
		req.Principal.Names = []string{req.Principal.ARN}
	case "AWS", "Anonymous", "RootUser":
	default:
		return req, fmt.Errorf("unknown type of principal %q", req.Principal.Kind)
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
			req.Context = append(req.Context, Key{key.name, values})
		}
	}
	completePrincipal(&req)
	return req, nil
}

// completePrincipal fills what a line leaves to the ARNs.
func completePrincipal(req *Request) {
	who := &req.Principal
	part := strings.SplitN(who.ARN, ":", 6)
	if len(part) == 6 {
		if who.Account == "" && (who.Kind == "AWS" || who.Kind == "RootUser") {
			who.Account = part[4]
		}
		if part[2] == "iam" && strings.HasPrefix(part[5], "role/") {
			who.RoleARN = who.ARN
		}
		if part[2] == "sts" && strings.HasPrefix(part[5], "assumed-role/") {
			// A session's ARN has the role's name without its path. "For IAM roles, the request context
			// [aws:PrincipalArn] returns the ARN of the role", path included; without that key the path is "/".
			name := strings.Split(part[5], "/")[1]
			who.RoleARN = "arn:" + part[1] + ":iam::" + part[4] + ":role/" + name
			if values := req.lookup("aws:PrincipalArn"); len(values) == 1 &&
				strings.HasPrefix(values[0], "arn:"+part[1]+":iam::"+part[4]+":role/") &&
				strings.HasSuffix(values[0], "/"+name) {
				who.RoleARN = values[0]
			}
		}
	}
	who.ServiceLinked = strings.Contains(who.RoleARN, ":role/aws-service-role/")
	if req.ResourceAccount == "" {
		// AWS always knows the owner; a line that does not say is taken by the ARN, else as the caller's own account.
		if part := strings.SplitN(req.Resource, ":", 6); len(part) == 6 {
			req.ResourceAccount = part[4]
		}
	}
}

// lookup finds a context key; names are not case-sensitive. A key without values is as one that is not there.
func (req *Request) lookup(name string) []string {
	for i := range req.Context {
		if sameLetters(req.Context[i].Name, name) {
			return req.Context[i].Values
		}
	}
	return nil
}

// ReadPolicies reads all policies of a case: {"identity":[{"name":…,"document":{…}}],…,"serviceControl":[[…],…]}.
func ReadPolicies(text []byte) (*Policies, error) {
	value, err := decodeOrdered(text)
	if err != nil {
		return nil, err
	}
	return readPolicies(value)
}

func readPolicies(value any) (*Policies, error) {
	fields, ok := value.(object)
	if !ok {
		return nil, errors.New("policies is an object")
	}
	pol := &Policies{}
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
		} else if field.name == "requiresResource" {
			pol.requiresResource = field.value == true
		} else {
			err = fmt.Errorf("unknown type of policy %q", field.name)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field.name, err)
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
