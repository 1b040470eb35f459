package authz_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/holdfast-iam/holdfast/internal/authz"
	"github.com/holdfast-iam/holdfast/policy"
)

// A thousand users may have the same inline policy, each in a record of its own.
func TestEqualDocumentsShareOneCompiledPolicy(t *testing.T) {
	const text = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}`
	var z authz.Authorizer
	var all [100]*policy.Policy
	var done sync.WaitGroup
	for i := range all {
		done.Go(func() { all[i] = z.Compiled(strings.Clone(text)) })
	}
	done.Wait()
	for i := range all {
		if all[i] != all[0] {
			t.Fatal("equal documents are compiled twice")
		}
	}
	if z.Compiled(strings.Replace(text, "Allow", "Deny", 1)) == all[0] {
		t.Error("another document is the same policy")
	}
}
