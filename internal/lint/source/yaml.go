package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlReader builds nodes from YAML's, which carry their places.
type yamlReader struct{ nodes int }

// readYAML reads one YAML document. A template's short forms become their long
// ones: !Sub x is {"Fn::Sub": x}.
func readYAML(text []byte) (*Node, *Error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, second yaml.Node
	if err := decoder.Decode(&document); err != nil {
		return nil, yamlError(err)
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, yamlError(err)
		}
		return nil, &Error{Position{second.Line, second.Column}, "a file holds one YAML document", true}
	}
	if len(document.Content) == 0 {
		return nil, yamlError(io.EOF)
	}
	return new(yamlReader).value(document.Content[0], 0)
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

// yamlError finds the line that the library's words begin with.
func yamlError(err error) *Error {
	if errors.Is(err, io.EOF) {
		return &Error{Position{1, 1}, "the file is empty", true}
	}
	at := Position{1, 1}
	text := err.Error()
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	return &Error{at, strings.TrimPrefix(text, "yaml: "), true}
}

func (r *yamlReader) value(y *yaml.Node, depth int) (*Node, *Error) {
	at := Position{y.Line, y.Column}
	if r.nodes++; r.nodes > maxYAML || depth > maxDepth {
		return nil, &Error{at, "the text has too many values, or is nested too deep", true}
	}
	if y.Kind == yaml.AliasNode {
		return r.value(y.Alias, depth+1)
	}
	n := &Node{fixed: at}
	var err *Error
	switch y.Kind {
	case yaml.ScalarNode:
		n.Kind, n.Text = scalarKind(y), y.Value
	case yaml.SequenceNode:
		n.Kind = List
		for _, c := range y.Content {
			var item *Node
			if item, err = r.value(c, depth+1); err != nil {
				return nil, err
			}
			n.Items = append(n.Items, item)
		}
	case yaml.MappingNode:
		n.Kind = Object
		if err = r.members(n, y.Content, depth); err != nil {
			return nil, err
		}
	}
	return longForm(n, y.Tag), nil
}

// scalarKind: a template's numbers and booleans become texts where a policy
// has texts, and 2012-10-17, a date, is one.
func scalarKind(y *yaml.Node) Kind {
	if y.Tag == "!!null" {
		return Null
	}
	return Text
}

func (r *yamlReader) members(n *Node, content []*yaml.Node, depth int) *Error {
	seen := map[string]bool{}
	for i := 0; i+1 < len(content); i += 2 {
		key, err := r.value(content[i], depth+1)
		if err != nil {
			return err
		}
		if key.Kind != Text {
			return &Error{key.fixed, "the name of a member is a text", true}
		}
		if seen[key.Text] {
			return &Error{key.fixed, fmt.Sprintf("the member %q stands twice", key.Text), true}
		}
		seen[key.Text] = true
		value, err := r.value(content[i+1], depth+1)
		if err != nil {
			return err
		}
		n.Members = append(n.Members, Member{key.Text, key, value})
	}
	return nil
}

// longForm undoes a short form (CloudFormation User Guide, "Intrinsic function
// reference").
func longForm(n *Node, tag string) *Node {
	name, short := strings.CutPrefix(tag, "!")
	if !short || name == "" || name[0] == '!' {
		return n
	}
	if name != "Ref" && name != "Condition" {
		name = "Fn::" + name
	}
	if n.Kind == Null {
		n.Kind = Text
	}
	return &Node{Kind: Object, fixed: n.fixed, Members: []Member{{name, &Node{Kind: Text, Text: name, fixed: n.fixed}, n}}}
}
