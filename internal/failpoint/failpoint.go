// Package failpoint is where a build for fault tests (`-tags faults`) can be
// made to go wrong: points at which a process dies, bugs that are known to be
// bugs, pauses, and a clock that another clock may be apart from.
//
// Invariant: a build without the tag holds none of it. There On is a constant
// false, so that the compiler drops what it guards; a test reads a release
// binary and finds no trace.
//
// A scenario of internal/scenario counts only if one of these bugs turns it
// red.
package failpoint

import "slices"

// Variable names the bugs of all nodes from the start on, comma separated: NAME,
// or NAME@NODE for one node's.
const Variable = "HOLDFAST_FAULT"

// File is the name of a node's file of faults, in its directory. It is read
// again whenever it changes, one fault a line:
//
//	bug NAME
//	crash POINT           once: its line is removed with it
//	freeze POINT          the same, and it can be told to go on
//	trouble NAME          something outside that goes wrong
//	clock OFFSET [RATE]   it was set, +10h; RATE seconds a second from now on
//	passed OFFSET         so much time has passed, by every clock
const File = "faults"

// Taken is the ending of the file that holds what a node has read of its own.
const Taken = ".taken"

// Point is a place at which a process can be told to die, as if killed, or to stop.
type Point string

// The points, in the order in which a write passes them.
const (
	BeforeCommit  Point = "before-commit"  // before the store's transaction
	AfterCommit   Point = "after-commit"   // it is durable, and nobody has been told
	BeforeAnswer  Point = "before-answer"  // the Regions have it, and the client has not been told
	BetweenAudit  Point = "between-audit"  // before the audit has it
	InSnapshot    Point = "in-snapshot"    // a snapshot is half written
	BeforeRename  Point = "before-rename"  // it is whole, under its temporary name
	AfterSnapshot Point = "after-snapshot" // the snapshot is there, the batches before it are not gone yet
	InBatch       Point = "in-batch"       // half of a batch is in the log of batches
	BetweenSeals  Point = "between-seals"  // some keys are sealed under a new KEK, the others not yet
)

// Points lists them.
var Points = []Point{BeforeCommit, AfterCommit, BeforeAnswer, BetweenAudit, InSnapshot, BeforeRename, AfterSnapshot, InBatch, BetweenSeals}

// Trouble is something outside that goes wrong, where no tool of the system can
// make it: inside an encrypted stream, or in a file that is written rarely.
type Trouble string

// Troubles of the feed are what a control-plane node sends, or a Region node to
// the others of its Region; of the audit and of requests what befalls them.
const (
	FeedDuplicates Trouble = "feed-duplicates" // each batch comes twice
	FeedReorders   Trouble = "feed-reorders"   // of two batches the second comes first
	FeedDrops      Trouble = "feed-drops"      // every third batch does not come
	FeedCorrupts   Trouble = "feed-corrupts"   // a byte of every third is another
	FeedForges     Trouble = "feed-forges"     // its head is not signed by who it says
	FeedForeign    Trouble = "feed-foreign"    // it is of another lineage
	FeedCuts       Trouble = "feed-cuts"       // of every third batch half comes
	SlowApply      Trouble = "slow-apply"      // a node takes 800 ms longer for each batch: more than it is waited for
	AuditFails     Trouble = "audit-fails"     // the audit cannot be written
	Panics         Trouble = "panics"          // every tenth request
	OlderBuild     Trouble = "older-build"     // a node says that it reads the format before this one
	WatchSilent    Trouble = "watch-silent"    // the store's watch tells nothing more
	StoreCompacts  Trouble = "store-compacts"  // the store's history is compacted while a node reads its state
	WritesLater    Trouble = "writes-later"    // what is marked is written as a later release might write it
	LaterFormat    Trouble = "later-format"    // the log is in the next format
)

// Bug is a mistake that somebody could make in this code.
type Bug string

// The bugs. Each is on where its name is in HOLDFAST_FAULT, or in the node's
// file of faults.
const (
	// The store.
	AckBeforeCommit Bug = "ack-before-commit" // a write is answered, and committed a little later
	ForgetsCallIDs  Bug = "forgets-call-ids"  // a repeated call is done again
	NoHeadCompare   Bug = "no-head-compare"   // a commit does not ask whether the head is still the same
	NoFsync         Bug = "no-fsync"          // the store does not wait for its disk
	NoFloor         Bug = "no-disk-floor"     // a full disk refuses nothing until the store fails
	NoRecheck       Bug = "no-recheck"        // a credential is not asked about at the commit
	ReadsNeedQuorum Bug = "reads-need-quorum" // the control plane's reads fail without a majority
	AuditForgets    Bug = "audit-forgets"     // the audit goes on at the log's head after a start
	AuditGivesUp    Bug = "audit-gives-up"    // what cannot be written to the audit is left out
	CommitTimeBack  Bug = "commit-time-back"  // commit times follow the clock, also back
	RepairsStore    Bug = "repairs-store"     // a store that cannot be opened is begun anew
	AnyMember       Bug = "any-member"        // members of the store do not ask for certificates
	FencedSigns     Bug = "fenced-signs"      // a fenced node goes on, and signs heads
	NoFormatGate    Bug = "no-format-gate"    // what a node in force does not read is written all the same
	TrustsWatch     Bug = "trusts-watch"      // a read is answered from what the store's watch has told
	CompactionEnds  Bug = "compaction-ends"   // a node does not start whose read of the state was overtaken by a compaction
	AlarmStays      Bug = "alarm-stays"       // nobody takes back the store's alarm that it was full

	// The feed, and the nodes that writes wait for.
	NoWait        Bug = "no-wait"        // a write does not wait for the Regions
	NoBound       Bug = "no-bound"       // it waits for them however long that takes
	NeverLeaves   Bug = "never-leaves"   // every write waits for a node that once did not answer
	FencedFollow  Bug = "fenced-follow"  // a fenced node is served on
	ResumesAnyway Bug = "resumes-anyway" // a follower is never sent a snapshot
	AnyPeer       Bug = "any-peer"       // whoever shows a key is a node
	KeepsForSlow  Bug = "keeps-for-slow" // what a follower has not read is kept for it, however much
	SendsLocked   Bug = "sends-locked"   // the feed is held while one follower reads
	LockStep      Bug = "lock-step"      // a batch is sent when the one before it is acknowledged
	AnyHistory    Bug = "any-history"    // a follower of another history is sent a snapshot

	// The replica.
	BelievesBatches Bug = "believes-batches"  // neither lineage nor chain, signature or digest is checked
	BelievesWhole   Bug = "believes-whole"    // nor are those of a snapshot
	ForgetsLoss     Bug = "forgets-loss"      // a node whose disk copy is lost begins like a new one
	OldBreaks       Bug = "old-breaks"        // a batch that comes twice ends the stream
	SkipsBatches    Bug = "skips-batches"     // a batch that the node does not like is left out
	NotDurable      Bug = "not-durable"       // a batch is served that is not on the disk
	NotSynced       Bug = "not-synced"        // nor waited for
	TrustsDisk      Bug = "trusts-disk"       // the disk copy's sums are not checked
	DamagedEnds     Bug = "damaged-ends"      // a damaged disk copy stops the start
	NeedsWholeLog   Bug = "needs-whole-log"   // so does a torn batch at the log's end
	NeedsControl    Bug = "needs-control"     // a node starts only when it can follow
	StopsWhenSilent Bug = "stops-when-silent" // a node that hears nothing serves nothing
	NeverReconnects Bug = "never-reconnects"  // a lost stream stays lost
	NoSilenceLimit  Bug = "no-silence-limit"  // a stream that is silent is waited for
	DiskErrorEnds   Bug = "disk-error-ends"   // a node whose disk takes no more ends
	NeedsDNS        Bug = "needs-dns"         // a request of the data plane looks a name up
	ServesUnready   Bug = "serves-unready"    // a node takes requests before it can answer them
	RelayWaits      Bug = "relay-waits"       // a write waits for a control plane that is silent
	ReadsAll        Bug = "reads-all"         // a batch is refused when a record in it cannot be read
	AnyFormat       Bug = "any-format"        // a batch of a later format is applied as far as it is understood

	// Time.
	NoTimeFloor    Bug = "no-time-floor"   // a clock that goes back brings back what has expired
	FloorFollows   Bug = "floor-follows"   // any commit time raises the floor
	NeverYields    Bug = "never-yields"    // a node that is not ready takes requests all the same
	FloorForgotten Bug = "floor-forgotten" // a start knows nothing of the floor before it
	NoKeysAhead    Bug = "no-keys-ahead"   // a signing key is made when it is needed
	KeyForAnyDay   Bug = "key-for-any-day" // the key derived for one day is used on the next

	// Credentials.
	ExpiryUnchecked Bug = "expiry-unchecked" // a session does not end
	InactiveSigns   Bug = "inactive-signs"   // a key signs although it is inactive
	DenialsIgnored  Bug = "denials-ignored"  // a denial is not asked about
	MinterUnchecked Bug = "minter-unchecked" // nor whether the node that minted stands
	KeysByTimer     Bug = "keys-by-timer"    // a signing key leaves before what it signed has ended
	CacheByKeyID    Bug = "cache-by-key-id"  // opened tokens are kept by their access key id alone
	AnyFileMode     Bug = "any-file-mode"    // a key file that all can read is read
	KEKUnchecked    Bug = "kek-unchecked"    // a wrong KEK is found out when it is used
	ResealsOnce     Bug = "reseals-once"     // a renewal of the KEK that broke off counts as done
	SealsAhead      Bug = "seals-ahead"      // and it begins before every node has the new one

	// What the simulator finds (internal/simtest), which drives the machines alone.
	KnownAtOnce      Bug = "known-at-once"     // a signing key is marked known before every node has it
	AnyClock         Bug = "any-clock"         // a control-plane node's clock is always believed
	RejoinsBehind    Bug = "rejoins-behind"    // a node is a member again without what was answered meanwhile
	AnswersUnknown   Bug = "answers-unknown"   // a call is refused whose commit's outcome is unknown
	DeniesAlone      Bug = "denies-alone"      // a Region's denial is acknowledged by one node of several
	DropsHandedUp    Bug = "drops-handed-up"   // it leaves a node whose own state does not have it
	LiftedReturns    Bug = "lifted-returns"    // what another node has is denied again over a tombstone
	KeepsPredecessor Bug = "keeps-predecessor" // a node follows its lineage on that has a successor
	SurplusForgotten Bug = "surplus-forgotten" // a node goes over at once, whatever it has
	LowestFork       Bug = "lowest-fork"       // a promotion takes the replica that has least
	DeletionsLost    Bug = "deletions-lost"    // what a surplus took away is not denied
	PastForgotten    Bug = "past-forgotten"    // a successor keeps nothing of the history before its fork
	RepeatsAnywhere  Bug = "repeats-anywhere"  // a call that was done is answered by a node that does not sequence
	NeverRetires     Bug = "never-retires"     // a control plane goes on that has written that it has a successor

	// Requests.
	NoPanicBarrier  Bug = "no-panic-barrier"  // a panic is not answered
	NoSizeLimit     Bug = "no-size-limit"     // a body may be of any size
	AcceptErrorEnds Bug = "accept-error-ends" // a connection that cannot be taken ends the node
	WaitsForSlow    Bug = "waits-for-slow"    // a connection may take any time over a handshake or a request

	// Policies.
	AnyDocument    Bug = "any-document"    // a document is taken as it comes
	LeavesOut      Bug = "leaves-out"      // one that cannot be read is left out of a decision
	RecursiveMatch Bug = "recursive-match" // a pattern is tried at each place of each of its stars
)

// Bugs lists them.
var Bugs = []Bug{AckBeforeCommit, ForgetsCallIDs, NoHeadCompare, NoFsync, NoFloor, NoRecheck, ReadsNeedQuorum, AuditForgets, AuditGivesUp, CommitTimeBack, RepairsStore, TrustsWatch, AlarmStays, CompactionEnds, AnyMember, FencedSigns, NoFormatGate,
	NoWait, NoBound, NeverLeaves, FencedFollow, ResumesAnyway, AnyPeer, KeepsForSlow, SendsLocked, LockStep, AnyHistory,
	BelievesBatches, BelievesWhole, ForgetsLoss, OldBreaks, SkipsBatches, NotDurable, NotSynced, TrustsDisk, DamagedEnds, NeedsWholeLog, NeedsControl, StopsWhenSilent, NeverReconnects,
	NoSilenceLimit, DiskErrorEnds, NeedsDNS, ServesUnready, RelayWaits, ReadsAll, AnyFormat,
	NoTimeFloor, FloorFollows, FloorForgotten, NeverYields, NoKeysAhead, KeyForAnyDay, AnyClock,
	ExpiryUnchecked, InactiveSigns, DenialsIgnored, MinterUnchecked, KeysByTimer, CacheByKeyID, AnyFileMode, KEKUnchecked, ResealsOnce, SealsAhead,
	NoPanicBarrier, NoSizeLimit, AcceptErrorEnds, WaitsForSlow, AnyDocument, LeavesOut, RecursiveMatch}

// Simulated lists those that the simulator has to find.
var Simulated = []Bug{ForgetsCallIDs, NoHeadCompare, CommitTimeBack, NoBound, BelievesBatches, NotDurable, FloorFollows, NeverReconnects, NoWait,
	KnownAtOnce, AnyClock, RejoinsBehind, AnswersUnknown, DeniesAlone, DropsHandedUp, LiftedReturns, KeepsPredecessor, SurplusForgotten, LowestFork,
	DeletionsLost, PastForgotten, RepeatsAnywhere, NeverRetires}

// Known says whether a name is one of a bug's.
func Known(b Bug) bool { return slices.Contains(Bugs, b) || slices.Contains(Simulated, b) }
