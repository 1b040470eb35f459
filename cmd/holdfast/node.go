package main

import (
	"fmt"
	"strconv"
	"time"

	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/spf13/cobra"
)

func nodeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "node", Short: "Nodes of the deployment"}
	cmd.AddCommand(nodeListCommand(), nodeFenceCommand(), nodeExposedCommand(), nodeInviteCommand(), nodeJoinCommand(), nodeTicketCommand())
	return cmd
}

const nodeHeader = "ID\tROLE\tREGION\tZONE\tFORMAT\tJOINED\tSTATE"

func nodeRows(list ...operator.NodeLine) (rows [][]string) {
	for _, n := range list {
		state := "admitted"
		if n.Fenced {
			state = "fenced"
		}
		rows = append(rows, []string{n.ID, n.Role, n.Region, n.Zone, strconv.Itoa(n.Format), n.Joined.Std().Format(time.RFC3339), state})
	}
	return rows
}

func nodeListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the nodes", Args: cobra.NoArgs}
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var out []operator.NodeLine
		if err := execute(cmd, "node.list", struct{}{}, &out); err != nil {
			return err
		}
		return show(cmd, *format, out, nodeHeader, nodeRows(out...))
	}
	return cmd
}

func nodeFenceCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "fence ID", Short: "Take a node out for good: a stolen one, or one that is lost",
		Long: "Take a node out for good. Nothing that it signs is believed from then on: the sessions that it minted are refused everywhere, and no node\n" +
			"talks to it. The keys that it held are renewed. Long-term secrets that it could open stay as they are: `node exposed` lists them.",
		Args: cobra.ExactArgs(1)}
	format := formatFlag(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var out operator.NodeLine
		if err := execute(cmd, "node.fence", map[string]string{"id": args[0], "reason": reason}, &out); err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: `holdfast node exposed %s` lists the long-term keys that it could open: replace them if it was stolen\n", out.ID)
		return show(cmd, *format, out, nodeHeader, nodeRows(out))
	}
	return cmd
}

func nodeExposedCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "exposed ID", Short: "List the long-term access keys whose secrets a node could open", Args: cobra.ExactArgs(1)}
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		all := operator.Exposed{Keys: []operator.ExposedKey{}}
		for {
			var page operator.Exposed
			if err := execute(cmd, "node.exposed", map[string]string{"id": args[0], "after": all.More}, &page); err != nil {
				return err
			}
			all.Accounts, all.Keys, all.More = page.Accounts, append(all.Keys, page.Keys...), page.More
			if all.More == "" {
				break
			}
		}
		var rows [][]string
		for _, k := range all.Keys {
			state := "inactive"
			if k.Active {
				state = "active"
			}
			rows = append(rows, []string{k.Account, k.User, k.ID, state})
		}
		return show(cmd, *format, all, "ACCOUNT\tUSER\tACCESS KEY\tSTATE", rows)
	}
	return cmd
}
