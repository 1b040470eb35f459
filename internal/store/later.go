package store

import (
	"bytes"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

// later is what a release to come may write, by a word that a record has to hold
// for it to be written so: a new version of a kind, a field, an operator of
// conditions, an element of statements.
var later = []struct{ word, from, to string }{
	{"later-version", `{"v":`, `{"v":9`},
	{"later-field", `"r":{`, `"r":{"later":true,`},
	{"later-operator", `\"StringEquals\"`, `\"StringResembles\"`},
	{"later-element", `\"Sid\"`, `\"Unless\"`},
}

// writeLater writes what a call has changed as a release to come might, where it is
// marked, and with it a record of a kind that nobody here knows. No release build
// calls it.
func writeLater(tx *view.Pending) {
	for _, c := range append([]record.Change{}, tx.Changes()...) {
		for _, l := range later {
			if bytes.Contains(c.Value, []byte(l.word)) {
				value := bytes.ReplaceAll(c.Value, []byte(l.from), []byte(l.to))
				_ = tx.Put(record.NewEntry(c.Key, value), value)
				key := record.MakeKey("later", record.None, l.word)
				_ = tx.Put(record.NewEntry(key, []byte(`{"v":1,"r":{}}`)), []byte(`{"v":1,"r":{}}`))
			}
		}
	}
}
