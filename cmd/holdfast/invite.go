package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/peer"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/spf13/cobra"
)

func nodeInviteCommand() *cobra.Command {
	var i record.Invite
	var out string
	cmd := &cobra.Command{Use: "invite", Short: "Invite one new node: good for an hour and for one admission",
		Long: "Invite one new node. The file holds the one-time key that admits it: bring it to that node alone, as its \"invite\". Good for an hour, once.",
		Args: cobra.NoArgs}
	cmd.Flags().StringVar(&i.Role, "role", "", "control or region")
	cmd.Flags().StringVar(&i.Region, "region", "", "Region of a Region node")
	cmd.Flags().StringVar(&i.Zone, "zone", "", "its availability zone")
	cmd.Flags().StringVar(&i.Node, "id", "", "its name; one that was fenced does not come back")
	cmd.Flags().StringVar(&i.At, "at", "", "control-plane node to join at (default: the first)")
	cmd.Flags().StringVar(&i.Etcd, "etcd", "", "HOST:PORT where a new control-plane node's member of the store will listen")
	cmd.Flags().StringVar(&out, "out", "", "new file for the invite")
	for _, f := range []string{"role", "id", "out"} {
		_ = cmd.MarkFlagRequired(f) // the flags exist
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var pins operator.Pins
		if err := execute(cmd, "node.pins", struct{}{}, &pins); err != nil {
			return err
		}
		if err := completeInvite(&i, &pins); err != nil {
			return usage(err)
		}
		_, key, err := operatorKey(cmd)
		if err != nil {
			return usage(err)
		}
		i.Operator = key.ID
		file, err := peer.Issue(&i, ed25519.NewKeyFromSeed(key.Seed), time.Now())
		if err != nil {
			return err
		}
		if err := local.Write(out, file, 0o400); err != nil {
			return usage(err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: %s admits %s node %s, once, until %s; it joins at %s\n", out, i.Role, i.Node, i.Expires.Std().Format(time.RFC3339), i.At)
		return nil
	}
	return cmd
}

// completeInvite checks an invite against the deployment, and takes from it what the
// new node is to trust.
func completeInvite(i *record.Invite, pins *operator.Pins) error {
	switch {
	case !nodeName.MatchString(i.Node):
		return fmt.Errorf("--id %q is no node's name: letters, digits, . _ -", i.Node)
	case i.Role == record.RegionNode && !slices.Contains(pins.Regions, i.Region):
		return fmt.Errorf("--region %q is no Region of the deployment, which has %s", i.Region, strings.Join(pins.Regions, ", "))
	case i.Role == record.RegionNode && i.Etcd != "":
		return errors.New("--etcd is for control-plane nodes")
	case i.Role == record.ControlNode && i.Region != "":
		return errors.New("--region is for Region nodes")
	case i.Role != record.RegionNode && i.Role != record.ControlNode:
		return fmt.Errorf("--role is %q, want control or region", i.Role)
	}
	i.Root = pins.Root
	for _, c := range pins.Controls {
		if i.At == "" || i.At == c.ID {
			i.At, i.Control = c.ID, c.TLS
			return nil
		}
	}
	return fmt.Errorf("--at: there is no control-plane node %q", i.At)
}

func nodeJoinCommand() *cobra.Command {
	var file, invite, root string
	cmd := &cobra.Command{Use: "join --config FILE", Short: "Admit this machine's node with its invite",
		Long: "Make this node's keys and show them to the control plane with its invite, once. Then `holdfast serve` runs it.", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&file, "config", "", "the node's configuration file (JSON)")
	cmd.Flags().StringVar(&invite, "invite", "", "the invite; wins over the file's \"invite\"")
	cmd.Flags().StringVar(&root, "root", "", "the root's hash, when it is to be held against the file's")
	_ = cmd.MarkFlagRequired("config") // the flag exists
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(file)
		if err != nil {
			return usage(err)
		}
		if invite != "" {
			c.Invite = invite
		}
		if root != "" && root != c.Root {
			return usage(fmt.Errorf("--root is not the root of %s", file))
		}
		id, err := node.Join(cmd.Context(), c)
		switch {
		case errors.Is(err, node.ErrJoined):
			return usage(err)
		case err != nil:
			return &exitError{statusNo, fmt.Errorf("the node was not admitted: %w", err)}
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: %s is admitted; start it with `holdfast serve %s --config %s`\n", id, c.Role, file)
		return nil
	}
	return cmd
}
