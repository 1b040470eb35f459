package policyline

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/holdfast-iam/holdfast/policy"
)

// Limits of a case.
const (
	maxLine = 4 << 20 // bytes
	maxName = 1024    // bytes of a policy's name
	maxKeys = 1000    // of the context
)

// Codes of the errors in answers.
const (
	invalidInput    = "InvalidInput"
	malformedPolicy = "MalformedPolicyDocument"
)

// question is one case as it was read. Its memory is used again for the next:
// what it holds is good until then.
type question struct {
	reader
	documents documents
	id        string // as it is written, empty for none
	request   policy.Request
	policies  policy.Policies
	values    []string       // of the context, behind each other
	named     []policy.Named // of all slots, behind each other
	levels    [][]policy.Named
	keys      map[string]string // lower-case forms of the context's keys
}

var (
	caseMembers      = []string{"id", "request", "policies"}
	requestMembers   = []string{"principal", "action", "resource", "resourceAccount", "context"}
	principalMembers = []string{"type", "arn", "accountId"}
	policyTypes      = []string{"identity", "boundary", "session", "resource", "endpoint", "serviceControl", "resourceControl"}
	policyMembers    = []string{"name", "document"}
)

// read reads a case strictly: no unknown member, none twice, no value of
// another type.
func (q *question) read(line string) *complaint {
	q.begin(line)
	if !utf8.ValidString(line) {
		q.fail(0, "the line is not UTF-8")
		return q.err
	}
	asked := false
	q.object(caseMembers, func(n int) {
		switch n {
		case 0:
			q.readID()
		case 1:
			asked = true
			q.readRequest()
		case 2:
			q.readPolicies()
		}
	})
	if q.peek(); q.at < len(q.text) {
		q.fail(q.at, "nothing may follow the case")
	}
	if !asked {
		q.fail(0, "the case has no request")
	}
	if q.err == nil {
		Complete(&q.policies, &q.request)
	}
	return q.err
}

func (q *question) begin(line string) {
	q.reader = reader{text: line}
	q.id = ""
	context := q.request.Context
	context.Reset(nil)
	q.request = policy.Request{Context: context}
	q.policies = policy.Policies{Boundary: policy.None, Session: policy.None, Endpoint: policy.None, ServiceControl: policy.None, ResourceControl: policy.None}
	q.values, q.named, q.levels = q.values[:0], q.named[:0], q.levels[:0]
}

// readID takes any value: the answer repeats it as it is written.
func (q *question) readID() {
	at := q.at
	if q.id = q.skip(); !json.Valid([]byte(q.id)) {
		q.id = ""
		q.fail(at, "the id is no JSON value")
	}
}

func (q *question) readRequest() {
	at := q.at
	who, named := Principal{}, false
	q.request.Resource = "*" // as AWS's simulator has it where none is given
	q.object(requestMembers, func(n int) {
		switch n {
		case 0:
			named = true
			q.readPrincipal(&who)
		case 1:
			q.request.Action = q.string("an action")
		case 2:
			q.request.Resource = q.string("a resource")
		case 3:
			q.request.ResourceAccount = q.string("an account")
		case 4:
			who.Role = q.readContext()
		}
	})
	switch {
	case !named:
		q.fail(at, "the principal is missing")
	case q.request.Action == "":
		q.fail(at, "the action is missing")
	}
	if q.err == nil {
		q.request.Principal = who.Asked()
	}
}

func (q *question) readPrincipal(who *Principal) {
	at := q.at
	q.object(principalMembers, func(n int) {
		text := q.string("the " + principalMembers[n])
		switch n {
		case 0:
			who.Type = text
		case 1:
			who.ARN = text
		case 2:
			who.Account = text
		}
	})
	if err := who.Check(); err != nil {
		q.fail(at, err.Error())
	}
}

// readContext returns the one value of aws:PrincipalArn with the context.
func (q *question) readContext() (principal string) {
	keys := 0
	q.members(func(key string, at int) {
		start := len(q.values)
		key = q.lower(key)
		switch keys++; {
		case keys > maxKeys:
			q.fail(at, fmt.Sprintf("a context has at most %d keys", maxKeys))
			return
		case q.request.Context.Has(key):
			q.fail(at, "the key stands twice; keys have no case")
			return
		case q.null(): // as if it were not there
			return
		case q.peek() == '[':
			q.array("a list", func() { q.values = append(q.values, q.scalar("every value of a key")) })
		default:
			q.values = append(q.values, q.scalar("the value of a key"))
		}
		values := q.values[start:len(q.values):len(q.values)]
		q.request.Context.Set(key, values...)
		if len(values) == 1 && key == "aws:principalarn" {
			principal = values[0]
		}
	})
	return principal
}

// lower gives a key its lower-case form: cases have the same few keys.
func (q *question) lower(key string) string {
	if known, ok := q.keys[key]; ok {
		return known
	}
	if len(q.keys) >= maxKeys || q.keys == nil {
		q.keys = map[string]string{}
	}
	form := strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' { // ASCII alone, as policies fold
			return r + 'a' - 'A'
		}
		return r
	}, key)
	if len(key) <= maxName {
		q.keys[strings.Clone(key)] = strings.Clone(form)
	}
	return form
}

// readPolicies: an absent restricting list means none; an empty one denies.
func (q *question) readPolicies() {
	p := &q.policies
	q.object(policyTypes, func(n int) {
		switch n {
		case 0:
			p.Identity = q.readList()
		case 1:
			p.Boundary = q.restrict(q.readList())
		case 2:
			p.Session = q.restrict(q.readList())
		case 3:
			p.Resource = q.readList()
		case 4:
			p.Endpoint = q.restrict(q.readList())
		case 5:
			p.ServiceControl = q.readLevels()
		case 6:
			p.ResourceControl = q.readLevels()
		}
	})
}

func (q *question) restrict(list []policy.Named) policy.Restriction {
	start := len(q.levels)
	q.levels = append(q.levels, list)
	return policy.Restrict(q.levels[start:len(q.levels):len(q.levels)]...)
}

func (q *question) readLevels() policy.Restriction {
	start := len(q.levels)
	q.array("a list of levels, each a list of policies,", func() { q.levels = append(q.levels, q.readList()) })
	return policy.Restrict(q.levels[start:len(q.levels):len(q.levels)]...)
}

func (q *question) readList() []policy.Named {
	start := len(q.named)
	q.array("a list of policies", func() { q.named = append(q.named, q.readPolicy()) })
	return q.named[start:len(q.named):len(q.named)]
}

func (q *question) readPolicy() (p policy.Named) {
	at := q.at
	text, start := "", -1
	q.object(policyMembers, func(n int) {
		if n == 1 {
			start = q.at
			text = q.skip()
		} else if p.Name = q.string("a policy's name"); len(p.Name) > maxName {
			q.fail(at, fmt.Sprintf("a policy's name is longer than %d bytes", maxName))
		}
	})
	if start < 0 {
		q.fail(at, "the document is missing")
	}
	if q.err != nil {
		return p
	}
	compiled, err := q.documents.compile(text)
	if err != nil {
		q.malformed(p.Name, start, err)
	}
	p.Policy = compiled
	return p
}

// malformed says where in the line a document is wrong.
func (q *question) malformed(name string, start int, err error) {
	message := err.Error()
	if wrong := (*policy.SyntaxError)(nil); errors.As(err, &wrong) {
		start, message = start+wrong.Offset, wrong.Message
	}
	if name != "" {
		message = fmt.Sprintf("policy %q: %s", brief(name), message)
	}
	q.err = &complaint{code: malformedPolicy, path: ".document", at: start, message: message}
}

// idOf finds the id of a case that cannot be read, so that whoever asked knows
// which one is meant; empty if there is none.
func idOf(line string) (id string) {
	if !utf8.ValidString(line) {
		return ""
	}
	r := reader{text: line}
	r.members(func(name string, _ int) {
		if v := strings.TrimSpace(r.skip()); name == "id" && id == "" && json.Valid([]byte(v)) {
			id = v
		}
	})
	return id
}
