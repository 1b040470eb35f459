package node

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/failpoint"
)

// clock is the one place where a node reads the time: the machine's clock, or in
// a build for fault tests one that is apart from it.
func clock() time.Time { return failpoint.Now() }

// boot is the clock that nobody can set.
func boot() time.Duration { return bootTime() + failpoint.Passed() }
