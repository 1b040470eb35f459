// Package local runs a whole deployment on this machine: the data directory
// of `holdfast up`, and the supervisor of its processes.
//
// Invariant: the directory's marker is written last at the first start, so a
// directory either holds a whole deployment, or is empty, or is refused with
// one sentence; and at most one supervisor holds its lock.
package local

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Layout names the files of a data directory.
type Layout struct{ Dir string }

// Marker is holdfast.json: what this deployment is, and where it listens.
type Marker struct {
	Format  int      `json:"format"`
	Account string   `json:"account"`
	Regions []string `json:"regions"`
	Zones   int      `json:"azs"`
	Root    string   `json:"root"` // hex SHA-256 of the root's public key
	// Etcd is HOST:PORT of each control-plane node's etcd member, by the node's
	// name; absent: there is one control-plane node, and it is named control.
	Etcd map[string]string `json:"etcd,omitempty"`
}

// Addresses is run/addresses.json, written at every start before anything
// answers: the HOST:PORT of each listener.
type Addresses struct {
	Supervisor int             `json:"pid"`
	Control    NodeAddresses   `json:"control"`            // the first
	Controls   []NodeAddresses `json:"controls,omitempty"` // all, where there are several
	Regions    []NodeAddresses `json:"regions"`
	Operator   string          `json:"operator"` // unix socket
}

// All lists every node, the control plane's first.
func (a Addresses) All() []NodeAddresses { return append(a.ControlNodes(), a.Regions...) }

// ControlNodes lists the control plane's nodes.
func (a Addresses) ControlNodes() []NodeAddresses {
	if len(a.Controls) > 0 {
		return slices.Clone(a.Controls)
	}
	return []NodeAddresses{a.Control}
}

// NodeAddresses are the listeners of one node.
type NodeAddresses struct {
	Name   string `json:"name"`
	Region string `json:"region,omitempty"`
	API    string `json:"api"`
	Decide string `json:"decide,omitempty"`
	Peer   string `json:"peer"`
	Admin  string `json:"admin"`
}

// Credentials are what `env` prints for one account. They stand in
// development-credentials.json, the one file with secrets in clear.
type Credentials struct {
	Account     string `json:"account"`
	AdminKeyID  string `json:"adminAccessKeyId,omitempty"`
	AdminSecret string `json:"adminSecretAccessKey,omitempty"`
	RootKeyID   string `json:"rootAccessKeyId"`
	RootSecret  string `json:"rootSecretAccessKey"`
}

// Credentials returns what is kept for an account; "" means the first.
func (l Layout) Credentials(account string) (*Credentials, error) {
	var all []Credentials
	if err := Read(l.CredentialsFile(), &all); err != nil {
		return nil, err
	}
	for i := range all {
		if account == "" || all[i].Account == account {
			return &all[i], nil
		}
	}
	return nil, fmt.Errorf("no credentials of account %s are kept in %s", account, l.CredentialsFile())
}

// KeepCredentials adds an account's credentials, or replaces them.
func (l Layout) KeepCredentials(c Credentials) error {
	var all []Credentials
	if err := Read(l.CredentialsFile(), &all); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	kept := all[:0]
	for _, old := range all {
		if old.Account != c.Account {
			kept = append(kept, old)
		}
	}
	return Write(l.CredentialsFile(), append(kept, c), 0o400)
}

// Paths inside the data directory.
func (l Layout) Marker() string            { return filepath.Join(l.Dir, "holdfast.json") }
func (l Layout) lock() string              { return filepath.Join(l.Dir, "lock") }
func (l Layout) begun() string             { return filepath.Join(l.Dir, "first-start") }
func (l Layout) CredentialsFile() string   { return filepath.Join(l.Dir, "development-credentials.json") }
func (l Layout) RootKey() string           { return filepath.Join(l.Dir, "root.key") }
func (l Layout) Node(name string) string   { return filepath.Join(l.Dir, "nodes", name) }
func (l Layout) Config(name string) string { return filepath.Join(l.Dir, "nodes", name, "config.json") }
func (l Layout) Log(name string) string    { return filepath.Join(l.Dir, "logs", name+".log") }
func (l Layout) KEK() string               { return filepath.Join(l.Dir, "kek") }

// Lineages is the root's list of the successors that it has signed.
func (l Layout) Lineages() string { return filepath.Join(l.Dir, "lineages.json") }

// OperatorKey is the development operator's key.
func (l Layout) OperatorKey() string { return filepath.Join(l.Dir, "operator.key") }

// maxSocketDir leaves room for a socket's name within sun_path's 108 bytes.
const maxSocketDir = 70

// Run is the directory for sockets. A data directory with a long path gets a
// short one of its own under the system's temporary directory.
func (l Layout) Run() string {
	dir := filepath.Join(l.Dir, "run")
	if len(dir) <= maxSocketDir {
		return dir
	}
	sum := sha256.Sum256([]byte(l.Dir))
	return filepath.Join(os.TempDir(), fmt.Sprintf("holdfast-%d-%x", os.Getuid(), sum[:6]))
}

// AddressesFile tells clients where to find the deployment.
func (l Layout) AddressesFile() string { return filepath.Join(l.Dir, "addresses.json") }

// OperatorSocket is the operators' socket of the first control-plane node.
func (l Layout) OperatorSocket() string { return filepath.Join(l.Run(), "operator.sock") }

// operatorSocket is that of the nth.
func (l Layout) operatorSocket(n int) string {
	if n == 0 {
		return l.OperatorSocket()
	}
	return filepath.Join(l.Run(), fmt.Sprintf("operator%d.sock", n+1))
}

// regionSocket is the operators' socket of the nth Region node.
func (l Layout) regionSocket(n int) string {
	return filepath.Join(l.Run(), fmt.Sprintf("region%d.sock", n+1)) // short: sun_path is
}

// RegionSockets are the operators' sockets of the nodes of a Region.
func (l Layout) RegionSockets(region string) (list []string) {
	var a Addresses
	if Read(l.AddressesFile(), &a) == nil {
		for n := range a.Regions {
			if a.Regions[n].Region == region {
				list = append(list, l.regionSocket(n))
			}
		}
	}
	return list
}

// OperatorSockets are the operators' sockets of a running deployment.
func (l Layout) OperatorSockets() []string {
	var a Addresses
	list := []string{l.OperatorSocket()}
	if Read(l.AddressesFile(), &a) == nil {
		for n := 1; n < len(a.Controls); n++ {
			list = append(list, l.operatorSocket(n))
		}
	}
	return list
}

// ControlNames names the control plane's nodes: one below three zones, else
// three.
func ControlNames(zones int) []string {
	if zones < 3 {
		return []string{"control"}
	}
	return []string{"controla", "controlb", "controlc"}
}

// EtcdAuthority is the certificate or key (crt, key) of the etcd members'
// authority.
func (l Layout) EtcdAuthority(kind string) string {
	return filepath.Join(l.Dir, "etcd-authority."+kind)
}

// EtcdFile is a node's certificate or key for etcd's other members.
func (l Layout) EtcdFile(node, kind string) string { return filepath.Join(l.Node(node), "etcd."+kind) }

// State of a data directory.
type State int

// What a directory can be.
const (
	Fresh State = iota // absent or empty
	Whole              // holds a deployment
)

// Inspect tells what the directory is, or in one sentence why it cannot be
// used.
func (l Layout) Inspect() (State, error) {
	entries, err := os.ReadDir(l.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Fresh, nil
	}
	if err != nil {
		return Fresh, fmt.Errorf("cannot read data directory %s: %w", l.Dir, err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	switch {
	case names["holdfast.json"]:
		return Whole, nil
	case names["first-start"]:
		return Fresh, fmt.Errorf("data directory %s was left half-written by a first start that did not finish: remove it and start again", l.Dir)
	case len(names) > 0 && !(len(names) <= 2 && onlyOurs(names)):
		return Fresh, fmt.Errorf("data directory %s is not empty and was not made by Holdfast: name another with --data", l.Dir)
	}
	return Fresh, nil
}

func onlyOurs(names map[string]bool) bool {
	for name := range names {
		if name != ".gitignore" && name != "lock" {
			return false
		}
	}
	return true
}

// Make makes the directory, 0700, with a .gitignore of everything.
func (l Layout) Make() error {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return fmt.Errorf("cannot make data directory %s: %w", l.Dir, err)
	}
	info, err := os.Stat(l.Dir)
	if err != nil {
		return fmt.Errorf("data directory %s: %w", l.Dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("data directory %s is a file", l.Dir)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(l.Dir, 0o700); err != nil {
			return fmt.Errorf("data directory %s can be read by others: %w", l.Dir, err)
		}
	}
	if err := os.WriteFile(filepath.Join(l.Dir, ".gitignore"), []byte("*\n"), 0o600); err != nil {
		return fmt.Errorf("cannot write to data directory %s: %w", l.Dir, err)
	}
	return nil
}

// Read reads one of the directory's JSON files into v.
func Read(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Write writes v as JSON so that a reader sees the old file or the new one.
func Write(path string, v any, mode fs.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Find returns the data directory to use: the one named, or HOLDFAST_DATA, or
// holdfast-data in this or a parent directory.
func Find(named string) (Layout, error) {
	if named == "" {
		named = os.Getenv("HOLDFAST_DATA")
	}
	if named != "" {
		dir, err := filepath.Abs(named)
		if err != nil {
			return Layout{}, err
		}
		l := Layout{dir}
		if _, err := os.Stat(l.Marker()); err != nil {
			return Layout{}, fmt.Errorf("%s holds no deployment: start one with `holdfast up --data %s`", dir, named)
		}
		return l, nil
	}
	here, err := os.Getwd()
	if err != nil {
		return Layout{}, err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		l := Layout{filepath.Join(dir, "holdfast-data")}
		if _, err := os.Stat(l.Marker()); err == nil {
			return l, nil
		}
		if dir == filepath.Dir(dir) {
			return Layout{}, fmt.Errorf("no holdfast-data in %s or a directory above it: start `holdfast up` here, or name the directory with --data or HOLDFAST_DATA", here)
		}
	}
}
