package policysuite

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/holdfast-iam/holdfast/policy"
)

// Limits of what is read.
const (
	maxFile     = 4 << 20 // bytes of a file
	maxNodes    = 200_000 // of a file, aliases counted anew each time
	maxDepth    = 64
	maxChecks   = 100_000 // of a file
	maxPolicies = 10_000  // of a run
)

// document is one policy, and which of its statements decided something.
type document struct {
	name     string
	key      string // of slots: its place among all documents
	place    Place
	policy   *policy.Policy
	parsed   *policy.Document
	text     string
	position func(offset int) Place
	decided  []bool
}

// Suite is what several files have in common: each policy once, and which
// statements have decided something.
type Suite struct {
	documents []*document
	byFile    map[string]*document
	read      []string // files, in the order they were named
}

// Files lists every file that was read, or could not be.
func (s *Suite) Files() []string { return s.read }

func (s *Suite) readFile(name string) ([]byte, error) {
	if !slices.Contains(s.read, name) {
		s.read = append(s.read, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is longer than %d bytes", name, maxFile)
	}
	return text, err
}

// fromFile reads a policy's file once, however often it is named.
func (s *Suite) fromFile(path string) (*document, error) {
	if d := s.byFile[path]; d != nil {
		return d, nil
	}
	text, err := s.readFile(path)
	if err != nil {
		return nil, err
	}
	d := &document{name: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)), place: Place{path, 1, 1}, text: string(text), position: inText(path, text)}
	if ext := strings.ToLower(filepath.Ext(path)); ext == ".yaml" || ext == ".yml" {
		f, err := parseYAML(path, text)
		if err != nil {
			return nil, err
		}
		if d.text, d.position, err = f.policyText(f.root); err != nil {
			return nil, err
		}
	}
	if err := s.add(d); err != nil {
		return nil, err
	}
	if s.byFile == nil {
		s.byFile = map[string]*document{}
	}
	s.byFile[path] = d
	return d, nil
}

// add parses and compiles a document.
func (s *Suite) add(d *document) error {
	parsed, err := policy.Parse([]byte(d.text))
	if err != nil {
		place, message := d.place, err.Error()
		if wrong := (*policy.SyntaxError)(nil); errors.As(err, &wrong) {
			place, message = d.position(wrong.Offset), wrong.Message
		}
		return &Error{place, message}
	}
	if len(s.documents) == maxPolicies {
		return &Error{d.place, fmt.Sprintf("more than %d policies are named", maxPolicies)}
	}
	d.parsed, d.policy, d.key = parsed, policy.Compile(parsed), strconv.Itoa(len(s.documents))
	for {
		if _, end := parsed.Statement(len(d.decided)); end == 0 {
			break
		}
		d.decided = append(d.decided, false)
	}
	s.documents = append(s.documents, d)
	return nil
}

// called finds a document by the key that slots give it.
func (s *Suite) called(key string) *document {
	n, _ := strconv.Atoi(key) // add wrote it
	return s.documents[n]
}

// inText gives the places of a text's bytes. A column counts characters.
func inText(file string, text []byte) func(int) Place {
	return func(offset int) Place {
		before := string(text[:min(offset, len(text))])
		line := strings.Count(before, "\n")
		last := before[strings.LastIndexByte(before, '\n')+1:]
		return Place{file, line + 1, len([]rune(last)) + 1}
	}
}

// Statement is one statement of a policy.
type Statement struct {
	Place  Place
	Policy string
	Name   string // its Sid, or its place in the document
}

// Coverage is how many statements decided something.
type Coverage struct {
	Statements, Decided int
	Never               []Statement // decided anything
}

// Percent is the part of the statements that decided something; all of none.
func (c *Coverage) Percent() float64 {
	if c.Statements == 0 {
		return 100
	}
	return 100 * float64(c.Decided) / float64(c.Statements)
}

// Coverage says which statements of the policies that were named decided
// something in the cases that were run.
func (s *Suite) Coverage() Coverage {
	var c Coverage
	for _, d := range s.documents {
		for n, decided := range d.decided {
			if c.Statements++; decided {
				c.Decided++
				continue
			}
			start, end := d.parsed.Statement(n)
			c.Never = append(c.Never, Statement{d.position(start), d.name, sidOf(d.text[start:end], n)})
		}
	}
	return c
}

func sidOf(text string, n int) string {
	var s struct{ Sid string }
	if json.Unmarshal([]byte(text), &s) != nil || s.Sid == "" { // it parsed as a statement
		return strconv.Itoa(n)
	}
	return s.Sid
}

// slots are the policies of a case by type. A nil restricting slot is absent.
type slots struct {
	identity, resource          []*document
	boundary, session, endpoint [][]*document // one level
	serviceControl              [][]*document
	resourceControl             [][]*document
}

// compiled gives the policies names that are unique, so that what decided is
// known also where two have one name.
func (s *slots) compiled() policy.Policies {
	return policy.Policies{Identity: list(s.identity), Resource: list(s.resource), Boundary: restriction(s.boundary), Session: restriction(s.session),
		Endpoint: restriction(s.endpoint), ServiceControl: restriction(s.serviceControl), ResourceControl: restriction(s.resourceControl)}
}

func list(documents []*document) []policy.Named {
	named := make([]policy.Named, len(documents))
	for i, d := range documents {
		named[i] = policy.Named{Name: d.key, Policy: d.policy}
	}
	return named
}

func restriction(levels [][]*document) policy.Restriction {
	if levels == nil {
		return policy.None
	}
	named := make([][]policy.Named, len(levels))
	for i, l := range levels {
		named[i] = list(l)
	}
	return policy.Restrict(named...)
}
