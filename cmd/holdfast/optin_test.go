package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// regional is the endpoint of the nth Region of a deployment.
func (d *deploymentUnderTest) regional(n int) *endpoint {
	e, a := *d.endpoint(), d.addresses().Regions[n]
	e.base, e.region = "http://"+a.API, a.Region
	return &e
}

// global is the same node by the host of STS that names no Region.
func (e *endpoint) global() *endpoint {
	own := *e
	address := strings.TrimPrefix(e.base, "http://")
	own.base, own.region = "http://sts.amazonaws.com", "us-east-1"
	own.http = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}}
	return &own
}

// aws runs the AWS CLI at the endpoint.
func (e *endpoint) aws(c credential, args ...string) (string, error) {
	cmd := exec.Command("aws", append([]string{"--endpoint-url", e.base, "--region", e.region, "--output", "text"}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+c.id, "AWS_SECRET_ACCESS_KEY="+c.secret, "AWS_MAX_ATTEMPTS=1", "AWS_PAGER=")
	if c.token != "" {
		cmd.Env = append(cmd.Env, "AWS_SESSION_TOKEN="+c.token)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// optIn is about a deployment whose Regions are us-east-1, eu-west-1 and
// ap-south-2, which is an opt-in Region, and whose admin has a role r.
func (d *deploymentUnderTest) optIn(t *testing.T) {
	home, away, admin := d.regional(0).in(t), d.regional(2).in(t), d.admin()
	refused := func(what, code, out string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(out, code) {
			t.Errorf("%s: %v %s, want %s", what, err, out, code)
		}
	}
	whoami := []string{"sts", "get-caller-identity"}
	const first, second = "111122223333", "444455556666"
	issue := func(e *endpoint, c credential, account, role string) *reply {
		t.Helper()
		return e.sts(c, "AssumeRole", "RoleArn", "arn:aws:iam::"+account+":role/"+role, "RoleSessionName", "demo")
	}
	session := func(e *endpoint, c credential, account, role string) credential {
		t.Helper()
		return e.made(issue(e, c, account, role)).credential()
	}
	good := func(what string, e *endpoint, c credential) {
		t.Helper()
		if r := e.sts(c, "GetCallerIdentity"); r.status != 200 {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}

	t.Run("the first account has it from the start", func(t *testing.T) {
		for name, c := range map[string]credential{"a long-term key": admin, "a session of another Region": session(home, admin, first, "r")} {
			if out, err := away.aws(c, whoami...); err != nil {
				t.Errorf("%s: %s", name, out)
			}
		}
		good("its session at home", home, session(away, admin, first, "r"))
	})
	t.Run("tokens of the global endpoint are of the account's version", func(t *testing.T) {
		narrow, there := session(home.global(), admin, first, "r"), session(away.global(), admin, first, "r")
		for name, c := range map[string]credential{"of a Region enabled by default": narrow, "of the opt-in Region": there} {
			out, err := away.aws(c, whoami...)
			refused("version 1 "+name, "InvalidClientTokenId", out, err)
			good("version 1 "+name+", at home", home, c)
		}
		if out, err := home.aws(admin, "iam", "set-security-token-service-preferences", "--global-endpoint-token-version", "v2Token"); err != nil {
			t.Fatal(out)
		}
		d.until("version 2", func() bool {
			r := home.iam(admin, "GetAccountSummary")
			return strings.Contains(strings.Join(strings.Fields(string(r.body)), ""), "<key>GlobalEndpointTokenVersion</key><value>2</value>")
		})
		if out, err := away.aws(session(home.global(), admin, first, "r"), whoami...); err != nil {
			t.Errorf("version 2: %s", out)
		}
	})
	t.Run("who asks the global endpoint can be found", func(t *testing.T) {
		metrics := string(page(t, "http://"+d.addresses().Regions[0].Admin+"/metrics"))
		if !regexp.MustCompile(`(?m)^holdfast_sts_global_requests_total\{.*\} [1-9]`).MatchString(metrics) {
			t.Error("they are not counted")
		}
		if log := d.log(d.addresses().Regions[0].Name); !strings.Contains(log, `"operation":"sts:AssumeRole"`) || !strings.Contains(log, `"principal":"arn:aws:iam::`+first+`:user/admin","global":true`) {
			t.Error("the log does not say who they are")
		}
	})
	root := d.otherAccount()
	home.made(home.iam(root, "CreateRole", "RoleName", "s", "AssumeRolePolicyDocument",
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":["`+first+`","`+second+`"]},"Action":"sts:AssumeRole"}}`))
	t.Run("another account has not", func(t *testing.T) {
		out, err := away.aws(root, whoami...)
		refused("its root", "(InvalidClientTokenId) when calling the GetCallerIdentity operation: The security token included in the request is invalid", out, err)
		for name, r := range map[string]*reply{"its root, of iam": away.iam(root, "ListUsers"),
			"its root, a write that the Region relays": away.iam(root, "CreateUser", "UserName", "u"),
			"a session of it":                          away.sts(session(home, admin, second, "s"), "GetCallerIdentity")} {
			if r.code() != "InvalidClientTokenId" {
				t.Errorf("%s: %d %s", name, r.status, r.body)
			}
		}
		out, err = away.aws(admin, "sts", "assume-role", "--role-arn", "arn:aws:iam::"+second+":role/s", "--role-session-name", "demo")
		refused("a role of it", "(RegionDisabledException) when calling the AssumeRole operation: STS is not activated in this region for account:"+second, out, err)
	})
	t.Run("until it enables it", func(t *testing.T) {
		d.holdfast("account", "region", "enable", "ap-south-2", "--account", second)
		d.until("enabled", func() bool { return away.sts(root, "GetCallerIdentity").status == 200 })
		if out := d.holdfast("account", "region", "list", "--account", second); !strings.Contains(out, "ap-south-2  enabled             active") {
			t.Error(out)
		}
		away.in(t).made(away.iam(root, "CreateUser", "UserName", "u"))
		good("a session", away, session(home, admin, second, "s"))
	})
	t.Run("and from when it disables it again", func(t *testing.T) {
		kept := session(away, admin, second, "s")
		good("what the Region issued, at home", home, kept)
		d.holdfast("account", "region", "disable", "ap-south-2", "--account", second)
		d.until("disabled", func() bool { return away.sts(root, "GetCallerIdentity").status != 200 })
		out, err := away.aws(root, whoami...)
		refused("its root", "InvalidClientTokenId", out, err)
		d.until("refused at home", func() bool { return home.sts(kept, "GetCallerIdentity").code() == "InvalidClientTokenId" })
		if r := issue(away, admin, second, "s"); r.code() != "RegionDisabledException" || r.status != 403 {
			t.Errorf("a role of it: %d %s", r.status, r.body)
		}
		good("its root at home", home, root)
		good("the first account", away, admin)
	})
	t.Run("STS is deactivated in a Region that is enabled by default", func(t *testing.T) {
		west := d.regional(1).in(t)
		d.holdfast("account", "region", "disable", "eu-west-1")
		d.until("deactivated", func() bool { return issue(west, admin, first, "r").code() == "RegionDisabledException" })
		good("whoever has credentials", west, admin)
		session(west.global(), admin, first, "r")
		d.holdfast("account", "region", "enable", "eu-west-1")
		d.until("activated", func() bool { return issue(west, admin, first, "r").status == 200 })
	})
}
