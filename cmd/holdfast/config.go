package main

import (
	"encoding/json"
	"fmt"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Configuration files of nodes and balancers"}
	cmd.AddCommand(configCheckCommand(), configHAProxyCommand())
	return cmd
}

func configCheckCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check FILE", Short: "Say every mistake in a node's configuration, with its line",
		Long: "Say every mistake in a node's configuration, with its line and what to do: also what would stop the node only later, such as a key file\n" +
			"that others can read. Run it as the user that the node runs as.", Args: cobra.ExactArgs(1)}
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		problems, err := config.Examine(args[0])
		if err != nil {
			return usage(err)
		}
		switch *format {
		case "json":
			if problems == nil {
				problems = []config.Problem{}
			}
			if err := json.NewEncoder(cmd.OutOrStdout()).Encode(problems); err != nil {
				return err
			}
		case "text":
			for _, p := range problems {
				place := args[0]
				if p.Line > 0 {
					place = fmt.Sprintf("%s:%d", args[0], p.Line)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", place, p.What)
			}
		default:
			return usage(fmt.Errorf("--format is %q, want text or json", *format))
		}
		switch n := len(problems); n {
		case 0:
			fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: %s has no mistake\n", args[0])
			return nil
		case 1:
			return usage(fmt.Errorf("one mistake in %s", args[0]))
		default:
			return usage(fmt.Errorf("%d mistakes in %s", n, args[0]))
		}
	}
	return cmd
}
