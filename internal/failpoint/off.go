//go:build !faults

package failpoint

import "time"

// Built says whether this build can be made to go wrong.
const Built = false

// On says whether a bug is on: never.
func On(Bug) bool { return false }

// At says whether the process is to die at a point: never.
func At(Point) bool { return false }

// Crash ends the process at a point: never.
func Crash(Point) {}

// Wrong says whether something outside is to go wrong: never.
func Wrong(Trouble) bool { return false }

// Stall waits while something outside goes wrong: never.
func Stall(Trouble) {}

// Panic panics when it is to: never.
func Panic() {}

// Later does something after its caller believes that it is done. Nothing calls
// it in this build.
func Later(func()) {}

// Start begins to read what is to go wrong on a node: nothing.
func Start(node, dir string) {}

// Passed is how much time has passed that the machine knows nothing of: none.
func Passed() time.Duration { return 0 }

// Now is the machine's clock.
func Now() time.Time { return time.Now() }
