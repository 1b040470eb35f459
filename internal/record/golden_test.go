package record

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of new versions")

// golden holds one kind's stored form, every field set, against its file. A
// file of an older version must still be read; none is ever changed.
func golden[R any](t *testing.T, k *Kind[R]) {
	t.Helper()
	v := new(R)
	fill(reflect.ValueOf(v).Elem(), 1)
	value, err := k.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	path := func(version int) string {
		return filepath.Join("testdata", fmt.Sprintf("%s.v%d.json", k.Name, version))
	}
	if _, err := os.Stat(path(k.Version)); *update && os.IsNotExist(err) {
		if err := os.WriteFile(path(k.Version), append(value, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for version := 1; version <= k.Version; version++ {
		b, err := os.ReadFile(path(version))
		if err != nil {
			t.Errorf("version %d of %s has no golden file: run go test ./internal/record -update and commit it", version, k.Name)
			continue
		}
		old, err := k.Decode(bytes.TrimSuffix(b, []byte("\n")))
		if err != nil {
			t.Errorf("%s cannot be read any more: %v", path(version), err)
			continue
		}
		again, err := k.Encode(old)
		if err != nil || version == k.Version && !bytes.Equal(again, value) || !keeps(again, b) {
			t.Errorf("%s reads as\n%s, want\n%s (%v)", path(version), again, value, err)
		}
		if version == k.Version && string(b) != string(value)+"\n" {
			t.Errorf("the stored form of %s changed without a new version:\n%s, golden\n%s", k.Name, value, b)
		}
	}
}

// keeps says whether a stored form says all that an older one says.
func keeps(now, old []byte) bool {
	var a, b stored
	var have, had map[string]any
	if json.Unmarshal(now, &a) != nil || json.Unmarshal(old, &b) != nil || json.Unmarshal(a.Record, &have) != nil || json.Unmarshal(b.Record, &had) != nil {
		return false
	}
	for name, value := range had {
		if !reflect.DeepEqual(have[name], value) {
			return false
		}
	}
	return true
}

func TestEveryVersionEverWrittenIsReadAndNoneChangesSilently(t *testing.T) {
	golden(t, Geneses)
	golden(t, Operators)
	golden(t, Nodes)
	golden(t, Regions)
	golden(t, Freshnesses)
	golden(t, RegionKeys)
	golden(t, AccountKeys)
	golden(t, OpeningKeys)
	golden(t, SigningKeys)
	golden(t, Services)
	golden(t, Denials)
	golden(t, Accounts)
	golden(t, Users)
	golden(t, Groups)
	golden(t, Roles)
	golden(t, InstanceProfiles)
	golden(t, Policies)
	golden(t, KeyUses)
	golden(t, Successors)
	golden(t, Admissions)
	golden(t, SealingKeys)
	golden(t, STSPreferences)
	golden(t, Addresses)
	golden(t, KEKHolders)
}

func TestEveryKindAndVersionHasAGoldenFileAndALineInTheDocs(t *testing.T) {
	docs, err := os.ReadFile("../../docs/records.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Forms {
		for version := 1; version <= f.Version; version++ {
			if _, err := os.Stat(filepath.Join("testdata", fmt.Sprintf("%s.v%d.json", f.Name, version))); err != nil {
				t.Error(err)
			}
			if !listed(string(docs), f.Name, version) {
				t.Errorf("docs/records.md does not list version %d of %s", version, f.Name)
			}
		}
	}
}

// listed says whether a row of the table names the kind and the version.
func listed(docs, kind string, version int) bool {
	for line := range strings.Lines(docs) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 || strings.TrimSpace(cells[2]) != fmt.Sprint(version) {
			continue
		}
		for name := range strings.SplitSeq(cells[1], ",") {
			if strings.TrimSpace(name) == kind {
				return true
			}
		}
	}
	return false
}

// FuzzBatch opens what a feed or a disk may hold: it must not panic, and what
// it takes must end in the batch's own head.
func FuzzBatch(f *testing.F) {
	public := json.RawMessage(`{"i":1,"t":1,"f":1,"ch":[{"k":"user/1/A","v":{}}]}`)
	l := LogValue{Records: []Logged{{Public: public, Private: []byte(`{"op":"x"}`)}}}
	l.Head = Head{Index: 1, Chain: Link(Hash{}, public, l.Batch().Records[0].Private)}
	good, err := Marshal(l.Batch())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"head":{"index":1},"records":[{"p":null,"h":"00"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var batch Batch
		if json.Unmarshal(b, &batch) != nil {
			return
		}
		records, err := batch.Open(0, Hash{})
		if err == nil && uint64(len(records)) != batch.Head.Index {
			t.Fatalf("%d records up to index %d", len(records), batch.Head.Index)
		}
	})
}

// FuzzLogValue reads what the store may hold.
func FuzzLogValue(f *testing.F) {
	f.Add([]byte(`{"head":{"cluster":"c","lineage":"l","index":1},"records":[{"p":{"i":1},"q":{"op":"x"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l LogValue
		if json.Unmarshal(b, &l) != nil {
			return
		}
		if _, err := l.Batch().Open(0, Hash{}); err == nil && len(l.Records) == 0 && l.Head.Index != 0 {
			t.Fatal("an empty commit moved the index")
		}
	})
}

func TestTheLogsOwnEncodingIsTheLibrarys(t *testing.T) {
	p := Public{Index: 7, Time: 1, Format: 1, Call: "ab", Changes: []Change{{Key: "user/1/A", Value: json.RawMessage(`{"v":1,"r":{"name":"<&> "}}`)},
		{Key: "user/1/\"\\\u00e9", Value: nil}}}
	for _, v := range []Public{p, {Index: 1}, {Index: 1, Changes: p.Changes[1:]}} {
		want, err := Marshal(v)
		if got := v.Append(nil); err != nil || string(got) != string(want) {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	l := LogValue{Head: Head{Cluster: "c", Index: 7, Sig: []byte{1}}, Records: []Logged{{Public: p.Append(nil), Private: json.RawMessage(`{"op":"x"}`)}, {Public: p.Append(nil), Private: json.RawMessage(`{}`)}}}
	want, err := Marshal(&l)
	got, err2 := l.Append(nil)
	if err != nil || err2 != nil || string(got) != string(want) {
		t.Errorf("%s\nwant %s", got, want)
	}
}
