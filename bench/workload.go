package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// statement is one statement in no engine's form: every contender gets its own
// of the same.
type statement struct {
	deny       bool
	actions    []string
	resources  []string
	conditions []condition
}

type condition struct{ operator, key, value string }

// workload is policies and the one request that they decide.
type workload struct {
	name     string
	policies [][]statement
	action   string
	resource string
	goal     float64 // ns; 0: none
	minio    bool    // MinIO's engine can do it
}

// The request's attributes, the same for every workload.
const (
	asker      = "arn:aws:iam::111122223333:user/team-3/alice"
	askerName  = "alice"
	askAgent   = "example-sdk/1.4 linux"
	askAddress = "10.1.2.3"
	theAction  = "s3:GetObject"
	theObject  = "arn:aws:s3:::team-3-data/reports/2026/07/summary.csv"
)

var services = []string{"s3", "dynamodb", "sqs", "lambda"}

var verbs = []string{"GetObject", "PutObject", "DeleteObject", "ListBucket", "GetItem", "PutItem", "GetQueue", "TagResource"}

func small() workload {
	return workload{name: "small", action: theAction, resource: theObject, goal: 100, minio: true, policies: [][]statement{smallPolicy()}}
}

func smallPolicy() []statement {
	return []statement{
		{actions: []string{"s3:ListBucket"}, resources: []string{"arn:aws:s3:::team-3-data"}},
		{actions: []string{"s3:PutObject"}, resources: []string{"arn:aws:s3:::team-3-data/uploads/*"},
			conditions: []condition{{"StringEquals", "aws:username", "bob"}}},
		{actions: []string{"s3:GetObject"}, resources: []string{"arn:aws:s3:::team-3-data/reports/*"}},
	}
}

// typical is policies × statements over four services; the last statement
// alone allows the request and none denies it.
func typical(name string, policies, statements int, goal float64) workload {
	w := workload{name: name, action: theAction, resource: theObject, goal: goal, minio: true}
	r := rand.New(rand.NewPCG(1, uint64(policies)))
	for range policies {
		var list []statement
		for range statements {
			list = append(list, typicalStatement(r, len(list)))
		}
		w.policies = append(w.policies, list)
	}
	last := w.policies[policies-1]
	last[statements-1] = statement{actions: []string{"s3:Get*", "s3:ListBucket", "s3:PutObject", "s3:TagResource"},
		resources:  []string{"arn:aws:s3:::team-1-data/*", "arn:aws:s3:::team-2-data/*", "arn:aws:s3:::team-3-data/reports/*"},
		conditions: []condition{{"IpAddress", "aws:SourceIp", "10.0.0.0/8"}, {"Bool", "aws:SecureTransport", "true"}}}
	return w
}

func typicalStatement(r *rand.Rand, n int) statement {
	service := services[r.IntN(len(services))]
	s := statement{deny: n%8 == 5}
	for _, i := range r.Perm(len(verbs))[:4] {
		verb := verbs[i]
		if strings.HasPrefix(verb, "Get") && r.IntN(2) == 0 {
			verb = "Get*"
		}
		s.actions = append(s.actions, service+":"+verb)
	}
	conditioned := n%2 == 1 // which is also every Deny
	for range 3 {
		team := r.IntN(9)
		if team >= 3 && !conditioned {
			team++ // not the asker's
		}
		s.resources = append(s.resources, resourceOf(service, team, r.IntN(2)))
	}
	if conditioned {
		s.conditions = append(s.conditions, refusing[r.IntN(len(refusing))])
		if r.IntN(2) == 0 {
			s.conditions = append(s.conditions, condition{"StringEquals", "aws:username", askerName})
		}
	}
	return s
}

// refusing are conditions that the request does not meet.
var refusing = []condition{
	{"StringLike", "aws:UserAgent", "other-sdk/*"},
	{"IpAddress", "aws:SourceIp", "192.168.0.0/16"},
	{"Bool", "aws:SecureTransport", "false"},
	{"ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:user/team-4/*"},
}

func resourceOf(service string, team, form int) string {
	if service == "s3" {
		return [...]string{fmt.Sprintf("arn:aws:s3:::team-%d-data/reports/*", team), fmt.Sprintf("arn:aws:s3:::team-%d-*/*", team)}[form]
	}
	return [...]string{fmt.Sprintf("arn:aws:%s:*:111122223333:thing/team-%d-*", service, team),
		fmt.Sprintf("arn:aws:%s:eu-west-1:111122223333:thing/team-%d/*", service, team)}[form]
}

// growth is n statements and then the small policy: an engine that stops at
// the first Allow has to come to it.
func growth(n int, sameService bool) workload {
	w := small()
	w.name, w.goal = fmt.Sprintf("growth, other services, %d", n), 0
	if sameService {
		w.name = fmt.Sprintf("growth, same service, %d", n)
	}
	w.policies = nil
	var list []statement
	for i := range n {
		s := statement{actions: []string{fmt.Sprintf("svc%d:%s", i%200, verbs[i%len(verbs)])},
			resources: []string{fmt.Sprintf("arn:aws:svc%d:*:111122223333:thing/%d/*", i%200, i)}}
		if sameService {
			s = statement{actions: []string{"s3:GetObject"}, resources: []string{fmt.Sprintf("arn:aws:s3:::bucket-%d/*", i)}}
		}
		list = append(list, s)
	}
	for len(list) > 0 { // a document has a largest size
		k := min(len(list), 500)
		w.policies, list = append(w.policies, list[:k]), list[k:]
	}
	w.policies = append(w.policies, smallPolicy())
	return w
}

// stars is twenty policies as large as a managed policy may be, each of many-
// star patterns that come close to a resource of the longest size.
func stars(policies int) workload {
	w := workload{name: fmt.Sprintf("worst: stars, %d policies", policies), action: theAction,
		resource: "arn:aws:s3:::" + strings.Repeat("a", 2000), goal: 7e6}
	pattern := "arn:aws:s3:::" + strings.Repeat("a*", 200) + "b*"
	for range policies {
		var list []statement
		for range 12 {
			list = append(list, statement{actions: []string{"s3:*"}, resources: []string{pattern}})
		}
		w.policies = append(w.policies, list)
	}
	w.policies = append(w.policies, allowingAll())
	return w
}

// repeats is patterns that come close at every byte of the resource: compared
// anew at each, the work would be the product of both lengths.
func repeats() workload {
	w := workload{name: "worst: repeats, one policy", action: theAction, resource: "arn:aws:s3:::" + strings.Repeat("a", 1000), goal: 7e6}
	var list []statement
	for range 20 {
		list = append(list, statement{actions: []string{"s3:*"}, resources: []string{"arn:aws:s3:::*" + strings.Repeat("a", 500) + "b*"}})
	}
	w.policies = append(w.policies, list, allowingAll())
	return w
}

func allowingAll() []statement {
	return []statement{{actions: []string{"s3:GetObject"}, resources: []string{"*"}}}
}

// document is a policy in AWS's language.
func document(list []statement) []byte {
	type stmt struct {
		Effect    string
		Action    []string
		Resource  []string
		Condition map[string]map[string]string `json:",omitempty"`
	}
	doc := struct {
		Version   string
		Statement []stmt
	}{Version: "2012-10-17"}
	for _, s := range list {
		x := stmt{Effect: "Allow", Action: s.actions, Resource: s.resources}
		if s.deny {
			x.Effect = "Deny"
		}
		for _, c := range s.conditions {
			if x.Condition == nil {
				x.Condition = map[string]map[string]string{}
			}
			if x.Condition[c.operator] == nil {
				x.Condition[c.operator] = map[string]string{}
			}
			x.Condition[c.operator][c.key] = c.value
		}
		doc.Statement = append(doc.Statement, x)
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err) // strings marshal
	}
	return text
}
