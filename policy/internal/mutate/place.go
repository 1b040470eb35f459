package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
)

// mutant is one change: text stands in place of an expression or a statement.
type mutant struct {
	place      int // among all, from 0
	file       *source
	node       ast.Node
	start, end int // bytes of the file
	text       string
	at         string // line and column of what is changed
	says       string
	guardable  bool
	number     int // behind which it stands in the program of all; 0: it does not
}

// id names a mutant in the results.
func (m *mutant) id() string { return m.file.name + ":" + m.at + " " + m.says }

// swaps are the operators that are exchanged.
var swaps = map[token.Token]string{
	token.EQL: "!=", token.NEQ: "==", token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">",
	token.LAND: "||", token.LOR: "&&", token.ADD: "-", token.SUB: "+",
}

// mutants lists all mutants of the package in the order of its text.
func (p *pack) mutants() (all []*mutant) {
	for _, f := range p.files {
		var within []ast.Node
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			if n == nil {
				within = within[:len(within)-1]
				return true
			}
			for _, m := range p.mutate(f, n) {
				m.place, m.guardable = len(all), guardable(n, within)
				all = append(all, m)
			}
			within = append(within, n)
			return true
		})
	}
	return all
}

// mutate lists the changes of one node.
func (p *pack) mutate(f *source, n ast.Node) (list []*mutant) {
	add := func(at token.Pos, text, says string) {
		position := p.set.Position(at)
		list = append(list, &mutant{file: f, node: n, start: p.offset(n.Pos()), end: p.offset(n.End()), text: text,
			at: fmt.Sprintf("%d:%d", position.Line, position.Column), says: says})
	}
	source := func(from, to token.Pos) string { return f.text[p.offset(from):p.offset(to)] }
	whole := source(n.Pos(), n.End())
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if with, ok := swaps[n.Op]; ok && !p.isText(n) {
			behind := n.OpPos + token.Pos(len(n.Op.String()))
			add(n.OpPos, source(n.Pos(), n.OpPos)+with+source(behind, n.End()), fmt.Sprintf("%q: %s becomes %s", whole, n.Op, with))
		}
		if n.Op == token.LAND || n.Op == token.LOR {
			add(n.OpPos, source(n.X.Pos(), n.X.End()), fmt.Sprintf("%q: the right side is dropped", whole))
			add(n.OpPos, source(n.Y.Pos(), n.Y.End()), fmt.Sprintf("%q: the left side is dropped", whole))
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			add(n.Pos(), source(n.X.Pos(), n.X.End()), fmt.Sprintf("%q: not is dropped", whole))
		}
	case *ast.BasicLit:
		if n.Kind == token.INT && len(n.Value) < 9 {
			add(n.Pos(), "("+n.Value+"+1)", fmt.Sprintf("%s becomes one more", n.Value))
		}
	case *ast.Ident:
		if n.Name == "true" || n.Name == "false" {
			add(n.Pos(), map[string]string{"true": "false", "false": "true"}[n.Name], n.Name+" becomes its contrary")
		}
	case *ast.AssignStmt:
		if n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN || n.Tok == token.ASSIGN && len(n.Lhs) == 1 {
			add(n.Pos(), "_ = "+source(n.Rhs[0].Pos(), n.Rhs[0].End()), fmt.Sprintf("%q is dropped", whole))
		}
	}
	return list
}

// isText says whether an expression is a string: what is joined cannot be subtracted.
func (p *pack) isText(n ast.Expr) bool {
	t := p.info.TypeOf(n)
	if t == nil {
		return false
	}
	basic, ok := t.Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsString != 0
}
