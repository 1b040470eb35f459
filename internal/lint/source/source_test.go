package source

import (
	"fmt"
	"strings"
	"testing"
)

// at is where a text first stands in another, as line:column.
func at(t *testing.T, text, what string) string {
	t.Helper()
	before, _, ok := strings.Cut(text, what)
	if !ok {
		t.Fatalf("%q does not stand in %q", what, text)
	}
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return fmt.Sprintf("%d:%d", strings.Count(before, "\n")+1, len([]rune(line))+1)
}

func read(t *testing.T, text string) *File {
	t.Helper()
	f, err := Read([]byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return f
}

func TestAPlaceIsCountedInLinesAndCharacters(t *testing.T) {
	text := "{\n \"Id\": \"é€😀\", \"Statement\": [ {\"Sid\":\"x\"} ]}"
	s := read(t, text).Documents[0].Root.Get("Statement")
	if got := s.Items[0].Get("Sid").Position().String(); got != at(t, text, `"x"`) {
		t.Errorf("Sid stands at %s, want %s", got, at(t, text, `"x"`))
	}
	yaml := "Id: é€😀\nStatement:\n  - {Sid: é, Effect: Allow}\n"
	s = read(t, yaml).Documents[0].Root.Get("Statement")
	if got := s.Items[0].Get("Effect").Position().String(); got != at(t, yaml, "Allow") {
		t.Errorf("Effect stands at %s, want %s", got, at(t, yaml, "Allow"))
	}
}

func TestAPolicyInsideATextHasItsPlacesInTheFile(t *testing.T) {
	inner := `{\"Id\":\"\u00e9\ud83d\ude00\\u0041\",\n\"Statement\":[{\"Sid\":\"here\"}]}`
	text := "{\"format_version\":\"1.2\",\"terraform_version\":\"1.9\",\n\"values\":{\"root_module\":{\"resources\":[{\"address\":\"aws_iam_policy.p\",\"type\":\"aws_iam_policy\",\"values\":{\"policy\":\"" + inner + "\"}}]}}}"
	f := read(t, text)
	if len(f.Documents) != 1 || f.Documents[0].Name != "aws_iam_policy.p.policy" {
		t.Fatalf("%+v", f)
	}
	sid := f.Documents[0].Root.Get("Statement").Items[0].Get("Sid")
	if got, want := sid.Position().String(), at(t, text, `\"here`); got != want {
		t.Errorf("Sid stands at %s, want %s", got, want)
	}
}

func TestBadTextIsRefusedAtItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"{\"Statement\": [1,]}": "1:18",
		"{\"Statement\": []":    "1:17",
		"{\"a\":1,\n\"a\":2}":   "2:1",
		"{} {}":                 "1:4",
		"{\"a\":\"\xff\"}":      "1:7",
		"a: 1\na: 2\n":          "2:1",
		"a: [1\n":               "1:1", // the library tells the line
		"a: 1\n---\nb: 2\n":     "2:1",
		"? [a]\n: b\n":          "1:3",
		"":                      "1:1",
		"# nothing\n":           "1:1",
		"a: &x [*x]\n":          "1:4",
		strings.Repeat("[", 500) + strings.Repeat("]", 500):         "1:202",
		"a: " + strings.Repeat("[", 500) + strings.Repeat("]", 500): "1:204",
	} {
		_, err := Read([]byte(text))
		if err == nil || !err.Syntax {
			t.Errorf("%.60q: %v", text, err)
			continue
		}
		if got := err.At.String(); got != want {
			t.Errorf("%.60q: refused at %s (%s), want %s", text, got, err.Message, want)
		}
	}
}

func TestAFileThatHoldsNoPolicyIsRefusedAsThat(t *testing.T) {
	for _, text := range []string{"a: b", "[]", `{"format_version":"1"}`, "- Statement", "text"} {
		if _, err := Read([]byte(text)); err == nil || err.Syntax || !strings.Contains(err.Message, "neither") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Read(make([]byte, MaxFile+1)); err == nil || !strings.Contains(err.Message, "longer") {
		t.Errorf("too long: %v", err)
	}
}

func TestAliasesDoNotMakeASmallFileBig(t *testing.T) {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 10), ","))
	}
	if _, err := Read([]byte(b.String())); err == nil || !err.Syntax || !strings.Contains(err.Message, "too many") {
		t.Errorf("%v", err)
	}
}

// role is a template with one policy, whose statement's Resource is given.
func role(resource string) string {
	return "Resources:\n  R:\n    Type: AWS::IAM::Policy\n    Properties:\n      PolicyDocument:\n        Statement:\n          Resource: " + resource + "\n"
}

func TestWhatATemplateLeavesOpenIsUnknownAndTheRestIsText(t *testing.T) {
	for resource, want := range map[string]string{
		`!Sub "arn:${AWS::Partition}:s3:::${B}/${!aws:username}/*"`: `arn:<AWS::Partition>:s3:::<B>/${aws:username}/*`,
		`{"Fn::Sub": ["arn:aws:s3:::${X}", {X: y}]}`:                `arn:aws:s3:::<X>`,
		`!GetAtt B.Arn`:            `<B.Arn>`,
		`{"Fn::GetAtt": [B, Arn]}`: `<B.Arn>`,
		`!Ref P`:                   `<P>`,
		`!Join ["", ["arn:aws:s3:::", !Ref B, "/*"]]`:  `arn:aws:s3:::<B>/*`,
		`!Join ["/", [!If [a, b, c], d]]`:              `<…>/d`,
		`!ImportValue x`:                               `<Fn::ImportValue>`,
		`!If [A, "arn:aws:s3:::a", !Ref AWS::NoValue]`: `[arn:aws:s3:::a?]`,
		`[!If [A, x, [y, !Ref Z]], w]`:                 `[x? y? <Z>? w]`,
		`123456789012`:                                 `123456789012`,
	} {
		f := read(t, role(resource))
		got := shown(f.Documents[0].Root.Get("Statement").Get("Resource"))
		if got != want {
			t.Errorf("%s: %s, want %s", resource, got, want)
		}
	}
}

// shown prints a resolved value: unknown as <words>, what may be with a ?.
func shown(n *Node) string {
	text := strings.NewReplacer(UnknownBegin, "<", UnknownEnd, ">").Replace(n.Text)
	if n.Kind == List {
		var items []string
		for _, item := range n.Items {
			items = append(items, shown(item))
		}
		text = "[" + strings.Join(items, " ") + "]"
	}
	if n.Maybe {
		text += "?"
	}
	return text
}

func TestEveryHolderOfATemplateIsFoundWithItsType(t *testing.T) {
	var b strings.Builder
	b.WriteString("Resources:\n")
	for i, h := range templateHolders {
		value := "{Statement: []}"
		if h.list {
			value = "[{PolicyName: n, PolicyDocument: {Statement: []}}]"
		}
		fmt.Fprintf(&b, "  R%d: {Type: %q, Properties: {%s: %s}}\n", i, h.kind, h.field, value)
	}
	f := read(t, b.String())
	if len(f.Documents) != len(templateHolders) {
		t.Fatalf("%d documents of %d", len(f.Documents), len(templateHolders))
	}
	for i, h := range templateHolders {
		if want := h.is; f.Documents[i].Type != want && h.kind != "AWS::Organizations::Policy" {
			t.Errorf("%s is %q, want %q", f.Documents[i].Name, f.Documents[i].Type, want)
		}
	}
}

func TestOrganizationsPoliciesAreOfTheTypeTheySayOrLeftOut(t *testing.T) {
	for kind, want := range map[string]string{"SERVICE_CONTROL_POLICY": "scp", "RESOURCE_CONTROL_POLICY": "rcp", "TAG_POLICY": ""} {
		f := read(t, "Resources:\n  R: {Type: 'AWS::Organizations::Policy', Properties: {Type: "+kind+", Content: {Statement: []}}}\n")
		if got := len(f.Documents) == 1; got != (want != "") || got && f.Documents[0].Type != want {
			t.Errorf("%s: %+v", kind, f.Documents)
		}
	}
}

func TestAPolicyThatIsNotThereYetIsAGap(t *testing.T) {
	f := read(t, "Resources:\n  R: {Type: 'AWS::IAM::Policy', Properties: {PolicyDocument: !Ref Given}}\n")
	if len(f.Gaps) != 1 || f.Gaps[0].Name != "R.PolicyDocument" || len(f.Documents) != 0 {
		t.Errorf("%+v", f)
	}
}

// plan is a Terraform plan of resources, with data that was read before.
func plan(resources, data string) string {
	return `{"format_version":"1.2","terraform_version":"1.9.0","planned_values":{"root_module":{"child_modules":[{"resources":[` + resources + `]}]}},` +
		`"prior_state":{"values":{"root_module":{"resources":[` + data + `]}}}}`
}

func resourceOf(mode, kind, values string) string {
	return `{"mode":"` + mode + `","type":"` + kind + `","address":"` + map[string]string{"data": "data."}[mode] + kind + `.x","values":{` + values + `}}`
}

func TestOfAPlanWhatIsToBeIsReadAndDataThatNobodyUsesAsItIs(t *testing.T) {
	trust := `{\"Statement\":[{\"Effect\":\"Allow\",\"Sid\":\"t\"}]}`
	same := `{ \"Statement\": [{\"Sid\":\"t\",\"Effect\":\"Allow\"}]}`
	other := `{\"Statement\":[{\"Sid\":\"o\"}]}`
	f := read(t, plan(resourceOf("managed", "aws_iam_role", `"assume_role_policy":"`+trust+`","inline_policy":[{"name":"i","policy":"`+other+`"},{"name":"","policy":""}]`),
		resourceOf("data", "aws_iam_policy_document", `"json":"`+same+`"`)+","+resourceOf("data", "aws_iam_policy_document", `"json":"{\"Statement\":[]}"`)+","+
			resourceOf("managed", "aws_iam_policy", `"policy":"`+other+`"`)))
	var got []string
	for _, d := range f.Documents {
		got = append(got, d.Name+"="+d.Type)
	}
	want := `aws_iam_role.x.assume_role_policy=trust aws_iam_role.x.inline_policy["i"]=identity data.aws_iam_policy_document.x.json=`
	if strings.Join(got, " ") != want || len(f.Faults) != 0 {
		t.Errorf("%v %v, want %s", got, f.Faults, want)
	}
}

func TestAPolicyOfAPlanThatIsNoJSONIsAFaultWithItsPlace(t *testing.T) {
	text := plan(resourceOf("managed", "aws_iam_policy", `"policy":"{\"Statement\":oops}"`), "")
	f := read(t, text)
	if len(f.Faults) != 1 || f.Faults[0].Name != "aws_iam_policy.x.policy" || f.Faults[0].Err.At.String() != at(t, text, "oops") {
		t.Errorf("%+v", f.Faults)
	}
}
