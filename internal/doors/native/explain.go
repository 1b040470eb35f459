package native

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/internal/view"
	"github.com/holdfast-iam/holdfast/policy"
)

// Considered is a statement that matched the question in principal, action and
// resource.
type Considered struct {
	Statement string `json:"statement"` // policy/statement
	Type      string `json:"type"`
	Effect    string `json:"effect"`
	Matched   bool   `json:"matched"`
	// Failed is operator and key of the first condition that did not hold.
	Failed     string `json:"failed,omitempty"`
	MissingKey bool   `json:"missingKey,omitempty"`
}

// explain adds what was considered, for a subject of the asker's own account,
// and to a denial the encoded message.
func (d *Decider) explain(v *view.View, a *Asker, q *authz.Question, considered []policy.Match, out *Answer) error {
	if q.Caller.Account == a.Caller.Account {
		out.Considered = []Considered{}
		for _, c := range considered {
			out.Considered = append(out.Considered, Considered{Statement: statementName(c), Type: c.Type.String(), Effect: effect(c.Deny),
				Matched: c.Holds, Failed: c.Failed, MissingKey: c.MissingKey})
		}
	}
	if out.Allowed {
		return nil
	}
	text, err := json.Marshal(messageOf(q, out.Decision, considered))
	if err != nil {
		return err
	}
	sealed, err := d.Verifier.Ring.SealMessage(v, q.Caller.Account, text)
	out.Encoded = base64.RawURLEncoding.EncodeToString(sealed)
	return err
}

func statementName(m policy.Match) string {
	return m.Policy + "/" + cmp.Or(m.Sid, strconv.Itoa(m.Statement))
}

func effect(deny bool) string {
	if deny {
		return "Deny"
	}
	return "Allow"
}

// message is what DecodeAuthorizationMessage tells (STS API Reference,
// DecodeAuthorizationMessage): to who may decode it in the subject's account.
type message struct {
	Allowed      bool  `json:"allowed"`
	ExplicitDeny bool  `json:"explicitDeny"`
	Matched      items `json:"matchedStatements"`
	Failures     items `json:"failures"`
	Context      struct {
		Principal struct {
			ID  string `json:"id"`
			ARN string `json:"arn"`
		} `json:"principal"`
		Action     string `json:"action"`
		Resource   string `json:"resource"`
		Conditions items  `json:"conditions"`
	} `json:"context"`
}

type items struct {
	Items []any `json:"items"`
}

func messageOf(q *authz.Question, decision string, considered []policy.Match) message {
	m := message{ExplicitDeny: decision == policy.ExplicitDeny.String(), Matched: items{[]any{}}, Failures: items{[]any{}}}
	m.Context.Principal.ID, m.Context.Principal.ARN = q.Caller.UserID, q.Caller.ARN
	m.Context.Action, m.Context.Resource = q.Action, q.Resource
	m.Context.Conditions = items{[]any{}}
	for _, c := range considered {
		if c.Holds {
			m.Matched.Items = append(m.Matched.Items, map[string]string{"statementId": c.Sid, "effect": strings.ToUpper(effect(c.Deny)),
				"sourcePolicyId": c.Policy, "sourcePolicyType": c.Type.String()})
		}
	}
	for key, values := range q.Context {
		m.Context.Conditions.Items = append(m.Context.Conditions.Items, map[string]any{"key": key, "values": items{anyOf(values)}})
	}
	return m
}

func anyOf(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = map[string]string{"value": v}
	}
	return out
}
