// Package managed holds the policies that AWS manages, as records of the
// pseudo-account "aws".
//
// Invariant: a policy's unique id follows from its name alone, so that every
// deployment and every release gives the same policy the same id.
package managed

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	_ "embed"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// data is one JSON object, name to policy, sorted by name; `zcat` shows it.
// Facts as AWS publishes them, documents in compact form.
//
//go:embed policies.json.gz
var data []byte

type published struct {
	Created  time.Time       `json:"created"`
	Updated  time.Time       `json:"updated"`
	Path     string          `json:"path"`
	Version  string          `json:"version"`
	Document json.RawMessage `json:"document"`
}

// ID returns the unique id of the AWS managed policy with this name.
func ID(name string) string {
	sum := sha256.Sum256([]byte("aws managed policy\n" + name))
	return "ANPA" + base32.StdEncoding.EncodeToString(sum[:15])[:17]
}

// Ref returns the reference to the AWS managed policy with this name.
func Ref(name string) record.PolicyRef { return record.PolicyRef(record.AWS + "/" + ID(name)) }

// Policies returns all AWS managed policies in order of their names.
func Policies() ([]*record.Policy, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("managed: %w", err)
	}
	var all map[string]published
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		return nil, fmt.Errorf("managed: %w", err)
	}
	policies := make([]*record.Policy, 0, len(all))
	for name, p := range all {
		n, err := strconv.Atoi(strings.TrimPrefix(p.Version, "v"))
		if err != nil {
			return nil, fmt.Errorf("managed: version of %s: %w", name, err)
		}
		policies = append(policies, &record.Policy{
			Account: record.AWS, ID: ID(name), Name: name, Path: p.Path,
			Created: record.At(p.Created), Updated: record.At(p.Updated),
			Default: p.Version, Next: n + 1,
			Versions: []record.PolicyVersion{{ID: p.Version, Document: string(p.Document), Created: record.At(p.Updated)}},
		})
	}
	sort.Slice(policies, func(i, j int) bool { return policies[i].Name < policies[j].Name })
	return policies, nil
}
