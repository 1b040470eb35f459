package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/config"
)

func examine(t *testing.T, text string) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"kek": 0o400, "open": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "node.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := config.Examine(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range list {
		out = append(out, fmt.Sprintf("%d: %s", p.Line, strings.ReplaceAll(p.What, dir, "DIR")))
	}
	return out
}

var hash = strings.Repeat("0a", 32)

func TestEveryMistakeOfAFileIsToldAtOnceWithItsLineAndWhatToDo(t *testing.T) {
	got := examine(t, `{
  "role": "control",
  "dir": "data",
  "region": "Mars",
  "root": "00",
  "api": "10.0.0.1:4250",
  "apii": "127.0.0.1:1",
  "insecureHTTP": "yes",
  "role": "region",
  "peer": "10.0.0.1",
  "admin": "10.0.0.1:4250",
  "proxies": ["10.0.0.0/0"],
  "drainSeconds": 1.5,
  "kek": "open",
  "controls": {"b": "10.0.0.2:4450", "c": ":4450"},
  "colour": 1
}`)
	want := []string{
		`4: "region" "Mars" is no Region name, such as us-east-1`,
		`5: "root" is no SHA-256 in hex: copy the 64 digits that holdfast init printed`,
		`6: "api" 10.0.0.1:4250 is not loopback: give "tlsCert" and "tlsKey", or allow plain HTTP with "insecureHTTP": true`,
		`7: unknown key "apii": did you mean "api"?`,
		`8: "insecureHTTP" is a text, want true or false`,
		`9: "role" is set in line 2 already: remove one`,
		`10: "peer": "10.0.0.1" is no HOST:PORT, such as 10.0.0.1:4450`,
		`11: "admin" listens where "api" does: take another port`,
		`12: "proxies": "10.0.0.0/0" is no address such as 10.0.0.9, nor a prefix such as 10.0.0.0/28`,
		`13: "drainSeconds" is a number of that kind, want a whole number`,
		`14: "kek": others can read DIR/open (mode 0644): chmod 0400 it`,
		`15: "controls": ":4450" has no host to connect to`,
		`16: unknown key "colour": remove it`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAFileWithoutAMistakeHasNoProblem(t *testing.T) {
	if got := examine(t, `{"role":"region","dir":"d","root":"`+hash+`","region":"us-east-1","control":"127.0.0.1:4450"}`); got != nil {
		t.Error(got)
	}
	if got := examine(t, `{"role":"control","dir":"d","root":"`+hash+`","region":"us-east-1","kek":"kek","peer":"127.0.0.1:4450"}`); got != nil {
		t.Error(got)
	}
}

func TestWhatIsNoConfigurationIsToldInOneProblem(t *testing.T) {
	for text, want := range map[string]string{
		``:                      "1: the file holds no JSON object",
		`role: region`:          "1: the file holds no JSON object",
		`[]`:                    "1: the file holds no JSON object",
		"{\n \"role\": \"r\"":   "2: the file ends in the middle",
		"{\n \"role\": tru\n}":  "2: this is no JSON",
		"{\n \"role\" \"r\"\n}": "2: this is no JSON",
	} {
		if got := examine(t, text); len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if _, err := config.Examine(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Error(err)
	}
}

func TestWhatStopsTheStartIsAProblemAndWhatFollowsTheObjectToo(t *testing.T) {
	if got := examine(t, `{}{}`); len(got) != 5 {
		t.Errorf("%q", got)
	}
}

func TestOnlyListedAddressesAreProxies(t *testing.T) {
	c := good()
	c.Proxies = []string{"10.0.0.9", "2001:db8::/64"}
	list, err := c.ProxyPrefixes()
	if err != nil || fmt.Sprint(list) != "[10.0.0.9/32 2001:db8::/64]" {
		t.Errorf("%v %v", list, err)
	}
	for _, text := range []string{"", "example.com", "0.0.0.0/0", "::/0", "10.0.0.9:80", "fe80::1%eth0"} {
		c.Proxies = []string{text}
		if _, err := c.ProxyPrefixes(); err == nil || c.Check() == nil {
			t.Errorf("%q is taken for a proxy's address", text)
		}
	}
}
