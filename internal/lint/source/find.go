package source

import (
	"bytes"
	"fmt"
	"strings"
)

// Document is one policy of a file.
type Document struct {
	Root *Node
	// Name is what holds it: a resource's address; empty for a file that is
	// the policy itself.
	Name string
	// Type is the type of policy that its holder asks for, in the command's
	// words; empty: nobody says.
	Type string
}

// Gap is a place where a policy stands that only a deployment knows.
type Gap struct {
	At   Position
	Name string
	Why  string
}

// Fault is a text that holds a policy that cannot be read.
type Fault struct {
	Name string
	Err  *Error
}

// File is what was found.
type File struct {
	Documents []Document
	Gaps      []Gap
	Faults    []Fault
}

// Read finds the policies of a file.
func Read(text []byte) (*File, *Error) {
	if len(text) > MaxFile {
		return nil, &Error{Position{1, 1}, fmt.Sprintf("the file is longer than %d MiB", MaxFile>>20), false}
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	f := new(File)
	switch {
	case root.Get("Statement") != nil || root.Get("Version") != nil && root.Get("Resources") == nil:
		f.Documents = []Document{{Root: resolve(root)}}
	case root.Get("Resources") != nil:
		f.template(root.Get("Resources"))
	case root.Get("format_version") != nil && root.Get("terraform_version") != nil:
		f.terraform(root)
	default:
		return nil, &Error{root.Position(), "this is neither a policy, nor a CloudFormation template, nor what `terraform show -json` prints", false}
	}
	return f, nil
}

// parse reads JSON, or YAML if the text does not begin as JSON does.
func parse(text []byte) (*Node, *Error) {
	if start := bytes.TrimLeft(text, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		return readJSON(newOrigin(string(text)))
	}
	return readYAML(text)
}

// add keeps a policy, which may be JSON inside a text.
func (f *File) add(n *Node, name, kind string) {
	switch {
	case n == nil || n.Kind == Null || kind == otherPolicy:
	case n.Kind == Text && strings.HasPrefix(strings.TrimSpace(n.Text), "{"):
		root, err := readJSON(n.inside())
		if err != nil {
			f.Faults = append(f.Faults, Fault{name, err})
			return
		}
		f.Documents = append(f.Documents, Document{root, name, kind})
	case n.Kind == Object:
		f.Documents = append(f.Documents, Document{n, name, kind})
	case Unknown(n.Text):
		f.Gaps = append(f.Gaps, Gap{n.Position(), name, "the policy is known to the deployment alone: " + Show(n.Text)})
	case n.Text != "": // Terraform: none
		f.Faults = append(f.Faults, Fault{name, &Error{n.Position(), "a policy is an object", true}})
	}
}
