package drill

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Link says in which direction a cut takes packets.
type Link int

// The cuts.
const (
	Both   Link = iota // nothing passes
	ToThem             // nothing passes from the nodes that are cut off
	ToUs               // nothing passes to them
)

// Cut is a firewall table of its own, which keeps some nodes from others. All
// nodes of an `up` have one address, so connections are told apart by who
// opened them: those that do not cross the cut are spared, by both ports, and
// all others to the nodes' own ports are dropped. What it blocks it blocks for a
// time: should its process be killed, the rules end by themselves.
type Cut struct {
	Deployment *Deployment
	Nodes      []string // that are cut off
	From       []string // from these
	Link       Link
	Reset      bool          // packets are answered with a reset, not dropped
	Lossy      int           // percent of packets that are lost; 0: all
	Life       time.Duration // after which the rules end by themselves

	table  string
	owners map[int]string // node by a port that it listens on for other nodes
	end    context.CancelFunc
	done   sync.WaitGroup
}

// Heal takes the cut away.
func (c *Cut) Heal() {
	if c.end == nil {
		return // it never began
	}
	c.end()
	c.done.Wait()
	_ = nft("delete table inet " + c.table) // it ends by itself otherwise
}

// refreshEach is how often connections that are to be spared are looked for.
const refreshEach = 150 * time.Millisecond

// Begin begins the cut.
func (c *Cut) Begin() error {
	if err := MayCut(); err != nil {
		return err
	}
	c.table = "holdfast_drill_" + strconv.Itoa(os.Getpid())
	c.listeners()
	life := max(1, int(c.Life.Seconds()))
	var ports []string
	for port, node := range c.owners {
		if slices.Contains(c.Nodes, node) || slices.Contains(c.From, node) {
			ports = append(ports, fmt.Sprintf("%d timeout %ds", port, life))
		}
	}
	drop := "drop"
	if c.Reset {
		drop = "reject with tcp reset"
	}
	if c.Lossy > 0 {
		drop = fmt.Sprintf("numgen random mod 100 < %d drop", c.Lossy)
	}
	// Which way a packet goes follows from who listens: the nodes that are cut
	// off open the connections.
	rules := ""
	if c.Reset {
		rules = "  tcp flags & rst == rst accept\n" // the resets themselves pass here too
	}
	if c.Link != ToUs {
		rules += "  tcp sport . tcp dport @spared accept\n  tcp dport @blocked " + drop + "\n"
	}
	if c.Link != ToThem {
		rules += "  tcp dport . tcp sport @spared accept\n  tcp sport @blocked " + drop + "\n"
	}
	text := fmt.Sprintf(`table inet %[1]s
delete table inet %[1]s
table inet %[1]s {
 set blocked { type inet_service; flags timeout; elements = { %[2]s } }
 set spared { type inet_service . inet_service; }
 chain out { type filter hook output priority 0; policy accept;
%[3]s }
}
`, c.table, strings.Join(ports, ", "), rules)
	spared := c.spare(map[[2]int]bool{})
	if err := nft(text + c.adding(spared)); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.end = cancel
	known := map[[2]int]bool{}
	for _, pair := range spared {
		known[pair] = true
	}
	c.done.Go(func() {
		for ctx.Err() == nil {
			if more := c.spare(known); len(more) > 0 {
				_ = nft(c.adding(more)) // looked for again below
				for _, pair := range more {
					known[pair] = true
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(refreshEach):
			}
		}
	})
	return nil
}

func (c *Cut) adding(pairs [][2]int) string {
	if len(pairs) == 0 {
		return ""
	}
	var list []string
	for _, p := range pairs {
		list = append(list, fmt.Sprintf("%d . %d", p[0], p[1]))
	}
	return fmt.Sprintf("add element inet %s spared { %s }\n", c.table, strings.Join(list, ", "))
}

func nft(text string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// listeners finds the ports on which nodes are reached by other nodes: for peers,
// and for the store's members.
func (c *Cut) listeners() {
	c.owners = map[int]string{}
	for _, n := range c.Deployment.Addresses.All() {
		c.own(n.Peer, n.Name)
	}
	for name, address := range c.Deployment.members() {
		c.own(address, name)
	}
}

func (c *Cut) own(address, node string) {
	if _, text, err := net.SplitHostPort(address); err == nil {
		if port, err := strconv.Atoi(text); err == nil {
			c.owners[port] = node
		}
	}
}

// crosses says whether a connection from one node to another is to be cut.
func (c *Cut) crosses(from, to string) bool {
	in := func(list []string, node string) bool { return slices.Contains(list, node) }
	return in(c.Nodes, from) && in(c.From, to) || in(c.From, from) && in(c.Nodes, to)
}

// spare lists the connections that do not cross the cut and are not known yet,
// each by the port that opened it and the one that it was opened to.
func (c *Cut) spare(known map[[2]int]bool) (more [][2]int) {
	sockets, pids := openers(), c.Deployment.Processes()
	for _, node := range c.Deployment.Addresses.All() {
		for _, inode := range inodes(pids[node.Name]) {
			pair, ok := sockets[inode]
			to := c.owners[pair[1]]
			if ok && to != "" && !known[pair] && !c.crosses(node.Name, to) {
				more = append(more, pair)
			}
		}
	}
	return more
}

// openers lists this machine's TCP sockets with another end, by inode: own port,
// the other's.
func openers() map[string][2]int {
	all := map[string][2]int{}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(file)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) > 9 {
				all[fields[9]] = [2]int{hexPort(fields[1]), hexPort(fields[2])}
			}
		}
		f.Close()
	}
	return all
}

func hexPort(address string) int {
	_, text, _ := strings.Cut(address, ":")
	port, _ := strconv.ParseInt(text, 16, 32)
	return int(port)
}

// inodes lists a process's sockets.
func inodes(pid int) (list []string) {
	if pid == 0 {
		return nil
	}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, l := range links {
		to, err := os.Readlink(l)
		if inode, ok := strings.CutPrefix(to, "socket:["); ok && err == nil {
			list = append(list, strings.TrimSuffix(inode, "]"))
		}
	}
	return list
}
