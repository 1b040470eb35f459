package main

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// cutter forwards connections, and cuts some at the first byte of an answer:
// the request was carried out, and the client never hears of it.
type cutter struct {
	listener net.Listener
	target   string
	every    int64 // cut one answer of so many
	answers  atomic.Int64
	cuts     atomic.Int64
}

func newCutter(t *testing.T, target string, every int64) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, target: target, every: every}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(client)
		}
	}()
	return c
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer server.Close()
	go func() { _, _ = io.Copy(server, client); server.Close() }()
	b := make([]byte, 64<<10)
	for {
		n, err := server.Read(b)
		if n > 0 && strings.HasPrefix(string(b[:n]), "HTTP/1.1 200") && c.answers.Add(1)%c.every == 0 {
			c.cuts.Add(1)
			return
		}
		if _, werr := client.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

func (c *cutter) url() string { return "http://" + c.listener.Addr().String() }

// TestAnSDKWhoseConnectionsAreCutSucceedsAndNothingHappensTwice has every
// other answer lost behind the commit.
func TestAnSDKWhoseConnectionsAreCutSucceedsAndNothingHappensTwice(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	cut := newCutter(t, d.addresses().Regions[0].API, 2)
	client := iam.New(iam.Options{Region: "us-east-1", BaseEndpoint: aws.String(cut.url()), RetryMaxAttempts: 5,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: admin.id, SecretAccessKey: admin.secret}, nil
		})})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		if _, err := client.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String(name)}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		key, err := client.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String(name)})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if code := e.iam(credential{id: *key.AccessKey.AccessKeyId, secret: *key.AccessKey.SecretAccessKey}, "GetUser").code(); code != "AccessDenied" {
			t.Errorf("%s: the key that the client was told does not sign: %q", name, code)
		}
		keys, err := client.ListAccessKeys(ctx, &iam.ListAccessKeysInput{UserName: aws.String(name)})
		if err != nil || len(keys.AccessKeyMetadata) != 1 {
			t.Errorf("%s: %d keys after one CreateAccessKey: %v", name, len(keys.AccessKeyMetadata), err)
		}
		if _, err := client.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: aws.String(name), AccessKeyId: key.AccessKey.AccessKeyId}); err != nil {
			t.Errorf("%s: the deletion was told to have failed: %v", name, err)
		}
		if _, err := client.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String(name)}); err != nil {
			t.Errorf("%s: the deletion was told to have failed: %v", name, err)
		}
	}
	if cut.cuts.Load() < 10 {
		t.Errorf("only %d connections were cut", cut.cuts.Load())
	}
}

// TestTheCLIWhoseConnectionsAreCutSucceeds is the same with botocore.
func TestTheCLIWhoseConnectionsAreCutSucceeds(t *testing.T) {
	d := start(t)
	admin := d.admin()
	cut := newCutter(t, d.addresses().Regions[0].API, 2)
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("aws", append([]string{"--endpoint-url", cut.url(), "--region", "us-east-1", "--output", "text"}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+admin.id, "AWS_SECRET_ACCESS_KEY="+admin.secret, "AWS_PAGER=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v %s", args, err, out)
		}
		return string(out)
	}
	for _, name := range []string{"a", "b", "c"} {
		run("iam", "create-user", "--user-name", name)
		run("iam", "create-access-key", "--user-name", name)
		if keys := run("iam", "list-access-keys", "--user-name", name, "--query", "length(AccessKeyMetadata)"); strings.TrimSpace(keys) != "1" {
			t.Errorf("%s has %s keys", name, keys)
		}
	}
	if cut.cuts.Load() < 4 {
		t.Errorf("only %d connections were cut", cut.cuts.Load())
	}
}
