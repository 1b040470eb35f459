package policyline

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/holdfast-iam/holdfast/policy"
)

// maxConsidered bounds how many statements an explanation tells.
const maxConsidered = 1000

var errTooLong = &complaint{code: invalidInput, message: fmt.Sprintf("the line is longer than %d bytes", maxLine)}

// Answer answers one case, as a line of JSON without its end.
func Answer(line []byte) []byte {
	b := Laboratory{}.answer(new(question), nil, string(line))
	return b[:len(b)-1]
}

// answer appends the answer to a line.
func (l Laboratory) answer(q *question, b []byte, line string) []byte {
	if len(line) > maxLine {
		return l.refuse(b, "", errTooLong)
	}
	if err := q.read(line); err != nil {
		return l.refuse(b, idOf(line), err)
	}
	var d policy.Decision
	var considered []policy.Match
	if l.Explain {
		d, considered = policy.Explain(&q.policies, &q.request)
	} else {
		d = policy.Evaluate(&q.policies, &q.request)
	}
	if l.Text {
		return q.appendWords(b, &d, considered)
	}
	b = q.appendDecision(append(b, '{'), &d)
	if l.Explain {
		b = q.appendConsidered(b, &d, considered)
	}
	return append(b, "}\n"...)
}

// refuse appends the answer to a line that is no case.
func (l Laboratory) refuse(b []byte, id string, c *complaint) []byte {
	if l.Text {
		return append(b, label(id)+"error: "+c.Error()+"\n"...)
	}
	b = appendID(append(b, '{'), id)
	b = appendText(append(b, `"error":{"code":`...), c.code)
	b = appendText(append(b, `,"message":`...), c.Error())
	return append(b, "}}\n"...)
}

func (q *question) appendDecision(b []byte, d *policy.Decision) []byte {
	b = appendID(b, q.id)
	b = appendText(append(b, `"decision":`...), d.Kind.String())
	b = appendText(append(b, `,"decidedBy":`...), d.By.String())
	b = append(b, `,"matchedStatements":[`...)
	separator := ""
	for m := range d.Matched {
		b = appendText(append(b, separator...), m.Policy+"/"+StatementName(&m))
		separator = ","
	}
	return append(b, ']')
}

// appendConsidered appends the explanation, in the words of `holdfast can`.
func (q *question) appendConsidered(b []byte, d *policy.Decision, considered []policy.Match) []byte {
	if d.Kind != policy.Allowed {
		b = appendText(append(b, `,"reason":`...), Sentence(d, &q.request))
	}
	b = append(b, `,"considered":[`...)
	for i, m := range considered {
		if i == maxConsidered {
			break
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(append(b, `{"policy":`...), m.Policy)
		b = appendText(append(b, `,"statement":`...), StatementName(&m))
		b = appendText(append(b, `,"type":`...), m.Type.String())
		b = appendText(append(b, `,"effect":`...), Effect(&m))
		b = strconv.AppendBool(append(b, `,"matched":`...), m.Holds)
		if m.Failed != "" {
			b = appendText(append(b, `,"failed":`...), m.Failed)
		}
		if m.MissingKey {
			b = append(b, `,"missingKey":true`...)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

// appendWords appends the answer for people: the decision, what is missing in
// AWS's words, and the statements that were considered.
func (q *question) appendWords(b []byte, d *policy.Decision, considered []policy.Match) []byte {
	b = append(b, label(q.id)...)
	if d.Kind == policy.Allowed {
		b = append(b, "allowed by "+d.By.String()...)
	} else {
		b = append(b, "denied: "+Sentence(d, &q.request)...)
	}
	b = append(b, '\n')
	for i, m := range considered {
		if i == maxConsidered {
			break
		}
		b = append(b, "  "+Words(&m)+"\n"...)
	}
	return b
}

// StatementName is a statement's Sid, or its place in the document.
func StatementName(m *policy.Match) string {
	if m.Sid != "" {
		return m.Sid
	}
	return strconv.Itoa(m.Statement)
}

// Effect is a statement's effect.
func Effect(m *policy.Match) string {
	if m.Deny {
		return "Deny"
	}
	return "Allow"
}

// Words tells a statement that was considered: whether it matched, or which
// condition kept it from that.
func Words(m *policy.Match) string {
	words := fmt.Sprintf("%s %s/%s: %s", m.Type, Printable(m.Policy), Printable(StatementName(m)), Effect(m))
	switch {
	case m.Holds:
		return words + " matches"
	case m.MissingKey:
		return words + " would match but for " + Printable(m.Failed) + ", which the request lacks"
	}
	return words + " would match but for " + Printable(m.Failed)
}

// Sentence is AWS's, for a denial.
func Sentence(d *policy.Decision, r *policy.Request) string {
	who := r.Principal.ARN
	if who == "" {
		who = "anonymous"
	}
	return Printable(d.Sentence(who, r.Action, r.Resource))
}

func label(id string) string {
	if id == "" {
		return ""
	}
	return Printable(strings.Trim(id, `"`)) + ": "
}

// Printable quotes a text that could move a terminal's cursor.
func Printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

func appendID(b []byte, id string) []byte {
	if id == "" {
		return b
	}
	b = append(b, `"id":`...)
	for i := 0; i < len(id); i++ {
		if c := id[i]; c != '\r' { // white space, which some readers take for an end of line
			b = append(b, c)
		}
	}
	return append(b, ',')
}

// appendText appends a text in quotes.
func appendText(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // texts marshal
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
