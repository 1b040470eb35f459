package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/config"
)

// good is a Region node's configuration.
func good() *config.Config {
	return &config.Config{Role: "region", Dir: "/d", Root: "00", Region: "us-east-1", Control: "127.0.0.1:4450"}
}

// member is a control-plane node's with an etcd member among several.
func member(change func(*config.Config)) func(*config.Config) {
	return func(c *config.Config) {
		c.Role, c.KEK, c.Control = "control", "kek", ""
		c.Controls, c.EtcdMembers = map[string]string{"a": "10.0.0.1:4450"}, map[string]string{"a": "10.0.0.1:2380"}
		c.EtcdCA, c.EtcdCert, c.EtcdKey = "ca", "crt", "key"
		if change != nil {
			change(c)
		}
	}
}

// cluster is one whose store is somebody else's.
func cluster(endpoints ...string) func(*config.Config) {
	return member(func(c *config.Config) { c.EtcdMembers, c.EtcdEndpoints = nil, endpoints })
}

func load(t testing.TB, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path)
}

func TestEveryRuleOfTheConfigurationIsChecked(t *testing.T) {
	for _, x := range []struct {
		name   string
		change func(c *config.Config)
		want   string // "" for none
	}{
		{"a Region node's", func(*config.Config) {}, ""},
		{"the control plane's", func(c *config.Config) { c.Role, c.KEK, c.Control = "control", "kek", "" }, ""},
		{"no directory", func(c *config.Config) { c.Dir = "" }, `"dir" is missing`},
		{"no root", func(c *config.Config) { c.Root = "" }, `"root" is missing`},
		{"no Region", func(c *config.Config) { c.Region = "" }, `"region" is missing`},
		{"a Region node without control plane", func(c *config.Config) { c.Control = "" }, `"control" is missing`},
		{"the control plane without KEK", func(c *config.Config) { c.Role = "control" }, `"kek" is missing`},
		{"no role", func(c *config.Config) { c.Role = "" }, `"role" is ""`},
		{"another role", func(c *config.Config) { c.Role = "Region" }, `"role" is "Region"`},
		{"no Region's name", func(c *config.Config) { c.Region = "us_east_1" }, "is no Region name"},
		{"a certificate without key", func(c *config.Config) { c.TLSCert = "c" }, "go together"},
		{"a key without certificate", func(c *config.Config) { c.TLSKey = "k" }, "go together"},
		{"a negative quota", func(c *config.Config) { c.QuotaBytes = -1 }, "not negative"},
		{"a negative floor", func(c *config.Config) { c.FloorBytes = -1 }, "not negative"},
		{"plain HTTP on loopback", func(c *config.Config) { c.API, c.Decide = "127.0.0.1:4260", "[::1]:4360" }, ""},
		{"plain HTTP on every address", func(c *config.Config) { c.API = ":4260" }, `"api" :4260 is not loopback`},
		{"plain HTTP on 0.0.0.0", func(c *config.Config) { c.API = "0.0.0.0:4260" }, "is not loopback"},
		{"plain HTTP elsewhere", func(c *config.Config) { c.API = "10.0.0.1:4260" }, "is not loopback"},
		{"plain decisions elsewhere", func(c *config.Config) { c.Decide = "10.0.0.1:4360" }, `"decide" 10.0.0.1:4360 is not loopback`},
		{"plain HTTP at a name", func(c *config.Config) { c.API = "localhost.example.com:4260" }, "is not loopback"},
		{"plain HTTP elsewhere, allowed", func(c *config.Config) { c.API, c.InsecureHTTP = "10.0.0.1:4260", true }, ""},
		{"TLS elsewhere", func(c *config.Config) { c.API, c.TLSCert, c.TLSKey = "10.0.0.1:4260", "c", "k" }, ""},
		{"several control-plane nodes", func(c *config.Config) { c.Control, c.Controls = "", map[string]string{"a": "10.0.0.1:4450"} }, ""},
		{"a member among several", member(nil), ""},
		{"a member without the others' peer listeners", member(func(c *config.Config) { c.Controls = nil }), `"controls" is missing`},
		{"a member without certificates", member(func(c *config.Config) { c.EtcdKey = "" }), `"etcdKey" are missing`},
		{"members and a cluster of somebody else's", member(func(c *config.Config) { c.EtcdEndpoints = []string{"https://10.0.0.9:2379"} }), "exclude each other"},
		{"somebody else's cluster", cluster("https://10.0.0.9:2379", "https://10.0.0.10:2379"), ""},
		{"plain on loopback", cluster("http://127.0.0.1:2379"), ""},
		{"plain elsewhere", cluster("http://10.0.0.9:2379"), "is plain HTTP and not loopback"},
		{"no URL", cluster("10.0.0.9:2379"), "is no URL"},
	} {
		c := good()
		x.change(c)
		if err := c.Check(); (err == nil) != (x.want == "") || err != nil && (!strings.Contains(err.Error(), x.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
	if err := new(config.Config).Check(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("all that is wrong with nothing: %v", err)
	}
}

func TestALoopbackAddressIsReachedFromHereAlone(t *testing.T) {
	for addr, want := range map[string]bool{"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		"": false, ":1": false, "127.0.0.1": false, "0.0.0.0:1": false, "[::]:1": false, "128.0.0.1:1": false, "127.0.0.1.example.com:1": false, "LOCALHOST.:1": false} {
		if config.Loopback(addr) != want {
			t.Errorf("%q: %v", addr, !want)
		}
	}
}

func TestARegionsNameHasARegionsForm(t *testing.T) {
	for name, want := range map[string]bool{"us-east-1": true, "eu-central-2": true, "us-gov-west-1": true, "local-1": true, strings.Repeat("a", 30) + "-1": true,
		strings.Repeat("a", 31) + "-1": false, "": false, "us": false, "US-east-1": false, "us-east-": false, "u-1": false, "us east-1": false, "us-east-1\n": false, "*": false, "../x-1": false} {
		if config.ValidRegion(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

const minimal = `"role":"region","dir":"d","root":"00","region":"us-east-1","control":"127.0.0.1:4450"`

func TestAFileThatIsNotExactlyAConfigurationStopsTheStart(t *testing.T) {
	for _, x := range []struct{ name, text, want string }{
		{"good", `{` + minimal + `}`, ""},
		{"with space around", " {" + minimal + "}\n\n", ""},
		{"nothing", ``, "EOF"},
		{"no JSON", `role: region`, "invalid character"},
		{"null", `null`, `"role" is ""`},
		{"a list", `[]`, "cannot unmarshal"},
		{"an unknown key", `{` + minimal + `,"insecureHttps":true}`, "unknown"},
		{"a key in other letters", `{` + minimal + `,"InsecureHttp":true}`, "unknown key"},
		{"a key beside itself in other letters", `{` + minimal + `,"ROLE":"control"}`, "unknown key"},
		{"a value of another type", `{` + minimal + `,"anyRegion":"yes"}`, "cannot unmarshal"},
		{"two values", `{` + minimal + `}{}`, "more than one"},
		{"a brace too many", `{` + minimal + `}}`, "more than one"},
		{"a bracket too many", `{` + minimal + `}]`, "more than one"},
		{"a word after it", `{` + minimal + `} x`, "more than one"},
		{"a rule broken", `{` + minimal + `,"api":"0.0.0.0:80"}`, "is not loopback"},
		{"too long", `{` + minimal + `}` + strings.Repeat(" ", 64<<10), "larger than 65536 bytes"},
	} {
		c, err := load(t, x.text)
		if (err == nil) != (x.want == "") || err != nil && (!strings.Contains(err.Error(), x.want) || !strings.Contains(err.Error(), "config.json")) || (c == nil) != (err != nil) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
	}
	exact := `{` + minimal + `}`
	if _, err := load(t, exact+strings.Repeat(" ", 64<<10-len(exact))); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
	if _, err := config.Load(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	paths := []string{"dir", "operator", "run", "invite", "kek", "genesis", "tlsCert", "tlsKey"}
	all := map[string]any{"role": "region", "root": "00", "region": "us-east-1", "control": "127.0.0.1:1", "zone": "a"}
	for _, p := range paths {
		all[p] = "sub/" + p
	}
	b, _ := json.Marshal(all) // texts alone
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{"dir": c.Dir, "operator": c.Operator, "run": c.Run, "invite": c.Invite, "kek": c.KEK, "genesis": c.Genesis, "tlsCert": c.TLSCert, "tlsKey": c.TLSKey}
	for _, p := range paths {
		if got[p] != filepath.Join(filepath.Dir(file), "sub", p) {
			t.Errorf("%s is %s", p, got[p])
		}
	}
	if c.Zone != "a" || c.Control != "127.0.0.1:1" {
		t.Errorf("%+v", c)
	}
	c, err = load(t, `{`+strings.Replace(minimal, `"d"`, `"/abs/d"`, 1)+`}`)
	if err != nil || c.Dir != "/abs/d" || c.Operator != "" {
		t.Errorf("%+v %v", c, err)
	}
}

func TestWhatIsLeftOutIsTheSafeChoice(t *testing.T) {
	c, err := load(t, `{`+minimal+`}`)
	if err != nil || c.AnyRegion || c.InsecureHTTP || c.API != "" || c.Decide != "" || c.Peer != "" || c.Admin != "" || c.Operator != "" {
		t.Errorf("%+v %v", c, err)
	}
}

func FuzzAConfigurationThatLoadsIsReadAgainAsItself(f *testing.F) {
	f.Add([]byte(`{` + minimal + `}`))
	f.Add([]byte(`{` + minimal + `,"ROLE":"control"}}`))
	f.Add([]byte(`{` + minimal + `,"api":"127.0.0.1:1","tlsCert":"/c","tlsKey":"k","quotaBytes":1e3}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(dir, fmt.Sprintf("%d.json", os.Getpid()))
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(path)
		if err != nil {
			return
		}
		if c.Check() != nil || !filepath.IsAbs(c.Dir) || c.Role != "control" && c.Role != "region" {
			t.Fatalf("%+v", c)
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, again, 0o600); err != nil {
			t.Fatal(err)
		}
		if same, err := config.Load(path); err != nil || !reflect.DeepEqual(same, c) {
			t.Fatalf("%+v became %+v: %v", c, same, err)
		}
	})
}
