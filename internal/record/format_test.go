package record

import "testing"

func TestTheFormatOfAChangeIsThatOfItsKindAndVersion(t *testing.T) {
	value := func(text string) []Change {
		return []Change{{Key: "user/1/A", Value: []byte(`{"v":1,"r":{}}`)}, {Key: "freshness/1/rules", Value: []byte(text)}}
	}
	for _, x := range []struct {
		name    string
		changes []Change
		want    int
	}{
		{"nothing", nil, 1},
		{"an old kind", value("")[:1], 1},
		{"a kind that restricts", value(`{"v":1,"r":{"account":"1","rules":[]}}`), 2},
		{"its deletion", value(""), 1},
		{"a kind that this build does not know", []Change{{Key: "other/1/A", Value: []byte(`{"v":1,"r":{}}`)}}, 1},
	} {
		if got := FormatOf(x.changes); got != x.want {
			t.Errorf("%s: %d", x.name, got)
		}
	}
}
