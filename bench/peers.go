package main

import (
	"bytes"
	"fmt"
	"net"
	"strings"

	cedar "github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	minio "github.com/minio/pkg/v3/policy"
	minioif "github.com/minio/pkg/v3/policy/condition"
)

// cedarText writes a workload as one would in Cedar: a policy per statement,
// actions with a star as action groups, ARNs matched with like.
func cedarText(w *workload) []byte {
	var b bytes.Buffer
	for _, list := range w.policies {
		for _, s := range list {
			effect := "permit"
			if s.deny {
				effect = "forbid"
			}
			var actions, likes []string
			for _, a := range s.actions {
				actions = append(actions, fmt.Sprintf("Action::%q", a))
			}
			for _, r := range s.resources {
				likes = append(likes, fmt.Sprintf("resource.arn like %q", r))
			}
			fmt.Fprintf(&b, "%s (principal == User::%q, action in [%s], resource)\nwhen { %s }", effect, asker,
				strings.Join(actions, ", "), strings.Join(likes, " || "))
			for _, c := range s.conditions {
				fmt.Fprintf(&b, "\nwhen { %s }", cedarCondition(c))
			}
			b.WriteString(";\n")
		}
	}
	return b.Bytes()
}

func cedarCondition(c condition) string {
	key := "context." + strings.TrimPrefix(c.key, "aws:")
	switch c.operator {
	case "StringLike", "ArnLike":
		return fmt.Sprintf("%s like %q", key, c.value)
	case "IpAddress":
		return fmt.Sprintf("%s.isInRange(ip(%q))", key, c.value)
	case "Bool":
		return key + " == " + c.value
	}
	return fmt.Sprintf("%s == %q", key, c.value)
}

func cedarDecision(w *workload) (func() bool, error) {
	set, err := cedar.NewPolicySetFromBytes("policies", cedarText(w))
	if err != nil {
		return nil, err
	}
	action, resource, user := cedar.NewEntityUID("Action", types.String(w.action)), cedar.NewEntityUID("Object", types.String(w.resource)),
		cedar.NewEntityUID("User", asker)
	service, name, _ := strings.Cut(w.action, ":")
	groups := []types.EntityUID{cedar.NewEntityUID("Action", types.String(service+":*"))}
	if strings.HasPrefix(name, "Get") {
		groups = append(groups, cedar.NewEntityUID("Action", types.String(service+":Get*")))
	}
	entities := types.EntityMap{
		action:   {UID: action, Parents: types.NewEntityUIDSet(groups...)},
		resource: {UID: resource, Attributes: cedar.NewRecord(cedar.RecordMap{"arn": types.String(w.resource)})},
		user:     {UID: user},
	}
	address, err := types.ParseIPAddr(askAddress)
	if err != nil {
		return nil, err
	}
	request := cedar.Request{Principal: user, Action: action, Resource: resource, Context: cedar.NewRecord(cedar.RecordMap{
		"username": types.String(askerName), "UserAgent": types.String(askAgent), "SourceIp": address,
		"SecureTransport": types.True, "PrincipalArn": types.String(asker)})}
	return func() bool {
		d, reasons := cedar.Authorize(set, entities, request)
		return d == cedar.Allow && len(reasons.Reasons) > 0
	}, nil
}

// minioDecision merges the policies, as the MinIO server does for a user with
// several. Its parser takes S3, KMS and STS alone, so statements are made
// through its constructors; ArnLike, which it does not have, becomes
// StringLike.
func minioDecision(w *workload) (func() bool, error) {
	var policies []minio.Policy
	for _, list := range w.policies {
		p := minio.Policy{Version: minio.DefaultVersion}
		for _, s := range list {
			st, err := minioStatement(s)
			if err != nil {
				return nil, err
			}
			p.Statements = append(p.Statements, st)
		}
		policies = append(policies, p)
	}
	merged := minio.Policy{Version: minio.DefaultVersion}
	if len(policies) < 10 { // its removal of duplicates is quadratic, and there are none
		merged = minio.MergePolicies(policies...)
	} else {
		for _, p := range policies {
			merged.Statements = append(merged.Statements, p.Statements...)
		}
	}
	bucket, object, _ := strings.Cut(strings.TrimPrefix(w.resource, minio.ResourceARNPrefix), "/")
	args := minio.Args{AccountName: askerName, Action: minio.Action(w.action), BucketName: bucket, ObjectName: object,
		ConditionValues: map[string][]string{"username": {askerName}, "UserAgent": {askAgent}, "SourceIp": {askAddress},
			"SecureTransport": {"true"}, "PrincipalArn": {asker}}}
	return func() bool { return merged.IsAllowed(args) }, nil
}

func minioStatement(s statement) (minio.Statement, error) {
	actions, resources := minio.NewActionSet(), minio.NewResourceSet()
	for _, a := range s.actions {
		actions.Add(minio.Action(a))
	}
	for _, r := range s.resources {
		resources.Add(minio.NewResource(strings.TrimPrefix(r, minio.ResourceARNPrefix)))
	}
	var functions []minioif.Function
	for _, c := range s.conditions {
		f, err := minioCondition(c)
		if err != nil {
			return minio.Statement{}, err
		}
		functions = append(functions, f)
	}
	effect := minio.Effect("Allow")
	if s.deny {
		effect = "Deny"
	}
	return minio.NewStatement("", effect, actions, resources, minioif.NewFunctions(functions...)), nil
}

func minioCondition(c condition) (minioif.Function, error) {
	key := minioif.NewKey(minioif.KeyName(c.key), "")
	switch c.operator {
	case "IpAddress":
		_, n, err := net.ParseCIDR(c.value)
		if err != nil {
			return nil, err
		}
		return minioif.NewIPAddressFunc(key, n)
	case "Bool":
		return minioif.NewBoolFunc(key, c.value == "true")
	case "StringLike", "ArnLike":
		return minioif.NewStringLikeFunc("", key, c.value)
	}
	return minioif.NewStringEqualsFunc("", key, c.value)
}
