// Package sts holds the Security Token Service's operations. They run in a
// Region, from memory, whatever else is out of reach.
//
// Invariant: every credential is made by issue, after the one check of trust
// that assumeRole makes; a session holds what its role, its session policy and
// its tags give it, and nothing of who asked for it.
package sts

import (
	_ "embed" // unbuilt.txt
	"encoding/json"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/arn"
	"github.com/holdfast-iam/holdfast/internal/api"
	"github.com/holdfast-iam/holdfast/internal/authn"
	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/policy"
)

const (
	service = "sts"
	version = "2011-06-15"
)

// Env is what the room is given.
type Env struct {
	// Mint makes credentials of a session; node binds it to the node's keys.
	Mint func(c *api.Call, claims Claims) (*Minted, error)
	// OpenMessage opens an encoded authorization message of an account.
	OpenMessage func(r record.Reader, account, message string) ([]byte, error)
	// AccountOf reads the account that an access key id carries.
	AccountOf func(keyID string) (string, error)
	// Index is the log index of the view that answers.
	Index func(r record.Reader) uint64
}

// Claims are what a new session is to say.
type Claims struct {
	Kind    authn.Kind
	Account string
	ID      string // unique id of the role or user; the account for root
	Session authn.Session
	// Version is 1 for a token that is good in the Regions enabled by default, 2
	// for one that is in those too that the account has enabled.
	Version int
}

// Minted is a new session's credential.
type Minted struct {
	KeyID, Secret, Token string
	Packed               int // percent of the token's limit that policies and tags take
}

//go:embed unbuilt.txt
var unbuilt string

// Unbuilt names the operations of the API that have no row yet.
func Unbuilt() (apiVersion string, names []string) { return version, strings.Fields(unbuilt) }

// Ops returns the table's rows.
func Ops(env Env) []api.Op {
	s := &room{env}
	return []api.Op{
		api.Define(service, version, "AssumeRole", api.Regional, s.assumeRoleAccess, s.assumeRole),
		api.Define(service, version, "GetCallerIdentity", api.Regional, nil, s.getCallerIdentity),
		api.Define(service, version, "GetSessionToken", api.Regional, nil, s.getSessionToken),
		api.Define(service, version, "GetFederationToken", api.Regional, s.federationAccess, s.getFederationToken),
		api.Define(service, version, "GetAccessKeyInfo", api.Regional, anything, s.getAccessKeyInfo),
		api.Define(service, version, "DecodeAuthorizationMessage", api.Regional, anything, s.decodeAuthorizationMessage),
	}
}

type room struct{ Env }

// anything is the access of an operation that works on no resource.
func anything[In any](*api.Call, *In) ([]api.Access, error) {
	return []api.Access{{Resource: "*"}}, nil
}

// Credentials is AWS's shape of temporary credentials.
type Credentials struct {
	AccessKeyId     string
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
}

// issue makes the credential of a session that lasts seconds from now.
func (s *room) issue(c *api.Call, claims Claims, seconds int) (*Credentials, int, error) {
	if err := regional(c, &claims); err != nil {
		return nil, 0, err
	}
	claims.Session.Issued = c.Now.UTC().Truncate(time.Second)
	claims.Session.Expires = claims.Session.Issued.Add(time.Duration(seconds) * time.Second)
	claims.Session.Region = c.Region
	if c.Caller != nil {
		claims.Session.ParentKey, claims.Session.ParentID = c.Caller.KeyID, c.Caller.ID
		if p := c.Caller.Session; p != nil { // of the long-term key at the root of the chain
			claims.Session.ParentKey = p.ParentKey
		}
	}
	m, err := s.Mint(c, claims)
	if err != nil {
		return nil, 0, err
	}
	return &Credentials{AccessKeyId: m.KeyID, SecretAccessKey: m.Secret, SessionToken: m.Token, Expiration: claims.Session.Expires}, m.Packed, nil
}

type getCallerIdentityOut struct {
	UserId  string
	Account string
	Arn     string
}

func (s *room) getCallerIdentity(c *api.Call, _ *struct{}) (*getCallerIdentityOut, error) {
	return &getCallerIdentityOut{UserId: c.Caller.UserID, Account: c.Caller.Account, Arn: c.Caller.ARN}, nil
}

type getAccessKeyInfoIn struct {
	AccessKeyId AccessKeyID `q:"required"`
}

type getAccessKeyInfoOut struct {
	Account string
}

func (s *room) getAccessKeyInfo(_ *api.Call, in *getAccessKeyInfoIn) (*getAccessKeyInfoOut, error) {
	account, err := s.AccountOf(string(in.AccessKeyId))
	if err != nil {
		return nil, fault.ValidationError.Errorf("Invalid Access Key: %s", in.AccessKeyId)
	}
	return &getAccessKeyInfoOut{account}, nil
}

type decodeIn struct {
	EncodedMessage EncodedMessage `q:"required"`
}

type decodeOut struct {
	DecodedMessage string
}

func (s *room) decodeAuthorizationMessage(c *api.Call, in *decodeIn) (*decodeOut, error) {
	plain, err := s.OpenMessage(c.Tx, c.Account, string(in.EncodedMessage))
	if err != nil || !json.Valid(plain) {
		return nil, fault.InvalidAuthorizationMessageException.Errorf("Message is not valid")
	}
	return &decodeOut{string(plain)}, nil
}

// sessionPolicy checks the inline and managed session policies of a request.
func sessionPolicy(c *api.Call, account, inline string, arns []PolicyDescriptor) ([]string, error) {
	if inline != "" {
		doc, err := policy.Parse([]byte(inline))
		if err == nil {
			err = doc.Validate(policy.Session)
		}
		if err != nil {
			return nil, fault.MalformedPolicyDocument.Errorf("%v", err)
		}
	}
	var list []string
	for _, p := range arns {
		a, err := arn.Parse(string(p.Arn))
		if err != nil || a.Service != "iam" || (a.Account != account && a.Account != record.AWS) || !strings.HasPrefix(a.Resource, "policy/") {
			return nil, fault.ValidationError.Errorf("PolicyArns contains an invalid ARN: %s", p.Arn)
		}
		name := a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
		if _, err := record.Find(c.Tx, record.Policies, record.PolicyByName, record.NameTerm(a.Account, name)); err != nil {
			return nil, fault.MalformedPolicyDocument.Errorf("The policy %s does not exist.", p.Arn)
		}
		list = append(list, string(p.Arn))
	}
	return list, nil
}

// tags checks session tags and returns them.
func tags(in []Tag) ([]record.Tag, error) {
	seen := map[string]bool{}
	var list []record.Tag
	for _, t := range in {
		folded := record.Fold(string(t.Key))
		if seen[folded] {
			return nil, fault.InvalidParameterValue.Errorf("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		if strings.HasPrefix(folded, "aws:") {
			return nil, fault.InvalidParameterValue.Errorf("The tag key %s is reserved: keys must not begin with aws:", t.Key)
		}
		seen[folded] = true
		list = append(list, record.Tag{Key: string(t.Key), Value: string(t.Value)})
	}
	return list, nil
}

// tagContext is what policies see of the session tags that are asked for.
func tagContext(in []Tag, transitive []TagKey, context map[string][]string) {
	if len(in) > 0 {
		var keys []string
		for _, t := range in {
			keys = append(keys, string(t.Key))
			context["aws:RequestTag/"+string(t.Key)] = []string{string(t.Value)}
		}
		context["aws:TagKeys"] = keys
	}
	if len(transitive) > 0 {
		var keys []string
		for _, k := range transitive {
			keys = append(keys, string(k))
		}
		context["sts:TransitiveTagKeys"] = keys
	}
}

func denied(c *api.Call, action, resource string) error {
	return fault.AccessDenied.Errorf("User: %s is not authorized to perform: %s on resource: %s", c.Caller.ARN, action, resource)
}

// durationOf returns the seconds asked for, within the kind's limits.
func durationOf(asked *Seconds, fallback, most int) (int, error) {
	if asked == nil {
		return fallback, nil
	}
	if n := int(*asked); n <= most {
		return n, nil
	}
	return 0, fault.ValidationError.Errorf("1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to %d", *asked, most)
}
