//go:build ignore

// Generate writes catalogue.txt.gz from a service authorization reference:
//
//	go run internal/lint/catalogue/generate.go reference.json
//
// The reference is one JSON object, by service prefix, of the facts on AWS's
// "Service Authorization Reference" pages. The same input gives the same bytes.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"slices"
	"strings"
)

type service struct {
	Actions map[string]struct {
		ConditionKeys []string `json:"conditionKeys"`
		Resources     []struct {
			Type          string   `json:"type"`
			ConditionKeys []string `json:"conditionKeys"`
		} `json:"resources"`
	} `json:"actions"`
	Resources map[string]struct {
		ARN           string   `json:"arn"`
		ConditionKeys []string `json:"conditionKeys"`
	} `json:"resources"`
	ConditionKeys map[string]string `json:"conditionKeys"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: go run internal/lint/catalogue/generate.go reference.json")
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var services map[string]service
	if err := json.Unmarshal(text, &services); err != nil {
		log.Fatal(err)
	}
	var out, packed bytes.Buffer
	for _, prefix := range slices.Sorted(maps.Keys(services)) {
		write(&out, prefix, services[prefix])
	}
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		log.Fatal(err)
	}
	z.Write(out.Bytes()) // into memory
	z.Close()
	if err := os.WriteFile("internal/lint/catalogue/catalogue.txt.gz", packed.Bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
}

// write writes a service as catalogue.go reads it.
func write(out *bytes.Buffer, prefix string, s service) {
	fmt.Fprintf(out, "service\t%s\n", prefix)
	for _, key := range slices.Sorted(maps.Keys(s.ConditionKeys)) {
		fmt.Fprintf(out, "key\t%s\t%s\n", keyForm(key), s.ConditionKeys[key])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Resources)) {
		r := s.Resources[name]
		fmt.Fprintf(out, "type\t%s\t%s\t%s\n", name, r.ARN, keys(r.ConditionKeys))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Actions)) {
		a := s.Actions[name]
		var types []string
		own := slices.Clone(a.ConditionKeys)
		for _, r := range a.Resources {
			types, own = append(types, r.Type), append(own, r.ConditionKeys...)
		}
		fmt.Fprintf(out, "action\t%s\t%s\t%s\n", name, list(types), keys(own))
	}
}

func list(names []string) string {
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}

func keys(names []string) string {
	var forms []string
	for _, n := range names {
		forms = append(forms, keyForm(n))
	}
	return list(forms)
}

// keyForm writes a key that ends in any tag's name as most services do.
func keyForm(key string) string {
	if head, ok := strings.CutSuffix(key, "/tag-key"); ok {
		return head + "/${TagKey}"
	}
	if strings.HasSuffix(key, "/") {
		return key + "${TagKey}"
	}
	return key
}
