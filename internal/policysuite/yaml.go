package policysuite

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file is a YAML file being read. JSON is read as the YAML that it is.
type file struct {
	name string
	root *yaml.Node
	left int // nodes that may still be visited
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parseYAML reads the one document of a file.
func parseYAML(name string, text []byte) (*file, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var first, second yaml.Node
	err := decoder.Decode(&first)
	if err == io.EOF {
		return nil, &Error{Place{name, 1, 1}, "the file is empty"}
	}
	if err == nil {
		if err = decoder.Decode(&second); err == io.EOF {
			return &file{name, first.Content[0], maxNodes}, nil
		}
	}
	if err == nil {
		return nil, &Error{Place{name, second.Line, 1}, "a file has one document"}
	}
	place, found := Place{name, 1, 1}, yamlError.FindStringSubmatch(err.Error())
	if found != nil && found[1] != "" {
		place.Line, _ = strconv.Atoi(found[1]) // digits
	}
	return nil, &Error{place, yamlError.ReplaceAllString(err.Error(), "")}
}

func (f *file) place(n *yaml.Node) Place { return Place{f.name, n.Line, n.Column} }

func (f *file) fail(n *yaml.Node, format string, args ...any) error {
	return &Error{f.place(n), fmt.Sprintf(format, args...)}
}

// visit follows an alias, and counts: aliases of aliases make a short file long.
func (f *file) visit(n *yaml.Node) (*yaml.Node, error) {
	for n.Kind == yaml.AliasNode {
		if f.left--; f.left < 0 {
			break
		}
		n = n.Alias
	}
	if f.left--; f.left < 0 {
		return nil, f.fail(n, "the file has too many parts")
	}
	return n, nil
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// members reads a mapping; no key twice.
func (f *file) members(n *yaml.Node, what string, each func(key, value *yaml.Node) error) error {
	n, err := f.visit(n)
	if err != nil {
		return err
	}
	if n.Kind != yaml.MappingNode {
		return f.fail(n, "%s must be a mapping", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := f.visit(n.Content[i])
		switch {
		case err != nil:
			return err
		case key.Kind != yaml.ScalarNode:
			return f.fail(key, "a key must be a text")
		case seen[key.Value]:
			return f.fail(key, "%s stands twice", key.Value)
		}
		seen[key.Value] = true
		value, err := f.visit(n.Content[i+1])
		if err != nil {
			return err
		}
		if err := each(key, value); err != nil {
			return err
		}
	}
	return nil
}

// object reads a mapping of known keys.
func (f *file) object(n *yaml.Node, what string, known map[string]func(*yaml.Node) error) error {
	return f.members(n, what, func(key, value *yaml.Node) error {
		read, ok := known[key.Value]
		if !ok {
			var names []string
			for name := range known {
				names = append(names, name)
			}
			sort.Strings(names)
			return f.fail(key, "%s has no %s; it has %s", what, key.Value, strings.Join(names, ", "))
		}
		return read(value)
	})
}

// items reads a sequence.
func (f *file) items(n *yaml.Node, what string, each func(*yaml.Node) error) error {
	n, err := f.visit(n)
	if err != nil {
		return err
	}
	if n.Kind != yaml.SequenceNode {
		return f.fail(n, "%s must be a list", what)
	}
	for _, item := range n.Content {
		item, err := f.visit(item)
		if err != nil {
			return err
		}
		if err := each(item); err != nil {
			return err
		}
	}
	return nil
}

// text reads a scalar as it is written: 2012-10-17 is no date here and
// 012345678901 no number.
func (f *file) text(n *yaml.Node, what string) (string, error) {
	n, err := f.visit(n)
	switch {
	case err != nil:
		return "", err
	case n.Kind != yaml.ScalarNode || isNull(n):
		return "", f.fail(n, "%s must be a text", what)
	case n.Value == "":
		return "", f.fail(n, "%s is empty", what)
	}
	return n.Value, nil
}

// texts reads a scalar or a list of them.
func (f *file) texts(n *yaml.Node, what string) (list []string, err error) {
	if n.Kind != yaml.SequenceNode {
		one, err := f.text(n, what)
		return []string{one}, err
	}
	if len(n.Content) == 0 {
		return nil, f.fail(n, "%s is empty", what)
	}
	err = f.items(n, what, func(item *yaml.Node) error {
		one, err := f.text(item, what)
		list = append(list, one)
		return err
	})
	return list, err
}

// policyText writes a policy as JSON, and knows where each byte came from.
// Every scalar is a text: IAM takes the texts "true" and "10" where it takes
// true and 10.
func (f *file) policyText(n *yaml.Node) (string, func(int) Place, error) {
	w := jsonWriter{file: f}
	if err := w.write(n, 0); err != nil {
		return "", nil, err
	}
	from := func(offset int) Place {
		i := sort.Search(len(w.starts), func(i int) bool { return w.starts[i] > offset })
		if i == 0 {
			return f.place(n)
		}
		return f.place(w.nodes[i-1])
	}
	return w.text.String(), from, nil
}

type jsonWriter struct {
	file   *file
	text   bytes.Buffer
	starts []int // where in the text each node begins
	nodes  []*yaml.Node
}

func (w *jsonWriter) write(n *yaml.Node, depth int) error {
	n, err := w.file.visit(n)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return w.file.fail(n, "the policy is nested too deep")
	}
	w.starts, w.nodes = append(w.starts, w.text.Len()), append(w.nodes, n)
	switch n.Kind {
	case yaml.MappingNode:
		return w.writeAll(n, depth, "{", "}")
	case yaml.SequenceNode:
		return w.writeAll(n, depth, "[", "]")
	}
	if isNull(n) {
		w.text.WriteString("null")
		return nil
	}
	quoted, err := json.Marshal(n.Value)
	w.text.Write(quoted)
	return err
}

// writeAll writes a mapping, whose keys and values take turns, or a sequence.
func (w *jsonWriter) writeAll(n *yaml.Node, depth int, opens, closes string) error {
	w.text.WriteString(opens)
	for i, item := range n.Content {
		switch {
		case i == 0:
		case opens == "{" && i%2 == 1:
			w.text.WriteByte(':')
		default:
			w.text.WriteByte(',')
		}
		if err := w.write(item, depth+1); err != nil {
			return err
		}
	}
	w.text.WriteString(closes)
	return nil
}
