package main

import (
	"fmt"
	"os"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/spf13/cobra"
)

func nodeTicketCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "ticket", Short: "Admit a node to a Region that is cut off from the control plane",
		Long: "Admit a node to a Region that is cut off from the control plane, in place of one that is lost: the new machine makes a request, operators sign it (two in\n" +
			"production) at the Region's own nodes, and the node is one of them until the control plane, when it can be reached again, enrols it.\n" +
			"While it can be reached, `holdfast node invite` is the way."}
	cmd.AddCommand(ticketRequestCommand(), ticketIssueCommand(), ticketListCommand())
	return cmd
}

func ticketRequestCommand() *cobra.Command {
	var file, id, out string
	cmd := &cobra.Command{Use: "request --config FILE --id NAME --out FILE", Short: "On the new machine: make the node's keys and write what it shows of itself",
		Long: "Make the keys of this machine's node, once, and write what it shows of itself to a new file, which holds no secret: operators sign that.\n" +
			"Its configuration has to name, under \"peers\", a node of its Region.", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&file, "config", "", "the node's configuration file (JSON)")
	cmd.Flags().StringVar(&id, "id", "", "its name; that of a node that was there before does not come back")
	cmd.Flags().StringVar(&out, "out", "", "new file for the request")
	for _, f := range []string{"config", "id", "out"} {
		_ = cmd.MarkFlagRequired(f) // the flags exist
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.Load(file)
		if err != nil {
			return usage(err)
		}
		switch {
		case c.Role != record.RegionNode:
			return usage(fmt.Errorf("%s is of a %s node: only a Region's is admitted by ticket", file, c.Role))
		case !nodeName.MatchString(id):
			return usage(fmt.Errorf("--id %q is no node's name: letters, digits, . _ -", id))
		case len(c.Peers) == 0:
			return usage(fmt.Errorf(`%s names no node of the Region: "peers" is where the new one begins`, file))
		}
		if _, err := os.Lstat(out); err == nil {
			return usage(fmt.Errorf("%s is there already", out))
		}
		t, err := node.RequestTicket(c, id)
		if err != nil {
			return usage(err)
		}
		if err := local.Write(out, t, 0o644); err != nil {
			return usage(err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: the fingerprint of this request is %s: who signs compares it\n", t.Fingerprint())
		fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: operators sign %s with `holdfast node ticket issue %s --region %s`; then start the node with `holdfast serve region --config %s`\n", out, out, c.Region, file)
		return nil
	}
	return cmd
}

func ticketIssueCommand() *cobra.Command {
	var region string
	cmd := &cobra.Command{Use: "issue REQUEST --region R", Short: "Sign a new node's request, at the nodes of its Region",
		Long: "Sign a new node's request, at the nodes of its Region. The node may use the Region's secrets from then on, and mint sessions that this Region alone accepts.\n" +
			"It takes two operators in production: --propose, and `holdfast approve`. `holdfast deny minter NAME --region R` takes it back.", Args: cobra.ExactArgs(1)}
	format := formatFlag(cmd)
	cmd.Flags().StringVar(&region, "region", "", "the Region, whose own nodes are asked")
	_ = cmd.MarkFlagRequired("region") // the flag exists
	proposeFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := operator.ReadRequest(args[0], time.Now())
		if err != nil {
			return usage(err)
		}
		if t.Region != region {
			return usage(fmt.Errorf("%s is the request of a node of Region %s, not of %s", args[0], t.Region, region))
		}
		state, err := regionState(cmd, region)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: the fingerprint of %s is %s\n", args[0], t.Fingerprint())
		t.Cluster = state.Cluster
		var out operator.NodeLine
		if err := executeAt(cmd, region, operator.RegionAdmit, t, &out); err != nil || propose(cmd) != "" {
			return err
		}
		return show(cmd, *format, out, nodeHeader, ticketRows(out))
	}
	return cmd
}

func ticketListCommand() *cobra.Command {
	var region string
	cmd := &cobra.Command{Use: "list --region R", Short: "List the tickets that wait for the control plane, as a node of the Region knows them", Args: cobra.NoArgs}
	format := formatFlag(cmd)
	cmd.Flags().StringVar(&region, "region", "", "the Region, whose own nodes are asked")
	_ = cmd.MarkFlagRequired("region") // the flag exists
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		state, err := regionState(cmd, region)
		if err != nil {
			return err
		}
		return show(cmd, *format, state.Tickets, nodeHeader, ticketRows(state.Tickets...))
	}
	return cmd
}

// ticketRows are the rows of nodes by ticket.
func ticketRows(list ...operator.NodeLine) [][]string {
	rows := nodeRows(list...)
	for i, n := range list {
		rows[i][len(rows[i])-1] = "by ticket"
		if n.Fenced {
			rows[i][len(rows[i])-1] = "withdrawn"
		}
	}
	return rows
}
