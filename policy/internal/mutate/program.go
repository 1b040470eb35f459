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

// complaints are the places at which the package with these texts is no program.
func (p *pack) complaints(texts map[string]string) (wrong []token.Position, err error) {
	set := token.NewFileSet()
	var all []*ast.File
	for path, text := range texts {
		syntax, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		all = append(all, syntax)
	}
	config := types.Config{Importer: p.from, Error: func(err error) {
		if e, ok := err.(types.Error); ok {
			wrong = append(wrong, set.Position(e.Pos))
		}
	}}
	_, _ = config.Check(p.dir, set, all, nil) // what is wrong was told
	return wrong, nil
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
	said, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", listed, "-o", binary, p.dir).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", errNoProgram, said)
	}
	return binary, nil
}

var errNoProgram = errors.New("it does not compile")

// The fates of a mutant that passes not all tests.
const (
	killed = "killed"
	broken = "no program"
)

// passed is the fate of a mutant that no test of so many stages noticed.
func passed(count int) string {
	switch count {
	case 0:
		return ""
	case len(stages):
		return "survived"
	}
	return fmt.Sprint("passed ", count)
}

// long are the tests that take most of the time. That of every policy that AWS manages takes longest and is left out:
// what it finds the comparison finds.
const (
	long    = "TestEveryStatementIsFound|TestHowAllTypesOfPolicies|TestAPatternMeets"
	work    = "Budget|CostsTooMuch|CostNoMore|TheWorkOfAMatch"
	random  = "TestTheCompiledEvaluatorDecides"
	leftOut = "TestEveryPolicyThatAWSManages"
)

// stages are which tests run first, and which for what those before did not notice, each with the seconds of the
// processor that are several times what it takes: what has no end ends with them.
var stages = []struct {
	tests   string
	seconds int
}{
	{"-test.skip=" + long + "|" + work + "|" + random + "|" + leftOut, 4},
	{"-test.run=" + random, 6},
	{"-test.run=" + work, 20},
	{"-test.run=" + long, 20},
}

// test runs the tests of a stage with the mutant of a number.
func test(binary string, number, stage int) (fate, said string, err error) {
	limited := fmt.Sprintf(`ulimit -t %d -v 8000000; exec "$@"`, stages[stage].seconds)
	command := exec.Command("bash", "-c", limited, "test", binary, "-test.failfast", stages[stage].tests)
	command.Dir = "policy"
	command.Env = append(os.Environ(), fmt.Sprint(variable, "=", number), "HOLDFAST_POLICY_CASES=20000", "GOMAXPROCS=1")
	out, err := command.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return passed(stage + 1), "", nil
	case !errors.As(err, &exit):
		return "", "", err
	}
	return killed, string(out), nil
}
