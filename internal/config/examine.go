package config

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Problem is one mistake in a configuration file, with its line where it has
// one, and what to do about it.
type Problem struct {
	Line int    `json:"line,omitempty"`
	What string `json:"what"`
}

// Examine says all that is wrong with a configuration file: what would stop
// the start, and what would stop the node later, such as a key file that others
// can read. Its error says that the file cannot be read at all.
func Examine(path string) ([]Problem, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	x := &examination{text: b, lines: map[string]int{}}
	c := new(Config)
	if x.members(c) {
		c.resolve(filepath.Dir(path))
		x.take(c.Check())
		x.addresses(c)
		x.files(c)
	}
	slices.SortFunc(x.found, func(a, b Problem) int { return cmp.Or(a.Line-b.Line, strings.Compare(a.What, b.What)) })
	return x.found, nil
}

type examination struct {
	text  []byte
	lines map[string]int // of each key
	found []Problem
}

func (x *examination) say(line int, format string, args ...any) {
	x.found = append(x.found, Problem{line, fmt.Sprintf(format, args...)})
}

func (x *examination) lineAt(offset int64) int {
	return 1 + bytes.Count(x.text[:min(int(offset), len(x.text))], []byte("\n"))
}

// members reads the object member by member, so that a mistake in one hides
// none in the others. It returns false when there is no object to go on with.
func (x *examination) members(c *Config) bool {
	d := json.NewDecoder(bytes.NewReader(x.text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		x.say(1, "the file holds no JSON object: begin it with { and put each setting as \"key\": value")
		return false
	}
	fields := reflect.ValueOf(c).Elem()
	for d.More() {
		t, err := d.Token()
		line := x.lineAt(d.InputOffset())
		name, _ := t.(string)
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			x.syntax(err, d.InputOffset())
			return false
		}
		x.member(fields, name, value, line)
	}
	if _, err := d.Token(); err != nil {
		x.syntax(err, d.InputOffset())
		return false
	}
	if _, err := d.Token(); err != io.EOF {
		x.say(x.lineAt(d.InputOffset()), "something follows the object's last }: remove it")
	}
	return true
}

func (x *examination) syntax(err error, at int64) {
	var s *json.SyntaxError
	if errors.As(err, &s) {
		at = max(at, s.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		x.say(x.lineAt(int64(len(x.text))), "the file ends in the middle: close what is open, the last with }")
		return
	}
	x.say(x.lineAt(at), "this is no JSON (%v): look at the comma or quotation mark before it", err)
}

func (x *examination) member(fields reflect.Value, name string, value []byte, line int) {
	for i := range fields.NumField() {
		key, _, _ := strings.Cut(fields.Type().Field(i).Tag.Get("json"), ",")
		if key != name {
			continue
		}
		if before := x.lines[name]; before != 0 {
			x.say(line, "%q is set in line %d already: remove one", name, before)
			return
		}
		x.lines[name] = line
		if err := json.Unmarshal(value, fields.Field(i).Addr().Interface()); err != nil {
			x.say(line, "%q is %s, want %s", name, kindOf(value), wanted(fields.Field(i).Type()))
		}
		return
	}
	if like := nearest(name, fields.Type()); like != "" {
		x.say(line, "unknown key %q: did you mean %q?", name, like)
		return
	}
	x.say(line, "unknown key %q: remove it", name)
}

func kindOf(value []byte) string {
	switch value[0] {
	case '"':
		return "a text"
	case '{':
		return "an object"
	case '[':
		return "a list"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "null"
	}
	return "a number of that kind"
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Slice:
		return `a list of texts, such as ["a", "b"]`
	case reflect.Map:
		return `an object of texts, such as {"name": "10.0.0.1:4450"}`
	}
	return "a text in quotation marks"
}

// nearest is the key that somebody may have meant.
func nearest(name string, t reflect.Type) string {
	best, least := "", 3
	for f := range t.Fields() {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if d := distance(strings.ToLower(name), strings.ToLower(key)); d < least {
			best, least = key, d
		}
	}
	return best
}

// distance is how many letters have to be changed, added or removed.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost = 1 + min(before, row[j], row[j+1])
			}
			before, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

var firstKey = regexp.MustCompile(`^"([A-Za-z]+)"`)

// take adds what Check found, each at the line of the key that it begins with.
func (x *examination) take(err error) {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range several.Unwrap() {
			x.take(e)
		}
		return
	}
	if err == nil {
		return
	}
	key := ""
	if m := firstKey.FindStringSubmatch(err.Error()); m != nil {
		key = m[1]
	}
	x.say(x.lines[key], "%v", err)
}

// addresses looks at what is listened on and dialled.
func (x *examination) addresses(c *Config) {
	used := map[string]string{}
	for _, l := range []struct{ key, address string }{{"api", c.API}, {"decide", c.Decide}, {"peer", c.Peer}, {"admin", c.Admin}} {
		if l.address == "" {
			continue
		}
		if problem := hostPort(l.address); problem != "" {
			x.say(x.lines[l.key], "%q: %s", l.key, problem)
			continue
		}
		if other := used[l.address]; other != "" {
			x.say(x.lines[l.key], "%q listens where %q does: take another port", l.key, other)
		}
		used[l.address] = l.key
	}
	dialled := func(key, address string) {
		if problem := hostPort(address); problem != "" {
			x.say(x.lines[key], "%q: %s", key, problem)
		} else if host, _, _ := net.SplitHostPort(address); host == "" {
			x.say(x.lines[key], "%q: %q has no host to connect to", key, address)
		}
	}
	if c.Control != "" {
		dialled("control", c.Control)
	}
	for _, m := range []struct {
		key  string
		list map[string]string
	}{{"controls", c.Controls}, {"peers", c.Peers}, {"etcdMembers", c.EtcdMembers}} {
		for _, address := range m.list {
			dialled(m.key, address)
		}
	}
	if b, err := hex.DecodeString(c.Root); c.Root != "" && (err != nil || len(b) != 32) {
		x.say(x.lines["root"], `"root" is no SHA-256 in hex: copy the 64 digits that holdfast init printed`)
	}
	if c.Role == "control" && c.Peer == "" && x.lines["peer"] == 0 {
		x.say(0, `"peer" is missing: nobody could follow this node; give HOST:PORT, or a socket of that name`)
	}
}

func hostPort(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is no HOST:PORT, such as 10.0.0.1:4450", address)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 || port[0] < '0' || port[0] > '9' {
		return fmt.Sprintf("%q has no port between 1 and 65535", address)
	}
	if net.ParseIP(host) == nil && strings.ContainsAny(host, " /") {
		return fmt.Sprintf("%q has no host: no scheme, no path", address)
	}
	return ""
}

// files looks at what the configuration names.
func (x *examination) files(c *Config) {
	for _, f := range []struct {
		key, path string
		secret    bool
	}{{"kek", c.KEK, true}, {"tlsCert", c.TLSCert, false}, {"tlsKey", c.TLSKey, true}, {"etcdCA", c.EtcdCA, false}, {"etcdCert", c.EtcdCert, false}, {"etcdKey", c.EtcdKey, true}} {
		if f.path == "" {
			continue
		}
		info, err := os.Stat(f.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			x.say(x.lines[f.key], "%q: there is no file %s", f.key, f.path)
		case err != nil:
			x.say(x.lines[f.key], "%q: %v", f.key, err)
		case f.secret && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
			x.say(x.lines[f.key], "%q: others can read %s (mode %04o): chmod 0400 it", f.key, f.path, info.Mode().Perm())
		}
	}
	x.private("dir", c.Dir)
	if c.KEK != "" {
		x.private("kek", filepath.Dir(c.KEK))
	}
	x.pair("tlsCert", c.TLSCert, c.TLSKey)
	x.pair("etcdCert", c.EtcdCert, c.EtcdKey)
}

// private looks whether a directory that is there is ours alone.
func (x *examination) private(key, dir string) {
	if info, err := os.Stat(dir); dir != "" && err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		x.say(x.lines[key], "%q: others can look into %s (mode %04o): chmod 0700 it", key, dir, info.Mode().Perm())
	}
}

func (x *examination) pair(key, cert, private string) {
	if cert == "" || private == "" {
		return
	}
	if _, err := tls.LoadX509KeyPair(cert, private); err != nil && !errors.Is(err, fs.ErrNotExist) {
		x.say(x.lines[key], "%q and its key do not fit: %v", key, err)
	}
}
