// Package source reads the files that policies stand in: a policy itself, what
// `terraform show -json` prints, a CloudFormation template.
//
// Invariant: every value keeps its place in the file, also one inside a text
// inside a file. Text that only a deployment knows is kept as unknown, never
// guessed.
package source

import (
	"fmt"
	"sort"
	"unicode/utf8"
)

// Limits of a file.
const (
	MaxFile  = 64 << 20 // bytes; a large Terraform plan has some ten million
	maxDepth = 200
	maxNodes = 5_000_000
	// maxYAML is maxNodes for YAML, whose aliases make much of little; a
	// template is at most 1 MB long.
	maxYAML = 500_000
)

// Position is a place in a file: lines and characters count from 1.
type Position struct{ Line, Column int }

// String prints line:column.
func (p Position) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// Kind is what a value is.
type Kind uint8

// The kinds of values. The zero value is JSON's null.
const (
	Null   Kind = iota
	Text        // a string
	Scalar      // a number or a boolean, as it is written
	List
	Object
)

// Node is one value of a file.
type Node struct {
	Kind    Kind
	Text    string // of Text and Scalar
	Items   []*Node
	Members []Member
	// Maybe: a condition of the template decides whether this is there.
	Maybe bool
	// Choice: a list that an Fn::If made of its branches.
	Choice bool

	fixed  Position // where there is no origin
	origin *origin
	start  int // in the origin, in bytes
}

// Member is one member of an object.
type Member struct {
	Name  string
	Key   *Node // for its place
	Value *Node
}

// Get returns a member's value, nil if there is none.
func (n *Node) Get(name string) *Node {
	if n == nil {
		return nil
	}
	for _, m := range n.Members {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// Position says where the value begins.
func (n *Node) Position() Position {
	if n.origin == nil {
		return n.fixed
	}
	return n.origin.position(n.start)
}

// Known says whether the text holds nothing that only a deployment knows.
func (n *Node) Known() bool { return !Unknown(n.Text) }

// origin is a text and where its bytes stand in the file.
type origin struct {
	text  string
	lines []int                     // where each begins
	outer func(offset int) Position // of a text inside another
}

func newOrigin(text string) *origin {
	o := &origin{text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			o.lines = append(o.lines, i+1)
		}
	}
	return o
}

func (o *origin) position(offset int) Position {
	offset = min(offset, len(o.text))
	if o.outer != nil {
		return o.outer(offset)
	}
	line := sort.SearchInts(o.lines, offset+1)
	return Position{line, utf8.RuneCountInString(o.text[o.lines[line-1]:offset]) + 1}
}

// inside is the origin of a text's own content: byte i of the content stands
// where its first byte, or the escape that makes it, is written.
func (n *Node) inside() *origin {
	o := &origin{text: n.Text}
	if n.origin == nil { // YAML folds and indents: the place is the value's
		o.outer = func(int) Position { return n.fixed }
		return o
	}
	o.outer = func(offset int) Position {
		return n.origin.position(n.start + 1 + rawOffset(n.origin.text[n.start+1:], offset))
	}
	return o
}

// rawOffset finds the byte of a JSON string's inner text that byte n of what
// it stands for is written at.
func rawOffset(raw string, n int) int {
	at := 0
	for done := 0; done < n && at < len(raw); {
		if raw[at] != '\\' || at+1 == len(raw) {
			at++
			done++
			continue
		}
		size := 2
		wide := 1
		if raw[at+1] == 'u' {
			size, wide = escapedRune(raw[at:])
		}
		at += size
		done += wide
	}
	return min(at, len(raw))
}

// Error is what is wrong with a file, and where.
type Error struct {
	At      Position
	Message string
	// Syntax: the text is no JSON or YAML; else it is, but nothing to check.
	Syntax bool
}

// Error gives the place and the words.
func (e *Error) Error() string { return e.At.String() + ": " + e.Message }
