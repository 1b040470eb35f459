package sigv4

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func signed(t testing.TB, prof Profile, r *Request) *Request {
	t.Helper()
	if err := Sign(r, testKey, testSecret, "tok", "us-east-1", "iam", at, prof); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestEachProfileRefusesWhatItDoesNotName(t *testing.T) {
	open := Profile{Accepts: true, UnsignedPayload: true, Chunked: true, DeferredBody: true, UnsignedHeaders: true, RepeatedParameters: true, MaxExpires: time.Hour}
	sha := func(v string) Header { return Header{"X-Amz-Content-Sha256", v} }
	for name, c := range map[string]struct {
		r    *Request
		need func(*Profile)
	}{
		"unsigned payload":  {signed(t, open, &Request{Method: "PUT", Host: "h", Header: []Header{sha(UnsignedPayload)}}), func(p *Profile) { p.UnsignedPayload = true }},
		"signed chunks":     {signed(t, open, &Request{Method: "PUT", Host: "h", Header: []Header{sha(StreamingPayload)}}), func(p *Profile) { p.Chunked = true }},
		"unsigned chunks":   {signed(t, open, &Request{Method: "PUT", Host: "h", Header: []Header{sha(StreamingUnsignedTrailer)}}), func(p *Profile) { p.Chunked = true }},
		"aws-chunked":       {signed(t, open, &Request{Method: "PUT", Host: "h", Header: []Header{{"Content-Encoding", "gzip, AWS-Chunked"}}}), func(p *Profile) { p.Chunked = true }},
		"trailer":           {signed(t, open, &Request{Method: "PUT", Host: "h", Header: []Header{{"X-Amz-Trailer", "a"}}}), func(p *Profile) { p.Chunked = true }},
		"decoded length":    {signed(t, open, &Request{Method: "PUT", Host: "h", Header: []Header{{"X-Amz-Decoded-Content-Length", "1"}}}), func(p *Profile) { p.Chunked = true }},
		"deferred body":     {signed(t, open, &Request{Method: "PUT", Host: "h", Header: []Header{sha(strings.Repeat("ab", 32))}}), func(p *Profile) { p.DeferredBody = true }},
		"repeated":          {signed(t, open, &Request{Method: "GET", Host: "h", RawQuery: "a=1&a=2"}), func(p *Profile) { p.RepeatedParameters = true }},
		"dot segments kept": {signed(t, Profile{Accepts: true, RawPath: true}, &Request{Method: "GET", Host: "h", RawPath: "/a/../b"}), func(p *Profile) { p.RawPath = true }},
		"encoded once":      {signed(t, Profile{Accepts: true, SingleEncode: true}, &Request{Method: "GET", Host: "h", RawPath: "/a%20b"}), func(p *Profile) { p.SingleEncode = true }},
		"unsigned header": {func() *Request {
			r := signed(t, open, &Request{Method: "GET", Host: "h"})
			r.Header = append(r.Header, Header{"X-AMZ-Acl", "public"})
			return r
		}(), func(p *Profile) { p.UnsignedHeaders = true }},
	} {
		if err := check(c.r, at, Profile{Accepts: true}); codeOf(err) == "" {
			t.Errorf("%s: accepted by the plain profile", name)
		}
		p := Profile{Accepts: true}
		c.need(&p)
		if err := check(c.r, at, p); err != nil {
			t.Errorf("%s: refused when allowed: %v", name, err)
		}
	}
}

func TestPresignedRequestsLiveAsLongAsTheProfileSays(t *testing.T) {
	presigned := func(expires time.Duration) *Request {
		r := &Request{Method: "GET", RawPath: "/", RawQuery: "Action=GetCallerIdentity&Version=2011-06-15", Host: "h"}
		if err := Presign(r, testKey, testSecret, "tok+/=", "us-east-1", "sts", at, expires, Profile{Accepts: true, MaxExpires: 7 * 24 * time.Hour}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		expires, after time.Duration
		prof           Profile
		ok             bool
	}{
		{60 * time.Second, 0, Own, true},
		{60 * time.Second, 14 * time.Minute, Own, true}, // as at STS, whatever it says
		{900 * time.Second, 15 * time.Minute, Own, true},
		{900 * time.Second, 15*time.Minute + time.Second, Own, false},
		{901 * time.Second, 0, Own, false},
		{60 * time.Second, -Skew, Own, true},
		{60 * time.Second, -Skew - time.Second, Own, false},
		{60 * time.Second, 60 * time.Second, Profile{Accepts: true, MaxExpires: time.Hour}, true},
		{60 * time.Second, 61 * time.Second, Profile{Accepts: true, MaxExpires: time.Hour}, false},
		{60 * time.Second, 0, Profile{Accepts: true}, false},
	} {
		if err := check(presigned(c.expires), at.Add(c.after), c.prof); (err == nil) != c.ok {
			t.Errorf("%s, %s later: %v", c.expires, c.after, err)
		}
	}
	if r := (&Request{Method: "GET", RawPath: "/", Host: "h"}); Presign(r, testKey, testSecret, "", "us-east-1", "sts", at, time.Hour, Own) == nil || r.RawQuery != "" {
		t.Error("a presigned request is made that its profile refuses")
	}
	plain := signedBySDK(t, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", "", "sts", true) // says no X-Amz-Expires
	if check(plain, at, Own) != nil || check(plain, at, Profile{Accepts: true, MaxExpires: time.Hour}) == nil {
		t.Error("X-Amz-Expires is missing")
	}
}

func TestEveryPartOfAPresignedRequestIsCovered(t *testing.T) {
	r := &Request{Method: "GET", RawPath: "/a", RawQuery: "Action=GetCallerIdentity", Host: "h", Header: []Header{{"X-K8s-Aws-Id", "cluster"}}}
	if err := Presign(r, testKey, testSecret, "tok", "us-east-1", "sts", at, time.Minute, Own); err != nil {
		t.Fatal(err)
	}
	if err := check(r, at, Own); err != nil {
		t.Fatal(err)
	}
	swap := func(old, with string) func(*Request) {
		return func(r *Request) { r.RawQuery = strings.Replace(r.RawQuery, old, with, 1) }
	}
	for name, alter := range map[string]func(*Request){
		"method": func(r *Request) { r.Method = "POST" }, "path": func(r *Request) { r.RawPath = "/b" }, "host": func(r *Request) { r.Host = "g" },
		"body": func(r *Request) { r.Body = []byte("x") }, "signed header": func(r *Request) { r.Header[0].Value = "other" },
		"lost header": func(r *Request) { r.Header = nil }, "header twice": func(r *Request) { r.Header = append(r.Header, r.Header[0]) },
		"x-amz header": func(r *Request) { r.Header = append(r.Header, Header{"X-Amz-Target", "a"}) },
		"action":       swap("GetCallerIdentity", "GetSessionToken"), "added": func(r *Request) { r.RawQuery += "&a=b" }, "expires": swap("Expires=60", "Expires=61"),
		"date": swap("T123600Z", "T123601Z"), "token": swap("Token=tok", "Token=tol"), "key": swap("AKIDEXAMPLE", "AKIDEXAMPLF"),
		"region": swap("us-east-1", "us-east-2"), "service": swap("%2Fsts%2F", "%2Fiam%2F"), "signed list": swap("host%3B", ""),
		"signature": func(r *Request) { r.RawQuery = r.RawQuery[:len(r.RawQuery)-1] }, "longer signature": func(r *Request) { r.RawQuery += "0" },
	} {
		copied := *r
		copied.Header = append([]Header(nil), r.Header...)
		alter(&copied)
		if check(&copied, at, Own) == nil {
			t.Errorf("%s can be altered", name)
		}
	}
}

func TestControlCharactersInASignedHeaderAreRefused(t *testing.T) {
	for _, v := range []string{"a\nx-amz-date:b", "a\rb", "a\x00b", "a\x7fb"} {
		if Sign(&Request{Method: "GET", Host: "h", Header: []Header{{"X-A", v}}}, testKey, testSecret, "", "us-east-1", "iam", at, Own) == nil {
			t.Errorf("%q is signed", v)
		}
		if Sign(&Request{Method: "GET", Host: v}, testKey, testSecret, "", "us-east-1", "iam", at, Own) == nil {
			t.Errorf("host %q is signed", v)
		}
	}
}

func TestAFailedSigningLeavesTheRequestAsItWas(t *testing.T) {
	r := &Request{Method: "GET", Host: "h", Header: []Header{{"X-A", "1"}}}
	for _, err := range []error{Sign(r, testKey, "", "", "us-east-1", "iam", at, Own), Sign(r, testKey, testSecret, "", "", "iam", at, Own),
		Sign(r, "a/b", testSecret, "", "us-east-1", "iam", at, Own), SignECDSA(r, testKey, testSecret, "", "", "iam", at, Own)} {
		if err == nil || len(r.Header) != 1 {
			t.Errorf("%v %v", err, r.Header)
		}
	}
	signed(t, Own, r)
	if n := len(r.Header); Sign(r, testKey, testSecret, "", "us-east-1", "iam", at, Own) == nil || len(r.Header) != n {
		t.Error("signed twice")
	}
}

func TestS3SpeaksItsOwnCodes(t *testing.T) {
	r := signedS3(t)
	p, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	key := DeriveKey(s3Secret, p.Scope)
	if got := codeOf(Verify(&p, r, &key, s3At.Add(time.Hour), S3Store)); got != RequestTimeTooSkewed {
		t.Error(got)
	}
	altered := *r
	altered.Body = []byte("altered")
	if got := codeOf(Verify(&p, &altered, &key, s3At, S3Store)); got != ContentSHA256Mismatch {
		t.Error(got)
	}
	altered = *r
	altered.Header = append([]Header{{"x-amz-acl", "public-read"}}, r.Header...)
	if got := codeOf(Verify(&p, &altered, &key, s3At, S3Store)); got != AccessDenied {
		t.Error(got)
	}
	pre := s3Examples()["presigned"]
	if p, err = Parse(pre); err != nil || codeOf(Verify(&p, pre, &key, s3At.Add(25*time.Hour), S3Store)) != AccessDenied {
		t.Error("expired")
	}
}

// forged signs whatever Presented says, with checks that Sign would make left
// out.
func forged(t *testing.T, key *SigningKey, signedHeaders, date, canonical string) *Request {
	t.Helper()
	p := Presented{Carrier: InHeader, Algorithm: HMAC, Scope: Scope{date, "us-east-1", "iam"}, Time: at}
	digest := sha256.Sum256([]byte(canonical))
	mac := hmac256(key[:], appendStringToSign(nil, &p, &digest))
	return &Request{Method: "GET", RawPath: "/", Host: "h", Header: []Header{{"X-Amz-Date", "20150830T123600Z"},
		{"Authorization", "AWS4-HMAC-SHA256 Credential=" + testKey + "/" + date + "/us-east-1/iam/aws4_request, SignedHeaders=" + signedHeaders + ", Signature=" + hex.EncodeToString(mac[:])}}}
}

func TestARightSignatureOverTooLittleIsRefused(t *testing.T) {
	const full, list = "GET\n/\n\nhost:h\nx-amz-date:20150830T123600Z\n\nhost;x-amz-date\n" + emptyHash, "host;x-amz-date"
	verify := func(key *SigningKey, r *Request) error {
		p, err := Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		return Verify(&p, r, key, at, Own)
	}
	key := DeriveKey(testSecret, Scope{"20150830", "us-east-1", "iam"})
	if err := verify(&key, forged(t, &key, list, "20150830", full)); err != nil {
		t.Fatal(err)
	}
	if verify(&SigningKey{}, forged(t, &SigningKey{}, list, "20150830", full)) == nil {
		t.Error("the zero key verifies what was signed with it")
	}
	yesterday := DeriveKey(testSecret, Scope{"20150829", "us-east-1", "iam"})
	if verify(&yesterday, forged(t, &yesterday, list, "20150829", full)) == nil {
		t.Error("the scope may name another day")
	}
	without := "GET\n/\n\nx-amz-date:20150830T123600Z\n\nx-amz-date\n" + emptyHash
	if verify(&key, forged(t, &key, "x-amz-date", "20150830", without)) == nil {
		t.Error("the host may be unsigned")
	}
	absent := "GET\n/\n\nhost:h\nx-amz-date:20150830T123600Z\nx-gone:\n\nhost;x-amz-date;x-gone\n" + emptyHash
	if verify(&key, forged(t, &key, "host;x-amz-date;x-gone", "20150830", absent)) == nil {
		t.Error("a signed header may be absent")
	}
	hostless := forged(t, &key, list, "20150830", strings.Replace(full, "host:h", "host:", 1))
	if hostless.Host = ""; verify(&key, hostless) == nil {
		t.Error("the host may be empty")
	}
}
