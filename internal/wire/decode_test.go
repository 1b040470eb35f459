package wire_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/holdfast-iam/holdfast/internal/fault"
	"github.com/holdfast-iam/holdfast/internal/wire"
)

var (
	namePattern = wire.NewPattern(`[\w+=,.@-]+`)
	tagPattern  = wire.NewPattern(`[\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	pathPattern = wire.NewPattern(`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`)
)

type (
	userName string
	path     string
	tagKey   string
	tagKeys  []tagKey
	tagList  []tag
	status   string
	password string
	seconds  int32
)

func (userName) Limits() wire.Limit { return wire.Limit{Min: 1, Max: 64, Pattern: namePattern} }
func (path) Limits() wire.Limit     { return wire.Limit{Min: 1, Max: 512, Pattern: pathPattern} }
func (tagKey) Limits() wire.Limit   { return wire.Limit{Min: 1, Max: 128, Pattern: tagPattern} }
func (tagKeys) Limits() wire.Limit  { return wire.Limit{Max: 3} }
func (tagList) Limits() wire.Limit  { return wire.Limit{Max: 3} }
func (status) Limits() wire.Limit   { return wire.Limit{Enum: []string{"Active", "Inactive"}} }
func (seconds) Limits() wire.Limit  { return wire.Limit{Min: 900, Max: 43200} }
func (password) Limits() wire.Limit { return wire.Limit{Min: 8, Max: 128, Sensitive: true} }

type tag struct {
	Key   tagKey `q:"required"`
	Value string `q:"required"`
}

// ARN reads its own text.
type ARN struct{ text string }

func (a *ARN) UnmarshalText(text []byte) error {
	if !bytes.HasPrefix(text, []byte("arn:")) {
		return errors.New("no arn: prefix")
	}
	a.text = string(text)
	return nil
}

type page struct {
	Marker   *string
	MaxItems *int64
}

type input struct {
	page
	UserName        userName `q:"required"`
	Path            path
	Status          *status
	Password        password
	DurationSeconds *seconds
	Enabled         *bool
	Since           *time.Time
	Blob            []byte
	Boundary        *ARN
	Tags            tagList
	TagKeys         tagKeys
	PolicyArns      []descriptor
	Nested          *struct {
		Deep []struct{ Names []string }
	}
	_       string
	Ignored chan int `q:"-"`
}

type descriptor struct {
	ARN string `q:"name=arn"`
}

func decode(t *testing.T, body string) (input, error) {
	t.Helper()
	f, err := wire.ParseForm("", []byte(body), maxBody)
	if err != nil {
		t.Fatal(err)
	}
	var in input
	err = wire.Decode(f, &in)
	return in, err
}

func TestDecodeFillsEveryType(t *testing.T) {
	got, err := decode(t, "Action=X&Version=2010-05-08&UserName=bob&Path=%2Fa%2F&Status=Active&Password=correct+horse&DurationSeconds=900"+
		"&Enabled=True&Since=2026-01-02T03:04:05.5%2B01:00&Blob=aGk%3D&Boundary=arn:aws:iam::1:policy/p&Marker=m&MaxItems=7"+
		"&Tags.member.1.Key=k&Tags.member.1.Value=&Tags.member.10.Key=k10&Tags.member.10.Value=v10&Tags.member.2.Key=k2&Tags.member.2.Value=v2"+
		"&TagKeys=&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/P&Nested.Deep.member.1.Names.member.1=x&Unknown.member.1=ignored")
	if err != nil {
		t.Fatal(err)
	}
	marker, items, active, length, yes := "m", int64(7), status("Active"), seconds(900), true
	when := time.Date(2026, 1, 2, 2, 4, 5, 5e8, time.UTC)
	want := input{
		page: page{Marker: &marker, MaxItems: &items}, UserName: "bob", Path: "/a/", Status: &active, Password: "correct horse",
		DurationSeconds: &length, Enabled: &yes, Since: &when, Blob: []byte("hi"), Boundary: &ARN{"arn:aws:iam::1:policy/p"},
		Tags: tagList{{"k", ""}, {"k2", "v2"}, {"k10", "v10"}}, TagKeys: tagKeys{},
		PolicyArns: []descriptor{{"arn:aws:iam::aws:policy/P"}},
		Nested:     &struct{ Deep []struct{ Names []string } }{Deep: []struct{ Names []string }{{Names: []string{"x"}}}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(input{}, page{}, ARN{})); diff != "" {
		t.Error(diff)
	}
}

func TestDecodeTellsViolationsInAWSsWords(t *testing.T) {
	const namePart = `Member must satisfy regular expression pattern: [\w+=,.@-]+`
	tests := []struct{ name, body, want string }{
		{"a required member", "",
			"1 validation error detected: Value null at 'userName' failed to satisfy constraint: Member must not be null"},
		{"a pattern", "UserName=x+y",
			"1 validation error detected: Value 'x y' at 'userName' failed to satisfy constraint: " + namePart},
		{"an empty value", "UserName=",
			"2 validation errors detected: Value '' at 'userName' failed to satisfy constraint: " + namePart +
				"; Value '' at 'userName' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"a length", "UserName=" + strings.Repeat("a", 65),
			"1 validation error detected: Value '" + strings.Repeat("a", 65) + "' at 'userName' failed to satisfy constraint: Member must have length less than or equal to 64"},
		{"a trailing line end", "UserName=bob%0A",
			"1 validation error detected: Value 'bob\n' at 'userName' failed to satisfy constraint: " + namePart},
		{"numbers", "UserName=bob&DurationSeconds=43201",
			"1 validation error detected: Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200"},
		{"small numbers", "UserName=bob&DurationSeconds=-5",
			"1 validation error detected: Value '-5' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900"},
		{"an enum", "UserName=bob&Status=active",
			"1 validation error detected: Value 'active' at 'status' failed to satisfy constraint: Member must satisfy enum value set: [Active, Inactive]"},
		{"a secret, which is not repeated", "UserName=bob&Password=hunter2",
			"1 validation error detected: Value at 'password' failed to satisfy constraint: Member must have length greater than or equal to 8"},
		{"members of a list of structures", "UserName=bob&Tags.member.1.Key=%21&Tags.member.2.Value=v",
			`3 validation errors detected: Value '!' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+` +
				"; Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null" +
				"; Value null at 'tags.2.member.key' failed to satisfy constraint: Member must not be null"},
		{"a long list", "UserName=bob&TagKeys.member.1=a&TagKeys.member.2=b&TagKeys.member.3=c&TagKeys.member.4=d",
			"1 validation error detected: Value '[a, b, c, d]' at 'tagKeys' failed to satisfy constraint: Member must have length less than or equal to 3"},
		{"members of a list of texts", "UserName=bob&TagKeys.member.1=a&TagKeys.member.2=%21",
			"1 validation error detected: Value '[a, !]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: " +
				`[Member must have length less than or equal to 128, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+]`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := decode(t, test.body)
			found, ok := fault.From(err)
			if !ok || found.Kind != fault.ValidationError {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, found.Message); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeRefusesWhatHasNotEvenTheForm(t *testing.T) {
	tests := []struct {
		name, body string
		want       fault.Kind
	}{
		{"a number with letters", "MaxItems=ten", fault.MalformedInput},
		{"a number that is too big", "DurationSeconds=2147483648", fault.MalformedInput},
		{"an empty number", "MaxItems=", fault.MalformedInput},
		{"a boolean by number", "Enabled=1", fault.MalformedInput},
		{"a date without a time", "Since=2026-01-02", fault.MalformedInput},
		{"broken base64", "Blob=a", fault.MalformedInput},
		{"a value where there are members", "Nested=1", fault.MalformedInput},
		{"members where there is a value", "UserName.member.1=bob", fault.MalformedInput},
		{"a value and members", "Tags=&Tags.member.1.Key=a&Tags.member.1.Value=b", fault.MalformedInput},
		{"a list without member", "PolicyArns.1.arn=x", fault.MalformedInput},
		{"a list with member and something else", "TagKeys.member.1=x&TagKeys.entry.1=y", fault.MalformedInput},
		{"member number 0", "TagKeys.member.0=x", fault.MalformedInput},
		{"a padded number", "TagKeys.member.01=x", fault.MalformedInput},
		{"a signed number", "TagKeys.member.%2B1=x", fault.MalformedInput},
		{"an unknown member of a structure", "PolicyArns.member.1.Arn=x", fault.MalformedInput},
		{"a value for a list", "TagKeys=x", fault.MalformedInput},
		{"a list's member as a value", "PolicyArns.member=x", fault.MalformedInput},
		{"what a type refuses itself", "Boundary=nothing", fault.InvalidInput},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := decode(t, "UserName=bob&"+test.body); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %s", err, test.want.Code)
			}
		})
	}
	_, err := decode(t, "UserName=bob&Boundary=nothing")
	if found, _ := fault.From(err); found.Message != "ARN nothing is not valid." {
		t.Errorf("message %q", found.Message)
	}
}

func TestAMessageStaysSmallWhateverWasSent(t *testing.T) {
	var body strings.Builder
	body.WriteString("UserName=" + strings.Repeat("%C3%A9", 20000))
	_, err := decode(t, body.String())
	if found, _ := fault.From(err); len(found.Message) > 4000 {
		t.Errorf("%d bytes", len(found.Message))
	}
}

func TestPatternsOfTheModelsMatchWholeValues(t *testing.T) {
	tests := []struct {
		pattern, value string
		want           bool
	}{
		{`[\w+=,.@-]+`, "a\nb", false},
		{`[\w+=,.@-]*`, "", true},
		{`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, "/", true},
		{`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, "/a", false},
		{`(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, "/a/x", false},
		{`[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`, "x\U0001F600", true},
		{`[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`, "\x00", false},
		{`[\u0020-\u00FF]+`, "ÿ", true},
		{`[\u0020-\u00FF]+`, "Ā", false},
	}
	for _, test := range tests {
		if got := wire.NewPattern(test.pattern).Match(test.value); got != test.want {
			t.Errorf("%s on %q: %v", test.pattern, test.value, got)
		}
	}
}

func TestATypeThatTheWireDoesNotKnowIsRefusedWhenATableIsBuilt(t *testing.T) {
	type endless struct{ Next []endless }
	for _, v := range []any{
		struct{ C chan int }{}, struct{ F float64 }{}, struct{ M map[string]string }{}, endless{}, 5,
		struct {
			A int `q:"requierd"`
		}{},
		struct {
			A int
			B int `q:"name=A"`
		}{},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T accepted", v)
				}
			}()
			wire.NewDecoder(reflect.TypeOf(v))
		}()
	}
}

// FuzzDecode holds the decoder to its promise: what it accepts keeps every
// limit, and what it refuses it refuses with a fault of a known kind.
func FuzzDecode(f *testing.F) {
	f.Add("UserName=bob&Tags.member.1.Key=k&Tags.member.1.Value=v&TagKeys.member.3=x")
	f.Add("UserName=bob&PolicyArns.member.1.arn=a&Nested.Deep.member.1.Names.member.1=x")
	f.Add("UserName=&DurationSeconds=1&Status=x&Enabled=no&Blob=!&Since=&Boundary=arn:")
	f.Add("UserName.member=&Tags=&Tags.member.1=&TagKeys.member.1.x=")
	decoder := wire.NewDecoder(reflect.TypeFor[input]())
	f.Fuzz(func(t *testing.T, body string) {
		form, err := wire.ParseForm("", []byte(body), maxBody)
		if err != nil {
			return
		}
		var in input
		if err := decoder.Decode(form, &in); err != nil {
			found, ok := fault.From(err)
			if !ok || found.Kind != fault.ValidationError && found.Kind != fault.MalformedInput && found.Kind != fault.InvalidInput {
				t.Fatalf("%v", err)
			}
			return
		}
		switch {
		case len(in.UserName) < 1 || len(in.UserName) > 64 || !namePattern.Match(string(in.UserName)),
			in.Status != nil && *in.Status != "Active" && *in.Status != "Inactive",
			in.DurationSeconds != nil && (*in.DurationSeconds < 900 || *in.DurationSeconds > 43200),
			len(in.Tags) > 3, len(in.TagKeys) > 3:
			t.Fatalf("%+v", in)
		}
		for _, one := range in.Tags {
			if !tagPattern.Match(string(one.Key)) {
				t.Fatalf("%+v", one)
			}
		}
	})
}
