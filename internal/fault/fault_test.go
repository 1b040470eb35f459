package fault_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/fault"
)

// defined reads the Kind literals out of this package's source, by name.
func defined(t *testing.T) map[string]fault.Kind {
	t.Helper()
	kinds := map[string]fault.Kind{}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		collect(t, f, kinds)
	}
	return kinds
}

// collect adds the Kind literals of one file.
func collect(t *testing.T, f *ast.File, kinds map[string]fault.Kind) {
	t.Helper()
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		lit, ok := spec.Values[0].(*ast.CompositeLit)
		if !ok || len(lit.Elts) != 3 {
			return true
		}
		code, err := strconv.Unquote(lit.Elts[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		status, err := strconv.Atoi(lit.Elts[1].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		name := spec.Names[0].Name
		if _, twice := kinds[code]; twice {
			t.Errorf("code %s is defined twice", code)
		}
		if name != code {
			t.Errorf("variable %s holds code %s", name, code)
		}
		kinds[code] = fault.Kind{Code: code, Status: status, Fault: lit.Elts[2].(*ast.Ident).Name}
		return true
	})
}

func TestEveryCodeOfTheModelsHasTheModelsStatus(t *testing.T) {
	golden, err := os.ReadFile("testdata/models.tsv")
	if err != nil {
		t.Fatal(err)
	}
	kinds := defined(t)
	count := map[string]int{}
	for line := range strings.Lines(string(golden)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		row := strings.Split(strings.TrimSpace(line), "\t")
		count[row[0]]++
		status, err := strconv.Atoi(row[2])
		if err != nil {
			t.Fatal(err)
		}
		want := fault.Kind{Code: row[1], Status: status, Fault: row[3]}
		if got := kinds[row[1]]; got != want {
			t.Errorf("%s: %+v, the model has %+v", row[0], got, want)
		}
	}
	for service, want := range map[string]int{"iam": 35, "sts": 12, "organizations": 50} {
		if count[service] != want {
			t.Errorf("%s: %d rows in the golden list, want %d", service, count[service], want)
		}
	}
}

func TestFiveHundredsAndOnlyTheyBlameTheReceiver(t *testing.T) {
	kinds := defined(t)
	if len(kinds) < 100 {
		t.Fatalf("only %d kinds found", len(kinds))
	}
	for _, k := range kinds {
		if (k.Status >= 500) != (k.Fault == fault.Receiver) {
			t.Errorf("%+v", k)
		}
		if k.Status < 400 || k.Status > 599 {
			t.Errorf("%+v is not an error status", k)
		}
	}
}

func TestAKindIsFoundThroughWrapping(t *testing.T) {
	cause := errors.New("disk /dev/sda is full")
	err := fmt.Errorf("outer: %w", fault.ServiceFailure.Errorf("User %s cannot be stored: %w", "bob", cause))
	if !errors.Is(err, fault.ServiceFailure) {
		t.Error("not its kind")
	}
	if errors.Is(err, fault.NoSuchEntity) {
		t.Error("another kind")
	}
	if !errors.Is(err, cause) {
		t.Error("cause lost")
	}
	found, ok := fault.From(err)
	if !ok {
		t.Fatal("From found nothing")
	}
	if got, want := found.Message, "User bob cannot be stored"; got != want {
		t.Errorf("message %q, want %q", got, want)
	}
	if !strings.Contains(err.Error(), "ServiceFailure: User bob cannot be stored: disk /dev/sda is full") {
		t.Errorf("log text %q", err)
	}
}

func TestAPlainErrorIsNoFault(t *testing.T) {
	for _, err := range []error{nil, errors.New("x"), fault.NoSuchEntity} {
		if found, ok := fault.From(err); ok || found != nil {
			t.Errorf("From(%v) = %v, %v", err, found, ok)
		}
	}
}

func TestTheMessageHoldsNoCauseWhereverItStands(t *testing.T) {
	secret := errors.New("secret")
	tests := []struct {
		err  *fault.Error
		want string
	}{
		{fault.InternalFailure.Errorf("%w", secret), ""},
		{fault.InternalFailure.Errorf("a %w", secret), "a"},
		{fault.InternalFailure.Errorf("a: %w: %w", secret, secret), "a"},
		{fault.InternalFailure.Errorf("a (%w) %d", secret, 5), "a () 5"},
		{fault.InternalFailure.Errorf("plain: %v", errors.New("told")), "plain: told"},
		{fault.InternalFailure.Errorf("User with name %s already exists.", "bob"), "User with name bob already exists."},
	}
	for _, test := range tests {
		if test.err.Message != test.want {
			t.Errorf("message %q, want %q", test.err.Message, test.want)
		}
	}
}

func TestWithRetryAfterLeavesTheOriginalAlone(t *testing.T) {
	err := fault.Throttling.Errorf("Rate exceeded")
	waiting := err.WithRetryAfter(3 * time.Second)
	if err.RetryAfter != 0 || waiting.RetryAfter != 3*time.Second || waiting.Message != "Rate exceeded" {
		t.Errorf("%+v %+v", err, waiting)
	}
	if !errors.Is(waiting, fault.Throttling) {
		t.Error("kind lost")
	}
}

func TestJSONProtocolsGetTheirOwnNames(t *testing.T) {
	if got := fault.AccessDenied.InJSON(); got != fault.AccessDeniedException {
		t.Error(got)
	}
	if got := fault.NoSuchEntity.InJSON(); got != fault.NoSuchEntity {
		t.Error(got)
	}
}
