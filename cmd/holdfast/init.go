package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/store"
	"github.com/spf13/cobra"
)

type initFlags struct {
	f         node.Founding
	operators []string
}

func initCommand() *cobra.Command {
	var in initFlags
	cmd := &cobra.Command{Use: "init", Short: "Make the keys and first records of a production deployment",
		Long: "Make the keys and first records of a production deployment, in a new directory: for good, it never becomes a development one.\n" +
			"Prints the root's hash, which every node's configuration names. Says what to keep where. docs/operations/deploy.md goes on from there.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, _ := cmd.Flags().GetString("data")
			return initialise(cmd, data, in)
		}}
	fl := cmd.Flags()
	fl.StringSliceVar(&in.f.Regions, "regions", nil, "Regions, comma separated")
	fl.StringSliceVar(&in.operators, "operator", nil, "file of an operator's public key, as `operator key make` prints it; two at least, three are better")
	fl.StringVar(&in.f.Node, "node", "", "name of the first control-plane node")
	fl.StringVar(&in.f.Zone, "zone", "a", "its availability zone")
	fl.StringVar(&in.f.Etcd, "etcd", "", "HOST:PORT where its member of the store listens to other members")
	fl.StringVar(&in.f.Account, "account", "", "id of the first account (default: random)")
	fl.StringVar(&in.f.RootKey, "root-key", "", "new file for the root's key (default: root.key in the directory)")
	fl.StringVar(&in.f.KEK, "kek", "", "new file for the key that account keys are sealed under (default: kek in the directory)")
	for _, name := range []string{"regions", "operator", "node", "etcd"} {
		_ = cmd.MarkFlagRequired(name) // the flags exist
	}
	return cmd
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func (in *initFlags) check() error {
	for _, r := range in.f.Regions {
		if !config.ValidRegion(r) {
			return fmt.Errorf("--regions: %q is no Region name, such as us-east-1", r)
		}
	}
	if !nodeName.MatchString(in.f.Node) {
		return fmt.Errorf("--node %q is no node's name: letters, digits, . _ -", in.f.Node)
	}
	if host, _, err := net.SplitHostPort(in.f.Etcd); err != nil || host == "" {
		return fmt.Errorf("--etcd %q is no HOST:PORT, such as 10.0.0.1:2380", in.f.Etcd)
	}
	if in.f.Account == "" {
		n, _ := rand.Int(rand.Reader, big.NewInt(899_999_999_999)) // never fails (crypto/rand)
		in.f.Account = fmt.Sprint(100_000_000_000 + n.Int64())
	}
	if !accountID.MatchString(in.f.Account) {
		return fmt.Errorf("--account %q is not twelve digits", in.f.Account)
	}
	for _, path := range in.operators {
		o, err := operator.ReadPublic(path)
		if err != nil {
			return fmt.Errorf("--operator: %w", err)
		}
		in.f.Operators = append(in.f.Operators, o)
	}
	return nil
}

func initialise(cmd *cobra.Command, data string, in initFlags) error {
	if err := in.check(); err != nil {
		return usage(err)
	}
	if data == "" {
		return usage(errors.New("--data names the new directory for the deployment's keys"))
	}
	dir, err := filepath.Abs(data)
	if err != nil {
		return usage(err)
	}
	layout := local.Layout{Dir: dir}
	if list, err := os.ReadDir(dir); err == nil && len(list) > 0 {
		return usage(fmt.Errorf("%s is not empty: name a new directory with --data", dir))
	}
	if in.f.RootKey == "" {
		in.f.RootKey = layout.RootKey()
	}
	if in.f.KEK == "" {
		in.f.KEK = layout.KEK()
	}
	if err := layout.Make(); err != nil {
		return usage(err)
	}
	in.f.Layout = layout
	root, err := node.Found(in.f)
	if err != nil {
		return usage(err)
	}
	fmt.Fprint(cmd.ErrOrStderr(), keepWhere(in.f))
	fmt.Fprintln(cmd.OutOrStdout(), root)
	return nil
}

// keepWhere says which file belongs where.
func keepWhere(f node.Founding) string {
	l := f.Layout
	text := "holdfast: a production deployment, for good. What belongs where:\n"
	for _, line := range [][2]string{
		{f.RootKey, "offline, two copies: enrolls operators, and with two of them restores or promotes"},
		{l.EtcdAuthority("key"), "offline, with the root's: issues the certificates of the store's members"},
		{f.KEK, "on every control-plane node, on another disk than its data, and one copy in a safe: without it every secret is lost"},
		{l.Node(f.Node), fmt.Sprintf("to %s, as its \"dir\": nowhere else", f.Node)},
		{l.EtcdAuthority("crt"), "to every control-plane node: no secret"},
		{filepath.Join(l.Dir, node.RootCredentials), "to the owner of account " + f.Account + ": its root access key, in clear"},
	} {
		text += fmt.Sprintf("  %-42s %s\n", line[0], line[1])
	}
	if len(f.Operators) < 3 {
		text += "holdfast: with two operators nothing that takes two can be done while one is away; enroll a third\n"
	}
	return text + "holdfast: the root's hash, for every node's configuration (\"root\"):\n"
}

func etcdCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "etcd", Short: "The store's own certificates"}
	var authority, name, host, out string
	issue := &cobra.Command{Use: "certificate", Short: "Issue a certificate for a member of the store, or renew it",
		Long: "Issue a certificate and key for a member of the store, or renew it. Members read them anew at each handshake: nothing restarts.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l := local.Layout{Dir: authority}
			if !nodeName.MatchString(name) || host == "" {
				return usage(errors.New("--id is the node's name, --host what the others reach it at"))
			}
			if err := os.MkdirAll(out, 0o700); err != nil {
				return usage(err)
			}
			cert, key := filepath.Join(out, "etcd.crt"), filepath.Join(out, "etcd.key")
			if err := store.IssueMember(l.EtcdAuthority("crt"), l.EtcdAuthority("key"), cert, key, name, host, time.Now()); err != nil {
				return usage(err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: %s and %s are for node %s at %s\n", cert, key, name, host)
			return nil
		}}
	issue.Flags().StringVar(&authority, "authority", "", "directory of etcd-authority.crt and .key")
	issue.Flags().StringVar(&name, "id", "", "the control-plane node's name")
	issue.Flags().StringVar(&host, "host", "", "address or name at which the other members reach it")
	issue.Flags().StringVar(&out, "out", "", "directory for etcd.crt and etcd.key, which are replaced")
	for _, f := range []string{"authority", "id", "host", "out"} {
		_ = issue.MarkFlagRequired(f) // the flags exist
	}
	cmd.AddCommand(issue)
	return cmd
}
