package main

import (
	"github.com/spf13/cobra"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
)

// newAccountRegion makes `account region`.
func newAccountRegion() *cobra.Command {
	cmd := &cobra.Command{Use: "region", Short: "Regions that an account uses",
		Long: `An opt-in Region is used by the accounts that have enabled it. Disabled again, it
refuses their credentials at once, and what it issued to them is refused everywhere;
their keys are renewed without it.

A Region that is enabled by default stays so: to disable it is to deactivate STS there,
which then issues no credentials of the account; those that it has are good as before.`}
	var account string
	cmd.PersistentFlags().StringVar(&account, "account", "", "twelve digits (default: the deployment's first account)")
	for _, verb := range []struct{ name, command, short string }{
		{"enable", "account.enable", "Enable an opt-in Region for an account, or activate STS in another"},
		{"disable", "account.disable", "Disable an opt-in Region for an account, or deactivate STS in another"},
	} {
		c := &cobra.Command{Use: verb.name + " REGION", Short: verb.short, Args: cobra.ExactArgs(1)}
		format := formatFlag(c)
		c.RunE = func(cmd *cobra.Command, args []string) error {
			id, err := accountOf(cmd, account)
			if err != nil {
				return err
			}
			var out operator.AccountRegion
			if err := execute(cmd, verb.command, map[string]string{"account": id, "region": args[0]}, &out); err != nil {
				return err
			}
			return show(cmd, *format, out, accountRegionHeader, accountRegionRows(&out))
		}
		cmd.AddCommand(c)
	}
	list := &cobra.Command{Use: "list", Short: "List what each Region is to an account", Args: cobra.NoArgs}
	format := formatFlag(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		id, err := accountOf(cmd, account)
		if err != nil {
			return err
		}
		var out []*operator.AccountRegion
		if err := execute(cmd, "account.regions", map[string]string{"id": id}, &out); err != nil {
			return err
		}
		return show(cmd, *format, out, accountRegionHeader, accountRegionRows(out...))
	}
	cmd.AddCommand(list)
	return cmd
}

// accountOf is the account that was named, or the first of the data directory.
func accountOf(cmd *cobra.Command, named string) (string, error) {
	if named != "" {
		return named, nil
	}
	data, _ := cmd.Flags().GetString("data")
	layout, err := local.Find(data)
	if err != nil {
		return "", usage(err)
	}
	c, err := layout.Credentials("")
	if err != nil {
		return "", usage(err)
	}
	return c.Account, nil
}

const accountRegionHeader = "REGION\tSTATE\tSTS"

func accountRegionRows(list ...*operator.AccountRegion) (rows [][]string) {
	for _, r := range list {
		state, sts := "enabled by default", "active"
		switch {
		case r.OptIn && r.Enabled:
			state = "enabled"
		case r.OptIn:
			state = "disabled"
		}
		if !r.STS {
			sts = "not active"
		}
		rows = append(rows, []string{r.Region, state, sts})
	}
	return rows
}
