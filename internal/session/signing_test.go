package session

import (
	"testing"
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/holdfast-iam/holdfast/internal/view"
)

var origin = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// published is a state that has these signing keys, known everywhere.
func published(t *testing.T, v *view.View, keys KeySet) *view.View {
	t.Helper()
	tx := v.Begin()
	for i := range keys {
		k := keys[i].Public("n", "here")
		k.Known = true
		if err := record.Put(tx, record.SigningKeys, k); err != nil {
			t.Fatal(err)
		}
	}
	return &view.View{State: tx.State()}
}

// mints says whether a set signs at a time what its own Region accepts, and for
// every Region.
func mints(t *testing.T, s KeySet, v *view.View, now time.Time) (here, everywhere bool) {
	t.Helper()
	key, regional := s.Choose(v, now)
	if key == nil {
		return false, false
	}
	k, err := record.Get(v, record.SigningKeys, record.None, key.ID)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Mint(Header{Generation: 1, Region: "here", KeyID: key.ID, Regional: regional},
		&Claims{Issued: now.Unix(), Expires: now.Add(time.Hour).Unix()}, "A", opening, key.Key())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := Open(text, "A", openingOf)
	if err != nil {
		t.Fatal(err)
	}
	n := &record.Node{ID: "n"}
	return tok.Verify(k, n, "here") == nil, tok.Verify(k, n, "elsewhere") == nil
}

// Its last published key serves the node's own Region for as long as it is cut
// off: whatever it makes meanwhile nobody has.
func TestANodeThatIsCutOffForAYearGoesOnForItsOwnRegion(t *testing.T) {
	set, _ := KeySet(nil).Grow(origin)
	v := published(t, &view.View{State: view.Empty(opening[:16])}, set)
	for day := range 365 {
		now := origin.Add(time.Duration(day) * 24 * time.Hour)
		set = set.Trim(v, origin, now)
		set, _ = set.Grow(now)
		here, everywhere := mints(t, set, v, now)
		if !here || everywhere != (day < 90) {
			t.Fatalf("day %d: accepted here %v, everywhere %v", day, here, everywhere)
		}
		if len(set) > 6 {
			t.Fatalf("day %d: %d keys", day, len(set))
		}
	}
}

// A clock that was wrong for a moment takes nothing from a node for longer.
func TestAClockThatWasAheadTakesNoKeyAway(t *testing.T) {
	for _, jump := range []time.Duration{40 * 24 * time.Hour, 100 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		set, _ := KeySet(nil).Grow(origin)
		v := published(t, &view.View{State: view.Empty(opening[:16])}, set)
		now := origin.Add(time.Hour)
		set = set.Trim(v, now, now.Add(jump)) // of the node's clock: the floor knows better
		set, _ = set.Grow(now.Add(jump))
		v = published(t, v, set)
		set = set.Trim(v, now, now)
		set, _ = set.Grow(now)
		if here, everywhere := mints(t, set, v, now); !here || !everywhere {
			t.Errorf("a clock that was %s ahead: accepted here %v, everywhere %v", jump, here, everywhere)
		}
	}
}

// A node whose clock was ahead when it made its first keys makes one for the
// present, and does not sign with what has not begun.
func TestANodeThatBeganWithAClockAheadSignsWithAKeyOfThePresent(t *testing.T) {
	for _, ahead := range []time.Duration{time.Hour, 40 * 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		set, _ := KeySet(nil).Grow(origin.Add(ahead))
		v := published(t, &view.View{State: view.Empty(opening[:16])}, set)
		set, changed := set.Trim(v, origin, origin).Grow(origin)
		if !changed {
			t.Fatalf("%s ahead: no key for the present", ahead)
		}
		if key, _ := set.Choose(v, origin); key != nil {
			t.Errorf("%s ahead: signs with a key that begins in %s", ahead, key.NotBefore.Std().Sub(origin))
		}
		if h := set.Horizon(v, origin); h != 0 {
			t.Errorf("%s ahead: a horizon of %s, and nothing to sign with", ahead, h)
		}
		v = published(t, v, set)
		if here, everywhere := mints(t, set, v, origin); !here || !everywhere {
			t.Errorf("%s ahead: accepted here %v, everywhere %v", ahead, here, everywhere)
		}
		if h := set.Horizon(v, origin); h < Ahead*KeyLife-skew && h < ahead {
			t.Errorf("%s ahead: a horizon of %s", ahead, h)
		}
	}
}

func TestAKeyLeavesItsSetWhenWhatWasVerifiedIsLaterThanItsEnd(t *testing.T) {
	set, _ := KeySet(nil).Grow(origin)
	v := published(t, &view.View{State: view.Empty(opening[:16])}, set)
	after := origin.Add(KeyLife + time.Hour)
	if kept := set.Trim(v, origin, after); len(kept) != 3 {
		t.Errorf("%d keys by the node's clock alone", len(kept))
	}
	if kept := set.Trim(v, after, after); len(kept) != 2 || kept[0].ID != set[1].ID {
		t.Errorf("%d keys", len(kept))
	}
	last := origin.Add(4 * KeyLife)
	if kept := set.Trim(v, last, last); len(kept) != 1 || kept[0].ID != set[2].ID {
		t.Errorf("%d keys: the last that anybody has serves its own Region", len(kept))
	}
}
