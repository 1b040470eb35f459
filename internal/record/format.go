package record

import (
	"bytes"
	"strconv"
)

// Format is the highest format of batches and records that this build reads
// and writes. Its history: 1, 2026-11, the first; 2, 2026-11, freshness, a
// genesis that names its control-plane nodes; 3, 2026-11, opt-in Regions and what
// accounts choose about STS.
//
// A log begins at FirstFormat and is raised by the first change that needs more,
// so an upgrade can be taken back until something new is used.
const (
	Format      = 3
	FirstFormat = 1
)

// FormatOf is the format that a node must read to apply changes: what restricts
// and is not understood would be ignored.
func FormatOf(changes []Change) int {
	needs := FirstFormat
	for i := range changes {
		if f := formByName[changes[i].Key.Kind()]; f != nil && len(changes[i].Value) > 0 {
			needs = max(needs, f.since[storedVersion(changes[i].Value)])
		}
	}
	return needs
}

// storedVersion reads the version that a stored value begins with; 0 when it is
// not in canonical form.
func storedVersion(value []byte) int {
	rest, ok := bytes.CutPrefix(value, []byte(`{"v":`))
	digits, _, found := bytes.Cut(rest, []byte(","))
	n, err := strconv.Atoi(string(digits))
	if !ok || !found || err != nil {
		return 0
	}
	return n
}

// Behind lists the nodes in force that do not read a format.
func Behind(r Reader, format int) (names []string, err error) {
	err = Scan(r, Nodes, NodeByID, "", "", func(_ string, n *Node) bool {
		if !n.Fenced && max(n.Format, FirstFormat) < format {
			names = append(names, n.ID)
		}
		return true
	})
	return names, err
}
