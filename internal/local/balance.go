package local

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// With a balancer the Region's socket is HAProxy's, and each node listens for
// itself: on no socket of ours, so that a dead node's connections are refused
// and HAProxy asks another at once.

// balancedOffset is the port offset of the first node behind a balancer.
const balancedOffset = 390

// balance puts a balancer before each Region's nodes.
func (u *Up) balance(m *Marker, o *opener) error {
	u.behind = map[string]string{}
	for _, region := range m.Regions {
		b := Balancer{Region: region, Listen: "fd@5"} // behind the pipes
		file := filepath.Join(u.Layout.Dir, "haproxy-"+region+".cfg")
		front := &Process{Name: "balancer-" + region, Foreign: u.Balancer, Args: []string{"-db", "-f", file}, LogFile: u.Layout.Log("balancer-" + region)}
		for _, a := range u.addresses.Regions {
			if a.Region != region {
				continue
			}
			address, release, err := o.choose(len(u.behind))
			if err != nil {
				return fmt.Errorf("cannot listen for node %s: %w; name another port with --listen", a.Name, cause(err))
			}
			defer release() // all at once, so that no two are the same
			u.behind[a.Name] = address
			b.Nodes = append(b.Nodes, BalancedNode{Name: a.Name, API: address, Admin: a.Admin})
			for i := range u.processes {
				if p := &u.processes[i]; p.Name == a.Name {
					front.Sockets = map[string]*os.File{"api": p.Sockets["api"]} // the nodes share it
					delete(p.Sockets, "api")
				}
			}
		}
		text, err := HAProxy(b)
		if err == nil {
			err = os.WriteFile(file, []byte(text), 0o600)
		}
		if err != nil {
			return err
		}
		u.balancers = append(u.balancers, *front)
	}
	return nil
}

// choose finds an address for the nth node behind a balancer.
func (o *opener) choose(n int) (address string, release func() error, err error) {
	port := 0
	if o.port != 0 {
		port = o.port + balancedOffset + n
	}
	l, err := net.Listen("tcp", net.JoinHostPort(o.host, strconv.Itoa(port)))
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), l.Close, nil
}

// keepBalancers starts the balancers once their nodes are ready: they take a
// node that they do not know for a good one.
func (u *Up) keepBalancers(start func(Process), all *sync.WaitGroup) {
	for _, p := range u.balancers {
		all.Go(func() { start(p) })
	}
}
