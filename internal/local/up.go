package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"

	"github.com/holdfast-iam/holdfast/internal/config"
)

// Options are what `up` was asked for.
type Options struct {
	Layout  Layout
	Listen  string // HOST:PORT of the first Region's api listener
	Account string
	Regions []string
	Zones   int
	Etcd    map[string]string // as in Marker; chosen at the first start
}

// Port offsets from --listen's port (DESIGN §7: 4260, and with it 4250 for the
// control plane, 4360 for decisions, 4450 for peers, 4550 for health, 4850 for
// the members of a store that has several).
const (
	controlOffset = -10
	decideOffset  = 100
	peerOffset    = 190
	adminOffset   = 290
	etcdOffset    = 590
)

// Up is a deployment on this machine.
type Up struct {
	Options
	Executable string
	Balancer   string // HAProxy's executable; "": the nodes of a Region share a socket
	// Develop makes a new deployment in the directory; it is given by the
	// command, so that this room needs no other.
	Develop func(Options) (*Marker, error)
	// Invite makes sure that a Region node that has not joined has an invite.
	Invite func(l Layout, node, region, zone string) error
	Say    func(format string, args ...any)
	Events func(Event)

	lock      *fileutil.LockedFile
	addresses Addresses
	processes []Process
	balancers []Process
	behind    map[string]string // addresses of nodes behind a balancer, by name
}

// Open makes or finds the deployment, takes its lock and opens its sockets.
// Its errors are one sentence each, for exit status 2.
func (u *Up) Open() error {
	if _, _, err := splitListen(u.Listen); err != nil {
		return err
	}
	state, err := u.Layout.Inspect()
	if err != nil {
		return err
	}
	if err := u.Layout.Make(); err != nil {
		return err
	}
	if run := u.Layout.Run(); len(run) > maxSocketDir {
		return fmt.Errorf("socket directory %s is too long for a unix socket: set TMPDIR to a shorter directory, or take a data directory with a short path", run)
	}
	u.lock, err = fileutil.TryLockFile(u.Layout.lock(), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return fmt.Errorf("data directory %s is in use by another `holdfast up`", u.Layout.Dir)
	}
	if err != nil {
		return fmt.Errorf("cannot lock data directory %s: %w", u.Layout.Dir, err)
	}
	var marker *Marker
	if state == Fresh {
		marker, err = u.firstStart()
	} else {
		marker, err = u.continued()
	}
	if err != nil {
		return err
	}
	return u.openSockets(marker)
}

// Held says whether a running `up` holds the directory.
func (l Layout) Held() bool {
	lock, err := fileutil.TryLockFile(l.lock(), os.O_RDWR, 0o600)
	if err == nil {
		lock.Close()
	}
	return errors.Is(err, fileutil.ErrLocked)
}

// Promoting takes the directory for a promotion, which is one at a time: two at once
// would sign two successors of one epoch. An error says so.
func (l Layout) Promoting() (done func(), err error) {
	lock, err := fileutil.TryLockFile(filepath.Join(l.Dir, "promotion.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		return nil, fmt.Errorf("another promotion or restore of %s is under way", l.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot lock %s: %w", l.Dir, err)
	}
	return func() { _ = lock.Close() }, nil // the lock ends with the process all the same
}

// firstStart makes the deployment. The marker is written last.
func (u *Up) firstStart() (*Marker, error) {
	if err := os.WriteFile(u.Layout.begun(), nil, 0o600); err != nil {
		return nil, fmt.Errorf("cannot write to data directory %s: %w", u.Layout.Dir, err)
	}
	for _, dir := range []string{"nodes", "logs"} {
		if err := os.MkdirAll(filepath.Join(u.Layout.Dir, dir), 0o700); err != nil {
			return nil, err
		}
	}
	var err error
	if u.Etcd, err = u.etcdMembers(); err != nil {
		return nil, err
	}
	marker, err := u.Develop(u.Options)
	if err != nil {
		return nil, fmt.Errorf("first start in %s: %w", u.Layout.Dir, err)
	}
	if err := Write(u.Layout.Marker(), marker, 0o600); err != nil {
		return nil, err
	}
	return marker, os.Remove(u.Layout.begun())
}

func (u *Up) continued() (*Marker, error) {
	var m Marker
	if err := Read(u.Layout.Marker(), &m); err != nil {
		return nil, fmt.Errorf("data directory %s is damaged: %w", u.Layout.Dir, err)
	}
	if m.Format != 1 {
		return nil, fmt.Errorf("data directory %s has format %d, this build reads 1", u.Layout.Dir, m.Format)
	}
	switch {
	case u.Account != "" && u.Account != m.Account:
		return nil, fmt.Errorf("data directory %s belongs to account %s, not %s", u.Layout.Dir, m.Account, u.Account)
	case len(u.Regions) > 0 && fmt.Sprint(u.Regions) != fmt.Sprint(m.Regions):
		return nil, fmt.Errorf("data directory %s has the Regions %v, not %v", u.Layout.Dir, m.Regions, u.Regions)
	case u.Zones != 0 && u.Zones != m.Zones:
		return nil, fmt.Errorf("data directory %s has %d zones a Region, not %d", u.Layout.Dir, m.Zones, u.Zones)
	}
	return &m, nil
}

// Close gives the lock back and removes what says that the deployment runs.
func (u *Up) Close() {
	for _, p := range append(u.processes, u.balancers...) {
		for _, f := range p.Sockets {
			f.Close()
		}
	}
	if u.lock != nil {
		os.Remove(u.Layout.AddressesFile())
		u.lock.Close()
	}
}

// Addresses returns where the deployment listens.
func (u *Up) Addresses() *Addresses { return &u.addresses }

// openSockets opens every listener here, so that a node that restarts refuses
// no connection, and writes each node's configuration.
func (u *Up) openSockets(m *Marker) error {
	host, port, err := splitListen(u.Listen)
	if err != nil {
		return err
	}
	run := u.Layout.Run()
	if err := os.MkdirAll(run, 0o700); err != nil {
		return fmt.Errorf("cannot make socket directory %s: %w", run, err)
	}
	u.addresses = Addresses{Supervisor: os.Getpid(), Operator: u.Layout.OperatorSocket()}
	open := opener{host: host, port: port}
	release, err := reserve(m.Etcd)
	if err != nil {
		return err
	}
	defer release()
	names := m.ControlNames()
	for k, name := range names {
		a, p := NodeAddresses{Name: name}, u.process(name, "control")
		a.API = open.listen(p, "api", controlOffset+k)
		a.Peer = open.listen(p, "peer", peerOffset+k)
		a.Admin = open.listen(p, "admin", adminOffset+k)
		u.addresses.Controls = append(u.addresses.Controls, a)
	}
	u.addresses.Control = u.addresses.Controls[0]
	if len(names) == 1 {
		u.addresses.Controls = nil
	}
	n := len(names) - 1
	for i, region := range m.Regions {
		shared := map[string]*os.File{}
		first := NodeAddresses{}
		for z := range m.Zones {
			n++
			name := region + string(rune('a'+z))
			p := u.process(name, "region")
			a := NodeAddresses{Name: name, Region: region}
			if z == 0 {
				a.API, a.Decide = open.listen(p, "api", i), open.listen(p, "decide", decideOffset+i)
				shared["api"], shared["decide"], first = p.Sockets["api"], p.Sockets["decide"], a
			} else { // zones accept on the same socket
				a.API, a.Decide = first.API, first.Decide
				p.Sockets["api"], p.Sockets["decide"] = shared["api"], shared["decide"]
			}
			a.Peer, a.Admin = open.listen(p, "peer", peerOffset+n), open.listen(p, "admin", adminOffset+n)
			u.addresses.Regions = append(u.addresses.Regions, a)
		}
	}
	if open.err != nil {
		return open.err
	}
	if u.Balancer != "" {
		if err := u.balance(m, &open); err != nil {
			return err
		}
	}
	return u.configure(m)
}

func (u *Up) process(name, role string) *Process {
	u.processes = append(u.processes, Process{Name: name, Sockets: map[string]*os.File{},
		Args: []string{"serve", role, "--config", u.Layout.Config(name)}, LogFile: u.Layout.Log(name)})
	return &u.processes[len(u.processes)-1]
}

// configure writes the nodes' configuration files and the addresses.
func (u *Up) configure(m *Marker) error {
	controls := u.addresses.peers()
	for n, a := range u.addresses.ControlNodes() {
		if err := u.writeConfig(u.Layout.ControlConfig(m, &u.addresses, n), a); err != nil {
			return err
		}
	}
	peers := map[string]map[string]string{} // by Region
	for _, a := range u.addresses.Regions {
		if peers[a.Region] == nil {
			peers[a.Region] = map[string]string{}
		}
		peers[a.Region][a.Name] = a.Peer
	}
	for n, a := range u.addresses.Regions {
		c := u.Layout.common(m, a)
		c.Role, c.Region, c.Zone, c.Decide, c.Operator = "region", a.Region, a.Name[len(a.Region):], a.Decide, u.Layout.regionSocket(n)
		c.Controls, c.Peers, c.Invite = controls, peers[a.Region], filepath.Join(c.Dir, "invite.json")
		if own := u.behind[a.Name]; own != "" {
			host, _, _ := net.SplitHostPort(own) // it was listened on
			c.API, c.Proxies = own, []string{host}
		}
		c.SharedSocket = len(peers[a.Region]) > 1 && u.Balancer == ""
		if len(controls) == 0 {
			c.Control = u.addresses.Control.Peer
		}
		if err := u.writeConfig(c, a); err != nil {
			return err
		}
		if err := u.Invite(u.Layout, a.Name, a.Region, c.Zone); err != nil {
			return err
		}
	}
	return Write(u.Layout.AddressesFile(), u.addresses, 0o600)
}

// peers are the peer listeners of several control-plane nodes, by name.
func (a *Addresses) peers() map[string]string {
	all := map[string]string{}
	for _, c := range a.Controls {
		all[c.Name] = c.Peer
	}
	return all
}

// ControlConfig is the configuration of the nth control-plane node.
func (l Layout) ControlConfig(m *Marker, all *Addresses, n int) *config.Config {
	a := all.ControlNodes()[n]
	c := l.common(m, a)
	c.Role, c.Region, c.Zone, c.Operator, c.Run = "control", m.Regions[0], string(rune('a'+n)), l.operatorSocket(n), l.Run()
	c.KEK, c.Genesis, c.Controls = l.KEK(), filepath.Join(c.Dir, "genesis.json"), all.peers()
	if len(m.Etcd) > 0 {
		c.EtcdMembers, c.EtcdCA = m.Etcd, l.EtcdAuthority("crt")
		c.EtcdCert, c.EtcdKey = l.EtcdFile(a.Name, "crt"), l.EtcdFile(a.Name, "key")
	}
	return c
}

// common is what the configurations of both planes say.
func (l Layout) common(m *Marker, a NodeAddresses) *config.Config {
	return &config.Config{Dir: l.Node(a.Name), API: a.API, Peer: a.Peer, Admin: a.Admin, Root: m.Root, AnyRegion: len(m.Regions) == 1}
}

func (u *Up) writeConfig(c *config.Config, a NodeAddresses) error {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	return Write(u.Layout.Config(a.Name), c, 0o600)
}

// ControlNames names the deployment's control-plane nodes.
func (m *Marker) ControlNames() []string {
	if len(m.Etcd) == 0 { // also a directory of many zones that an older build made
		return ControlNames(1)
	}
	return slices.Sorted(maps.Keys(m.Etcd))
}

// etcdMembers chooses where the members of a new deployment listen. Members
// know each other by it, so it is kept.
func (u *Up) etcdMembers() (map[string]string, error) {
	names := ControlNames(u.Zones)
	if len(names) == 1 {
		return nil, nil
	}
	host, port, err := splitListen(u.Listen)
	if err != nil {
		return nil, err
	}
	members := map[string]string{}
	for k, name := range names {
		own := 0
		if port != 0 {
			own = port + etcdOffset + k
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(own)))
		if err != nil {
			return nil, fmt.Errorf("cannot listen on port %d for the store of %s: %w; name another with --listen", own, name, cause(err))
		}
		defer l.Close() // all at once, so that no two are the same
		members[name] = l.Addr().String()
	}
	return members, nil
}

// reserve holds the members' addresses while the other sockets are opened, so
// that none of these takes one.
func reserve(members map[string]string) (release func(), err error) {
	var held []net.Listener
	release = func() {
		for _, l := range held {
			l.Close()
		}
	}
	for name, address := range members {
		l, err := net.Listen("tcp", address)
		if err != nil {
			release()
			return nil, fmt.Errorf("cannot listen on %s for the store of %s: %w", address, name, cause(err))
		}
		held = append(held, l)
	}
	return release, nil
}

// Run keeps the processes until ctx ends; ready is called once, when all have
// said that they are ready.
func (u *Up) Run(ctx context.Context, ready func()) {
	var mu sync.Mutex
	waiting := map[string]bool{}
	for _, p := range u.processes {
		waiting[p.Name] = true
	}
	var all sync.WaitGroup
	balanced := &Supervisor{Events: u.Events}
	s := &Supervisor{Executable: u.Executable, Events: func(e Event) {
		mu.Lock()
		was := len(waiting)
		if e.What == "ready" {
			delete(waiting, e.Name)
		}
		done := was > 0 && len(waiting) == 0
		mu.Unlock()
		u.Events(e)
		if done {
			u.keepBalancers(func(p Process) { balanced.Keep(ctx, p) }, &all)
			ready()
		}
	}}
	for _, p := range u.processes {
		all.Go(func() { s.Keep(ctx, p) })
	}
	all.Wait()
}

type opener struct {
	host string
	port int
	err  error
}

// listen opens a socket at an offset from the first port; port 0 takes any.
func (o *opener) listen(p *Process, name string, offset int) string {
	if o.err != nil {
		return ""
	}
	port := 0
	if o.port != 0 {
		port = o.port + offset
	}
	l, err := net.Listen("tcp", net.JoinHostPort(o.host, strconv.Itoa(port)))
	if err != nil {
		o.err = fmt.Errorf("cannot listen on %s for %s of %s: %w; name another with --listen", net.JoinHostPort(o.host, strconv.Itoa(port)), name, p.Name, cause(err))
		return ""
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		o.err = err
		return ""
	}
	p.Sockets[name] = f
	return l.Addr().String()
}

// cause is the innermost reason of a network error: the rest repeats the
// address.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

func splitListen(listen string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(listen)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || port < 0 || port > 65535-etcdOffset-100 || (port > 0 && port+controlOffset < 1) {
		return "", 0, fmt.Errorf("--listen %q is no HOST:PORT that leaves room for the other ports, such as 127.0.0.1:4260", listen)
	}
	if !config.Loopback(listen) {
		return "", 0, fmt.Errorf("--listen %q is not loopback: `up` speaks plain HTTP and stays on this machine", listen)
	}
	return host, port, nil
}
