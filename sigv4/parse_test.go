package sigv4

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	authHead = "AWS4-HMAC-SHA256 "
	credPart = "Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request"
	headPart = "SignedHeaders=host;x-amz-date"
	sigPart  = "Signature=00"
	presignQ = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fsts%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
)

func authorized(value, query string, more ...Header) *Request {
	return &Request{Method: "GET", RawPath: "/", RawQuery: query, Host: "h",
		Header: append([]Header{{"Authorization", value}, {"X-Amz-Date", "20150830T123600Z"}}, more...)}
}

func presigned(query string) *Request {
	return &Request{Method: "GET", RawPath: "/", RawQuery: query, Host: "h"}
}

func codeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestWhatIsNotExactlyOneWellFormedCredentialIsRefused(t *testing.T) {
	good := authHead + credPart + ", " + headPart + ", " + sigPart
	if p, err := Parse(authorized(good, "")); err != nil || p.Carrier != InHeader || p.AccessKeyID != "AKIDEXAMPLE" || p.Scope != (Scope{"20150830", "us-east-1", "iam"}) || !p.Time.Equal(at) {
		t.Fatalf("%+v %v", p, err)
	}
	if p, err := Parse(presigned(presignQ)); err != nil || p.Carrier != InQuery || p.Expires != time.Minute {
		t.Fatalf("%+v %v", p, err)
	}
	swap := func(old, with string) *Request { return authorized(strings.Replace(good, old, with, 1), "") }
	for name, r := range map[string]*Request{
		"two carriers":              authorized(good, presignQ),
		"header and query token":    authorized(good, "X-Amz-Security-Token=a"),
		"header and query date":     authorized(good, "X-Amz-Date=20150830T123600Z"),
		"header and query payload":  authorized(good, "X-Amz-Content-Sha256="+UnsignedPayload),
		"bearer and query":          authorized("Bearer x", presignQ),
		"two Authorization":         authorized(good, "", Header{"authorization", good}),
		"two tokens":                authorized(good, "", Header{"X-Amz-Security-Token", "a"}, Header{"x-amz-security-token", "a"}),
		"two dates":                 authorized(good, "", Header{"x-amz-date", "20150830T123600Z"}),
		"two payload hashes":        authorized(good, "", Header{"X-Amz-Content-Sha256", emptyHash}, Header{"X-Amz-Content-Sha256", emptyHash}),
		"a Host header":             authorized(good, "", Header{"Host", "other"}),
		"two query signatures":      presigned(presignQ + "&X-Amz-Signature=01"),
		"escaped second signature":  presigned(presignQ + "&X%2DAmz-Signature=01"),
		"misspelt parameter":        presigned(presignQ + "&x-amz-signature=01"),
		"empty parameter":           presigned(presignQ + "&X-Amz-Security-Token="),
		"query and header token":    {Method: "GET", RawPath: "/", RawQuery: presignQ, Host: "h", Header: []Header{{"X-Amz-Security-Token", "a"}}},
		"half a presigned query":    {Method: "GET", RawPath: "/", RawQuery: "X-Amz-Signature=00", Host: "h"},
		"date alone in the query":   {Method: "GET", RawPath: "/", RawQuery: "X-Amz-Date=20150830T123600Z", Host: "h"},
		"malformed escape":          {Method: "GET", RawPath: "/", RawQuery: presignQ + "&X-Amz-Security-Token=%zz", Host: "h"},
		"expires 0":                 {Method: "GET", RawPath: "/", RawQuery: strings.Replace(presignQ, "=60", "=0", 1), Host: "h"},
		"expires beyond a week":     {Method: "GET", RawPath: "/", RawQuery: strings.Replace(presignQ, "=60", "=604801", 1), Host: "h"},
		"expires with a sign":       {Method: "GET", RawPath: "/", RawQuery: strings.Replace(presignQ, "=60", "=%2B60", 1), Host: "h"},
		"no credential":             authorized(authHead+headPart+", "+sigPart, ""),
		"no signature":              authorized(authHead+credPart+", "+headPart, ""),
		"empty signature":           swap(sigPart, "Signature="),
		"second signature":          swap(sigPart, sigPart+", "+sigPart),
		"unknown part":              swap(sigPart, sigPart+", X=1"),
		"no equal sign":             swap(sigPart, sigPart+", x"),
		"unknown algorithm":         swap("SHA256", "SHA512"),
		"lower-case algorithm":      swap("AWS4-HMAC-SHA256", "AWS4-hmac-sha256"),
		"empty Region":              swap("/us-east-1/", "//"),
		"empty service":             swap("/iam/", "//"),
		"line end in the Region":    swap("us-east-1", "us-east\n1"),
		"too few elements":          swap("/us-east-1", ""),
		"too many elements":         swap("AKIDEXAMPLE", "AKID/EXAMPLE"),
		"no key id":                 swap("AKIDEXAMPLE", ""),
		"no such day":               swap("20150830", "20150230"),
		"another terminator":        swap("aws4_request", "aws5_request"),
		"unsorted headers":          swap("host;x-amz-date", "x-amz-date;host"),
		"a header twice":            swap("host;x-amz-date", "host;host;x-amz-date"),
		"an upper-case header":      swap("host;x-amz-date", "Host;x-amz-date"),
		"an empty header name":      swap("host;x-amz-date", "host;;x-amz-date"),
		"a header with a colon":     swap("host;x-amz-date", "host:a;x-amz-date"),
		"too many signed headers":   swap("host;x-amz-date", "host;"+names(MaxSignedHeaders)),
		"region set without v4a":    authorized(good, "", Header{"X-Amz-Region-Set", "*"}),
		"v4a without region set":    authorized("AWS4-ECDSA-P256-SHA256 Credential=A/20150830/iam/aws4_request, "+headPart+", "+sigPart, ""),
		"v4a with a Region":         authorized("AWS4-ECDSA-P256-SHA256 "+credPart+", "+headPart+", "+sigPart, "", Header{"X-Amz-Region-Set", "*"}),
		"a strange payload hash":    authorized(good, "", Header{"X-Amz-Content-Sha256", "abc"}),
		"an upper-case hash":        authorized(good, "", Header{"X-Amz-Content-Sha256", strings.ToUpper(emptyHash)}),
		"a long token":              authorized(good, "", Header{"X-Amz-Security-Token", strings.Repeat("a", MaxSessionToken+1)}),
		"a long Authorization":      authorized(good+strings.Repeat(" ", MaxAuthorization)+",", ""),
		"a long query":              authorized(good, strings.Repeat("a", MaxQuery+1)),
		"too many parameters":       authorized(good, strings.Repeat("a&", MaxParameters+1)),
		"too many headers":          authorized(good, "", make([]Header, MaxHeaders)...),
		"a method with a line end":  {Method: "GET\n", RawPath: "/", Host: "h"},
		"no method":                 {RawPath: "/", Host: "h"},
		"a target that is no path":  {Method: "GET", RawPath: "x", Host: "h"},
		"a query inside the path":   {Method: "GET", RawPath: "/?a", Host: "h"},
		"no date":                   {Method: "GET", RawPath: "/", Host: "h", Header: []Header{{"Authorization", good}}},
		"two Date headers":          {Method: "GET", RawPath: "/", Host: "h", Header: []Header{{"Authorization", good}, {"Date", "Sun, 30 Aug 2015 12:36:00 GMT"}, {"Date", "Sun, 30 Aug 2015 12:36:00 GMT"}}},
		"a date in another form":    {Method: "GET", RawPath: "/", Host: "h", Header: []Header{{"Authorization", good}, {"X-Amz-Date", "2015-08-30T12:36:00Z"}}},
		"the 61st minute of a hour": {Method: "GET", RawPath: "/", Host: "h", Header: []Header{{"Authorization", good}, {"X-Amz-Date", "20150830T126000Z"}}},
	} {
		p, err := Parse(r)
		if codeOf(err) == "" {
			t.Errorf("%s: %+v %v", name, p, err)
		}
		if p != (Presented{}) {
			t.Errorf("%s: refused with a credential", name)
		}
	}
}

func names(n int) string {
	var all []string
	for i := range n {
		all = append(all, "x-"+string(rune('a'+i/26))+string(rune('a'+i%26)))
	}
	return strings.Join(all, ";")
}

func TestRequestsWithoutASignatureAreNoError(t *testing.T) {
	for name, c := range map[string]struct {
		r    *Request
		want Carrier
	}{
		"nothing":     {&Request{Method: "POST", RawPath: "/", Host: "h"}, None},
		"stale token": {&Request{Method: "POST", RawPath: "/", Host: "h", Header: []Header{{"X-Amz-Security-Token", "a"}}}, None},
		"bearer":      {authorized("Bearer abc", ""), Foreign},
		"version 2":   {authorized("AWS AKID:abc", ""), Foreign},
	} {
		p, err := Parse(c.r)
		if err != nil || p.Carrier != c.want {
			t.Errorf("%s: %+v %v", name, p, err)
		}
		if got := codeOf(Verify(&p, c.r, &SigningKey{1}, at, Own)); got != MissingAuthenticationToken {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestAWSsWordsNameEverythingThatIsMissing(t *testing.T) {
	_, err := Parse(&Request{Method: "GET", RawPath: "/", Host: "h", Header: []Header{{"Authorization", "AWS4-HMAC-SHA256 "}}})
	var e *Error
	want := "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
		"Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. " +
		"(Hashed with SHA-256 and encoded with Base64) Authorization="
	if !errors.As(err, &e) || !strings.HasPrefix(e.Message, want) || strings.Contains(e.Message, "HMAC") {
		t.Error(err)
	}
	key := SigningKey{1}
	r := signedBySDK(t, "POST", "/", "Action=GetUser", "iam", false)
	p, _ := Parse(r)
	for _, c := range []struct {
		now  time.Time
		want string
	}{
		{at.Add(29 * time.Minute), "Signature expired: 20150830T123600Z is now earlier than 20150830T130000Z (20150830T130500Z - 5 min.)"},
		{at.Add(-41 * time.Minute), "Signature not yet current: 20150830T123600Z is still later than 20150830T120000Z (20150830T115500Z + 5 min.)"},
	} {
		if err := Verify(&p, r, &key, c.now, Own); !errors.As(err, &e) || e.Message != c.want || e.Code != SignatureDoesNotMatch {
			t.Error(err)
		}
	}
	err = Verify(&p, r, &key, at, Own)
	if !errors.As(err, &e) || e.Code != SignatureDoesNotMatch || !strings.Contains(e.Message, "\n\nThe Canonical String for this request should have been\n'POST\n/\n") ||
		!strings.Contains(e.Message, "'\n\nThe String-to-Sign should have been\n'AWS4-HMAC-SHA256\n20150830T123600Z\n") {
		t.Error(err)
	}
	if strings.Contains(err.Error(), "token/with") {
		t.Error("the text for the log holds the session token")
	}
}

func TestTheScopeMustBeOurs(t *testing.T) {
	p := Presented{Algorithm: HMAC, Scope: Scope{"20150830", "us-east-1", "iam"}}
	if err := CheckScope(&p, "iam", "eu-west-1", "us-east-1"); err != nil {
		t.Error(err)
	}
	for _, err := range []error{CheckScope(&p, "sts", "us-east-1"), CheckScope(&p, "iam", "eu-west-1"), CheckScope(&p, "iam"), CheckScope(&p, "", "us-east-1"),
		CheckScope(&Presented{}, "", ""), CheckScope(&Presented{}, "iam", "us-east-1")} {
		if codeOf(err) != SignatureDoesNotMatch {
			t.Error(err)
		}
	}
}

func TestOnlyTheCanonicalFormOfAQueryCounts(t *testing.T) {
	form := func(q string) string {
		var s scratch
		if err := s.appendQuery(q, &S3); err != nil {
			return codeOf(err)
		}
		return string(s.out)
	}
	for q, want := range map[string]string{
		"b=2&a=1": "a=1&b=2", "a=2&a=1": "a=1&a=2", "acl": "acl=", "a=b+c": "a=b%20c", "a=%7e%2f%c3%a9": "a=~%2F%C3%A9", "&&a=1&": "a=1",
		"a-b=1&a=1&a%2Db=0": "a=1&a-b=0&a-b=1", "a=b=c": "a=b%3Dc", "a=\xff": "a=%FF", "a=1;b=2": "a=1%3Bb%3D2", "X-Amz-Signature=1&X-Amz-Date=2": "X-Amz-Date=2",
		"a=%": InvalidQueryParameter, "a=%2": InvalidQueryParameter, "%zz=1": InvalidQueryParameter, "ሴ=bar": "%E1%88%B4=bar",
	} {
		if got := form(q); got != want {
			t.Errorf("%s is %s, want %s", q, got, want)
		}
	}
	var s scratch
	for _, q := range []string{"Action=a&Action=b", "a=1&%61=1", "a+b=1&a%20b=2"} {
		if s.appendQuery(q, &Own) == nil {
			t.Errorf("%s: repeated and accepted", q)
		}
	}
}

func TestFromHTTPKeepsTheTargetAsItCame(t *testing.T) {
	for target, want := range map[string][2]string{
		"/a%2fb//c?x=%7E&y": {"/a%2fb//c", "x=%7E&y"}, "http://h/p?q": {"/p", "q"}, "http://h?q": {"", "q"}, "http://h": {"", ""}, "*": {"*", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RequestURI = target
		got := FromHTTP(r, nil)
		if got.RawPath != want[0] || got.RawQuery != want[1] {
			t.Errorf("%s: %q %q", target, got.RawPath, got.RawQuery)
		}
	}
	r, _ := http.NewRequest("POST", "http://h:1/a%20b?q=1", strings.NewReader("abc"))
	r.Header = http.Header{"X-A": {"1", "2"}}
	got := FromHTTP(r, []byte("abc"))
	if got.RawPath != "/a%20b" || got.Host != "h:1" || !slices.Equal(got.Header, []Header{{"X-A", "1"}, {"X-A", "2"}, {"Content-Length", "3"}}) {
		t.Errorf("%+v", got)
	}
}
