package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzFile lints anything: nothing panics, and every finding has a place that
// the file has.
func FuzzFile(f *testing.F) {
	for _, name := range []string{"policy.json", "template.yaml", "plan.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for _, c := range cases {
		f.Add([]byte(c.text))
	}
	f.Add([]byte("Resources: &a\n  R: {Type: AWS::IAM::Policy, Properties: {PolicyDocument: !If [A, *a, !Ref AWS::NoValue]}}\n"))
	f.Add([]byte("Statement: !If [a, [!If [b, {}, {}]], !Ref AWS::NoValue]\nVersion: !If [a, b, c]\n"))
	f.Add([]byte(`{"Statement":{"Fn::If":["A",{"Effect":{"Ref":"E"},"Principal":{"Fn::If":["a",{},"*"]},"Condition":{"Ref":"C"}},{"Ref":"AWS::NoValue"}]}}`))
	f.Add([]byte(`{"format_version":"1","terraform_version":"1","values":{"root_module":{"resources":[{"type":"aws_iam_policy","address":"a","values":{"policy":"{\"\\ud83d\\ude00\":\"\\u00e9\\ud83d\"}"}}]}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 20000 {
			return
		}
		found, err := File("f", text, Options{Services: []string{"own"}})
		if err != nil {
			return
		}
		lines := strings.Split(string(text), "\n")
		for _, x := range found {
			if x.At.Line < 1 || x.At.Column < 1 || x.At.Line > len(lines)+1 {
				t.Errorf("%+v is in no line of %d", x, len(lines))
			}
		}
	})
}
