package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/local"
)

// TestNoSecretStandsInAnyFileLogMetricErrorOrArgumentOfAWholeRun makes every
// kind of secret there is, uses it well and badly, and looks for it everywhere
// but in the one development file that is named for it.
func TestNoSecretStandsInAnyFileLogMetricErrorOrArgumentOfAWholeRun(t *testing.T) {
	d := start(t)
	e, admin, root := d.endpoint(), d.admin(), d.root()
	var secrets []string
	var told bytes.Buffer // every error that a client was told
	keep := func(c credential) credential {
		secrets = append(secrets, c.secret)
		if c.token != "" {
			secrets = append(secrets, c.token)
		}
		return c
	}
	keep(admin)
	keep(root)
	e.newRole(admin, "all", allowAll)
	user := keep(e.newUser(admin, "canary", allowAll))
	role := keep(e.made(e.assume(user, "all", "canary")).credential())
	keep(e.made(e.sts(user, "GetSessionToken")).credential())
	keep(e.made(e.sts(user, "GetFederationToken", "Name", "canary")).credential())
	bearer := e.made(e.iam(admin, "CreateServiceSpecificCredential", "UserName", "canary", "ServiceName", "holdfast.amazonaws.com")).element("ServiceCredentialSecret")
	secrets = append(secrets, bearer)
	keep(d.otherAccount())
	d.serviceFor("canary")

	bad := func(r *reply) {
		t.Helper()
		if r.status < 400 {
			t.Errorf("want a refusal: %d %s", r.status, r.body)
		}
		told.Write(r.body)
	}
	wrong := user
	wrong.secret = user.secret[:20] + strings.Repeat("x", 20)
	bad(e.iam(wrong, "ListUsers"))
	broken := role
	broken.token = role.token[:len(role.token)-8] + "AAAAAAAA"
	bad(e.iam(broken, "ListUsers"))
	e.iam(user, "CreateUser", "UserName", user.secret+"/") // told back to its sender, as AWS does, and to no log
	bad(e.iam(user, "GetUser", "UserName", "nobody-"+user.id))
	for _, text := range []string{"Bearer " + bearer + "x", "Bearer " + bearer + " " + bearer} {
		r, err := e.send(credential{}, "", "POST", "/holdfast/v1/authorize", map[string]string{"Authorization": text}, []byte(`{}`))
		bad(e.must(r, err))
	}
	e.made(e.must(e.send(credential{}, "", "GET", "/holdfast/v1/caller", map[string]string{"Authorization": "Bearer " + bearer}, nil)))
	bad(e.must(e.send(credential{}, "", "GET", "/?Action=GetCallerIdentity&X-Amz-Security-Token="+url.QueryEscape(role.token)+"&X-Amz-Signature=00", nil, nil)))
	e.made(e.iam(user, "DeleteAccessKey", "UserName", "canary", "AccessKeyId", user.id))

	seen := map[string][]byte{"errors": told.Bytes()}
	for _, a := range append(d.addresses().Regions, d.addresses().Control) {
		seen["metrics of "+a.Admin] = page(t, "http://"+a.Admin+"/metrics")
	}
	for _, name := range []string{"control", "us-east-1a"} {
		for _, what := range []string{"cmdline", "environ"} {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", d.pid(name), what))
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			seen[name+"'s "+what] = b
		}
	}
	d.stop()
	seen["what up said"] = d.said.Bytes()
	files(t, d.data, seen)
	if len(seen) < 12 {
		t.Errorf("only %d places were looked at", len(seen))
	}
	for place, b := range seen {
		for i, secret := range secrets {
			if len(secret) < 16 {
				t.Fatalf("secret %d is too short to look for", i)
			}
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("secret %d of %d stands in %s", i, len(secrets), place)
			}
		}
	}
}

func page(t *testing.T, address string) []byte {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%s: %d %v", address, res.StatusCode, err)
	}
	return b
}

// files reads everything below a directory but the named development file.
func files(t *testing.T, dir string, seen map[string][]byte) {
	t.Helper()
	excepted := (local.Layout{Dir: dir}).CredentialsFile()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || path == excepted {
			return err
		}
		seen[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
