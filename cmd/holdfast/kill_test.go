package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// what a client asks of one user name, and what it was told.
type step struct {
	name   string
	action string // CreateUser, DeleteUser, GetUser
}

// outcomes of a step.
const (
	done         = "done"
	alreadyThere = "EntityAlreadyExists"
	notThere     = "NoSuchEntity"
	unknown      = "unknown" // it may have happened, or may yet
)

// userModel is one user name: it is there or it is not.
var userModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byName := map[string][]porcupine.Operation{}
		for _, op := range history {
			name := op.Input.(step).name
			byName[name] = append(byName[name], op)
		}
		var all [][]porcupine.Operation
		for _, list := range byName {
			all = append(all, list)
		}
		return all
	},
	Init: func() any { return false },
	Step: func(state, input, output any) (bool, any) {
		there := state.(bool)
		switch input.(step).action + " " + output.(string) {
		case "CreateUser " + done:
			return !there, true
		case "CreateUser " + alreadyThere:
			return there, there
		case "DeleteUser " + done:
			return there, false
		case "DeleteUser " + notThere, "GetUser " + notThere:
			return !there, there
		case "GetUser " + done:
			return there, there
		case "CreateUser " + unknown:
			return true, true // that it did not happen is a step that is ordered last
		case "DeleteUser " + unknown:
			return true, false
		}
		return false, there
	},
}

// killCycles is how often a process is killed into the write load; `make kills`
// says otherwise.
var killCycles = func() int {
	if n, err := strconv.Atoi(os.Getenv("HOLDFAST_KILLS")); err == nil {
		return n
	}
	return 60
}()

// TestKillsIntoWriteLoadLoseNothingAndTheHistoryIsLinearizable kills the
// control plane, and sometimes the Region, again and again while clients write
// and read; no client retries.
func TestKillsIntoWriteLoadLoseNothingAndTheHistoryIsLinearizable(t *testing.T) {
	d := start(t)
	admin := d.admin()
	region := d.endpoint()
	region.http.Transport = manyConnections(16)
	control := *region
	control.base = "http://" + d.addresses().Control.API
	var history []porcupine.Operation
	begin := time.Now()
	for cycle := range killCycles {
		history = append(history, cycleOf(d, region, &control, admin, cycle, begin)...)
	}
	count := map[string]int{}
	for _, op := range history {
		count[op.Input.(step).action+" "+op.Output.(string)]++
	}
	t.Logf("%d operations in %s: %v", len(history), time.Since(begin).Round(time.Second), count)
	if count["CreateUser "+done] < killCycles || count["CreateUser "+unknown]+count["DeleteUser "+unknown] < killCycles/4 {
		t.Errorf("the load did not meet the kills: %v", count)
	}
	if result := porcupine.CheckOperationsTimeout(userModel, history, 2*time.Minute); result != porcupine.Ok {
		t.Errorf("the history is not linearizable: %s", result)
	}
}

// cycleOf loads some names, kills a process in the middle, waits until writes
// are taken again, and reads every name once.
func cycleOf(d *deploymentUnderTest, region, control *endpoint, admin credential, cycle int, begin time.Time) []porcupine.Operation {
	d.t.Helper()
	var mu sync.Mutex
	var history []porcupine.Operation
	perform := func(client int, e *endpoint, s step) string {
		call := time.Since(begin).Nanoseconds()
		out := outcome(e, admin, s)
		if out == unknown && s.action == "GetUser" {
			return out // told nothing, changed nothing
		}
		back := time.Since(begin).Nanoseconds()
		if out == unknown {
			back = int64(1) << 62
		}
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{ClientId: client, Input: s, Call: call, Output: out, Return: back})
		return out
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for client := range 8 {
		r := rand.New(rand.NewPCG(uint64(cycle), uint64(client)))
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				s := step{fmt.Sprintf("c%d-%d", cycle, r.IntN(12)), []string{"CreateUser", "DeleteUser", "GetUser"}[r.IntN(3)]}
				e := control // reads are linearizable there
				if s.action != "GetUser" && client%2 == 0 {
					e = region
				}
				if perform(client, e, s) == unknown {
					return // a client whose call is open asks nothing more
				}
			}
		})
	}
	time.Sleep(time.Duration(40+cycle%7*10) * time.Millisecond)
	victim := "control"
	if cycle%4 == 3 {
		victim = "us-east-1a"
	}
	if pid := d.pid(victim); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	time.Sleep(20 * time.Millisecond)
	close(stop)
	wg.Wait()
	killed := time.Now()
	d.until("taking writes again", func() bool {
		r, err := region.try(admin, "iam", "2010-05-08", "UntagUser", url.Values{"UserName": {"admin"}, "TagKeys.member.1": {"k"}})
		return err == nil && r.status == 200
	})
	d.t.Logf("cycle %d: %s killed, writes after %s", cycle, victim, time.Since(killed).Round(time.Millisecond))
	for n := range 12 {
		perform(100, control, step{fmt.Sprintf("c%d-%d", cycle, n), "GetUser"})
	}
	return history
}

// outcome performs a step once.
func outcome(e *endpoint, c credential, s step) string {
	r, err := e.try(c, "iam", "2010-05-08", s.action, url.Values{"UserName": {s.name}})
	switch {
	case err != nil:
		return unknown
	case r.status == 200:
		return done
	case r.code() == alreadyThere || r.code() == notThere:
		return r.code()
	case r.status >= 500:
		return unknown
	}
	if strings.TrimSpace(r.code()) == "" {
		return unknown
	}
	e.t.Errorf("%s: %d %s", s.action, r.status, r.body)
	return unknown
}
