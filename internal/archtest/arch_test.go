package archtest

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/holdfast-iam/holdfast/"

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
	Doc        string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,Standard,Doc", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	d := json.NewDecoder(bytes.NewReader(out))
	for d.More() {
		var p listed
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func room(path string) *Room {
	for i := range Plan {
		if Plan[i].Path == path {
			return &Plan[i]
		}
	}
	return nil
}

// open says whether a vocabulary room is open to every room of a floor.
func open(path string, floor int) bool {
	return (path == "arn" || path == "internal/record" || path == "internal/failpoint") && floor > 1 || path == "internal/fault" && floor >= 3
}

// testKit lists packages that only tests import.
func testKit(path string) bool {
	return path == "internal/archtest" || path == "internal/simtest" || strings.HasSuffix(path, "test")
}

func TestEveryRoomImportsOnlyWhatThePlanLists(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if testKit(path) {
			continue
		}
		r := room(path)
		if r == nil {
			t.Errorf("%s is not in the plan", path)
			continue
		}
		for _, imp := range p.Imports {
			checkImport(t, r, imp)
		}
	}
}

func checkImport(t *testing.T, r *Room, imp string) {
	t.Helper()
	ours, isOurs := strings.CutPrefix(imp, module)
	switch {
	case isOurs:
		if open(ours, r.Floor) || slices.Contains(r.Uses, "*") || slices.Contains(r.Uses, ours) {
			if other := room(ours); other != nil && other.Floor > r.Floor {
				t.Errorf("%s (floor %d) imports upward: %s (floor %d)", r.Path, r.Floor, ours, other.Floor)
			}
			return
		}
		t.Errorf("%s imports %s, which the plan does not list", r.Path, ours)
	case strings.Contains(strings.Split(imp, "/")[0], "."):
		if !slices.ContainsFunc(r.Modules, func(m string) bool { return imp == m || strings.HasPrefix(imp, m+"/") }) {
			t.Errorf("%s imports the outside module of %s, which the plan does not list", r.Path, imp)
		}
	}
}

func TestNoRoomReachesWhatItMustNeverNeed(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, never := range Never[path] {
			list := p.Deps
			if !strings.Contains(never, ".") && !strings.HasPrefix(never, "internal/") {
				list = p.Imports // the standard library reaches itself
			}
			for _, dep := range list {
				dep = strings.TrimPrefix(dep, module)
				if dep == never || strings.HasPrefix(dep, never+"/") {
					t.Errorf("%s reaches %s", path, dep)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if p.Doc == "" && !strings.HasSuffix(p.ImportPath, "pb") {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

// The budget of one file and one function, in lines.
const (
	maxFile     = 600
	maxFunction = 80
)

func TestFilesAndFunctionsStayShortAndClocksAreInjected(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "bench" || strings.HasPrefix(d.Name(), "holdfast-data")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".pb.go") {
			checkFile(t, strings.TrimPrefix(path, "../../"), path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// ownClock lists where the machine's clock may be read: assembly, which
// injects it everywhere else.
func ownClock(name string) bool {
	return strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "internal/local/") || strings.HasPrefix(name, "internal/failpoint/") || strings.HasSuffix(name, "_test.go") ||
		strings.Contains(name, "test/")
}

func checkFile(t *testing.T, name, path string) {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if n := files.File(f.Pos()).LineCount(); n > maxFile {
		t.Errorf("%s has %d lines, at most %d", name, n, maxFile)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if lines := files.Position(n.End()).Line - files.Position(n.Pos()).Line + 1; lines > maxFunction && !strings.HasSuffix(name, "_test.go") {
				t.Errorf("%s: %s has %d lines, at most %d", name, n.Name.Name, lines, maxFunction)
			}
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && n.Sel.Name == "Now" && !ownClock(name) {
				t.Errorf("%s:%d reads the machine's clock; take now from the caller, in internal/node from clock()", name, files.Position(n.Pos()).Line)
			}
		}
		return true
	})
}

// TestTheTestsThatTheGuaranteesNameExist: a guarantee without its test is a
// sentence.
func TestTheTestsThatTheGuaranteesNameExist(t *testing.T) {
	text, err := os.ReadFile("../../docs/guarantees.md")
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	err = filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)`).FindAllSubmatch(b, -1) {
			there = append(there, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 10 {
		t.Fatalf("the guarantees name %d tests", len(named))
	}
	for _, n := range named {
		if !slices.Contains(there, n[1]) {
			t.Errorf("docs/guarantees.md names %s, which there is not", n[1])
		}
	}
}
