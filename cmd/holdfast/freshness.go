package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-iam/holdfast/internal/record"
)

// newAccountFreshness makes `account freshness`.
func newAccountFreshness() *cobra.Command {
	var none bool
	cmd := &cobra.Command{Use: "freshness ID [ACTION=AGE...]", Short: "Show or set how young a view must be to answer for an account",
		Long: `Without rules a node answers for an account from the view that it has, however old,
and a Region that is cut off goes on. A rule has an action refused with 503 by a
node whose view is older:

  holdfast account freshness 111122223333 'storage:Delete*=30s' 'sts:*=5m'

Without rules on the line it shows those there are; --none removes them all.`,
		Args: cobra.MinimumNArgs(1)}
	cmd.Flags().BoolVar(&none, "none", false, "remove all rules")
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f := &record.Freshness{Account: args[0]}
		var err error
		if f.Rules, err = freshRules(args[1:]); err != nil {
			return usage(err)
		}
		switch {
		case none && len(f.Rules) > 0:
			return usage(fmt.Errorf("either rules or --none"))
		case none || len(f.Rules) > 0:
			err = execute(cmd, "account.demand", f, f)
		default:
			err = execute(cmd, "account.freshness", map[string]string{"id": args[0]}, f)
		}
		if err != nil {
			return err
		}
		var rows [][]string
		for _, r := range f.Rules {
			rows = append(rows, []string{r.Action, (time.Duration(r.Within) * time.Second).String()})
		}
		return show(cmd, *format, f, "ACTION\tVIEW YOUNGER THAN", rows)
	}
	return cmd
}

func freshRules(args []string) ([]record.FreshRule, error) {
	rules := []record.FreshRule{}
	for _, a := range args {
		action, age, ok := strings.Cut(a, "=")
		d, err := time.ParseDuration(age)
		if !ok || err != nil || d%time.Second != 0 {
			return nil, fmt.Errorf("%q is no rule: ACTION=AGE with whole seconds, such as 'storage:Delete*=30s'", a)
		}
		rules = append(rules, record.FreshRule{Action: action, Within: int(d / time.Second)})
	}
	return rules, nil
}
