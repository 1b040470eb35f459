package lint

import (
	"strings"

	"github.com/holdfast-iam/holdfast/arn"
	"github.com/holdfast-iam/holdfast/internal/lint/catalogue"
	"github.com/holdfast-iam/holdfast/internal/lint/source"
)

// actionOf is what an action's value names.
type actionOf struct {
	prefix, name string // folded
	everything   bool   // "*"
	foreign      bool   // not known: a template's, or of the user's own service
	wild         bool   // a wildcard in the prefix
	service      *catalogue.Service
}

func (d *document) action(v value) actionOf {
	text := strings.ToLower(v.text)
	prefix, name, ok := strings.Cut(text, ":")
	a := actionOf{prefix: prefix, name: name, everything: text == "*"}
	a.foreign = source.Unknown(v.text) || d.own[prefix] || !ok && !a.everything
	a.wild = strings.ContainsAny(prefix, "*?")
	if !a.everything && !a.foreign && !a.wild {
		a.service = catalogue.Find(prefix)
	}
	return a
}

// actions lists what the value can name; nil if that is not known.
func (a actionOf) actions() []*catalogue.Action {
	if a.service == nil {
		return nil
	}
	if !strings.ContainsAny(a.name, "*?") {
		if x := a.service.Actions[a.name]; x != nil {
			return []*catalogue.Action{x}
		}
		return nil
	}
	var list []*catalogue.Action
	for name, x := range a.service.Actions {
		if arn.Glob(a.name, name) {
			list = append(list, x)
		}
	}
	return list
}

func unknownService(d *document, report report) {
	d.eachAction(func(v value, a actionOf) {
		switch {
		case a.everything || a.foreign || a.service != nil:
		case a.wild:
			found := false
			catalogue.Prefixes(func(p string) { found = found || arn.Glob(a.prefix, p) })
			if !found {
				report(v.node, "no service of AWS has a prefix like %q", a.prefix)
			}
		default:
			report(v.node, "no service of AWS has the prefix %q%s; name a service of your own with --service %s", a.prefix, suggestion(a.prefix, catalogue.Prefixes), a.prefix)
		}
	})
}

func unknownAction(d *document, report report) {
	d.eachAction(func(v value, a actionOf) {
		if a.service == nil || len(a.actions()) > 0 {
			return
		}
		if strings.ContainsAny(a.name, "*?") {
			report(v.node, "no action of %s matches %q", a.prefix, v.text)
			return
		}
		report(v.node, "%s has no action %q%s", a.prefix, v.text[len(a.prefix)+1:], suggestion(a.name, func(each func(string)) {
			for _, x := range a.service.Actions {
				each(x.Name)
			}
		}))
	})
}

func (d *document) eachAction(each func(value, actionOf)) {
	for _, s := range d.statements {
		for _, v := range s.actions.values {
			each(v, d.action(v))
		}
	}
}

func unknownKey(d *document, report report) {
	d.eachKey(func(n *source.Node, key string) {
		prefix, name, ok := strings.Cut(key, ":")
		if !ok || source.Unknown(key) || d.own[strings.ToLower(prefix)] || strings.Contains(prefix, ".") { // an OIDC provider's
			return
		}
		if _, ok := catalogue.Key(key); ok {
			return
		}
		switch {
		case strings.EqualFold(prefix, "aws"):
			report(n, "there is no global condition key %q%s", key, suggestion(key, catalogue.GlobalKeys))
		case catalogue.Find(prefix) != nil:
			report(n, "%s has no condition key %q%s", prefix, name, suggestion(key, catalogue.Find(prefix).EachKey))
		default:
			report(n, "no service has condition keys with the prefix %q; name a service of your own with --service %s", prefix, prefix)
		}
	})
}

// eachKey calls each with every condition key, and every key that a variable
// asks for.
func (d *document) eachKey(each func(n *source.Node, key string)) {
	for _, s := range d.statements {
		for _, v := range s.resources.values {
			eachVariable(v, each)
		}
		for _, c := range s.conditions {
			each(c.node, c.key)
			for _, v := range c.values {
				eachVariable(v, each)
			}
		}
	}
}

// eachVariable finds ${key} and ${key, 'default'}.
func eachVariable(v value, each func(n *source.Node, key string)) {
	for text := v.text; ; {
		i := strings.Index(text, "${")
		if i < 0 {
			return
		}
		text = text[i+2:]
		j := strings.IndexByte(text, '}')
		if j < 0 {
			return
		}
		key, _, _ := strings.Cut(text[:j], ",")
		each(v.node, strings.TrimSpace(key))
		text = text[j+1:]
	}
}

// sessionKeys come with the credentials that a service gives to what it runs,
// to whatever action (the services' guides on their roles).
var sessionKeys = map[string]bool{"ec2:sourceinstancearn": true, "ec2:roledelivery": true, "ssm:sourceinstancearn": true,
	"lambda:sourcefunctionarn": true, "glue:roleassumedby": true, "glue:credentialissuingservice": true}

// keyNotForAction looks at keys of services alone: of the global ones the
// reference lists few.
func keyNotForAction(d *document, report report) {
	for _, s := range d.statements {
		actions, known := d.named(s)
		if !known {
			continue
		}
		for _, c := range s.conditions {
			prefix, _, _ := strings.Cut(c.key, ":")
			service := catalogue.Find(prefix)
			if service == nil || source.Unknown(c.key) || sessionKeys[strings.ToLower(c.key)] {
				continue
			}
			if _, ok := service.Key(c.key); !ok {
				continue
			}
			if !anyHas(actions, c.key) {
				report(c.node, "none of the statement's actions has the condition key %q", c.key)
			}
		}
	}
}

// named lists all actions that a statement names; false if one is not known,
// or if it names all.
func (d *document) named(s *statement) ([]*catalogue.Action, bool) {
	if s.actions.not || s.actions.node == nil {
		return nil, false
	}
	var list []*catalogue.Action
	for _, v := range s.actions.values {
		actions := d.action(v).actions()
		if len(actions) == 0 {
			return nil, false
		}
		list = append(list, actions...)
	}
	return list, true
}

func anyHas(actions []*catalogue.Action, key string) bool {
	for _, a := range actions {
		if hasKey(a.Keys, key) {
			return true
		}
		for _, t := range a.Types {
			if hasKey(t.Keys, key) {
				return true
			}
		}
	}
	return false
}

func hasKey(keys []string, key string) bool {
	for _, k := range keys {
		if catalogue.SameKey(k, key) {
			return true
		}
	}
	return false
}

// suggestion offers the name that takes the fewest changes, if it takes few.
func suggestion(text string, all func(each func(string))) string {
	best, changes := "", 3
	all(func(name string) {
		if n := distance(strings.ToLower(text), strings.ToLower(name), changes); n < changes || n == changes && best != "" && name < best {
			best, changes = name, n
		}
	})
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is how many characters must change to make b of a, or more than
// limit (Levenshtein).
func distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
