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
	assume := func(account, role string) []string {
		return []string{"sts", "assume-role", "--role-arn", "arn:aws:iam::" + account + ":role/" + role, "--role-session-name", "demo",
			"--query", "Credentials.[AccessKeyId,SecretAccessKey,SessionToken]"}
	}
	session := func(e *endpoint, c credential, account, role string) credential {
		t.Helper()
		out, err := e.aws(c, assume(account, role)...)
		f := strings.Fields(out)
		if err != nil || len(f) != 3 {
			t.Fatalf("%v %s", err, out)
		}
		return credential{f[0], f[1], f[2]}
	}
	const first, second = "111122223333", "444455556666"

	t.Run("the first account has it from the start", func(t *testing.T) {
		for name, c := range map[string]credential{"a long-term key": admin, "a session of another Region": session(home, admin, first, "r")} {
			if out, err := away.aws(c, whoami...); err != nil {
				t.Errorf("%s: %s", name, out)
			}
		}
		if out, err := home.aws(session(away, admin, first, "r"), whoami...); err != nil {
			t.Errorf("its session at home: %s", out)
		}
	})
	t.Run("tokens of the global endpoint are of the account's version", func(t *testing.T) {
		issue := func(e *endpoint) credential {
			t.Helper()
			return e.made(e.sts(admin, "AssumeRole", "RoleArn", "arn:aws:iam::"+first+":role/r", "RoleSessionName", "global")).credential()
		}
		narrow, there := issue(home.global()), issue(away.global())
		for name, c := range map[string]credential{"of a Region enabled by default": narrow, "of the opt-in Region": there} {
			out, err := away.aws(c, whoami...)
			refused("version 1 "+name, "InvalidClientTokenId", out, err)
			if out, err := home.aws(c, whoami...); err != nil {
				t.Errorf("version 1 %s, at home: %s", name, out)
			}
		}
		if out, err := home.aws(admin, "iam", "set-security-token-service-preferences", "--global-endpoint-token-version", "v2Token"); err != nil {
			t.Fatal(out)
		}
		d.until("version 2", func() bool {
			out, _ := home.aws(admin, "iam", "get-account-summary", "--query", "SummaryMap.GlobalEndpointTokenVersion")
			return strings.TrimSpace(out) == "2"
		})
		if out, err := away.aws(issue(home.global()), whoami...); err != nil {
			t.Errorf("version 2: %s", out)
		}
		out, err := home.aws(admin, "iam", "set-security-token-service-preferences", "--global-endpoint-token-version", "v3Token")
		refused("a version that there is not", "ValidationError", out, err)
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
		out, err = away.aws(root, "iam", "list-users")
		refused("its root, of iam", "InvalidClientTokenId", out, err)
		out, err = away.aws(root, "iam", "create-user", "--user-name", "u")
		refused("its root, a write that the Region relays", "InvalidClientTokenId", out, err)
		out, err = away.aws(session(home, admin, second, "s"), whoami...)
		refused("a session of it", "InvalidClientTokenId", out, err)
		out, err = away.aws(admin, assume(second, "s")...)
		refused("a role of it", "(RegionDisabledException) when calling the AssumeRole operation: STS is not activated in this region for account:"+second, out, err)
	})
	t.Run("until it enables it", func(t *testing.T) {
		d.holdfast("account", "region", "enable", "ap-south-2", "--account", second)
		d.until("enabled", func() bool { _, err := away.aws(root, whoami...); return err == nil })
		if out := d.holdfast("account", "region", "list", "--account", second); !strings.Contains(out, "ap-south-2  enabled             active") {
			t.Error(out)
		}
		if out, err := away.aws(root, "iam", "create-user", "--user-name", "u"); err != nil {
			t.Errorf("a write: %s", out)
		}
		if out, err := away.aws(session(home, admin, second, "s"), whoami...); err != nil {
			t.Errorf("a session: %s", out)
		}
	})
	t.Run("and from when it disables it again", func(t *testing.T) {
		kept := session(away, admin, second, "s")
		if out, err := home.aws(kept, whoami...); err != nil {
			t.Fatal(out)
		}
		d.holdfast("account", "region", "disable", "ap-south-2", "--account", second)
		d.until("disabled", func() bool { _, err := away.aws(root, whoami...); return err != nil })
		out, err := away.aws(root, whoami...)
		refused("its root", "InvalidClientTokenId", out, err)
		d.until("refused at home", func() bool { _, err := home.aws(kept, whoami...); return err != nil })
		out, err = home.aws(kept, whoami...)
		refused("what the Region issued, at home", "InvalidClientTokenId", out, err)
		out, err = away.aws(admin, assume(second, "s")...)
		refused("a role of it", "RegionDisabledException", out, err)
		if out, err := home.aws(root, whoami...); err != nil {
			t.Errorf("its root at home: %s", out)
		}
		if out, err := away.aws(admin, whoami...); err != nil {
			t.Errorf("the first account: %s", out)
		}
	})
	t.Run("STS is deactivated in a Region that is enabled by default", func(t *testing.T) {
		west := d.regional(1).in(t)
		d.holdfast("account", "region", "disable", "eu-west-1")
		d.until("deactivated", func() bool { _, err := west.aws(admin, assume(first, "r")...); return err != nil })
		out, err := west.aws(admin, assume(first, "r")...)
		refused("a role", "RegionDisabledException", out, err)
		if out, err := west.aws(admin, whoami...); err != nil {
			t.Errorf("whoever has credentials: %s", out)
		}
		west.made(west.global().sts(admin, "AssumeRole", "RoleArn", "arn:aws:iam::"+first+":role/r", "RoleSessionName", "global"))
		d.holdfast("account", "region", "enable", "eu-west-1")
		d.until("activated", func() bool { _, err := west.aws(admin, assume(first, "r")...); return err == nil })
	})
}
