package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/spf13/cobra"
)

func canCommand() *cobra.Command {
	var context []string
	var region, account string
	var explain bool
	cmd := &cobra.Command{Use: "can PRINCIPAL ACTION RESOURCE", Short: "May they? One question to a running deployment", Args: cobra.ExactArgs(3),
		Long: "Ask the running deployment whether a principal may do something. Exit status 0: it may; 1: it may not.\n\n" +
			"PRINCIPAL is an ARN, or user/NAME, role/NAME or root of the first account (--account for another).\n" +
			"RESOURCE is an ARN, or * for an action that works on none.",
		Example: "  holdfast can user/alice storage:GetObject arn:aws:storage:::photos/cat.jpg --context aws:SourceIp=10.0.0.7"}
	format := formatFlag(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&context, "context", nil, "condition key of the request, as key=value; once for each value")
	f.StringVar(&region, "region", "", "aws:RequestedRegion (default: the first Region)")
	f.StringVar(&account, "account", "", "account of a short PRINCIPAL")
	f.BoolVar(&explain, "explain", false, "show every statement that was considered")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in := operator.Asked{Principal: args[0], Action: args[1], Resource: args[2], Context: map[string][]string{}, Region: region}
		for _, c := range context {
			key, value, ok := strings.Cut(c, "=")
			if !ok || key == "" {
				return usage(fmt.Errorf("--context %q is not key=value", c))
			}
			in.Context[key] = append(in.Context[key], value)
		}
		if err := complete(cmd, &in, account); err != nil {
			return err
		}
		var out operator.Told
		if err := execute(cmd, "can", &in, &out); err != nil {
			return err
		}
		if err := tell(cmd, *format, explain, &out); err != nil {
			return err
		}
		if !out.Allowed {
			return &exitError{statusNo, fmt.Errorf("")}
		}
		return nil
	}
	return cmd
}

// complete fills in what a short question leaves out.
func complete(cmd *cobra.Command, in *operator.Asked, account string) error {
	data, _ := cmd.Flags().GetString("data")
	layout, err := local.Find(data)
	if err != nil {
		return usage(err)
	}
	var marker local.Marker
	if err := local.Read(layout.Marker(), &marker); err != nil {
		return usage(err)
	}
	if account == "" {
		account = marker.Account
	}
	if !strings.HasPrefix(in.Principal, "arn:") {
		in.Principal = "arn:aws:iam::" + account + ":" + in.Principal
	}
	if in.Region == "" && len(marker.Regions) > 0 {
		in.Region = marker.Regions[0]
	}
	return nil
}

// tell prints an answer: the decision, in words what is missing, and on demand
// every statement that was considered.
func tell(cmd *cobra.Command, format string, explain bool, out *operator.Told) error {
	w := cmd.OutOrStdout()
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(out)
	case "text":
	default:
		return usage(fmt.Errorf("--format is %q, want text or json", format))
	}
	if out.Allowed {
		fmt.Fprintf(w, "allowed by %s\n", out.DecidedBy)
	} else {
		fmt.Fprintf(w, "denied: %s\n", out.Reason)
	}
	if !explain {
		return nil
	}
	var rows [][]string
	for _, c := range out.Considered {
		matched := "yes"
		if !c.Matched {
			matched = "no: " + c.Failed
		}
		if c.MissingKey {
			matched += " (the request lacks the key)"
		}
		rows = append(rows, []string{c.Policy, c.Statement, c.Type, c.Effect, matched})
	}
	return table(w, "POLICY\tSTATEMENT\tTYPE\tEFFECT\tMATCHED", rows)
}
