package drill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Scenario is one fault that a drill causes from outside.
type Scenario struct {
	Name string
	// What says what is done, for who decides whether it may be.
	What func(d *Deployment, o *Options) string
	// Needs says what is missing for it here; nil: nothing ever is.
	Needs func(d *Deployment, o *Options) error
	// Begin begins the fault and returns what ends it, which may be called
	// twice. A fault that lasts until it has ended by itself returns none.
	Begin func(d *Deployment, o *Options) (heal func(), err error)
	// Felt says whether the fault is felt, shortly before its end; nil: the load
	// tells.
	Felt func(d *Deployment, o *Options) bool
	// Refuses says that writes are refused while it lasts.
	Refuses bool
}

// Options are what a drill was asked for.
type Options struct {
	Region  string // for scenarios of one Region; "" means the last
	Zone    string // for scenarios of one zone; "" means the last
	For     time.Duration
	Rate    int // requests a second
	Writes  int // writes a second
	Retries int
	Timeout time.Duration
}

// Scenarios are all there are, in the order in which a drill runs them.
var Scenarios = []Scenario{
	{Name: "control-plane-gone",
		What: func(d *Deployment, o *Options) string {
			return fmt.Sprintf("freeze %s for %s: reads, STS and decisions go on, writes are refused", strings.Join(d.ControlNodes(), ", "), o.For)
		},
		Begin:   func(d *Deployment, _ *Options) (func(), error) { return d.Freeze(d.ControlNodes()...) },
		Refuses: true},
	{Name: "region-cut-off",
		What: func(d *Deployment, o *Options) string {
			return fmt.Sprintf("drop what passes between the nodes of %s and the control plane for %s (a firewall table of its own, on these nodes' ports alone): the Region answers all but writes, the others all", o.region(d), o.For)
		},
		Needs: func(*Deployment, *Options) error { return MayCut() },
		Begin: func(d *Deployment, o *Options) (func(), error) {
			c := &Cut{Deployment: d, Nodes: d.RegionNodes(o.region(d)), From: d.ControlNodes(), Life: o.For + 30*time.Second}
			return c.Heal, c.Begin()
		},
		Felt: func(d *Deployment, o *Options) bool {
			all := d.Look(context.Background())
			for _, n := range d.RegionNodes(o.region(d)) {
				if s := all[n]; s == nil || s.Age < o.For.Seconds()/2 {
					return false
				}
			}
			return true
		}},
	{Name: "az-lost",
		What: func(d *Deployment, o *Options) string {
			return fmt.Sprintf("freeze every node of zone %s (%s) for %s: no request fails that is repeated once", o.zone(d), strings.Join(d.zoneNodes(o.zone(d)), ", "), o.For)
		},
		Needs: func(d *Deployment, _ *Options) error { return d.zones(3) },
		Begin: func(d *Deployment, o *Options) (func(), error) { return d.Freeze(d.zoneNodes(o.zone(d))...) }},
	{Name: "node-killed",
		What: func(d *Deployment, o *Options) string {
			return fmt.Sprintf("kill -9 each node in turn (%s): no request fails that is repeated once", strings.Join(d.everyNode(), ", "))
		},
		Begin: func(d *Deployment, o *Options) (func(), error) {
			for _, node := range d.everyNode() {
				before := d.Pids(node)
				if err := d.Kill(node); err != nil {
					return nil, err
				}
				if err := d.Restarted(before, restartPatience); err != nil {
					return nil, err
				}
				<-time.After(o.For / time.Duration(len(d.everyNode())))
			}
			return nil, nil
		}},
	{Name: "node-frozen",
		What: func(d *Deployment, o *Options) string {
			return fmt.Sprintf("freeze %s for %s: no request fails that is repeated once, and one write waits for its bound", d.lastOf(o.region(d)), o.For)
		},
		Needs: func(d *Deployment, _ *Options) error { return d.zones(2) },
		Begin: func(d *Deployment, o *Options) (func(), error) { return d.Freeze(d.lastOf(o.region(d))) }},
	{Name: "sequencer-frozen",
		What: func(d *Deployment, o *Options) string {
			return fmt.Sprintf("freeze the control-plane node that sequences for %s: another takes over, and nothing is lost or done twice", o.For)
		},
		Needs: func(d *Deployment, _ *Options) error { return d.zones(3) },
		Begin: func(d *Deployment, _ *Options) (func(), error) {
			name, _ := d.Sequencer(context.Background())
			return d.Freeze(name)
		}},
	{Name: "all-nodes-restart",
		What: func(d *Deployment, o *Options) string {
			return fmt.Sprintf("freeze the control plane for %s and kill -9 every Region node at once meanwhile: each comes back from its own disk; requests wait, none fails", o.For)
		},
		Begin:   restartCutOff,
		Refuses: true},
}

// restartPatience is how long a killed process may take to be there again.
const restartPatience = 30 * time.Second

// restartCutOff kills every Region node while there is nobody to follow.
func restartCutOff(d *Deployment, _ *Options) (func(), error) {
	thaw, err := d.Freeze(d.ControlNodes()...)
	if err != nil {
		return nil, err
	}
	before := d.Pids(d.RegionNodes("")...)
	if err := d.Signal(syscall.SIGKILL, d.RegionNodes("")...); err != nil {
		thaw()
		return nil, err
	}
	if err := d.Restarted(before, restartPatience); err != nil {
		thaw()
		return nil, err
	}
	return thaw, nil
}

// Find returns a scenario.
func Find(name string) (*Scenario, error) {
	var names []string
	for i := range Scenarios {
		if Scenarios[i].Name == name {
			return &Scenarios[i], nil
		}
		names = append(names, Scenarios[i].Name)
	}
	return nil, fmt.Errorf("there is no scenario %q, only %s", name, strings.Join(names, ", "))
}

// Check says whether what was asked for is there.
func (o *Options) Check(d *Deployment) error {
	if o.Region != "" && !slices.Contains(d.Regions(), o.Region) {
		return fmt.Errorf("there is no Region %s here, only %s", o.Region, strings.Join(d.Regions(), ", "))
	}
	if o.Zone != "" && len(d.zoneNodes(o.Zone)) == 0 {
		return fmt.Errorf("there is no zone %q here, only %s", o.Zone, strings.Join(d.zoneNames(), ", "))
	}
	if o.For < time.Second || o.For > time.Hour || o.Rate < 1 || o.Rate > 5000 || o.Writes < 1 || o.Writes > 100 {
		return errors.New("a fault lasts 1s to 1h, at 1 to 5000 requests and 1 to 100 writes a second")
	}
	return nil
}

func (o *Options) region(d *Deployment) string {
	if o.Region != "" {
		return o.Region
	}
	return d.Regions()[len(d.Regions())-1]
}

func (o *Options) zone(d *Deployment) string {
	if o.Zone != "" {
		return o.Zone
	}
	names := d.zoneNames()
	return names[len(names)-1]
}

// zoneNames are the zones of the first Region.
func (d *Deployment) zoneNames() (names []string) {
	for _, n := range d.RegionNodes(d.Regions()[0]) {
		names = append(names, n[len(n)-1:])
	}
	return names
}

// zoneNodes are all nodes of a zone, of both planes.
func (d *Deployment) zoneNodes(zone string) (names []string) {
	for _, n := range d.everyNode() {
		if strings.HasSuffix(n, zone) && n != "control" {
			names = append(names, n)
		}
	}
	return names
}

func (d *Deployment) everyNode() []string { return append(d.ControlNodes(), d.RegionNodes("")...) }

func (d *Deployment) lastOf(region string) string {
	names := d.RegionNodes(region)
	return names[len(names)-1]
}

func (d *Deployment) zones(n int) error {
	if len(d.zoneNames()) >= n {
		return nil
	}
	return fmt.Errorf("this needs %d zones: start with `holdfast up --azs %d`", n, max(n, 3))
}
