package wire_test

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

const maxBody = 128 << 10

func TestParseFormReadsQueryStringAndBody(t *testing.T) {
	f, err := wire.ParseForm("Action=GetUser&X-Amz-Date=20260101T000000Z", []byte("User+Name=a%2Bb%20c%C3%A9&Empty=&&Bare"), maxBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Action": "GetUser", "X-Amz-Date": "20260101T000000Z", "User Name": "a+b cé", "Empty": "", "Bare": "",
	} {
		if got, present := f.Get(name); !present || got != want {
			t.Errorf("Get(%q) = %q, %v; want %q", name, got, present, want)
		}
	}
	if _, present := f.Get("action"); present {
		t.Error("names must not fold case")
	}
	if f.Len() != 5 {
		t.Errorf("Len = %d", f.Len())
	}
}

func TestParseFormRefuses(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("p" + strconv.Itoa(i) + "=&")
		}
		return b.String()
	}
	tests := []struct {
		name, query, body string
		want              fault.Kind
	}{
		{"a parameter twice in the query string", "A=1&A=1", "", fault.InvalidQueryParameter},
		{"a parameter twice in the body", "", "A=1&B=&A=2", fault.InvalidQueryParameter},
		{"a parameter in query string and body", "A=1", "A=1", fault.InvalidQueryParameter},
		{"one name in two encodings", "Action=x&%41ction=y", "", fault.InvalidQueryParameter},
		{"a dotted name twice", "", "T.member.1=a&T.member.1=b", fault.InvalidQueryParameter},
		{"a bare percent sign", "A=%", "", fault.MalformedQueryString},
		{"half an escape", "A=%4", "", fault.MalformedQueryString},
		{"an escape that is not hexadecimal", "", "A=%4g", fault.MalformedQueryString},
		{"a signed escape", "", "A=%+1", fault.MalformedQueryString},
		{"overlong UTF-8", "", "A=%C0%AF", fault.MalformedQueryString},
		{"raw bytes that are not UTF-8", "", "A=\xff", fault.MalformedQueryString},
		{"a surrogate", "", "A=%ED%A0%80", fault.MalformedQueryString},
		{"a name that is not UTF-8", "%FF=1", "", fault.MalformedQueryString},
		{"an empty name", "=1", "", fault.MalformedQueryString},
		{"a long name", "", strings.Repeat("n", 257) + "=1", fault.MalformedQueryString},
		{"301 query parameters", many(301), "", fault.InvalidQueryParameter},
		{"3001 members", "", many(3001), fault.InvalidQueryParameter},
		{"a long body", "", "A=" + strings.Repeat("a", maxBody), fault.RequestEntityTooLarge},
		{"a long query string", "A=" + strings.Repeat("a", 64<<10), "", fault.InvalidQueryParameter},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f, err := wire.ParseForm(test.query, []byte(test.body), maxBody)
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %s", err, test.want.Code)
			}
			if f.Len() != 0 {
				t.Error("a refused form holds parameters")
			}
		})
	}
	if _, err := wire.ParseForm(many(300), []byte(strings.ReplaceAll(many(2700), "p", "q")), maxBody); err != nil {
		t.Errorf("at the limit: %v", err)
	}
}

func TestContentTypesAreToldApart(t *testing.T) {
	for value, want := range map[string]bool{
		"application/x-www-form-urlencoded":                true,
		"Application/X-WWW-Form-urlencoded; charset=utf-8": true,
		"application/json":                                 false,
		"":                                                 false,
		"application/x-www-form-urlencodedx":               false,
	} {
		if got := wire.IsForm(value); got != want {
			t.Errorf("IsForm(%q) = %v", value, got)
		}
	}
	for value, want := range map[string]bool{
		"application/json": true, "text/xml, application/json;q=0.9": true, "APPLICATION/JSON": true,
		"": false, "*/*": false, "text/xml": false, "application/jsonx": false,
	} {
		if got := wire.AcceptsJSON(value); got != want {
			t.Errorf("AcceptsJSON(%q) = %v", value, got)
		}
	}
}

// FuzzParseForm compares with net/url, which is as strict about escapes:
// whatever we accept, it reads the same.
func FuzzParseForm(f *testing.F) {
	f.Add("Action=GetUser&Version=2010-05-08", "UserName=a%2Bb+c")
	f.Add("A=1&A=2", "A")
	f.Add("%zz=&=;", "Tags.member.1.Key=k&Tags.member.1.Value=%F0%9F%98%80")
	f.Add("", strings.Repeat("a.", 300)+"=")
	f.Fuzz(func(t *testing.T, query, body string) {
		form, err := wire.ParseForm(query, []byte(body), maxBody)
		if err != nil {
			if _, ok := fault.From(err); !ok {
				t.Fatalf("%v is no fault", err)
			}
			return
		}
		total := 0
		for _, text := range []string{query, body} {
			values, err := url.ParseQuery(strings.ReplaceAll(text, ";", "%3B"))
			if err != nil {
				t.Fatalf("%q accepted: %v", text, err)
			}
			for name, list := range values {
				total += len(list)
				if got, present := form.Get(name); !strings.Contains(name, ".") && (!present || got != list[0] || len(list) != 1) {
					t.Fatalf("Get(%q) = %q, %v; want %q", name, got, present, list)
				}
			}
		}
		if total != form.Len() {
			t.Fatalf("%d parameters, want %d", form.Len(), total)
		}
	})
}
