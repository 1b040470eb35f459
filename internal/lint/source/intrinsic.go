package source

import "strings"

// What a deployment alone knows stands in a text between two characters of
// Unicode's private use, with the words that the template has for it.
const (
	UnknownBegin = "\ue000"
	UnknownEnd   = "\ue001"
)

// Unknown says whether a text holds anything that only a deployment knows.
func Unknown(text string) bool { return strings.Contains(text, UnknownBegin) }

// Show is a text for people: what is unknown as ${words}.
func Show(text string) string {
	return strings.NewReplacer(UnknownBegin, "${", UnknownEnd, "}").Replace(text)
}

func unknown(words string) string { return UnknownBegin + words + UnknownEnd }

// resolve gives a part of a template without its functions: known text as
// text, everything else as unknown. Both branches of an Fn::If are kept, as
// what may be there. nil stands for AWS::NoValue.
func resolve(n *Node) *Node {
	if n == nil {
		return nil
	}
	c := *n
	switch {
	case isFunction(n):
		return call(n, n.Members[0])
	case n.Kind == List:
		c.Items = nil
		for _, item := range n.Items {
			c.Items = append(c.Items, spliced(item)...)
		}
	case n.Kind == Object:
		c.Members = nil
		for _, m := range n.Members {
			if v := resolve(m.Value); v != nil {
				c.Members = append(c.Members, Member{m.Name, m.Key, v})
			}
		}
	}
	return &c
}

func isFunction(n *Node) bool {
	return n.Kind == Object && len(n.Members) == 1 && (n.Members[0].Name == "Ref" || strings.HasPrefix(n.Members[0].Name, "Fn::"))
}

// spliced is an item of a list: both branches of an Fn::If, else one or none.
func spliced(item *Node) []*Node {
	r := resolve(item)
	if r == nil {
		return nil
	}
	if isFunction(item) && r.Kind == List {
		return r.Items
	}
	return []*Node{r}
}

// call resolves one function.
func call(n *Node, f Member) *Node {
	c := *n
	c.Kind, c.Members = Text, nil
	switch arg := f.Value; {
	case f.Name == "Ref" && arg.Text == "AWS::NoValue":
		return nil
	case f.Name == "Ref":
		c.Text = unknown(arg.Text)
	case f.Name == "Fn::GetAtt" && arg.Kind == List:
		c.Text = unknown(joined(arg.Items, "."))
	case f.Name == "Fn::GetAtt":
		c.Text = unknown(arg.Text)
	case f.Name == "Fn::Sub" && arg.Kind == Text:
		c.Text = substituted(arg.Text)
	case f.Name == "Fn::Sub" && len(arg.Items) > 0 && arg.Items[0].Kind == Text:
		c.Text = substituted(arg.Items[0].Text)
	case f.Name == "Fn::Join" && len(arg.Items) == 2 && arg.Items[1].Kind == List:
		c.Text = joined(arg.Items[1].Items, arg.Items[0].Text)
	case f.Name == "Fn::If" && len(arg.Items) == 3:
		return either(n, arg.Items[1], arg.Items[2])
	default:
		c.Text = unknown(f.Name)
	}
	return &c
}

func joined(items []*Node, by string) string {
	var texts []string
	for _, item := range items {
		r := resolve(item)
		switch {
		case r == nil:
		case r.Kind == List || r.Kind == Object:
			texts = append(texts, unknown("…"))
		default:
			texts = append(texts, r.Text)
		}
	}
	return strings.Join(texts, by)
}

// substituted reads Fn::Sub's text: ${Name} is unknown, ${!Name} is the text
// ${Name}.
func substituted(text string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		j := -1
		if i >= 0 {
			j = strings.IndexByte(text[i:], '}')
		}
		if j < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:i])
		name := text[i+2 : i+j]
		if literal, ok := strings.CutPrefix(name, "!"); ok {
			b.WriteString("${" + literal + "}")
		} else {
			b.WriteString(unknown(name))
		}
		text = text[i+j+1:]
	}
}

// either is a list of what both branches have.
func either(n *Node, branches ...*Node) *Node {
	list := *n
	list.Kind, list.Members, list.Choice = List, nil, true
	for _, b := range branches {
		r := resolve(b)
		if r == nil {
			continue
		}
		items := []*Node{r}
		if r.Kind == List {
			items = r.Items
		}
		for _, item := range items {
			c := *item
			c.Maybe = true
			list.Items = append(list.Items, &c)
		}
	}
	return &list
}
