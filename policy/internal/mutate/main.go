// Command mutate changes package policy in one place at a time and runs the
// package's tests: a change that no test notices is a test that is missing.
//
// Invariant: the tree is never touched; a mutant exists in an overlay only.
//
//	go run ./policy/internal/mutate [-every N] [-from K] [-timeout 60s] [-results FILE]
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// mutant is one change: the bytes from start to end of a file become text.
type mutant struct {
	file       string
	line       int
	start, end int
	text       string
	says       string
}

// id names a mutant in the results.
func (m *mutant) id() string { return fmt.Sprintf("%s:%d %s", filepath.Base(m.file), m.line, m.says) }

// swaps are the operators that are exchanged.
var swaps = map[token.Token]string{
	token.EQL: "!=", token.NEQ: "==", token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">",
	token.LAND: "||", token.LOR: "&&", token.ADD: "-", token.SUB: "+",
}

func main() {
	every := flag.Int("every", 1, "take every N-th mutant")
	from := flag.Int("from", 0, "the first of them")
	timeout := flag.Duration("timeout", time.Minute, "for the tests of one mutant")
	results := flag.String("results", "", "append what became of each to this file, and skip those that stand there")
	flag.Parse()
	if err := run(*every, *from, *timeout, *results); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(every, from int, timeout time.Duration, results string) error {
	mutants, err := find("policy")
	if err != nil {
		return err
	}
	seen, out := map[string]bool{}, os.Stdout
	if results != "" {
		if seen, err = read(results); err != nil {
			return err
		}
		if out, err = os.OpenFile(results, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return err
		}
		defer out.Close()
	}
	for i := from; i < len(mutants); i += every {
		m := &mutants[i]
		if seen[m.id()] {
			continue
		}
		fate, err := m.try(timeout)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s\t%s\n", fate, m.id()); err != nil {
			return err
		}
	}
	return nil
}

// read returns the mutants that a file of results has.
func read(name string) (map[string]bool, error) {
	seen := map[string]bool{}
	f, err := os.Open(name)
	if os.IsNotExist(err) {
		return seen, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if _, id, ok := strings.Cut(lines.Text(), "\t"); ok {
			seen[id] = true
		}
	}
	return seen, lines.Err()
}

// find lists all mutants of a package in the order of its text.
func find(dir string) (all []mutant, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, text, 0)
		if err != nil {
			return nil, err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if n != nil {
				for _, m := range mutate(set, string(text), n) {
					m.file = name
					all = append(all, m)
				}
			}
			return true
		})
	}
	return all, nil
}

// mutate lists the changes of one node.
func mutate(set *token.FileSet, text string, n ast.Node) (list []mutant) {
	add := func(from, to token.Pos, with, says string) {
		list = append(list, mutant{line: set.Position(from).Line, start: set.Position(from).Offset, end: set.Position(to).Offset, text: with, says: says})
	}
	source := func(n ast.Node) string { return text[set.Position(n.Pos()).Offset:set.Position(n.End()).Offset] }
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if with, ok := swaps[n.Op]; ok {
			add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), with, fmt.Sprintf("%q: %s becomes %s", source(n), n.Op, with))
		}
		if n.Op == token.LAND || n.Op == token.LOR {
			add(n.Pos(), n.End(), source(n.X), fmt.Sprintf("%q: the right side is dropped", source(n)))
			add(n.Pos(), n.End(), source(n.Y), fmt.Sprintf("%q: the left side is dropped", source(n)))
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			add(n.Pos(), n.End(), source(n.X), fmt.Sprintf("%q: not is dropped", source(n)))
		}
	case *ast.BasicLit:
		if n.Kind == token.INT && len(n.Value) < 9 {
			add(n.Pos(), n.End(), "("+n.Value+"+1)", fmt.Sprintf("%s becomes one more", n.Value))
		}
	case *ast.Ident:
		if n.Name == "true" || n.Name == "false" {
			add(n.Pos(), n.End(), map[string]string{"true": "false", "false": "true"}[n.Name], n.Name+" becomes its contrary")
		}
	case *ast.AssignStmt:
		if n.Tok == token.ADD_ASSIGN || n.Tok == token.SUB_ASSIGN || n.Tok == token.ASSIGN && len(n.Lhs) == 1 {
			add(n.Pos(), n.End(), "_ = "+source(n.Rhs[0]), fmt.Sprintf("%q is dropped", source(n)))
		}
	}
	return list
}

// try runs the tests with one mutant.
func (m *mutant) try(timeout time.Duration) (fate string, err error) {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	changed := filepath.Join(dir, "mutant.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(changed, []byte(string(text[:m.start])+m.text+string(text[m.end:])), 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout+time.Minute)
	defer cancel()
	test := exec.CommandContext(ctx, "go", "test", "-overlay", filepath.Join(dir, "overlay.json"), "-failfast", "-timeout", timeout.String(),
		"-skip", "^TestEveryPolicyThatAWSManages", "./policy") // it is long, and what it finds the comparison finds
	test.Env = append(os.Environ(), "HOLDFAST_POLICY_CASES=20000")
	said, err := test.CombinedOutput()
	switch {
	case err == nil:
		return "survived", nil
	case strings.Contains(string(said), "[build failed]"):
		return "no program", nil
	case strings.Contains(string(said), "panic: test timed out"):
		return "killed by time", nil
	}
	return "killed", nil
}
