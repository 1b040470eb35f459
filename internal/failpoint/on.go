//go:build faults

package failpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Built says whether this build can be made to go wrong.
const Built = true

// lookEach is how often the file is looked at.
const lookEach = 5 * time.Millisecond

// stall is how long Stall waits.
const stall = 800 * time.Millisecond

// faults are what is to go wrong now.
type faults struct {
	bugs    map[Bug]bool
	crash   map[Point]syscall.Signal
	trouble map[Trouble]bool
	passed  time.Duration
	clock   *setting // nil: the machine's
}

// setting is a clock that runs at a rate from a moment on.
type setting struct {
	at     time.Time
	offset time.Duration
	rate   float64
}

var (
	path    string
	present atomic.Pointer[faults]
	always  = map[Bug]bool{}
)

// Start begins to read what is to go wrong on a node.
func Start(node, dir string) {
	for _, item := range strings.Split(os.Getenv(Variable), ",") {
		name, at, some := strings.Cut(item, "@")
		if some && at != node || name == "" {
			continue
		}
		if !Known(Bug(name)) {
			fmt.Fprintf(os.Stderr, "failpoint: there is no bug %q\n", name)
			os.Exit(2)
		}
		always[Bug(name)] = true
	}
	path = filepath.Join(dir, File)
	text := look("")
	go func() {
		for range time.Tick(lookEach) {
			text = look(text)
		}
	}()
}

// Only has these bugs on in this process and nothing else: for the simulator.
func Only(bugs ...Bug) {
	f := &faults{bugs: map[Bug]bool{}}
	for _, b := range bugs {
		f.bugs[b] = true
	}
	present.Store(f)
}

// look takes what the file says, if that is not what it said before.
func look(before string) string {
	b, _ := os.ReadFile(path) // absent: nothing is wrong
	text := string(b)
	if text != before || present.Load() == nil {
		present.Store(parse(text))
		_ = os.WriteFile(path+Taken, b, 0o600) // who waits for it finds out
	}
	return text
}

func parse(text string) *faults {
	f := &faults{bugs: map[Bug]bool{}, crash: map[Point]syscall.Signal{}, trouble: map[Trouble]bool{}}
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "bug":
			f.bugs[Bug(words[1])] = true
		case "crash":
			f.crash[Point(words[1])] = syscall.SIGKILL
		case "freeze":
			f.crash[Point(words[1])] = syscall.SIGSTOP
		case "trouble":
			f.trouble[Trouble(words[1])] = true
		case "passed":
			f.passed, _ = time.ParseDuration(words[1])
		case "clock":
			offset, err := time.ParseDuration(words[1])
			if err != nil {
				continue
			}
			f.clock = &setting{at: time.Now(), offset: offset, rate: 1}
			if len(words) > 2 {
				f.clock.rate, _ = strconv.ParseFloat(words[2], 64)
			}
		}
	}
	return f
}

// On says whether a bug is on.
func On(b Bug) bool {
	f := present.Load()
	return always[b] || f != nil && f.bugs[b]
}

// At says whether the process is to die at a point.
func At(p Point) bool {
	f := present.Load()
	return f != nil && f.crash[p] == syscall.SIGKILL
}

// Crash ends the process at a point, if it is to, as `kill -9` does, or stops it
// until it is told to go on: once.
func Crash(p Point) {
	f := present.Load()
	if f == nil || f.crash[p] == 0 {
		return
	}
	b, _ := os.ReadFile(path)
	kept := slices.DeleteFunc(strings.Split(string(b), "\n"), func(line string) bool {
		return strings.HasPrefix(line, "crash ") || strings.HasPrefix(line, "freeze ")
	})
	text := strings.Join(kept, "\n")
	_ = os.WriteFile(path, []byte(text), 0o600)
	present.Store(parse(text))
	_ = syscall.Kill(os.Getpid(), f.crash[p])
	if f.crash[p] == syscall.SIGKILL {
		select {}
	}
	time.Sleep(lookEach) // by then it has stopped
}

// Wrong says whether something outside is to go wrong.
func Wrong(t Trouble) bool {
	f := present.Load()
	return f != nil && f.trouble[t]
}

// Stall waits while something outside goes wrong.
func Stall(t Trouble) {
	if Wrong(t) {
		time.Sleep(stall)
	}
}

var requests atomic.Int64

// Panic panics in every tenth request, when it is to.
func Panic() {
	if Wrong(Panics) && requests.Add(1)%10 == 0 {
		panic("failpoint: a panic, as asked for")
	}
}

// What Later is given is done in order, each this long after it was given.
const later = 300 * time.Millisecond

var (
	waiting = make(chan func(), 1<<16)
	begin   sync.Once
)

// Later does something after its caller believes that it is done.
func Later(do func()) {
	begin.Do(func() {
		go func() {
			for do := range waiting {
				do()
			}
		}()
	})
	due := time.Now().Add(later)
	waiting <- func() { time.Sleep(time.Until(due)); do() }
}

// Passed is how much time has passed that the machine knows nothing of.
func Passed() time.Duration {
	if f := present.Load(); f != nil {
		return f.passed
	}
	return 0
}

// Now is the machine's clock as this node is to see it.
func Now() time.Time {
	now, f := time.Now(), present.Load()
	if f == nil || f.clock == nil && f.passed == 0 {
		return now
	}
	c := f.clock
	if c == nil {
		c = &setting{at: now, rate: 1}
	}
	return now.Round(0).Add(f.passed + c.offset + time.Duration(float64(now.Sub(c.at))*(c.rate-1)))
}
