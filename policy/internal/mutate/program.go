package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// pack is the package that is changed.
type pack struct {
	dir   string
	set   *token.FileSet
	files []*source
	types *types.Package
	info  types.Info
	from  types.Importer
}

// source is one of its files.
type source struct {
	name, path, text string
	syntax           *ast.File
}

// load reads the package in a directory.
func load(dir string) (*pack, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(full, "*.go"))
	if err != nil {
		return nil, err
	}
	p := &pack{dir: full, set: token.NewFileSet(), info: types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}}
	p.from = importer.ForCompiler(p.set, "source", nil)
	var all []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		syntax, err := parser.ParseFile(p.set, name, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, &source{filepath.Base(name), name, string(text), syntax})
		all = append(all, syntax)
	}
	config := types.Config{Importer: p.from}
	p.types, err = config.Check(full, p.set, all, &p.info)
	return p, err
}

func (p *pack) path(name string) string { return filepath.Join(p.dir, name) }
func (p *pack) offset(at token.Pos) int { return p.set.Position(at).Offset }
func (f *source) replaced(start, end int, with string) string {
	return f.text[:start] + with + f.text[end:]
}

// check says whether the package is a program with another text of a file.
func (p *pack) check(f *source, text string) bool {
	changed, err := parser.ParseFile(p.set, f.path, text, parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	chosen, err := parser.ParseFile(p.set, p.path("mutant_tried.go"), chooser, parser.SkipObjectResolution)
	if err != nil {
		return false
	}
	all := []*ast.File{changed, chosen}
	for _, other := range p.files {
		if other != f {
			all = append(all, other.syntax)
		}
	}
	config := types.Config{Importer: p.from}
	_, err = config.Check(p.dir, p.set, all, nil)
	return err == nil
}

// build compiles the package's tests with some files replaced.
func (p *pack) build(work, name string, files map[string]string) (binary string, err error) {
	replace := map[string]string{}
	for path, text := range files {
		changed := filepath.Join(work, name+"-"+filepath.Base(path))
		replace[path] = changed
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	listed := filepath.Join(work, name+".json")
	if err := os.WriteFile(listed, overlay, 0o600); err != nil {
		return "", err
	}
	binary = filepath.Join(work, name+".test")
	if said, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", listed, "-o", binary, p.dir).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, said)
	}
	return binary, nil
}

// The fates of a mutant.
const (
	survived = "survived"
	killed   = "killed"
	endless  = "killed by time"
)

// slow are the tests that take most of the time: they run only for what the others do not notice. That of every policy
// that AWS manages takes longest and is left out: what it finds the comparison finds.
const slow = "^(TestTheCompiledEvaluatorDecides|TestEveryStatementIsFoundByItsActions|TestHowAllTypesOfPolicies|TestAPatternMeetsWhat)"

// test runs the tests with the mutant of a number. A bound on the time of the processor, and on memory, ends what has
// no end.
func test(binary string, number int) (fate, said string, err error) {
	for _, tests := range []string{"-test.skip=" + slow + "|^TestEveryPolicyThatAWSManages", "-test.run=" + slow} {
		command := exec.Command("bash", "-c", `ulimit -t 20 -v 8000000; exec "$@"`, "test", binary, "-test.failfast", tests)
		command.Dir = "policy"
		command.Env = append(os.Environ(), fmt.Sprint(variable, "=", number), "HOLDFAST_POLICY_CASES=20000", "GOMAXPROCS=1")
		out, err := command.CombinedOutput()
		var exit *exec.ExitError
		switch {
		case err == nil:
			continue
		case !errors.As(err, &exit):
			return "", "", err
		case strings.Contains(string(out), "SIGXCPU"):
			return endless, string(out), nil
		}
		return killed, string(out), nil
	}
	return survived, "", nil
}
