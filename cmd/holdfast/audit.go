package main

import (
	"fmt"
	"path/filepath"

	"github.com/holdfast-iam/holdfast/internal/audit"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/spf13/cobra"
)

func auditCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "The audit files of the control plane"}
	verify := &cobra.Command{Use: "verify [DIR]", Short: "Say whether every line of the audit continues the chain", Args: cobra.MaximumNArgs(1),
		Long: "Say whether every line of the audit files continues the chain: whether a record was taken out, added or changed since it was written.\n" +
			"DIR is the directory of the files; without it, that of the deployment under --data.",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) == 1 {
				dir = args[0]
			} else {
				data, _ := cmd.Flags().GetString("data")
				layout, err := local.Find(data)
				if err != nil {
					return usage(err)
				}
				dir = filepath.Join(layout.Node("control"), "audit")
			}
			first, last, err := audit.Verify(dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "every record from index %d to %d continues the chain\n", first, last)
			return nil
		}}
	cmd.AddCommand(verify)
	return cmd
}
