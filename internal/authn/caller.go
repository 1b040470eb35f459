// Package authn answers who sent a request, from one view and nothing else.
//
// Invariant: a Caller is made only by verifying a credential against a view,
// and holding one says that the credential was good at that view's revision;
// Recheck says it again at another. The zero Caller is nobody.
package authn

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// Kind is what kind of caller or session a request comes from. AWS lets each
// do different things: see kinds.go.
type Kind uint8

// The kinds of callers. Nobody is the zero value and may do nothing.
const (
	Nobody       Kind = iota
	Root              // an account's root user with a long-term key
	User              // an IAM user with a long-term key
	RoleSession       // AssumeRole and its kin
	Federated         // GetFederationToken
	TokenSession      // GetSessionToken of a user
	RootSession       // GetSessionToken of root
)

// Caller is who sent a request. Immutable once made.
type Caller struct {
	Kind    Kind
	Account string
	ID      string // unique id of the user or role; the account's id for root
	UserID  string // aws:userid: ID, or ID:session name
	ARN     string // as GetCallerIdentity shows it (sts assumed-role ARN for role sessions)
	KeyID   string // access key id that signed
	// Principal is the user's, role's or account's record in the view that
	// verified the caller.
	Principal *record.Entry
	Session   *Session // nil for a long-term credential
	Index     uint64   // of the view that verified the caller

	// Form is what the principal's record comes to, shared with others.
	Form *Form

	// through is the opt-in Region that the request came by, which the account
	// must have enabled; "": it came by none.
	through string

	token *openedToken // that the session came in; nil otherwise
	ring  *view.Ring   // that forms are kept in
}

// Session is what a session token says, opened and verified.
type Session struct {
	ID             string // 128 bits, hex; denials name it
	Name           string // RoleSessionName or the federated user's name
	Issued         time.Time
	Expires        time.Time
	SourceIdentity string
	Tags           []record.Tag // session tags
	Transitive     []string     // keys of the transitive ones
	MFA            time.Time    // zero: without
	ParentKey      string       // access key id that asked for it
	ParentID       string       // unique id of the principal that asked for it
	Depth          int          // of role chaining
	Provider       string       // web identity or SAML provider
	Policy         string       // inline session policy, "" for none
	PolicyARNs     []string     // managed session policies
	HasPolicy      bool         // whether any session policy limits it
	Minter         string       // node that signed the token
	Region         string       // where it was issued
	Rests          uint64       // index of the records that it rests on

	minter record.Key // of Minter's record; made from Minter where it is not set
}
