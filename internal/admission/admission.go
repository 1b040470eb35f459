// Package admission decides which requests a node works on while more come
// than it can answer: a gate of a few slots, and behind it a single-threaded
// machine that says who waits, who is next and who is refused.
//
// Invariant: nothing is charged to an account before a signature of it has
// verified. Until then a request costs its address; the key id that it names
// divides only what that address has. Who waits, and what is remembered of
// whom, is bounded whatever addresses and names come.
//
// A request that finds a free slot and nobody waiting takes no lock. The
// machine is asked only while the node is busier than it has slots.
package admission

import (
	"fmt"
	"time"
)

// Class is what a request asks for, in the order in which the node keeps to
// it: what comes last is refused first.
type Class uint8

// The classes.
const (
	Decide Class = iota // may they: what services ask for each of their requests
	Read                // of IAM
	Issue               // STS: credentials that clients mostly still have
	Change              // of IAM
	SignIn              // people and their passwords: dear, and repeated by hand
	classes
)

// Classes is how many classes there are.
const Classes = int(classes)

func (c Class) String() string {
	return [...]string{"decide", "read", "issue", "change", "sign-in"}[c]
}

// Reason says why a request is refused.
type Reason uint8

// The reasons.
const (
	Full Reason = iota // no room to wait: its class or its sender has most of it
	Late               // it has waited as long as it may
	Gone               // its client has left
	reasons
)

// Reasons is how many reasons there are.
const Reasons = int(reasons)

func (r Reason) String() string { return [...]string{"full", "late", "gone"}[r] }

// Refusal is the error of a request that is not worked on. Nothing has been
// done for it: it can be repeated, later.
type Refusal struct {
	Class  Class
	Reason Reason
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("admission: a request to %s is refused: %s", r.Class, r.Reason)
}

// Limits bound who may wait, and for how long.
type Limits struct {
	Waiting int // requests together
	Flow    int // of one address, or of one account
	Bound   [classes]time.Duration
}

// Standard are the limits of a node: a place costs about as much memory as the
// request's body, and a second is the shortest patience of a client (SDKs wait
// a minute, services that ask for decisions mostly a second or two).
var Standard = Limits{Waiting: 1024, Flow: 256, Bound: [classes]time.Duration{
	Decide: 500 * time.Millisecond, Read: 400 * time.Millisecond, Issue: 300 * time.Millisecond, Change: 300 * time.Millisecond, SignIn: 150 * time.Millisecond}}

// weights is how a busy node's time is divided among classes that all ask for
// more than their part: close to one after the other, and none gets nothing.
var weights = [classes]float64{Decide: 64, Read: 16, Issue: 8, Change: 4, SignIn: 1}
