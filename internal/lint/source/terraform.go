package source

import (
	"fmt"
	"strings"
)

// otherPolicy is a policy that is none of IAM's language, as of tags or
// backups.
const otherPolicy = "other"

// terraformHolders are those of Terraform's AWS provider.
var terraformHolders = []holder{
	{"aws_iam_policy_document", "json", false, ""},
	{"aws_iam_policy", "policy", false, ""}, // or a boundary: of the same form
	{"aws_iam_role", "assume_role_policy", false, "trust"},
	{"aws_iam_role", "inline_policy", true, "identity"},
	{"aws_iam_role_policy", "policy", false, "identity"},
	{"aws_iam_user_policy", "policy", false, "identity"},
	{"aws_iam_group_policy", "policy", false, "identity"},
	{"aws_ssoadmin_permission_set_inline_policy", "inline_policy", false, "identity"},
	{"aws_organizations_policy", "content", false, ""},
	{"aws_s3_bucket_policy", "policy", false, "resource"},
	{"aws_s3_access_point", "policy", false, "resource"},
	{"aws_s3control_access_point_policy", "policy", false, "resource"},
	{"aws_sqs_queue", "policy", false, "resource"},
	{"aws_sqs_queue_policy", "policy", false, "resource"},
	{"aws_sns_topic", "policy", false, "resource"},
	{"aws_sns_topic_policy", "policy", false, "resource"},
	{"aws_kms_key", "policy", false, "resource"},
	{"aws_kms_key_policy", "policy", false, "resource"},
	{"aws_secretsmanager_secret_policy", "policy", false, "resource"},
	{"aws_ecr_repository_policy", "policy", false, "resource"},
	{"aws_efs_file_system_policy", "policy", false, "resource"},
}

// terraform finds the policies of a plan or a state (Terraform, "JSON Output
// Format"). In a plan, what is to be comes from planned_values, and data that
// was already read from prior_state.
func (f *File) terraform(root *Node) {
	if planned := root.Get("planned_values"); planned != nil {
		f.module(planned.Get("root_module"), false)
		f.module(root.Get("prior_state").Get("values").Get("root_module"), true)
		f.afterApply(root.Get("resource_changes"))
	} else {
		f.module(root.Get("values").Get("root_module"), false)
	}
	f.dropCopies()
}

// module walks a module and those in it. dataOnly leaves out what is managed.
func (f *File) module(m *Node, dataOnly bool) {
	if m == nil {
		return
	}
	if resources := m.Get("resources"); resources != nil {
		for _, r := range resources.Items {
			if mode := r.Get("mode"); dataOnly && (mode == nil || mode.Text != "data") {
				continue
			}
			f.resource(r)
		}
	}
	if children := m.Get("child_modules"); children != nil {
		for _, c := range children.Items {
			f.module(c, dataOnly)
		}
	}
}

func (f *File) resource(r *Node) {
	kind, address, values := r.Get("type"), r.Get("address"), r.Get("values")
	if kind == nil || address == nil || values == nil {
		return
	}
	for _, h := range terraformHolders {
		if h.kind != kind.Text {
			continue
		}
		is := h.is
		if h.kind == "aws_organizations_policy" {
			is = organizationsType(values.Get("type"))
		}
		value := values.Get(h.field)
		if !h.list {
			f.add(value, address.Text+"."+h.field, is)
			continue
		}
		if value == nil {
			continue
		}
		for i, p := range value.Items {
			f.add(p.Get("policy"), address.Text+"."+h.field+index(i, p.Get("name")), is)
		}
	}
}

// afterApply notes the policies that a plan does not know yet.
func (f *File) afterApply(changes *Node) {
	if changes == nil {
		return
	}
	for _, c := range changes.Items {
		kind, address, unknown := c.Get("type"), c.Get("address"), c.Get("change").Get("after_unknown")
		if kind == nil || address == nil {
			continue
		}
		for _, h := range terraformHolders {
			if value := unknown.Get(h.field); h.kind == kind.Text && value != nil && value.Text == "true" {
				f.Gaps = append(f.Gaps, Gap{value.Position(), address.Text + "." + h.field, "the policy is known after apply only"})
			}
		}
	}
}

// dropCopies leaves out data that a resource of the file uses as it is: the
// resource says more about it.
func (f *File) dropCopies() {
	used := map[string]bool{}
	for _, d := range f.Documents {
		if !isData(d) {
			used[canonical(d.Root)] = true
		}
	}
	kept := f.Documents[:0]
	for _, d := range f.Documents {
		if !isData(d) || !used[canonical(d.Root)] {
			kept = append(kept, d)
		}
	}
	f.Documents = kept
}

func isData(d Document) bool {
	return strings.Contains("."+d.Name, ".data.aws_iam_policy_document.")
}

// index names an item of a list, by its name if it has one.
func index(i int, name *Node) string {
	if name != nil && name.Kind == Text {
		return fmt.Sprintf("[%q]", Show(name.Text))
	}
	return fmt.Sprintf("[%d]", i)
}
