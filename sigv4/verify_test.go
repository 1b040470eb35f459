package sigv4

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var at = time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC)

const (
	testKey    = "AKIDEXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

// TestTheDocumentedExampleVerifies uses the example of the IAM User Guide,
// "Create a signed AWS API request": ListUsers with its published signature.
func TestTheDocumentedExampleVerifies(t *testing.T) {
	r := Request{Method: "GET", RawPath: "/", RawQuery: "Action=ListUsers&Version=2010-05-08", Host: "iam.amazonaws.com", Header: []Header{
		{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}, {"X-Amz-Date", "20150830T123600Z"},
		{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"}}}
	if err := check(&r, at, Own); err != nil {
		t.Fatal(err)
	}
}

func check(r *Request, now time.Time, profile Profile) error {
	p, err := Parse(r)
	if err != nil {
		return err
	}
	key := DeriveKey(testSecret, p.Scope)
	return Verify(&p, r, &key, now, profile)
}

// signedBySDK signs with AWS's own signer and receives through net/http.
func signedBySDK(t *testing.T, method, target, body, service string, presign bool) *Request {
	t.Helper()
	req, err := http.NewRequest(method, "http://127.0.0.1:4260"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Two", "a   b ")
	sum := sha256.Sum256([]byte(body))
	payload := hex.EncodeToString(sum[:])
	c := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret, SessionToken: "token/with+signs=="}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" })
	if presign {
		uri, headers, err := signer.PresignHTTP(context.Background(), c, req, payload, service, "us-east-1", at)
		if err != nil {
			t.Fatal(err)
		}
		if req, err = http.NewRequest(method, uri, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		req.Header = headers
	} else if err := signer.SignHTTP(context.Background(), c, req, payload, service, "us-east-1", at); err != nil {
		t.Fatal(err)
	}
	return received(t, req)
}

func received(t *testing.T, req *http.Request) *Request {
	t.Helper()
	var got Request
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = FromHTTP(r, body)
	}))
	defer s.Close()
	host := req.URL.Host
	req.URL.Host, req.Host = strings.TrimPrefix(s.URL, "http://"), host
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return &got
}

func TestWhatAWSsOwnSignerSignsVerifies(t *testing.T) {
	for _, c := range []struct {
		method, target, body, service string
		presign                       bool
		profile                       Profile
	}{
		{"POST", "/", "Action=GetUser", "iam", false, Own},
		{"GET", "/?Action=GetCallerIdentity&Version=2011-06-15&b=x%20y&a=%2B", "", "sts", false, Own},
		{"GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", "sts", true, Own},
		{"PUT", "/bucket/a%20b//c/../d%2Be", "data", "s3", false, S3},
	} {
		r := signedBySDK(t, c.method, c.target, c.body, c.service, c.presign)
		if err := check(r, at, c.profile); err != nil {
			var e *Error
			errors.As(err, &e)
			t.Errorf("%s %s: %s", c.method, c.target, e.Message)
		}
	}
}

func TestPathsAreNormalised(t *testing.T) {
	for raw, want := range map[string]string{"": "/", "/": "/", "/a/../b": "/b", "//a//b/": "/a/b/", "/./a": "/a", "/..": "/", "/a%20b": "/a%2520b"} {
		if got := string(appendPath(nil, raw, &Own)); got != want {
			t.Errorf("%q is %q, want %q", raw, got, want)
		}
	}
	for raw, want := range map[string]string{"/a//b/../c": "/a//b/../c", "/a%2fb": "/a%2Fb", "/%41": "/A"} {
		if got := string(appendPath(nil, raw, &S3)); got != want {
			t.Errorf("S3: %q is %q, want %q", raw, got, want)
		}
	}
}

func TestEveryAlteredPartIsRefused(t *testing.T) {
	for name, alter := range map[string]func(*Request){
		"method":        func(r *Request) { r.Method = "PUT" },
		"path":          func(r *Request) { r.RawPath = "/x" },
		"query":         func(r *Request) { r.RawQuery = "Action=Other" },
		"host":          func(r *Request) { r.Host = "other" },
		"body":          func(r *Request) { r.Body = []byte("Action=DeleteUser") },
		"signed header": func(r *Request) { setHeader(r, "Content-Type", "text/plain") },
		"added amz":     func(r *Request) { r.Header = append(r.Header, Header{"X-Amz-Added", "1"}) },
		"date":          func(r *Request) { setHeader(r, "X-Amz-Date", "20150830T123601Z") },
		"token":         func(r *Request) { setHeader(r, "X-Amz-Security-Token", "other") },
		"signature": func(r *Request) {
			for i := range r.Header {
				if r.Header[i].Name == "Authorization" {
					v := r.Header[i].Value
					last := byte('0')
					if v[len(v)-1] == '0' {
						last = '1'
					}
					r.Header[i].Value = v[:len(v)-1] + string(last)
				}
			}
		},
		"region": func(r *Request) { replaceHeader(r, "Authorization", "us-east-1", "eu-west-1") },
		"second credential": func(r *Request) {
			r.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b"
		},
	} {
		r := signedBySDK(t, "POST", "/", "Action=GetUser", "iam", false)
		if err := check(r, at, Own); err != nil {
			t.Fatal(err)
		}
		alter(r)
		if check(r, at, Own) == nil {
			t.Errorf("%s can be altered", name)
		}
	}
}

func setHeader(r *Request, name, value string) {
	for i := range r.Header {
		if r.Header[i].Name == name {
			r.Header[i].Value = value
		}
	}
}

func replaceHeader(r *Request, name, old, with string) {
	for i := range r.Header {
		if r.Header[i].Name == name {
			r.Header[i].Value = strings.Replace(r.Header[i].Value, old, with, 1)
		}
	}
}

func TestTimeBoundsASignature(t *testing.T) {
	for offset, ok := range map[time.Duration]bool{-Skew: true, Skew: true, Skew + time.Second: false, -Skew - time.Second: false} {
		r := signedBySDK(t, "POST", "/", "Action=GetUser", "iam", false)
		if err := check(r, at.Add(offset), Own); (err == nil) != ok {
			t.Errorf("at %s: %v", offset, err)
		}
	}
}

func TestUnsignedAndChunkedPayloadsAreRefusedForOurOwnServices(t *testing.T) {
	for _, payload := range []string{"UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"} {
		req, _ := http.NewRequest("POST", "http://h/", bytes.NewReader(nil))
		req.Header.Set("X-Amz-Content-Sha256", payload)
		c := aws.Credentials{AccessKeyID: testKey, SecretAccessKey: testSecret}
		if err := v4.NewSigner().SignHTTP(context.Background(), c, req, payload, "iam", "us-east-1", at); err != nil {
			t.Fatal(err)
		}
		if check(received(t, req), at, Own) == nil {
			t.Errorf("%s is accepted", payload)
		}
	}
}

func TestTheZeroValuesVerifyNothing(t *testing.T) {
	r := signedBySDK(t, "POST", "/", "Action=GetUser", "iam", false)
	p, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	key := DeriveKey(testSecret, p.Scope)
	if Verify(&p, r, &key, at, Profile{}) == nil || Verify(&p, r, &SigningKey{}, at, Own) == nil || Verify(&p, r, nil, at, Own) == nil || Verify(&Presented{}, r, &key, at, Own) == nil {
		t.Error("a zero value verifies")
	}
}

func TestWhatWeSignVerifies(t *testing.T) {
	r := &Request{Method: "GET", RawPath: "/holdfast/v1/caller", Host: "127.0.0.1:4260"}
	if err := Sign(r, testKey, testSecret, "tok", "us-east-1", "holdfast", at, Own); err != nil {
		t.Fatal(err)
	}
	if err := check(r, at, Own); err != nil {
		t.Error(err)
	}
}

func FuzzParseAndVerify(f *testing.F) {
	f.Add("POST", "/", "a=b", "h", "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=host;x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7", "20150830T123600Z", []byte("x"))
	f.Fuzz(func(t *testing.T, method, path, query, host, authorization, date string, body []byte) {
		r := &Request{Method: method, RawPath: path, RawQuery: query, Host: host, Body: body, Header: []Header{{"Authorization", authorization}, {"X-Amz-Date", date}}}
		p, err := Parse(r)
		if err != nil {
			return
		}
		if Verify(&p, r, &SigningKey{1}, at, Own) == nil {
			t.Fatal("verified with a key that signed nothing")
		}
	})
}
