package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/lineage"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
)

// succession is what promote and restore are asked for: they are one procedure.
type succession struct {
	rootKey  string
	consents []string
	yes      bool
	from     string // a backup
	identity string

	// Of nodes on machines of their own.
	node, zone, etcd, kek string
	replicas              []string
}

func (s *succession) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.rootKey, "root-key", "", "the root's key file (default: the deployment's)")
	cmd.Flags().StringArrayVar(&s.consents, "consent", nil, "key file of an operator who consents; a production deployment takes two")
	cmd.Flags().BoolVar(&s.yes, "yes", false, "do it without asking for the word")
	cmd.Flags().StringVar(&s.node, "node", "", "nodes on machines of their own: name of the new control plane's first node; --data is a directory as `init` made it")
	cmd.Flags().StringVar(&s.zone, "zone", "a", "with --node: its availability zone")
	cmd.Flags().StringVar(&s.etcd, "etcd", "", "with --node: HOST:PORT where its member of the store listens to other members")
	cmd.Flags().StringVar(&s.kek, "kek", "", "with --node: the KEK's file (default: kek in the directory)")
	cmd.Flags().StringArrayVar(&s.replicas, "replica", nil, "with --node: copy of a Region node's replica directory; give all that can be had")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return s.run(cmd) }
}

const promotionWords = "Every replica of the data directory is looked at, and the highest verified state is taken: by lineage first, by index second; a backup only if no\n" +
	"replica has more. The root signs that the control plane goes on from there in a new lineage, and Region nodes follow it from then on, never the old one.\n" +
	"What is lost is told before anything is done."

func promoteCommand() *cobra.Command {
	s := &succession{}
	cmd := &cobra.Command{Use: "promote", Short: "Go on with a new control plane from what the Regions hold, when the old one is lost", Long: "Go on with a new control plane from what the Regions hold, when the old one is lost.\n" + promotionWords, Args: cobra.NoArgs}
	s.flags(cmd)
	return cmd
}

func restoreCommand() *cobra.Command {
	s := &succession{}
	cmd := &cobra.Command{Use: "restore --from FILE --identity KEYFILE", Short: "Go on with a new control plane from a backup, or from a Region that has more",
		Long: "Go on with a new control plane from a backup, or from a Region that has more, when the old one is lost.\n" + promotionWords, Args: cobra.NoArgs}
	cmd.Flags().StringVar(&s.from, "from", "", "the backup")
	cmd.Flags().StringVar(&s.identity, "identity", "", "age identity file of one of its recipients")
	_, _ = cmd.MarkFlagRequired("from"), cmd.MarkFlagRequired("identity") // the flags exist
	s.flags(cmd)
	return cmd
}

func (s *succession) run(cmd *cobra.Command) error {
	data, _ := cmd.Flags().GetString("data")
	layout, root, operators, err := s.keys(data)
	if err != nil {
		return usage(err)
	}
	done, err := layout.Promoting()
	if err != nil {
		return usage(err)
	}
	defer done()
	p, err := s.plan(layout, root)
	if err != nil {
		return err
	}
	if s.node != "" {
		return s.apart(cmd, p, root, operators)
	}
	var a local.Addresses
	running := layout.Held() && local.Read(layout.AddressesFile(), &a) == nil
	words := cmd.ErrOrStderr()
	tellPlan(words, p, s.from != "")
	alive := tellOld(cmd.Context(), words, p, &a, running)
	if err := s.confirm(cmd.InOrStdin(), words); err != nil {
		return err
	}
	if err := errors.Join(p.Sign(root, operators), p.Stage(root)); err != nil {
		return usage(err)
	}
	if err := endOld(cmd.Context(), words, p, alive); err != nil {
		return err
	}
	kept, err := p.Swap()
	if err != nil {
		return err
	}
	for _, dir := range kept {
		fmt.Fprintf(words, "holdfast: the old control plane's directory is kept as %s\n", dir)
	}
	for _, src := range p.Sources {
		if src.Backup {
			continue
		}
		if err := p.Show(src.Name); err != nil {
			fmt.Fprintf(words, "holdfast: %s cannot be shown the successor: %v\n", src.Name, err)
		}
	}
	if !running {
		fmt.Fprintf(words, "holdfast: `holdfast up` goes on in lineage %s\n", p.Next.Lineage)
		return nil
	}
	return awaitSuccessor(cmd.Context(), words, &a, p.Next)
}

// apart writes the first node's directory, for it to be carried to its machine,
// and what all other nodes are to be shown.
func (s *succession) apart(cmd *cobra.Command, p *node.Promotion, root ed25519.PrivateKey, operators []*operator.Key) error {
	words := cmd.ErrOrStderr()
	tellPlan(words, p, s.from != "")
	fmt.Fprintln(words, "holdfast: a Region node that is not among these may have more: its surplus is handed up. The old control plane's machines have to be ended, or shown their "+
		"successor: until then they take writes from whoever can reach them")
	if err := s.confirm(cmd.InOrStdin(), words); err != nil {
		return err
	}
	if err := errors.Join(p.Sign(root, operators), p.Stage(root)); err != nil {
		return usage(err)
	}
	if _, err := p.Swap(); err != nil {
		return err
	}
	if err := p.ShowIn(p.Layout.Dir); err != nil {
		return err
	}
	fmt.Fprintf(words, "holdfast: carry %s to the data directory of %s and start it; carry %s to the data directory of every Region node, and of the old control plane's nodes\n",
		p.Layout.Node(s.node)+"/*", s.node, filepath.Join(p.Layout.Dir, lineage.SuccessorsFile))
	return nil
}

// ground is what the promotion stands on.
func (s *succession) ground(layout local.Layout, root ed25519.PrivateKey) (node.Ground, error) {
	if s.node == "" {
		var m local.Marker
		err := local.Read(layout.Marker(), &m)
		return node.LocalGround(layout, &m), err
	}
	if !nodeName.MatchString(s.node) {
		return node.Ground{}, fmt.Errorf("--node %q is no node's name: letters, digits, . _ -", s.node)
	}
	g := node.Ground{Layout: layout, Root: fmt.Sprintf("%x", sha256.Sum256(root.Public().(ed25519.PublicKey))), Controls: []string{s.node}, Zone: s.zone}
	if s.etcd != "" {
		g.Etcd = map[string]string{s.node: s.etcd}
	}
	for _, dir := range s.replicas {
		g.Replicas = append(g.Replicas, node.Copy{Name: dir, Dir: dir})
	}
	return g, nil
}

// plan reads the backup, if any, and everything else that there is.
func (s *succession) plan(layout local.Layout, root ed25519.PrivateKey) (*node.Promotion, error) {
	ground, err := s.ground(layout, root)
	if err != nil {
		return nil, usage(err)
	}
	path := s.kek
	if path == "" {
		path = layout.KEK()
	}
	kek, err := keyring.LoadKEK(path)
	if err != nil {
		return nil, usage(fmt.Errorf("the KEK: %w: without it a control plane opens no secret, so none is begun; the Regions go on as they are. Put its copy back first", err))
	}
	var from *lineage.Source
	if s.from != "" {
		b, err := readBackup(s.from, s.identity, ground.Root)
		if err != nil {
			return nil, err
		}
		d, err := record.DescentOf(b.View)
		if err != nil {
			return nil, usage(err)
		}
		from = &lineage.Source{Name: s.from, Backup: true, View: b.View, Seed: b.Seed, Known: d}
	}
	p, err := node.PlanPromotion(ground, from, kek, time.Now())
	if err != nil {
		return nil, &exitError{statusNo, err}
	}
	return p, nil
}

// keys reads the root's key and the operators'.
func (s *succession) keys(data string) (layout local.Layout, root ed25519.PrivateKey, list []*operator.Key, err error) {
	layout = local.Layout{Dir: data}
	switch {
	case s.node == "":
		layout, err = local.Find(data)
	case data == "":
		err = errors.New("--node needs --data: the directory that `init` made, or a copy of it")
	}
	if err != nil {
		return layout, nil, nil, err
	}
	path := s.rootKey
	if path == "" {
		path = layout.RootKey()
	}
	seed, err := keyring.ReadSecret(path)
	if err == nil && len(seed) != ed25519.SeedSize {
		err = fmt.Errorf("%s holds no root key", path)
	}
	if err != nil {
		return layout, nil, nil, err
	}
	for _, path := range s.consents {
		k, err := operator.LoadKey(path)
		if err != nil {
			return layout, nil, nil, err
		}
		list = append(list, k)
	}
	return layout, ed25519.NewKeyFromSeed(seed), list, nil
}

// maxToldLosses bounds what is listed on a terminal.
const maxToldLosses = 50

// tellPlan says what was found, what is taken, and what is lost.
func tellPlan(w io.Writer, p *node.Promotion, restoring bool) {
	say := func(format string, args ...any) { fmt.Fprintf(w, "holdfast: "+format+"\n", args...) }
	for _, s := range p.Sources {
		switch {
		case s.Err != nil:
			say("%s cannot be read: %v", s.Name, s.Err)
		case s == p.Best:
			say("%s has %s of %s, %d records: taken", s.Name, s.Revision(), s.View.Head.At().Format(time.RFC3339), s.View.Len())
		default:
			say("%s has %s of %s", s.Name, s.Revision(), s.View.Head.At().Format(time.RFC3339))
		}
	}
	if restoring && !p.Best.Backup {
		say("a replica has at least what the backup has: the backup is not used")
	}
	say("the control plane goes on in lineage %s (epoch %d) after %s", p.Next.Lineage, p.Next.Epoch, p.Best.Revision())
	say("lost is what was committed after that and is on none of these: a write that was answered with `X-Holdfast-Applied: all` is not among it, if all nodes could be read")
	if n := len(p.Surplus); n > 0 {
		say("%d changes are known that the new lineage does not have; their deletions are denied, the rest is lost:", n)
		for i, l := range p.Surplus {
			if i == maxToldLosses {
				say("  and %d more: the audit will list them", n-i)
				break
			}
			say("  index %d, %s: %s %s (call %.16s)", l.Index, time.UnixMilli(l.Time).UTC().Format(time.RFC3339), l.Key, l.What, l.Call)
		}
	}
	for _, s := range p.Sources {
		if s.Behind != "" {
			say("%s: %s: it goes on serving its state until somebody decides", s.Name, s.Behind)
		}
	}
}

// tellOld says how far the old control plane can be fenced, and which of its
// nodes answer.
func tellOld(ctx context.Context, w io.Writer, p *node.Promotion, a *local.Addresses, running bool) (alive map[string]string) {
	alive = map[string]string{}
	if running {
		for _, c := range a.ControlNodes() {
			if _, err := askNode(ctx, c.Admin); err == nil {
				alive[c.Name] = c.Admin
			}
		}
	}
	for _, name := range p.Marker.ControlNames() {
		if alive[name] != "" {
			fmt.Fprintf(w, "holdfast: the old control-plane node %s answers: it will be told, and ends; what it has beyond is handed up. If it is well, do not promote\n", name)
		} else {
			fmt.Fprintf(w, "holdfast: the old control-plane node %s does not answer and cannot be told. Should it come back, it takes writes from whoever can reach it, until a Region node "+
				"of the new lineage connects to it or it finds the successor in its directory; its Regions' nodes that were told follow it no more\n", name)
		}
	}
	return alive
}

// confirmation is the word that promotes.
const confirmation = "promote"

func (s *succession) confirm(in io.Reader, w io.Writer) error {
	if s.yes {
		return nil
	}
	fmt.Fprintf(w, "holdfast: nothing has been done yet. Type %s to go on: ", confirmation)
	line, _ := bufio.NewReader(in).ReadString('\n') // an end without the word is a no
	if strings.TrimSpace(line) != confirmation {
		fmt.Fprintln(w)
		return &exitError{statusNo, errors.New("nothing was done")}
	}
	return nil
}

// endBound is how long the old control plane is waited for.
const endBound = 20 * time.Second

// endOld shows the old control plane its successor, and waits until the nodes
// that answered have ended.
func endOld(ctx context.Context, w io.Writer, p *node.Promotion, alive map[string]string) error {
	for _, name := range p.Marker.ControlNames() {
		if err := p.Show(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, endBound)
	defer cancel()
	told := map[string]bool{}
	for len(told) < len(alive) {
		for name, admin := range alive {
			if _, err := askNode(ctx, admin); err != nil && !told[name] {
				told[name] = true
				fmt.Fprintf(w, "holdfast: %s has ended\n", name)
			}
		}
		select {
		case <-ctx.Done():
			return unreachable(fmt.Errorf("the old control plane was shown its successor and has not ended within %s: end its process, then run this again; Regions have been shown nothing yet", endBound))
		case <-time.After(pollPause):
		}
	}
	for _, name := range p.Marker.ControlNames() {
		if left, err := p.Retired(name); err != nil {
			return err
		} else if left {
			fmt.Fprintf(w, "holdfast: %s has left what the new lineage does not have: it is handed up\n", name)
		}
	}
	return nil
}

// awaitSuccessor waits until the nodes serve the new lineage, and says which do
// not.
func awaitSuccessor(ctx context.Context, w io.Writer, a *local.Addresses, s *record.Successor) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		late := behindOf(askAll(ctx, a), s.Lineage, uint64(s.Fork)+1)
		if late == "" {
			fmt.Fprintf(w, "holdfast: every node serves lineage %s\n", s.Lineage)
			return nil
		}
		select {
		case <-ctx.Done():
			return unreachable(fmt.Errorf("%s does not serve lineage %s yet; look at its log", late, s.Lineage))
		case <-time.After(pollPause):
		}
	}
}
