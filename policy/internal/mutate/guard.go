package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// A guarded expression E with the mutant M is
//
//	func() T { if mutantTried == 7 { return M }; return E }()
//
// and a statement that is dropped
//
//	if mutantTried == 7 { _ = x } else { y = x }
//
// Only text is put before and behind what stands there, so that guards nest.

// chooser is the file that says which mutant is tried.
const chooser = `package policy

import (
	"os"
	"strconv"
)

var mutantTried, _ = strconv.Atoi(os.Getenv("` + variable + `"))
`

const variable = "HOLDFAST_POLICY_MUTANT"

// guardable says whether a place may hold more than what stands there: no constant, and a statement on its own.
func guardable(n ast.Node, within []ast.Node) bool {
	if len(within) == 0 {
		return false
	}
	if _, ok := n.(ast.Stmt); ok {
		switch within[len(within)-1].(type) {
		case *ast.BlockStmt, *ast.CaseClause:
			return true
		}
		return false
	}
	for i, outer := range within {
		switch outer := outer.(type) {
		case *ast.GenDecl:
			if outer.Tok == token.CONST {
				return false
			}
		case *ast.ArrayType:
			if i == len(within)-1 {
				return false
			}
		}
	}
	return true
}

// guard numbers the mutants that can stand behind a number, and returns the files that hold them. It begins with all,
// and takes out those of which the compiler complains, until it does not.
func (p *pack) guard(mutants []*mutant) (map[string]string, error) {
	for _, m := range mutants {
		if m.guardable {
			m.number = m.place + 1
		}
	}
	for {
		texts := map[string]string{p.path("mutant_tried.go"): chooser}
		guards := map[string][]span{}
		for _, f := range p.files {
			texts[f.path], guards[f.path] = p.guarded(f, mutants)
		}
		wrong, err := p.complaints(texts)
		if err != nil || len(wrong) == 0 {
			return texts, err
		}
		for _, at := range wrong {
			m := innermost(guards[at.Filename], at.Offset)
			if m == nil {
				return nil, fmt.Errorf("%s: the package is no program", at)
			}
			m.number = 0
		}
	}
}

// span is where a mutant and what it guards stand in a guarded text.
type span struct {
	mutant     *mutant
	start, end int
}

// innermost finds the smallest span around a place.
func innermost(spans []span, at int) (m *mutant) {
	least := 0
	for _, s := range spans {
		if size := s.end - s.start; s.start <= at && at < s.end && (m == nil || size < least) {
			m, least = s.mutant, size
		}
	}
	return m
}

// guarded is the text of a file with a guard around every numbered mutant's place. Mutants come in the order in which
// their places begin, outer ones first: the guard that opened last closes first.
func (p *pack) guarded(f *source, mutants []*mutant) (text string, spans []span) {
	var b strings.Builder
	var open []int // spans
	from := 0
	upTo := func(at int) {
		b.WriteString(f.text[from:at])
		from = at
	}
	closeUpTo := func(at int) {
		for len(open) > 0 {
			s := &spans[open[len(open)-1]]
			if s.mutant.end > at {
				return
			}
			upTo(s.mutant.end)
			b.WriteString(p.behind(s.mutant))
			s.end = b.Len()
			open = open[:len(open)-1]
		}
	}
	for _, m := range mutants {
		if m.file != f || m.number == 0 {
			continue
		}
		closeUpTo(m.start)
		upTo(m.start)
		open = append(open, len(spans))
		spans = append(spans, span{mutant: m, start: b.Len()})
		b.WriteString(p.before(m))
	}
	closeUpTo(len(f.text))
	upTo(len(f.text))
	return b.String(), spans
}

// before and behind are what is put around a mutant's place.
func (p *pack) before(m *mutant) string {
	expression, ok := m.node.(ast.Expr)
	if !ok {
		return fmt.Sprintf("if mutantTried == %d { %s } else { ", m.number, m.text)
	}
	t := types.TypeString(types.Default(p.info.TypeOf(expression)), func(other *types.Package) string {
		if other == p.types {
			return ""
		}
		return other.Name()
	})
	return fmt.Sprintf("func() %s { if mutantTried == %d { return %s }; return ", t, m.number, m.text)
}

func (p *pack) behind(m *mutant) string {
	if _, ok := m.node.(ast.Expr); ok {
		return " }()"
	}
	return " }"
}
