package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/sigv4"
)

// TestTheQueryDoorRefusesWhatIsMalformed signs what no client would send.
func TestTheQueryDoorRefusesWhatIsMalformed(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	const who = "Action=GetCallerIdentity&Version=2011-06-15"
	many := func(n int) string {
		var b strings.Builder
		b.WriteString(who)
		for i := 2; i < n; i++ {
			fmt.Fprintf(&b, "&p%d=1", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		service, target string
		headers         map[string]string
		body            string
		code            string
		status          int
	}{
		"good":                             {"sts", "/", form, who, "", 200},
		"a parameter twice":                {"sts", "/", form, who + "&Action=GetSessionToken", "InvalidQueryParameter", 400},
		"a parameter in query and body":    {"sts", "/?Action=GetSessionToken", form, who, "InvalidQueryParameter", 400},
		"another service's scope":          {"iam", "/", form, who, "SignatureDoesNotMatch", 403},
		"a service that we have not":       {"sqs", "/", form, "Action=ListQueues&Version=2012-11-05", "InvalidAction", 400},
		"an unknown action":                {"iam", "/", form, "Action=LaunchMissiles&Version=2010-05-08", "InvalidAction", 400},
		"an operation not built":           {"iam", "/", form, "Action=CreateSAMLProvider&Version=2010-05-08", "NotImplemented", 501},
		"another version":                  {"sts", "/", form, "Action=GetCallerIdentity&Version=2010-05-08", "InvalidAction", 400},
		"no action":                        {"sts", "/", form, "Version=2011-06-15", "MissingAction", 400},
		"broken percent-encoding":          {"sts", "/", form, who + "&x=%zz", "MalformedQueryString", 404},
		"a target that disagrees":          {"sts", "/", map[string]string{"Content-Type": form["Content-Type"], "X-Amz-Target": "AWSOrganizationsV20161128.ListRoots"}, who, "", 400},
		"as many parameters as there may":  {"sts", "/", form, many(3000), "", 200},
		"one parameter more":               {"sts", "/", form, many(3001), "InvalidQueryParameter", 400},
		"a name that is too long":          {"iam", "/", form, "Action=GetUser&Version=2010-05-08&UserName=" + strings.Repeat("a", 129), "ValidationError", 400},
		"a list that is no list":           {"iam", "/", form, "Action=TagUser&Version=2010-05-08&UserName=admin&Tags=x", "MalformedInput", 400},
		"a list with a huge index":         {"iam", "/", form, "Action=TagUser&Version=2010-05-08&UserName=admin&Tags.member.999999999999.Key=a&Tags.member.999999999999.Value=b", "", 200},
		"a number that is none":            {"iam", "/", form, "Action=ListUsers&Version=2010-05-08&MaxItems=many", "MalformedInput", 400},
		"a marker made by hand":            {"iam", "/", form, "Action=ListUsers&Version=2010-05-08&Marker=AAAA", "ValidationError", 400},
		"a security token that is garbage": {"sts", "/", map[string]string{"Content-Type": form["Content-Type"], "X-Amz-Security-Token": "garbage"}, who, "InvalidClientTokenId", 403},
	} {
		r := e.must(e.send(admin, c.service, "POST", c.target, c.headers, []byte(c.body)))
		if r.status != c.status || c.code != "" && r.code() != c.code {
			t.Errorf("%s: want %d %s: %d %.400s", name, c.status, c.code, r.status, r.body)
		}
		if r.status >= 500 && r.status != 501 {
			t.Errorf("%s: clients would retry %d", name, r.status)
		}
	}
	e.sizes(admin)
}

// sizes sends bodies at the limit and one byte above.
func (e *endpoint) sizes(admin credential) {
	e.t.Helper()
	const limit = 512 << 10
	head := "Action=CreatePolicy&Version=2010-05-08&PolicyName=p&PolicyDocument="
	for _, c := range []struct {
		size   int
		status int
	}{{limit, 400}, {limit + 1, 413}} {
		r := e.must(e.send(admin, "iam", "POST", "/", map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			[]byte(head+strings.Repeat("x", c.size-len(head)))))
		if r.status != c.status {
			e.t.Errorf("%d bytes: %d %.300s", c.size, r.status, r.body)
		}
	}
}

// TestOneCredentialCarrierAndNoTricksWithHeaders sends requests whose signals
// disagree, byte by byte as they are.
func TestOneCredentialCarrierAndNoTricksWithHeaders(t *testing.T) {
	d := start(t)
	e, admin := d.endpoint(), d.admin()
	host := strings.TrimPrefix(e.base, "http://")
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	signed := func(profile sigv4.Profile, change func(*sigv4.Request)) []sigv4.Header {
		req := &sigv4.Request{Method: "POST", RawPath: "/", Host: host, Body: []byte(body),
			Header: []sigv4.Header{{Name: "Content-Type", Value: "application/x-www-form-urlencoded"}}}
		if change != nil {
			change(req)
		}
		if err := sigv4.Sign(req, admin.id, admin.secret, "", "us-east-1", "sts", time.Now(), profile); err != nil {
			t.Fatal(err)
		}
		return req.Header
	}
	good := signed(sigv4.Own, nil)
	chunked := append(good[:len(good):len(good)], sigv4.Header{Name: "X-Amz-Content-Sha256", Value: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"})
	authorization := func(h []sigv4.Header) string {
		for _, x := range h {
			if x.Name == "Authorization" {
				return x.Value
			}
		}
		return ""
	}
	for name, c := range map[string]struct {
		target  string
		headers []sigv4.Header
		status  int
	}{
		"good":                     {"/", good, 200},
		"two Authorizations":       {"/", append(good[:len(good):len(good)], sigv4.Header{Name: "Authorization", Value: authorization(good)}), 403},
		"header and query":         {"/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00", good, 403},
		"an unsigned x-amz header": {"/", append(good[:len(good):len(good)], sigv4.Header{Name: "X-Amz-Extra", Value: "1"}), 403},
		"a date twice":             {"/", append(good[:len(good):len(good)], sigv4.Header{Name: "X-Amz-Date", Value: "20200101T000000Z"}), 403},
		"an unsigned payload": {"/", signed(sigv4.S3, func(r *sigv4.Request) {
			r.Header = append(r.Header, sigv4.Header{Name: "X-Amz-Content-Sha256", Value: "UNSIGNED-PAYLOAD"})
		}), 403},
		"a chunked payload":         {"/", chunked, 403},
		"a Bearer beside the other": {"/", append(good[:len(good):len(good)], sigv4.Header{Name: "Authorization", Value: "Bearer x"}), 403},
	} {
		status := raw(t, host, c.target, c.headers, body)
		if c.status == 200 && status != 200 || c.status != 200 && (status < 400 || status >= 500) {
			t.Errorf("%s: %d", name, status)
		}
	}
	long := fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nX-Long: %s\r\n\r\n", host, strings.Repeat("x", 2<<20))
	if status := rawBytes(t, host, []byte(long)); status != 431 && status != 400 && status != 0 {
		t.Errorf("two megabytes of headers: %d", status)
	}
	for name, text := range map[string]string{
		"two lengths":         "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
		"length and chunks":   "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"two hosts":           "POST / HTTP/1.1\r\nHost: %s\r\nHost: iam.amazonaws.com\r\nContent-Length: 0\r\n\r\n",
		"no HTTP":             "\x16\x03\x01\x00%s\r\n\r\n",
		"a header with space": "POST / HTTP/1.1\r\nHost: %s\r\nX Amz: 1\r\nContent-Length: 0\r\n\r\n",
	} {
		if status := rawBytes(t, host, fmt.Appendf(nil, text, host)); status != 0 && (status < 400 || status >= 500) {
			t.Errorf("%s: %d", name, status)
		}
	}
}

func raw(t *testing.T, host, target string, headers []sigv4.Header, body string) int {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", target, host, len(body))
	for _, h := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h.Name, h.Value)
	}
	b.WriteString("\r\n" + body)
	return rawBytes(t, host, b.Bytes())
}

// rawBytes sends bytes and returns the status that comes back, 0 for none.
func rawBytes(t *testing.T, host string, b []byte) int {
	t.Helper()
	conn, err := net.Dial("tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = conn.Write(b) // the server may hang up in the middle
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}
