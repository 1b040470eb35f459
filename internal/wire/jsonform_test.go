package wire_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

func TestJSONFillsTheSameStructAsAForm(t *testing.T) {
	fromJSON, err := wire.ParseJSON([]byte(`{"UserName":"bob","Status":null,"DurationSeconds":900,"Enabled":true,"Since":1767323045.5,
		"Tags":[{"Key":"k","Value":""}],"TagKeys":[],"PolicyArns":[{"arn":"a.b"}],"Nested":{"Deep":[]},"Unknown":[{"x":{}}]}`), maxBody)
	if err != nil {
		t.Fatal(err)
	}
	var got input
	if err := wire.Decode(fromJSON, &got); err != nil {
		t.Fatal(err)
	}
	want, err := decode(t, "UserName=bob&DurationSeconds=900&Enabled=true&Since=2026-01-02T03:04:05.5Z&Tags.member.1.Key=k&Tags.member.1.Value="+
		"&TagKeys=&PolicyArns.member.1.arn=a.b&Nested.Deep=")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(input{}, page{}, ARN{})); diff != "" {
		t.Error(diff)
	}
	if !got.Since.Equal(time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC)) {
		t.Error(got.Since)
	}
}

func TestJSONOfAnotherTypeIsRefused(t *testing.T) {
	for _, body := range []string{
		`{"UserName":{}}`, `{"UserName":["bob"]}`, `{"UserName":"bob","Tags":{"member":"x"}}`, `{"UserName":"bob","MaxItems":1.5}`,
		`{"UserName":"bob","Tags":"x"}`, `{"UserName":"bob","Nested":[]}`, `{"UserName":"bob","Tags":{}}`,
	} {
		f, err := wire.ParseJSON([]byte(body), maxBody)
		if err != nil {
			t.Fatal(err)
		}
		var in input
		if err := wire.Decode(f, &in); !errors.Is(err, fault.MalformedInput) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	for name, body := range map[string]string{
		"an array": `[]`, "a text": `"x"`, "null": `null`, "half an object": `{"a":`, "a missing value": `{"a"}`, "two objects": `{}{}`,
		"text behind": `{} x`, "a member twice": `{"a":1,"a":2}`, "a member twice, once null": `{"a":null,"a":2}`, "a null element": `{"a":[null]}`,
		"broken UTF-8": "{\"a\":\"\xff\"}", "a comment": `{/**/}`,
		"deep nesting":    `{"a":` + strings.Repeat(`[`, 16) + strings.Repeat(`]`, 16) + `}`,
		"too many tokens": `{"a":[` + strings.Repeat(`1,`, 5000) + `1]}`,
		"a long name":     `{"` + strings.Repeat("n", 257) + `":1}`,
	} {
		if _, err := wire.ParseJSON([]byte(body), maxBody); !errors.Is(err, fault.MalformedInput) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wire.ParseJSON(make([]byte, maxBody+1), maxBody); !errors.Is(err, fault.RequestEntityTooLarge) {
		t.Error(err)
	}
	for _, body := range []string{"", "{}", " {} \n", `{"a":` + strings.Repeat(`[`, 15) + strings.Repeat(`]`, 15) + `}`} {
		if _, err := wire.ParseJSON([]byte(body), maxBody); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func FuzzParseJSON(f *testing.F) {
	f.Add(`{"UserName":"bob","Tags":[{"Key":"k","Value":"v"}],"Enabled":false,"MaxItems":3}`)
	f.Add(`{"UserName":null,"Nested":{"Deep":[{"Names":["a"]}]},"Since":1e10,"TagKeys":[]}`)
	f.Add(`{"a":[[[{}]]]}`)
	f.Fuzz(func(t *testing.T, body string) {
		form, err := wire.ParseJSON([]byte(body), maxBody)
		if err == nil {
			var in input
			err = wire.Decode(form, &in)
		}
		if err != nil {
			if _, ok := fault.From(err); !ok {
				t.Fatalf("%v is no fault", err)
			}
		}
	})
}
