package authz

import (
	"strings"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// sayer is where a global condition key has its values from.
type sayer string

// The sayers. What nobody says is in no request.
const (
	byNobody    sayer = "nobody"
	byPrincipal sayer = "principal" // its record, or who an outsider is
	bySession   sayer = "session"   // the session token
	byNetwork   sayer = "network"   // the connection: a service says it that has the client's
	byResource  sayer = "resource"  // the account that owns it
	byOperation sayer = "operation" // what it works on and its parameters
	byRequest   sayer = "request"   // time, Region, way
	byService   sayer = "service"   // a service that asks in its own name
)

// globalKey is one row of the table.
type globalKey struct {
	name string // with a slash at its end: one key for each tag
	says sayer
	kind string // of its values, as AWS documents it
	many bool   // it can have several values
	when string // it is in a request; for what nobody says: why it never is
}

// globalTable is all global and cross-service condition keys that AWS
// documents (IAM User Guide, "AWS global condition context keys"), in its
// order. docs/condition-keys.md has the same rows; a test compares them.
var globalTable = []globalKey{
	{"aws:PrincipalArn", byPrincipal, "ARN", false, "the caller has a credential; for a role's session the role's ARN"},
	{"aws:PrincipalAccount", byPrincipal, "String", false, "the caller has a credential; `anonymous` for who has none"},
	{"aws:PrincipalOrgPaths", byPrincipal, "String", true, "its account is in an organization"},
	{"aws:PrincipalOrgID", byPrincipal, "String", false, "its account is in an organization"},
	{"aws:PrincipalTag/", byPrincipal, "String", false, "the user or role has the tag, or the session, whose tag wins"},
	{"aws:PrincipalIsAWSService", byPrincipal, "Bool", false, "the caller has a credential: `false`; a service asks in its own name: `true`"},
	{"aws:PrincipalServiceName", byPrincipal, "String", false, "a service asks in its own name"},
	{"aws:PrincipalServiceNamesList", byPrincipal, "String", true, "a service asks in its own name"},
	{"aws:PrincipalType", byPrincipal, "String", false, "the caller has a credential or is anonymous"},
	{"aws:userid", byPrincipal, "String", false, "the caller has a credential; `anonymous` for who has none"},
	{"aws:username", byPrincipal, "String", false, "the caller is an IAM user, also by GetSessionToken"},

	{"aws:AssumedRoot", byNobody, "Bool", false, "AssumeRoot is not built"},
	{"aws:FederatedProvider", bySession, "String", false, "an OIDC provider vouches, in the trust policy; and in the session that this made"},
	{"aws:TokenIssueTime", bySession, "Date", false, "the credential is temporary"},
	{"aws:SignInSessionArn", byNobody, "ARN", false, "there is no OAuth sign-in"},
	{"aws:MultiFactorAuthAge", bySession, "Numeric", false, "the temporary credential was made with MFA"},
	{"aws:MultiFactorAuthPresent", bySession, "Bool", false, "the credential is temporary and not of a federated identity; long-term keys never have it"},
	{"aws:ChatbotSourceArn", byNobody, "ARN", false, "there is no such service"},
	{"aws:Ec2InstanceSourceVpc", byNobody, "String", false, "there are no instances"},
	{"aws:Ec2InstanceSourcePrivateIPv4", byNobody, "IPAddress", false, "there are no instances"},
	{"aws:SourceIdentity", bySession, "String", false, "the session has a source identity"},
	{"ec2:RoleDelivery", byNobody, "Numeric", false, "there are no instances"},
	{"ec2:SourceInstanceArn", byNobody, "ARN", false, "there are no instances"},
	{"glue:RoleAssumedBy", byNobody, "String", false, "there is no such service"},
	{"glue:CredentialIssuingService", byNobody, "String", false, "there is no such service"},
	{"codebuild:BuildArn", byNobody, "ARN", false, "there is no such service"},
	{"codebuild:ProjectArn", byNobody, "ARN", false, "there is no such service"},
	{"lambda:SourceFunctionArn", byNobody, "ARN", false, "there is no such service"},
	{"ssm:SourceInstanceArn", byNobody, "ARN", false, "there is no such service"},
	{"identitystore:UserId", byNobody, "String", false, "there is no identity store"},

	{"aws:SourceIp", byNetwork, "IPAddress", false, "the client's address is known"},
	{"aws:SourceVpc", byNetwork, "String", false, "a service says so"},
	{"aws:SourceVpcArn", byNetwork, "ARN", false, "a service says so"},
	{"aws:SourceVpce", byNetwork, "String", false, "a service says so"},
	{"aws:VpceAccount", byNetwork, "String", false, "a service says so"},
	{"aws:VpceOrgID", byNetwork, "String", false, "a service says so"},
	{"aws:VpceOrgPaths", byNetwork, "String", true, "a service says so"},
	{"aws:VpcSourceIp", byNetwork, "IPAddress", false, "a service says so"},

	{"aws:ResourceAccount", byResource, "String", false, "always; where nothing names the owner, the caller's account"},
	{"aws:ResourceOrgID", byResource, "String", false, "the resource's account is in an organization"},
	{"aws:ResourceOrgPaths", byResource, "String", true, "the resource's account is in an organization"},
	{"aws:ResourceTag/", byOperation, "String", false, "an operation of IAM or STS works on a resource with the tag"},

	{"aws:CalledVia", byNobody, "String", true, "no service asks with a caller's credential"},
	{"aws:CalledViaFirst", byNobody, "String", false, "no service asks with a caller's credential"},
	{"aws:CalledViaLast", byNobody, "String", false, "no service asks with a caller's credential"},
	{"aws:CalledViaAWSMCP", byNobody, "String", false, "there is no such service"},
	{"aws:ViaAWSService", byRequest, "Bool", false, "always: `false`"},
	{"aws:ViaAWSMCPService", byNobody, "Bool", false, "there is no such service"},
	{"aws:CurrentTime", byRequest, "Date", false, "always"},
	{"aws:EpochTime", byRequest, "Date, Numeric", false, "always"},
	{"aws:referer", byNetwork, "String", false, "a service says so"},
	{"aws:RequestedRegion", byRequest, "String", false, "always; for IAM and Organizations `us-east-1`, as at AWS"},
	{"aws:RequestTag/", byOperation, "String", false, "an operation of IAM or STS is given the tag"},
	{"aws:TagKeys", byOperation, "String", true, "an operation of IAM or STS is given tags or keys of tags"},
	{"aws:SecureTransport", byNetwork, "Bool", false, "always in our own APIs; else a service says so"},
	{"aws:SourceAccount", byService, "String", false, "a service asks in its own name for a resource"},
	{"aws:SourceArn", byService, "ARN", false, "a service asks in its own name for a resource"},
	{"aws:SourceOrgID", byService, "String", false, "that resource's account is in an organization"},
	{"aws:SourceOrgPaths", byService, "String", true, "that resource's account is in an organization"},
	{"aws:UserAgent", byNetwork, "String", false, "the client names itself"},
	{"aws:IsMcpServiceAction", byNobody, "Bool", false, "there is no such service"},
}

var globalKeys = func() map[string]*globalKey {
	m := make(map[string]*globalKey, len(globalTable))
	for i := range globalTable {
		m[record.Fold(globalTable[i].name)] = &globalTable[i]
	}
	return m
}()

// global finds the row of a folded key.
func global(folded string) *globalKey {
	if i := strings.IndexByte(folded, '/'); i >= 0 {
		folded = folded[:i+1]
	}
	return globalKeys[folded]
}

// reserved says whether a folded key is not a service's to say: every global
// key, known or not, and what says how the caller came to its session.
func reserved(folded string) bool {
	for _, prefix := range [...]string{"aws:", "sts:", "iam:", "saml:", "holdfast:"} {
		if strings.HasPrefix(folded, prefix) {
			return true
		}
	}
	return global(folded) != nil
}

// Reserved says whether a condition key is set here alone, or by an operation
// of our own.
func Reserved(key string) bool { return reserved(record.Fold(key)) }

// OfNetwork says whether a condition key is about the client's connection: the
// service to which it is connected may say it, we did not see it.
func OfNetwork(key string) bool {
	g := global(record.Fold(key))
	return g != nil && g.says == byNetwork
}

// maySay says whether whoever asks can say a folded key: from a door its own
// and those of the connection, from an operation of ours its own and the tags.
func maySay(folded string, door bool) bool {
	switch g := global(folded); {
	case g == nil && !door:
		return !strings.HasPrefix(folded, "aws:")
	case g == nil:
		return !reserved(folded)
	case door:
		return g.says == byNetwork
	default:
		return g.says == byOperation
	}
}
