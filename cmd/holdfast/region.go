package main

import (
	"time"

	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/spf13/cobra"
)

func regionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "region", Short: "Regions of the deployment"}
	create := &cobra.Command{Use: "create NAME", Short: "Admit a Region, whose nodes can be invited then; takes two operators in production", Args: cobra.ExactArgs(1)}
	proposeFlag(create)
	format := formatFlag(create)
	create.RunE = func(cmd *cobra.Command, args []string) error {
		var out record.Region
		if err := execute(cmd, "region.create", map[string]string{"name": args[0]}, &out); err != nil || propose(cmd) != "" {
			return err
		}
		return show(cmd, *format, out, regionHeader, regionRows(&out))
	}
	list := &cobra.Command{Use: "list", Short: "List the Regions", Args: cobra.NoArgs}
	listFormat := formatFlag(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		var out []*record.Region
		if err := execute(cmd, "region.admitted", struct{}{}, &out); err != nil {
			return err
		}
		return show(cmd, *listFormat, out, regionHeader, regionRows(out...))
	}
	cmd.AddCommand(create, list)
	return cmd
}

const regionHeader = "NAME\tADMITTED"

func regionRows(list ...*record.Region) (rows [][]string) {
	for _, r := range list {
		rows = append(rows, []string{r.Name, r.Created.Std().Format(time.RFC3339)})
	}
	return rows
}
