package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
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

// edit is text that is put into a file.
type edit struct {
	at     int
	text   string
	behind bool // what stands before it: inner guards close first
}

// guard numbers the mutants that can stand behind a number, and returns the files that hold them.
func (p *pack) guard(mutants []*mutant) map[string]string {
	edits := map[*source][]edit{}
	for _, m := range mutants {
		m.broken = !p.check(m.file, m.file.replaced(m.start, m.end, m.text))
		if !m.guardable || m.broken {
			continue
		}
		before, behind := p.around(m)
		lone := m.file.text[:m.start] + before + m.file.text[m.start:m.end] + behind + m.file.text[m.end:]
		if !p.check(m.file, lone) {
			continue
		}
		m.number = m.place + 1
		before, behind = p.around(m)
		edits[m.file] = append(edits[m.file], edit{m.start, before, false}, edit{m.end, behind, true})
	}
	files := map[string]string{p.path("mutant_tried.go"): chooser}
	for f, list := range edits {
		files[f.path] = f.edited(list)
	}
	return files
}

// around is what is put before and behind a mutant's place.
func (p *pack) around(m *mutant) (before, behind string) {
	expression, ok := m.node.(ast.Expr)
	if !ok {
		return fmt.Sprintf("if mutantTried == %d { %s } else { ", m.number, m.text), " }"
	}
	t := types.TypeString(types.Default(p.info.TypeOf(expression)), func(other *types.Package) string {
		if other == p.types {
			return ""
		}
		return other.Name()
	})
	return fmt.Sprintf("func() %s { if mutantTried == %d { return %s }; return ", t, m.number, m.text), " }()"
}

// edited is the text with all edits. Where several stand at one place, guards close from within, then others open.
func (f *source) edited(list []edit) string {
	slices.SortStableFunc(list, func(a, b edit) int {
		switch {
		case a.at != b.at:
			return a.at - b.at
		case a.behind == b.behind:
			return 0
		case a.behind:
			return -1
		}
		return 1
	})
	var b strings.Builder
	from := 0
	for i := 0; i < len(list); {
		n := i
		for n < len(list) && list[n].at == list[i].at && list[n].behind == list[i].behind {
			n++
		}
		b.WriteString(f.text[from:list[i].at])
		group := list[i:n]
		if group[0].behind {
			slices.Reverse(group)
		}
		for _, e := range group {
			b.WriteString(e.text)
		}
		from, i = list[i].at, n
	}
	b.WriteString(f.text[from:])
	return b.String()
}
