package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/spf13/cobra"
)

// operatorKey is the key that --operator-key names, or the deployment's own,
// and the sockets that its commands go to.
func operatorKey(cmd *cobra.Command) (sockets []string, key *operator.Key, err error) {
	return operatorKeyAt(cmd, "")
}

// operatorKeyAt is operatorKey with the sockets of a Region's own nodes; "": of
// the control plane.
func operatorKeyAt(cmd *cobra.Command, region string) (sockets []string, key *operator.Key, err error) {
	sockets, _ = cmd.Flags().GetStringSlice("operator-socket")
	path, _ := cmd.Flags().GetString("operator-key")
	if len(sockets) == 0 || path == "" {
		data, _ := cmd.Flags().GetString("data")
		layout, err := local.Find(data)
		if err != nil {
			return nil, nil, err
		}
		switch {
		case len(sockets) > 0:
		case region == "":
			sockets = layout.OperatorSockets()
		default:
			if sockets = layout.RegionSockets(region); len(sockets) == 0 {
				return nil, nil, fmt.Errorf("this deployment runs no Region %s", region)
			}
		}
		if path == "" {
			path = layout.OperatorKey()
		}
	}
	key, err = operator.LoadKey(path)
	return sockets, key, err
}

// proposeFlag is for commands that can take two operators.
func proposeFlag(cmd *cobra.Command) {
	cmd.Flags().String("propose", "", "write the signed command to this new file, for another operator to approve, and do not run it")
}

func propose(cmd *cobra.Command) string {
	f := cmd.Flags().Lookup("propose")
	if f == nil {
		return ""
	}
	return f.Value.String()
}

// proposed writes a command to a file instead of running it.
func proposed(cmd *cobra.Command, key *operator.Key, name string, arguments any, file string) error {
	c, err := operator.Sign(key, name, arguments, time.Now())
	if err != nil {
		return usage(err)
	}
	if err := operator.WriteProposal(file, c); err != nil {
		return usage(err)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: %s waits in %s until %s: another operator runs it with `holdfast approve %s --yes`\n",
		name, file, operator.Expires(c).Format(time.TimeOnly), file)
	return nil
}

func approveCommand() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{Use: "approve FILE", Short: "Approve and run what another operator has proposed",
		Long: "Approve and run what another operator has proposed with --propose. Without --yes it only shows what that is.", Args: cobra.ExactArgs(1)}
	cmd.Flags().BoolVar(&yes, "yes", false, "approve and run it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := operator.ReadProposal(args[0])
		if err != nil {
			return usage(err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: %s proposes %s %q, good until %s\n", c.Operator, c.Name, c.Arguments, operator.Expires(c).Format(time.TimeOnly))
		if f := operator.FingerprintOf(c); f != "" {
			fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: the fingerprint of that node's request is %s\n", f)
		}
		if !yes {
			return nil
		}
		sockets, key, err := operatorKeyAt(cmd, operator.RegionOf(c))
		if err != nil {
			return usage(err)
		}
		if err := operator.Approve(c, key); err != nil {
			return usage(err)
		}
		client, err := operator.Dial(sockets, key)
		if err != nil {
			return usage(err)
		}
		defer client.Close()
		var out json.RawMessage
		r, err := client.Run(cmd.Context(), c, &out)
		if err := told(cmd, c.Name, r, err); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), string(out))
		return nil
	}
	return cmd
}
