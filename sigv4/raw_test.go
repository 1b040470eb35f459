package sigv4

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

const rawListUsers = "GET /?Action=ListUsers&Version=2010-05-08 HTTP/1.1\r\nHost: iam.amazonaws.com\r\n" +
	"Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nX-Amz-Date: 20150830T123600Z\r\n" +
	"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, " +
	"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7\r\n\r\n"

var rawOptions = RawOptions{AccessKeyID: testKey, SecretAccessKey: testSecret, Region: "us-east-1", Service: "iam", Now: at}

func TestARawRequestIsVerifiedWithItsCanonicalRequest(t *testing.T) {
	canonical := "GET\n/\nAction=ListUsers&Version=2010-05-08\ncontent-type:application/x-www-form-urlencoded; charset=utf-8\nhost:iam.amazonaws.com\nx-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n" + emptyHash
	with := func(change func(*RawOptions)) RawOptions {
		o := rawOptions
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		raw     string
		options RawOptions
		code    string
	}{
		"good":          {rawListUsers, rawOptions, ""},
		"line feeds":    {strings.ReplaceAll(rawListUsers, "\r\n", "\n"), rawOptions, ""},
		"no blank line": {strings.TrimRight(rawListUsers, "\r\n"), rawOptions, ""},
		"blank rest":    {rawListUsers + "\n", rawOptions, ""},
		"body":          {rawListUsers + "x", rawOptions, SignatureDoesNotMatch},
		"secret":        {rawListUsers, with(func(o *RawOptions) { o.SecretAccessKey = "x" }), SignatureDoesNotMatch},
		"no secret":     {rawListUsers, with(func(o *RawOptions) { o.SecretAccessKey = "" }), SignatureDoesNotMatch},
		"key":           {rawListUsers, with(func(o *RawOptions) { o.AccessKeyID = "AKIDOTHER" }), InvalidClientTokenId},
		"token":         {rawListUsers, with(func(o *RawOptions) { o.SessionToken = "x" }), InvalidClientTokenId},
		"region":        {rawListUsers, with(func(o *RawOptions) { o.Region = "eu-west-1" }), SignatureDoesNotMatch},
		"service":       {rawListUsers, with(func(o *RawOptions) { o.Service = "sts" }), SignatureDoesNotMatch},
		"late":          {rawListUsers, with(func(o *RawOptions) { o.Now = at.Add(6 * time.Minute) }), SignatureDoesNotMatch},
		"v4a":           {rawListUsers, with(func(o *RawOptions) { o.V4A = true }), IncompleteSignature},
		"no host":       {strings.Replace(rawListUsers, "Host: iam.amazonaws.com\r\n", "", 1), rawOptions, malformedInput},
		"two hosts":     {strings.Replace(rawListUsers, "Host:", "Host: a\r\nHost:", 1), rawOptions, malformedInput},
		"unsigned":      {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", rawOptions, MissingAuthenticationToken},
		"bearer":        {"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\n\r\n", rawOptions, MissingAuthenticationToken},
		"nothing":       {"", rawOptions, malformedInput},
		"no colon":      {"GET / HTTP/1.1\nHost\n\n", rawOptions, malformedInput},
		"chunked":       {strings.Replace(rawListUsers, "Host:", "Transfer-Encoding: chunked\r\nHost:", 1), rawOptions, malformedInput},
		"short body":    {strings.Replace(rawListUsers, "Host:", "Content-Length: 9\r\nHost:", 1), rawOptions, malformedInput},
		"long body":     {strings.Replace(rawListUsers, "Host:", "Content-Length: 0\r\nHost:", 1) + "x", rawOptions, malformedInput},
	} {
		got := VerifyRaw([]byte(c.raw), c.options)
		if got.OK != (c.code == "") || got.Code != c.code {
			t.Errorf("%s: %+v", name, got)
		}
		if got.OK && got.CanonicalRequest != canonical {
			t.Errorf("%s: %q", name, got.CanonicalRequest)
		}
		if c.code == SignatureDoesNotMatch && !strings.HasPrefix(got.CanonicalRequest, "GET\n/\nAction") {
			t.Errorf("%s: no canonical request", name)
		}
	}
}

func TestTheResultsJSONIsTheContract(t *testing.T) {
	b, err := json.Marshal(VerifyRaw([]byte("GET / HTTP/1.1\nHost: h\n\n"), rawOptions))
	if err != nil || string(b) != `{"ok":false,"code":"MissingAuthenticationToken","canonicalRequest":""}` {
		t.Errorf("%s %v", b, err)
	}
}

// rawOf writes a request down as it goes over the wire.
func rawOf(r *Request, body string) []byte {
	target := r.RawPath
	if r.RawQuery != "" {
		target += "?" + r.RawQuery
	}
	s := r.Method + " " + target + " HTTP/1.1\r\nHost: " + r.Host + "\r\n"
	for _, h := range r.Header {
		s += h.Name + ": " + h.Value + "\r\n"
	}
	return []byte(s + "\r\n" + body)
}

func TestARawChunkedBodyIsVerifiedToo(t *testing.T) {
	o := RawOptions{AccessKeyID: s3KeyID, SecretAccessKey: s3Secret, Region: "us-east-1", Service: "s3", Now: s3At}
	r, body := chunkedExample()
	if got := VerifyRaw(rawOf(r, body), o); !got.OK {
		t.Errorf("%+v", got)
	}
	if got := VerifyRaw(rawOf(r, strings.Replace(body, "aaaa", "aaab", 1)), o); got.OK || got.Code != SignatureDoesNotMatch {
		t.Errorf("altered: %+v", got)
	}
	for name, r := range s3Examples() {
		if got := VerifyRaw(rawOf(r, string(r.Body)), o); !got.OK {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestRawPathsAndHeadersMayBeUnusual(t *testing.T) {
	for _, c := range []struct {
		target, header, canonical string
		keep                      bool
	}{
		{"/a b/./é", "My: 1", "/a%20b/%C3%A9\n\nhost:h\nmy:1\n", false},
		{"/a/../b//c", "My: 1", "/b/c\n\nhost:h\nmy:1\n", false},
		{"/a/../b//c", "My: 1", "/a/../b//c\n\nhost:h\nmy:1\n", true},
		{"/?é=1&b&a=x y", "My: 1\r\n  2\r\n\t3", "/\n%C3%A9=1&a=x%20y&b=\nhost:h\nmy:1 2 3\n", false},
		{"http://h/p?a=b", "My:  a   b  \r\nMY: c", "/p\na=b\nhost:h\nmy:a b,c\n", false},
	} {
		raw := "GET " + c.target + " HTTP/1.1\r\nHost: h\r\n" + c.header + "\r\nX-Amz-Date: 20150830T123600Z\r\n" +
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request,SignedHeaders=host;my;x-amz-date,Signature=0\r\n\r\n"
		o := rawOptions
		o.KeepPath = c.keep
		got := VerifyRaw([]byte(raw), o)
		want := "GET\n" + c.canonical + "x-amz-date:20150830T123600Z\n\nhost;my;x-amz-date\n" + emptyHash
		if got.CanonicalRequest != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.target, got.CanonicalRequest, want)
		}
		key := DeriveKey(testSecret, Scope{"20150830", "us-east-1", "iam"})
		signature, _ := signHMAC(&key, []byte(got.StringToSign))
		if again := VerifyRaw([]byte(strings.Replace(raw, "Signature=0", "Signature="+signature, 1)), o); !again.OK {
			t.Errorf("%s: %+v", c.target, again)
		}
	}
}

func TestARawSigV4ARequestVerifiesFromTheSecret(t *testing.T) {
	for name, r := range sdkV4A() {
		o := rawOptions
		o.V4A = true
		if name == "query" {
			o.Service = "sts"
		}
		if got := VerifyRaw(rawOf(r, string(r.Body)), o); !got.OK {
			t.Errorf("%s: %+v", name, got)
		}
		o.V4A = false
		if got := VerifyRaw(rawOf(r, string(r.Body)), o); got.OK {
			t.Errorf("%s: verified as version 4", name)
		}
	}
}

func FuzzVerifyRaw(f *testing.F) {
	f.Add([]byte(rawListUsers))
	r, body := trailerExample()
	f.Add(rawOf(r, body))
	for _, r := range s3Examples() {
		f.Add(rawOf(r, string(r.Body)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, service := range []string{"iam", "s3"} {
			o := RawOptions{AccessKeyID: testKey, SecretAccessKey: "nobody signed with this", Region: "us-east-1", Service: service, Now: at}
			if got := VerifyRaw(raw, o); got.OK || got.Code == "" {
				t.Fatalf("%+v", got)
			}
		}
	})
}
