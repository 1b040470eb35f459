// Package scenario causes the faults that a deployment has to stand, on real
// processes of a build that can be made to go wrong: dying, lying disks, cut
// networks, wrong clocks, bad feeds. It holds tests alone.
//
// Invariant: each scenario names the bugs of internal/failpoint that turn it
// red, and `make faults` shows that each does. One that no bug can turn red is
// not counted.
//
// Run them: `make test` runs the quick ones, `make faults` all of them and then
// each again on each of its bugs; one alone:
//
//	go test ./internal/scenario -run Hold/P1 -faults all
package scenario
