package source

// holder says where a type of resources keeps its policies.
type holder struct {
	kind  string // of resources
	field string // of its properties; for lists of named policies the list
	list  bool
	is    string // type of policy, empty if nobody says
}

// templateHolders are CloudFormation's (AWS resource and property types
// reference).
var templateHolders = []holder{
	{"AWS::IAM::Policy", "PolicyDocument", false, "identity"},
	{"AWS::IAM::ManagedPolicy", "PolicyDocument", false, ""}, // or a boundary: of the same form
	{"AWS::IAM::RolePolicy", "PolicyDocument", false, "identity"},
	{"AWS::IAM::UserPolicy", "PolicyDocument", false, "identity"},
	{"AWS::IAM::GroupPolicy", "PolicyDocument", false, "identity"},
	{"AWS::IAM::Role", "AssumeRolePolicyDocument", false, "trust"},
	{"AWS::IAM::Role", "Policies", true, "identity"},
	{"AWS::IAM::User", "Policies", true, "identity"},
	{"AWS::IAM::Group", "Policies", true, "identity"},
	{"AWS::SSO::PermissionSet", "InlinePolicy", false, "identity"},
	{"AWS::Organizations::Policy", "Content", false, ""},
	{"AWS::S3::BucketPolicy", "PolicyDocument", false, "resource"},
	{"AWS::S3::AccessPoint", "Policy", false, "resource"},
	{"AWS::SQS::QueuePolicy", "PolicyDocument", false, "resource"},
	{"AWS::SQS::QueueInlinePolicy", "PolicyDocument", false, "resource"},
	{"AWS::SNS::TopicPolicy", "PolicyDocument", false, "resource"},
	{"AWS::SNS::TopicInlinePolicy", "PolicyDocument", false, "resource"},
	{"AWS::KMS::Key", "KeyPolicy", false, "resource"},
	{"AWS::KMS::ReplicaKey", "KeyPolicy", false, "resource"},
	{"AWS::SecretsManager::ResourcePolicy", "ResourcePolicy", false, "resource"},
	{"AWS::ECR::Repository", "RepositoryPolicyText", false, "resource"},
	{"AWS::EFS::FileSystem", "FileSystemPolicy", false, "resource"},
}

// template finds the policies of a template's resources.
func (f *File) template(resources *Node) {
	for _, r := range resources.Members {
		kind, properties := r.Value.Get("Type"), r.Value.Get("Properties")
		if kind == nil || properties == nil {
			continue
		}
		for _, h := range templateHolders {
			if h.kind == kind.Text {
				f.property(h, r.Name, resolve(properties))
			}
		}
	}
}

func (f *File) property(h holder, name string, properties *Node) {
	is := h.is
	if h.kind == "AWS::Organizations::Policy" {
		is = organizationsType(properties.Get("Type"))
	}
	value := properties.Get(h.field)
	if !h.list {
		f.keep(value, name+"."+h.field, is)
		return
	}
	if value == nil || value.Kind != List {
		return
	}
	for i, p := range value.Items {
		inner := name + "." + h.field + index(i, p.Get("PolicyName"))
		f.keep(p.Get("PolicyDocument"), inner, is)
	}
}

// keep adds a policy; a choice of two adds both.
func (f *File) keep(n *Node, name, is string) {
	if n != nil && n.Choice {
		for _, item := range n.Items {
			f.keep(item, name, is)
		}
		return
	}
	f.add(n, name, is)
}

// organizationsType is the type of policy that an organization keeps.
func organizationsType(n *Node) string {
	if n == nil {
		return "scp" // the provider's default
	}
	switch n.Text {
	case "SERVICE_CONTROL_POLICY":
		return "scp"
	case "RESOURCE_CONTROL_POLICY":
		return "rcp"
	}
	return otherPolicy
}
