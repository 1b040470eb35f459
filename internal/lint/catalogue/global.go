package catalogue

import "strings"

// global lists the keys that AWS sets for every service, with their types
// (IAM User Guide, "AWS global condition context keys").
var global = []key{
	{"aws:AssumedRoot", "Bool"},
	{"aws:CalledVia", "ArrayOfString"},
	{"aws:CalledViaAWSMCP", "String"},
	{"aws:CalledViaFirst", "String"},
	{"aws:CalledViaLast", "String"},
	{"aws:ChatbotSourceArn", "ARN"},
	{"aws:CurrentTime", "Date"},
	{"aws:Ec2InstanceSourcePrivateIPv4", "IPAddress"},
	{"aws:Ec2InstanceSourceVpc", "String"},
	{"aws:EpochTime", "Date"},
	{"aws:FederatedProvider", "String"},
	{"aws:IsMcpServiceAction", "Bool"}, // AWS's managed policies use it
	{"aws:MultiFactorAuthAge", "Numeric"},
	{"aws:MultiFactorAuthPresent", "Bool"},
	{"aws:PrincipalAccount", "String"},
	{"aws:PrincipalArn", "ARN"},
	{"aws:PrincipalIsAWSService", "Bool"},
	{"aws:PrincipalOrgID", "String"},
	{"aws:PrincipalOrgMasterAccountId", "String"}, // likewise
	{"aws:PrincipalOrgPaths", "ArrayOfString"},
	{"aws:PrincipalServiceName", "String"},
	{"aws:PrincipalServiceNamesList", "ArrayOfString"},
	{"aws:PrincipalTag/${TagKey}", "String"},
	{"aws:PrincipalType", "String"},
	{"aws:referer", "String"},
	{"aws:RequestedRegion", "String"},
	{"aws:RequestTag/${TagKey}", "String"},
	{"aws:ResourceAccount", "String"},
	{"aws:ResourceOrgID", "String"},
	{"aws:ResourceOrgPaths", "ArrayOfString"},
	{"aws:ResourceTag/${TagKey}", "String"},
	{"aws:SecureTransport", "Bool"},
	{"aws:SignInSessionArn", "ARN"},
	{"aws:SourceAccount", "String"},
	{"aws:SourceArn", "ARN"},
	{"aws:SourceIdentity", "String"},
	{"aws:SourceIp", "IPAddress"},
	{"aws:SourceOrgID", "String"},
	{"aws:SourceOrgPaths", "ArrayOfString"},
	{"aws:SourceOwner", "String"},
	{"aws:SourceVpc", "String"},
	{"aws:SourceVpcArn", "ARN"},
	{"aws:SourceVpce", "String"},
	{"aws:TagKeys", "ArrayOfString"},
	{"aws:TokenIssueTime", "Date"},
	{"aws:UserAgent", "String"},
	{"aws:userid", "String"},
	{"aws:username", "String"},
	{"aws:ViaAWSService", "Bool"},
	{"aws:ViaAWSMCPService", "Bool"},
	{"aws:VpceAccount", "String"},
	{"aws:VpceOrgID", "String"},
	{"aws:VpceOrgPaths", "ArrayOfString"},
}

// Key returns the type of a condition key, global or of the service that its
// prefix names; false for one that does not exist.
func Key(name string) (kind string, ok bool) {
	if kind, ok := GlobalKey(name); ok {
		return kind, true
	}
	prefix, _, _ := strings.Cut(name, ":")
	if s := Find(prefix); s != nil {
		if kind, ok := s.Key(name); ok {
			return kind, true
		}
	}
	return borrowed(name)
}

// GlobalKey is Key for the global ones.
func GlobalKey(name string) (kind string, ok bool) {
	for _, k := range global {
		if SameKey(k.name, name) {
			return k.kind, true
		}
	}
	return "", false
}

// borrowed finds a key of one prefix that another service lists, as sts lists
// saml:aud: few are, so all services are gone through.
func borrowed(name string) (kind string, ok bool) {
	prefix, _, _ := strings.Cut(strings.ToLower(name), ":")
	for p, section := range sections() {
		if strings.Contains(section, "key\t"+prefix+":") {
			if kind, ok := Find(p).Key(name); ok {
				return kind, true
			}
		}
	}
	return "", false
}

// GlobalKeys calls each with every global key.
func GlobalKeys(each func(name string)) {
	for _, k := range global {
		each(k.name)
	}
}

// EachKey calls each with every key that the service lists.
func (s *Service) EachKey(each func(name string)) {
	for _, k := range s.keys {
		each(k.name)
	}
}
