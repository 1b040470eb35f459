package model

import "testing"

// limit bounds a search: more states than that are too many for a test.
const limit = 3_000_000

// keeps asks that a model with all its rules keeps every promise.
func keeps[S comparable](t *testing.T, m *System[S]) {
	t.Helper()
	found := m.Search(limit)
	if found.Broken != "" {
		t.Errorf("%v", found)
	}
	t.Logf("%d states", found.States)
}

// breaks asks that a model without one of its rules breaks a promise.
func breaks[S comparable](t *testing.T, m *System[S], want string) {
	t.Helper()
	found := m.Search(limit)
	if found.Broken != want {
		t.Errorf("%v, want %q", found, want)
	}
}

func TestTheStoreKeepsItsPromisesAndNeedsEachRule(t *testing.T) {
	keeps(t, Store(AllStoreRules))
	for _, x := range []struct {
		rule  string
		leave func(*StoreRules)
		want  string
	}{
		{"1", func(r *StoreRules) { r.CompareHead = false }, "one call is in the log twice"},
		{"2", func(r *StoreRules) { r.SeeGroup = false }, "one call is in the log twice"},
		{"3", func(r *StoreRules) { r.FreshAnswers = false }, "a look does not see what was acknowledged before it"},
		{"4", func(r *StoreRules) { r.AnswerMaybe = false }, "a call that was said not to have happened is in the log"},
		{"5", func(r *StoreRules) { r.AnswerFromLog = false }, "an answer tells of another record than the log's"},
		{"7", func(r *StoreRules) { r.CredentialFirst = false }, "a deleted key's call is answered as done"},
		{"9", func(r *StoreRules) { r.PushCommitted = false }, "what was pushed is not what the log has"},
	} {
		t.Run("without rule "+x.rule, func(t *testing.T) {
			rules := AllStoreRules
			x.leave(&rules)
			breaks(t, Store(rules), x.want)
		})
	}
}

func TestTheFeedKeepsItsPromisesAndNeedsEachRule(t *testing.T) {
	keeps(t, Feed(AllFeedRules))
	for _, x := range []struct {
		rule  string
		leave func(*FeedRules)
		want  string
	}{
		{"10", func(r *FeedRules) { r.AllIsEveryNode = false }, "a node serves less than was applied by all"},
		{"11", func(r *FeedRules) { r.LeaseFromSending = false }, "a node with a lease lacks what was answered a lease ago"},
		{"12", func(r *FeedRules) { r.RejoinCovered = false }, "a member of the set lacks what was answered"},
		{"13", func(r *FeedRules) { r.DiskFirst = false }, "a node serves an older state than before"},
	} {
		t.Run("without rule "+x.rule, func(t *testing.T) {
			rules := AllFeedRules
			x.leave(&rules)
			breaks(t, Feed(rules), x.want)
		})
	}
}

func TestALineageKeepsItsPromisesAndNeedsEachRule(t *testing.T) {
	keeps(t, Lineage(AllLineageRules))
	for _, x := range []struct {
		rule  string
		leave func(*LineageRules)
		want  string
	}{
		{"17", func(r *LineageRules) { r.KeepSuccessor = false }, "a node admits what it refused before"},
		{"18, switching", func(r *LineageRules) { r.SurplusFirst = false }, "a node admits what it refused before"},
		{"18, acknowledging", func(r *LineageRules) { r.SilentWithSurplus = false }, "a node admits what was denied everywhere"},
		{"19", func(r *LineageRules) { r.OldHandsUp = false }, "an acknowledged deletion is lost with the old control plane"},
	} {
		t.Run("without rule "+x.rule, func(t *testing.T) {
			rules := AllLineageRules
			x.leave(&rules)
			breaks(t, Lineage(rules), x.want)
		})
	}
}

func TestOnePromotionAfterTheOtherKeepsItsPromisesAndNeedsEachRule(t *testing.T) {
	keeps(t, Promotions(AllPromotionRules))
	for _, x := range []struct {
		rule  string
		leave func(*PromotionRules)
		want  string
	}{
		{"16, the highest wins", func(r *PromotionRules) { r.HighestEpoch = false }, "a node goes back to a lineage that was replaced"},
		{"16, ancestry first", func(r *PromotionRules) { r.AncestryFirst = false }, "what was answered, and read on a node, is lost"},
		{"23", func(r *PromotionRules) { r.FromLog = false }, "what nobody took away is denied"},
		{"24", func(r *PromotionRules) { r.CallIDs = false }, "one call has two effects"},
	} {
		t.Run("without rule "+x.rule, func(t *testing.T) {
			rules := AllPromotionRules
			x.leave(&rules)
			breaks(t, Promotions(rules), x.want)
		})
	}
}

func TestADenialWhileCutOffKeepsItsPromisesAndNeedsEachRule(t *testing.T) {
	keeps(t, Overlay(AllOverlayRules))
	for _, x := range []struct {
		rule  string
		leave func(*OverlayRules)
		want  string
	}{
		{"20", func(r *OverlayRules) { r.TombstoneWins = false }, "what was taken back is denied again"},
		{"21", func(r *OverlayRules) { r.DropApplied = false }, "a node admits what its Region denies"},
		{"22", func(r *OverlayRules) { r.TombstoneStays = false }, "what was taken back is denied again"},
	} {
		t.Run("without rule "+x.rule, func(t *testing.T) {
			rules := AllOverlayRules
			x.leave(&rules)
			breaks(t, Overlay(rules), x.want)
		})
	}
}

func TestSigningKeysKeepTheirPromisesAndNeedEachRule(t *testing.T) {
	keeps(t, Keys(AllKeyRules))
	for _, x := range []struct {
		rule  string
		leave func(*KeyRules)
		want  string
	}{
		{"known by all", func(r *KeyRules) { r.KnownByAll = false }, "a token that lives is not accepted elsewhere"},
		{"seen before use", func(r *KeyRules) { r.SeenBeforeUse = false }, "a token that lives is not accepted elsewhere"},
		{"outlives its tokens", func(r *KeyRules) { r.OutlivesTokens = false }, "a token that lives is not accepted elsewhere"},
	} {
		t.Run("without: "+x.rule, func(t *testing.T) {
			rules := AllKeyRules
			x.leave(&rules)
			breaks(t, Keys(rules), x.want)
		})
	}
}

func TestACallIDOutlivesEverySignatureThatCarriesIt(t *testing.T) {
	keeps(t, CallIDs(2*skew+clockError))
	breaks(t, CallIDs(2*skew+clockError-1), "one signature had two effects")
}
