// Command bench measures Holdfast beside floors and peers: every figure is a
// ratio taken in one run, in alternation, with its spread.
//
// Invariant: a contender is timed only after it has given the answer that the
// workload asks for, so nothing is fast by being wrong.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"time"
)

// plan is how much to measure.
type plan struct {
	rounds   int           // of alternation
	batch    time.Duration // of one contender in one round
	users    int           // of the memory section
	load     time.Duration // of one contender under load in one round
	binary   string        // holdfast, already built; "" builds it
	module   string        // the directory of the main module
	profiles string        // directory for CPU profiles; "" takes none
	apart    bool          // what is started has the first processor to itself, this program the others
	out      io.Writer
}

// section is one table.
type section struct {
	name, title string
	run         func(*plan) error
}

var sections = []section{
	{"policy", "1. Policy evaluation", policySection},
	{"signature", "2. Signature verification", signatureSection},
	{"store", "3. Durable updates at 64 clients", storeSection},
	{"http", "4. Signed calls over HTTP, 64 clients", httpSection},
	{"memory", "5. Memory and start", memorySection},
	{"decide", "6. Authenticate and authorize in process", decideSection},
	{"overload", "8. Overload", overloadSection},
	{"external", "9. Durable updates through an external cluster, 64 clients", externalSection},
	{"fanout", "10. From a commit to the last node", fanoutSection},
	{"planes", "11. A node that sequences is lost, a Region is frozen", planesSection},
	{"changes", "12. Decisions while changes stream in, and denials", changesSection},
}

func main() {
	p := &plan{out: os.Stdout}
	quick := flag.Bool("quick", false, "a short run: fewer rounds, shorter batches, fewer users")
	only := flag.String("only", "", "sections to run, joined with commas: "+names())
	flag.IntVar(&p.rounds, "rounds", 5, "alternating rounds")
	flag.IntVar(&p.users, "users", 1_000_000, "users of the memory section")
	flag.StringVar(&p.profiles, "profiles", "", "write a CPU profile of each of our contenders to this directory")
	flag.StringVar(&p.binary, "holdfast", "", "the holdfast binary (default: built from the module)")
	flag.StringVar(&p.module, "module", "..", "directory of the main module")
	serve := flag.Bool("serve-empty", false, "be the floor of the HTTP section: answer every request with a small JSON text")
	etcd := flag.String("serve-etcd", "", "be a member of the external section's cluster")
	flag.Parse()
	if *etcd != "" {
		fail(serveEtcd(*etcd))
		return
	}
	if *serve {
		fail(serveEmpty(os.Stdout))
		return
	}
	p.batch, p.load = 200*time.Millisecond, 3*time.Second
	if *quick {
		p.rounds, p.batch, p.load = min(p.rounds, 3), 20*time.Millisecond, 500*time.Millisecond
		p.users = min(p.users, 50_000)
	}
	fmt.Fprintf(p.out, "%s, %d × %s, GOMAXPROCS %d; %d alternating rounds. Times are medians; spread is min – median – max of ours. Sections 1, 2 and 6 give CPU time, the collector's included.\n",
		runtime.Version(), runtime.NumCPU(), processor(), runtime.GOMAXPROCS(0), p.rounds)
	for _, s := range sections {
		if *only != "" && !strings.Contains(","+*only+",", ","+s.name+",") {
			continue
		}
		fmt.Fprintf(p.out, "\n## %s\n\n", s.title)
		fail(s.run(p))
		runtime.GC()
	}
}

func names() string {
	var list []string
	for _, s := range sections {
		list = append(list, s.name)
	}
	return strings.Join(list, ", ")
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// processor names the machine's CPU as Linux gives it.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// profile runs work under a CPU profile, if any are asked for.
func (p *plan) profile(name string, work func()) error {
	if p.profiles == "" {
		return nil
	}
	if err := os.MkdirAll(p.profiles, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(p.profiles, name+".pprof"))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	work()
	pprof.StopCPUProfile()
	return nil
}
