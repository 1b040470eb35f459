package operator

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// targets is what a denial of each scope may name: one thing, in the very form
// in which it is compared, never a pattern. A target that could match nothing
// is refused, because it would only look like a denial.
var targets = map[string]struct {
	form *regexp.Regexp
	want string
}{
	record.DenySession:  {regexp.MustCompile(`^[0-9a-f]{32}$`), "a session id: 32 hex digits"},
	record.DenyKey:      {regexp.MustCompile(`^(AKIA|ASIA|ACCA)[A-Z0-9]{12,124}$`), "an access key id (AKIA…, ASIA…) or credential id (ACCA…)"},
	record.DenyID:       {regexp.MustCompile(`^(AIDA|AROA)[A-Z0-9]{12,124}$`), "the unique id of a user (AIDA…) or role (AROA…)"},
	record.DenyBefore:   {regexp.MustCompile(`^((AIDA|AROA)[A-Z0-9]{12,124}|[0-9]{12})$`), "the unique id of a user (AIDA…) or role (AROA…), or an account for its root"},
	record.DenyIdentity: {regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`), "a source identity"},
	record.DenyMinter:   {regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`), "the id of a node"},
	record.DenyAccount:  {accountForm, "an account: twelve digits"},
}

type denyIn struct {
	Scope   string      `json:"scope"`
	Target  string      `json:"target"`
	Account string      `json:"account,omitempty"`
	Before  record.Time `json:"before,omitempty"`
	Reason  string      `json:"reason,omitempty"`
}

func createDenial(in *denyIn, by signers, tx record.Tx, now time.Time) (any, error) {
	if err := checkDenial(in, by, tx, now); err != nil {
		return nil, err
	}
	if in.Scope == record.DenyBefore && in.Before == 0 {
		// Times are whole seconds: a session made earlier in this very second
		// is before the next one only.
		in.Before = record.At(now) + 1
	}
	var id [8]byte
	rand.Read(id[:]) // never fails (crypto/rand)
	d := &record.Denial{ID: hex.EncodeToString(id[:]), Scope: in.Scope, Target: in.Target, Account: in.Account, Before: in.Before,
		Reason: in.Reason, By: strings.Join(by, "+"), Created: record.At(now)}
	return d, record.Put(tx, record.Denials, d)
}

func checkDenial(in *denyIn, by signers, r record.Reader, now time.Time) error {
	t, ok := targets[in.Scope]
	switch {
	case !ok:
		return refuse("there is no scope %q, only %s", in.Scope, strings.Join(slices.Sorted(maps.Keys(targets)), ", "))
	case !t.form.MatchString(in.Target):
		return refuse("target %q is not %s; a denial names one thing, never a pattern", in.Target, t.want)
	case !plain(in.Reason, 1024):
		return refuse("the reason is longer than 1024 bytes or holds what cannot be printed")
	case in.Scope == record.DenyIdentity && !accountForm.MatchString(in.Account):
		return refuse("a source identity is denied in one account: name it")
	case in.Scope != record.DenyIdentity && in.Account != "":
		return refuse("only a source identity is denied in an account; %s names one thing by itself", in.Scope)
	case in.Scope != record.DenyBefore && in.Before != 0:
		return refuse("only sessions-before has a time")
	case in.Before < 0 || in.Before > record.At(now.Add(maxSkew)):
		return refuse("time %s is not in the past: deny the principal itself", in.Before.Std().Format(time.RFC3339))
	case in.Scope == record.DenyAccount && !record.Has(r, record.Accounts, in.Target, in.Target):
		return refuse("there is no account %s", in.Target)
	case in.Scope == record.DenyMinter:
		return checkMinter(in.Target, by, r)
	}
	return nil
}

// checkMinter: denying a minter ends every session of a node at once, so in
// production it takes two operators, like revoking its keys.
func checkMinter(node string, by signers, r record.Reader) error {
	if !record.Has(r, record.Nodes, record.None, node) {
		return refuse("there is no node %q", node)
	}
	return two(r, by, "denying a minter")
}

// two refuses what one operator asks for alone and takes two, where the
// deployment is no development one.
func two(r record.Reader, by signers, what string) error {
	g, err := record.Get(r, record.Geneses, record.None, "genesis")
	if err != nil {
		return err
	}
	if g.Mode != "development" && len(by) < 2 {
		return refuse("%s takes two operators in a production deployment: write it to a file with --propose, and have another operator `holdfast approve` it", what)
	}
	return nil
}

var denialForm = regexp.MustCompile(`^[0-9a-f]{16}$`)

// liftDenial leaves a tombstone of the id.
func liftDenial(in *idIn, by signers, tx record.Tx, _ time.Time) (any, error) {
	if err := two(tx, by, "lifting a denial"); err != nil {
		return nil, err
	}
	if !denialForm.MatchString(in.ID) {
		return nil, refuse("%q is no denial's id", in.ID)
	}
	d, err := record.Get(tx, record.Denials, record.None, in.ID)
	if err != nil {
		return nil, missing(err, "there is no denial %s", in.ID)
	}
	if d.Lifted {
		return nil, refuse("denial %s was lifted already", in.ID)
	}
	d.Lifted = true
	return d, record.Put(tx, record.Denials, d)
}
