package policy

// EvaluateEach decides one request for many resources, in order, each as
// Evaluate would: what does not depend on the resource is done once. A
// decision is good until yield returns.
func (p *Policies) EvaluateEach(r *Request, resources []string, yield func(i int, d *Decision) bool) {
	e := evaluations.Get().(*evaluation)
	one := *r
	e.begin(&one)
	e.choose(p)
	d := new(Decision)
	for i, resource := range resources {
		*d = Decision{}
		one.Resource, e.left, e.next = resource, budget, 0
		e.decide(p, d)
		if !yield(i, d) {
			break
		}
	}
	e.end()
}

// selection is the statements of all policies that cover a request but for its
// resource, in the order in which they are looked at: action and principal fit
// and the conditions, which do not depend on the resource, hold.
type selection struct {
	phase phase
	rules []rule
	ends  []int // of each list of policies among the rules, as they are looked at
	next  int   // list
}

type phase uint8

const (
	alone     phase = iota // one resource: nothing is selected
	selecting              // the resource is not looked at
	selected               // nothing but the resource is looked at
)

// rule is a selected statement.
type rule struct {
	matched
	grants grant
}

// choose makes the selection. Where it costs more than one request may, every
// resource is decided by itself.
func (e *evaluation) choose(p *Policies) {
	s := &e.selection
	s.rules, s.ends, s.phase = s.rules[:0], s.ends[:0], selecting
	e.look(p)
	s.phase = selected
	if e.left < 0 {
		s.phase = alone
	}
}

// listSelected is list over what was selected of it.
func (e *evaluation) listSelected() grant {
	s := &e.selection
	from := 0
	if s.next > 0 {
		from = s.ends[s.next-1]
	}
	best := noGrant
	for i := range s.rules[from:s.ends[s.next]] {
		r := &s.rules[from+i]
		if e.resourceMatches(r.statement, r.by) {
			best = max(best, e.survey.add(r.matched, r.grants))
		}
	}
	s.next++
	return best
}
