package main

import (
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/spf13/cobra"
)

func regionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "region", Short: "Regions of the deployment"}
	create := &cobra.Command{Use: "create NAME", Short: "Admit a Region, whose nodes can be invited then; takes two operators in production", Args: cobra.ExactArgs(1)}
	proposeFlag(create)
	optIn := create.Flags().Bool("opt-in", false, "accounts must enable it: see `holdfast account region`")
	format := formatFlag(create)
	create.RunE = func(cmd *cobra.Command, args []string) error {
		var out record.Region
		if err := execute(cmd, "region.create", newRegion{args[0], *optIn}, &out); err != nil || propose(cmd) != "" {
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
	cmd.AddCommand(create, list, regionDeleteCommand())
	return cmd
}

func regionDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "delete NAME", Short: "Take a Region out for good; takes two operators in production",
		Long: "Take a Region out for good. Its nodes are fenced: they serve nobody once the control plane has told them, the sessions that they minted are\n" +
			"refused everywhere, and no write waits for them. The keys that they held are renewed. Lead its clients elsewhere first.",
		Args: cobra.ExactArgs(1)}
	proposeFlag(cmd)
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var out operator.Removed
		if err := execute(cmd, "region.delete", map[string]string{"name": args[0]}, &out); err != nil || propose(cmd) != "" {
			return err
		}
		return show(cmd, *format, out, "REGION\tFENCED", [][]string{{out.Region, strings.Join(out.Fenced, ", ")}})
	}
	return cmd
}

// newRegion is what region.create takes.
type newRegion struct {
	Name  string `json:"name"`
	OptIn bool   `json:"optIn,omitempty"`
}

const regionHeader = "NAME\tACCOUNTS\tADMITTED"

func regionRows(list ...*record.Region) (rows [][]string) {
	for _, r := range list {
		accounts := "all"
		if r.OptIn {
			accounts = "those that enable it"
		}
		rows = append(rows, []string{r.Name, accounts, r.Created.Std().Format(time.RFC3339)})
	}
	return rows
}
