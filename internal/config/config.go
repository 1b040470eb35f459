// Package config is the configuration of one node: the manual of every
// setting, its default and its limits.
//
// Invariant: an unknown key stops the start, and a key that is absent means
// what its zero value says: the safe choice.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Config is the file that `holdfast serve control|region --config FILE` reads,
// as JSON. Paths may be relative to the file.
type Config struct {
	// Role is "control" or "region".
	Role string `json:"role"`
	// Dir holds what this node keeps: keys, and the store or the replica.
	// Mode 0700, made when absent.
	Dir string `json:"dir"`
	// Region that a Region node answers for; on the control plane the first
	// Region, whose name aws:RequestedRegion has there.
	Region string `json:"region"`
	// Zone is the availability zone, any short name.
	Zone string `json:"zone,omitempty"`
	// API, Decide, Peer and Admin are HOST:PORT to listen on. A socket that
	// is handed over under the same name (LISTEN_FDNAMES) wins. An empty one
	// is not opened.
	API    string `json:"api,omitempty"`
	Decide string `json:"decide,omitempty"`
	Peer   string `json:"peer,omitempty"`
	Admin  string `json:"admin,omitempty"`
	// Operator is the path of the operators' unix socket (0600). On a Region node
	// it takes what works while the control plane is gone: denials in the Region.
	Operator string `json:"operator,omitempty"`
	// Run is a short directory for sockets of this node's own (the store's).
	Run string `json:"run,omitempty"`
	// Control is HOST:PORT of the peer listener of a control plane of one node
	// (Region nodes).
	Control string `json:"control,omitempty"`
	// Controls is HOST:PORT of the peer listener of each control-plane node, by
	// the node's name: in its place, and on the control-plane nodes themselves.
	Controls map[string]string `json:"controls,omitempty"`
	// Advertise is HOST:PORT where other nodes reach this node's peer listener: they
	// learn it from the deployment's state, beside what their "controls" say, or of a
	// Region node its Region's others beside what their "peers" say.
	Advertise string `json:"advertise,omitempty"`
	// Peers is HOST:PORT of the peer listener of nodes of this node's Region, by
	// the node's name; its own may be among them (Region nodes). It is where a node
	// begins: the others it learns from the state, where they "advertise".
	Peers map[string]string `json:"peers,omitempty"`
	// Root is the SHA-256 of the root's public key, hex: what this node
	// trusts before it has heard anything.
	Root string `json:"root,omitempty"`
	// Invite is the file with the invite that a new Region node joins with.
	Invite string `json:"invite,omitempty"`
	// KEK is the file with the key that account keys are sealed under
	// (control plane; 0400, and on another disk than Dir in production).
	KEK string `json:"kek,omitempty"`
	// Genesis is the file with the first records of a new deployment.
	Genesis string `json:"genesis,omitempty"`
	// AnyRegion lets requests be scoped to any well-formed Region name: for
	// laptops, where clients sign with whatever Region they have.
	AnyRegion bool `json:"anyRegion,omitempty"`
	// SharedSocket says that the other nodes of the Region accept on the same
	// sockets, which were handed over: a node that is not ready leaves
	// connections to them. `up` with several zones says so.
	SharedSocket bool `json:"sharedSocket,omitempty"`
	// InsecureHTTP allows plain HTTP on addresses that are not loopback.
	InsecureHTTP bool `json:"insecureHTTP,omitempty"`
	// TLSCert and TLSKey are PEM files for the api and decide listeners.
	TLSCert string `json:"tlsCert,omitempty"`
	TLSKey  string `json:"tlsKey,omitempty"`
	// Proxies are the addresses (or prefixes, 10.0.0.0/28) of balancers: a
	// connection of theirs to the api listener begins with a PROXY v2 header,
	// which tells the client's address; nobody else's does.
	Proxies []string `json:"proxies,omitempty"`
	// DrainSeconds is how long a node that was asked to end says so on /readyz
	// before it stops to listen; 0 means 3. A node of `up` does not wait.
	DrainSeconds int `json:"drainSeconds,omitempty"`
	// EtcdMembers is HOST:PORT of the etcd member that each control-plane node
	// embeds, by the node's name; absent: this node's is alone. EtcdCA,
	// EtcdCert and EtcdKey are PEM files of etcd's own authority.
	EtcdMembers map[string]string `json:"etcdMembers,omitempty"`
	// EtcdEndpoints are the URLs of an etcd cluster that somebody else runs, in
	// place of embedded members; https ones with the three files.
	EtcdEndpoints []string `json:"etcdEndpoints,omitempty"`
	EtcdCA        string   `json:"etcdCA,omitempty"`
	EtcdCert      string   `json:"etcdCert,omitempty"`
	EtcdKey       string   `json:"etcdKey,omitempty"`
	// QuotaBytes limits the store; 0 means 4 GiB, of somebody else's cluster its
	// own quota and 4 GiB at most.
	QuotaBytes int64 `json:"quotaBytes,omitempty"`
	// FloorBytes is the free disk space below which writes are refused;
	// 0 means 256 MiB.
	FloorBytes int64 `json:"floorBytes,omitempty"`
}

// maxFile bounds the configuration file.
const maxFile = 64 << 10

var regionName = regexp.MustCompile(`^[a-z]{2,}(-[a-z0-9]+)+$`)

// ValidRegion says whether name has the form of a Region's name.
func ValidRegion(name string) bool { return len(name) <= 32 && regionName.MatchString(name) }

// Load reads and checks a configuration file.
func Load(path string) (*Config, error) {
	c, err := Read(path)
	if err != nil {
		return nil, err
	}
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Read reads a configuration file: strictly, but what it says is yet to be
// checked.
func Read(path string) (*Config, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	c := new(Config)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%s: there is more than one JSON value", path)
	}
	if err := exactKeys(b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.resolve(filepath.Dir(path))
	return c, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return b, err
}

// exactKeys refuses a key that is ours in other letters only, which the decoder
// would take, also beside it.
func exactKeys(b []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return err
	}
	for f := range reflect.TypeFor[Config]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		delete(keys, name)
	}
	for name := range keys {
		return fmt.Errorf("unknown key %q", name)
	}
	return nil
}

// resolve makes relative paths relative to the file's directory.
func (c *Config) resolve(dir string) {
	for _, p := range []*string{&c.Dir, &c.Operator, &c.Run, &c.Invite, &c.KEK, &c.Genesis, &c.TLSCert, &c.TLSKey, &c.EtcdCA, &c.EtcdCert, &c.EtcdKey} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Check says all that is wrong with the configuration.
func (c *Config) Check() error {
	var errs []error
	need := func(name, value string) {
		if value == "" {
			errs = append(errs, fmt.Errorf("%q is missing", name))
		}
	}
	need("dir", c.Dir)
	need("root", c.Root)
	need("region", c.Region)
	switch c.Role {
	case "control":
		need("kek", c.KEK)
		errs = append(errs, c.checkEtcd())
	case "region":
		if len(c.Controls) == 0 {
			need("control", c.Control)
		}
	default:
		errs = append(errs, fmt.Errorf(`"role" is %q, want "control" or "region"`, c.Role))
	}
	if c.Region != "" && !ValidRegion(c.Region) {
		errs = append(errs, fmt.Errorf(`"region" %q is no Region name, such as us-east-1`, c.Region))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		errs = append(errs, errors.New(`"tlsCert" and "tlsKey" go together`))
	}
	if c.QuotaBytes < 0 || c.FloorBytes < 0 {
		errs = append(errs, errors.New(`"quotaBytes" and "floorBytes" are not negative`))
	}
	if err := c.checkAdvertise(); err != nil {
		errs = append(errs, err)
	}
	if c.DrainSeconds < 0 || c.DrainSeconds > maxDrain {
		errs = append(errs, fmt.Errorf(`"drainSeconds" is %d, want 0 to %d`, c.DrainSeconds, maxDrain))
	}
	if _, err := c.ProxyPrefixes(); err != nil {
		errs = append(errs, err)
	}
	for name, addr := range map[string]string{"api": c.API, "decide": c.Decide} {
		if addr != "" && c.TLSCert == "" && !c.InsecureHTTP && !Loopback(addr) {
			errs = append(errs, fmt.Errorf(`%q %s is not loopback: give "tlsCert" and "tlsKey", or allow plain HTTP with "insecureHTTP": true`, name, addr))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) checkAdvertise() error {
	switch {
	case c.Advertise == "":
		return nil
	case !Reachable(c.Advertise):
		return fmt.Errorf(`"advertise" is %q, want HOST:PORT as other nodes reach it, such as 10.0.0.1:4450`, c.Advertise)
	}
	return nil
}

// Reachable says whether a text has the form of a HOST:PORT that can be dialled.
func Reachable(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" || len(address) > 300 {
		return false
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

// maxDrain bounds DrainSeconds: systemd gives a service 90 seconds to end.
const maxDrain = 60

// ProxyPrefixes are the addresses whose PROXY headers count.
func (c *Config) ProxyPrefixes() ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range c.Proxies {
		p, err := netip.ParsePrefix(text)
		if a, alone := netip.ParseAddr(text); alone == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Bits() == 0 {
			return nil, fmt.Errorf(`"proxies": %q is no address such as 10.0.0.9, nor a prefix such as 10.0.0.0/28`, text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// Drain is how long the node says that it is ending before it stops to listen.
func (c *Config) Drain() time.Duration {
	if c.DrainSeconds == 0 {
		return 3 * time.Second
	}
	return time.Duration(c.DrainSeconds) * time.Second
}

// checkEtcd says what is wrong with where the store is.
func (c *Config) checkEtcd() error {
	several, external := len(c.EtcdMembers) > 0, len(c.EtcdEndpoints) > 0
	secure := several
	for _, e := range c.EtcdEndpoints {
		u, err := url.Parse(e)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf(`"etcdEndpoints": %q is no URL such as https://10.0.0.1:2379`, e)
		}
		secure = secure || u.Scheme == "https"
		if u.Scheme == "http" && !Loopback(u.Host) {
			return fmt.Errorf(`"etcdEndpoints": %s is plain HTTP and not loopback`, e)
		}
	}
	switch {
	case several && external:
		return errors.New(`"etcdMembers" and "etcdEndpoints" exclude each other`)
	case secure && (c.EtcdCA == "" || c.EtcdCert == "" || c.EtcdKey == ""):
		return errors.New(`"etcdCA", "etcdCert" and "etcdKey" are missing: etcd's members and clients prove themselves to each other`)
	case (several || external) && len(c.Controls) == 0:
		return errors.New(`"controls" is missing: the control-plane nodes ask each other`)
	}
	return nil
}

// ControlNodes is where the control-plane nodes listen to other nodes, by name.
// Of a lone one the name may be another.
func (c *Config) ControlNodes() map[string]string {
	if len(c.Controls) == 0 {
		return map[string]string{"control": c.Control}
	}
	return c.Controls
}

// Loopback says whether a HOST:PORT is reachable from this machine alone.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
