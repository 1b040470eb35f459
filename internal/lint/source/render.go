package source

import (
	"encoding/json"
	"sort"
	"strings"
)

// Rendered is a value as JSON text, and where each byte of it comes from.
type Rendered struct {
	Text  string
	marks []mark // by offset
}

type mark struct {
	offset int
	node   *Node
}

// At returns the value that stands at a byte of the text.
func (r *Rendered) At(offset int) *Node {
	i := sort.Search(len(r.marks), func(i int) bool { return r.marks[i].offset > offset })
	return r.marks[max(i-1, 0)].node
}

// Render writes a value as JSON, members in their order.
func Render(n *Node) *Rendered {
	var b strings.Builder
	r := new(Rendered)
	r.write(&b, n)
	r.Text = b.String()
	return r
}

func (r *Rendered) write(b *strings.Builder, n *Node) {
	r.marks = append(r.marks, mark{b.Len(), n})
	switch n.Kind {
	case Null:
		b.WriteString("null")
	case Text:
		b.WriteString(quoted(n.Text))
	case Scalar:
		b.WriteString(n.Text)
	case List:
		b.WriteByte('[')
		for i, item := range n.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			r.write(b, item)
		}
		b.WriteByte(']')
	case Object:
		b.WriteByte('{')
		for i, m := range n.Members {
			if i > 0 {
				b.WriteByte(',')
			}
			r.marks = append(r.marks, mark{b.Len(), m.Key})
			b.WriteString(quoted(m.Name))
			b.WriteByte(':')
			r.write(b, m.Value)
		}
		b.WriteByte('}')
	}
}

func quoted(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // no string fails
	}
	return string(b)
}

// canonical is a value as JSON with its members in order of their names, for
// comparing.
func canonical(n *Node) string {
	text := Render(n).Text
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return text
	}
	b, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return string(b)
}
