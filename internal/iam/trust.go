package iam

import (
	"encoding/json"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

// A trust policy is kept with the unique ids of the users and roles that it
// names, and shown with their ARNs (IAM User Guide, "AWS JSON policy elements:
// Principal"). So who is made anew under the name of one who is gone inherits
// no trust (lesson L25), and who is renamed keeps it.

// keptTrust checks a trust policy, its form, its size, and that the principals
// of this deployment that it names exist, and returns it as it is kept.
func keptTrust(c *api.Call, text string) (string, error) {
	if !sized(maxTrust, text) {
		return "", fault.LimitExceeded.Errorf("Cannot exceed quota for ACLSizePerRole: %d", maxTrust)
	}
	if err := document(text, policy.Trust); err != nil {
		return "", err
	}
	var err error
	kept := eachPrincipal(text, func(p string) string {
		id, ok := principalID(c, p)
		if !ok && err == nil {
			err = fault.MalformedPolicyDocument.Errorf("Invalid principal in policy: \"AWS\":\"%s\"", p)
		}
		return id
	})
	return kept, err
}

// shownTrust is a kept trust policy as it is shown: ids whose owner is gone
// stay ids.
func shownTrust(c *api.Call, kept string) string {
	if !strings.Contains(kept, `"AIDA`) && !strings.Contains(kept, `"AROA`) {
		return kept
	}
	return eachPrincipal(kept, func(p string) string { return principalARN(c, p) })
}

// principalID finds a principal of this deployment: an account, a user or role
// in one, a session of a role. It returns what is kept of it.
func principalID(c *api.Call, p string) (string, bool) {
	if p == "*" {
		return p, true
	}
	if len(p) == 12 && strings.Trim(p, "0123456789") == "" {
		return p, record.Has(c.Tx, record.Accounts, p, p)
	}
	parts := strings.SplitN(p, ":", 6)
	if len(parts) != 6 {
		return p, principalARN(c, p) != p
	}
	account := parts[4]
	kind, rest, _ := strings.Cut(parts[5], "/")
	name := rest[strings.LastIndexByte(rest, '/')+1:]
	switch {
	case parts[2] == "iam" && kind == "user":
		if u, err := record.Find(c.Tx, record.Users, record.UserByName, record.NameTerm(account, name)); err == nil && userARN(u) == p {
			return u.ID, true
		}
	case parts[2] == "iam" && kind == "role":
		if r, err := record.Find(c.Tx, record.Roles, record.RoleByName, record.NameTerm(account, name)); err == nil && roleARN(r) == p {
			return r.ID, true
		}
	case parts[2] == "sts" && kind == "assumed-role":
		role, _, _ := strings.Cut(rest, "/")
		_, err := record.Find(c.Tx, record.Roles, record.RoleByName, record.NameTerm(account, role))
		return p, err == nil
	case parts[5] == "root", parts[2] == "sts" && kind == "federated-user":
		return p, record.Has(c.Tx, record.Accounts, account, account)
	}
	return p, false
}

// principalARN is the ARN of the user or role with a unique id; what is none,
// or whose owner is gone, is returned as it is.
func principalARN(c *api.Call, id string) string {
	arn := id
	var known func(account string) bool
	switch {
	case strings.HasPrefix(id, "AIDA"):
		known = func(account string) bool {
			u, err := record.Get(c.Tx, record.Users, account, id)
			if err == nil {
				arn = userARN(u)
			}
			return err == nil
		}
	case strings.HasPrefix(id, "AROA"):
		known = func(account string) bool {
			r, err := record.Get(c.Tx, record.Roles, account, id)
			if err == nil {
				arn = roleARN(r)
			}
			return err == nil
		}
	default:
		return id
	}
	if known(c.Account) { // mostly it is one of the account's own
		return arn
	}
	c.Tx.Range(record.AccountByID.Name, "", "", func(account string, _ *record.Entry) bool { return !known(account) })
	return arn
}

// eachPrincipal replaces every AWS principal of a document that is well formed
// and leaves every other byte as it is.
func eachPrincipal(text string, replace func(string) string) string {
	w := principalWalk{text: text, d: json.NewDecoder(strings.NewReader(text)), replace: replace}
	w.value(0, false)
	w.out.WriteString(text[w.done:])
	return w.out.String()
}

// principalWalk goes through a document's tokens.
type principalWalk struct {
	text    string
	d       *json.Decoder
	replace func(string) string
	out     strings.Builder
	done    int // bytes of text that are in out
}

// level says how far a value is on the way Statement, Principal, AWS.
type level int

// value takes one value. on says that its strings are principals.
func (w *principalWalk) value(l level, on bool) {
	from := w.d.InputOffset()
	t, err := w.d.Token()
	if err != nil {
		return
	}
	switch t := t.(type) {
	case json.Delim:
		for w.d.More() {
			if t == '[' {
				w.value(l, on)
				continue
			}
			name, err := w.d.Token()
			if err != nil {
				return
			}
			w.value(l.below(name.(string)))
		}
		_, _ = w.d.Token() // the end
	case string:
		if !on {
			return
		}
		if n := w.replace(t); n != t {
			literal, _ := json.Marshal(n) // a string: cannot fail
			start := int(from) + strings.IndexByte(w.text[from:], '"')
			w.out.WriteString(w.text[w.done:start])
			w.out.Write(literal)
			w.done = int(w.d.InputOffset())
		}
	}
}

// below is the level of a member's value, and whether its strings are AWS
// principals.
func (l level) below(name string) (level, bool) {
	switch name = record.Fold(name); {
	case l == 0 && name == "statement":
		return 1, false
	case l == 1 && (name == "principal" || name == "notprincipal"):
		return 2, false
	case l == 2 && name == "aws":
		return 3, true
	}
	return -1, false
}
