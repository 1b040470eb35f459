package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
)

func regionFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("region", "", "deny in this Region alone, at its own nodes: also while it is cut off; the control plane gets it when it can be reached")
}

// hinted says how to deny while the control plane does not answer.
func hinted(cmd *cobra.Command, region string, err error) error {
	if region == "" && (errors.Is(err, operator.ErrUnreachable) || errors.Is(err, operator.ErrUnconfirmed)) {
		fmt.Fprintln(cmd.ErrOrStderr(), "holdfast: while the control plane is gone, a Region denies by itself: --region R")
	}
	return err
}

// denyInRegion has a Region's own nodes deny, in one command.
func denyInRegion(cmd *cobra.Command, region, format string, in *operator.Together, before string) error {
	if before != "" {
		t, err := time.Parse(time.RFC3339, before)
		if err != nil {
			return usage(fmt.Errorf("--before: %w", err))
		}
		in.Deny[0].Before = record.At(t)
	}
	var out []*record.Denial
	if err := signForRegion(cmd, region, in, &out); err != nil || propose(cmd) != "" {
		return err
	}
	return show(cmd, format, out, denialHeader, denialRows(out...))
}

// signForRegion asks a Region's nodes what there is to sign, and has them deny.
func signForRegion(cmd *cobra.Command, region string, in *operator.Together, out *[]*record.Denial) error {
	state, err := regionState(cmd, region)
	if err != nil {
		return err
	}
	in.Cluster, in.Region, in.Sequence = state.Cluster, region, state.Sequence
	return executeAt(cmd, region, operator.RegionDeny, in, out)
}

// regionState is what a Region's nodes say of themselves.
func regionState(cmd *cobra.Command, region string) (*operator.RegionState, error) {
	state := new(operator.RegionState)
	sockets, key, err := operatorKeyAt(cmd, region)
	if err != nil {
		return nil, usage(err)
	}
	client, err := operator.Dial(sockets, key)
	if err != nil {
		return nil, usage(err)
	}
	defer client.Close()
	if r, err := client.Execute(cmd.Context(), "region.list", struct{}{}, state, time.Now()); err != nil {
		return nil, told(cmd, "region.list", r, err)
	}
	if state.Region != region {
		return nil, usage(fmt.Errorf("the socket is one of Region %s, not of %s", state.Region, region))
	}
	return state, nil
}

func containCommand() *cobra.Command {
	var reason string
	var since time.Duration
	var made, dry bool
	cmd := &cobra.Command{Use: "contain ARN", Short: "Deny a principal everything, whatever it may do",
		Long: "Deny a user, role or account's root with its keys and sessions, also those of roles that it has assumed: none of its own permissions can undo that. " +
			"Prints what was done, and what it may have left behind.", Args: cobra.ExactArgs(1)}
	format := formatFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "why, for the audit")
	f.DurationVar(&since, "since", 24*time.Hour, "list what was made for this long and may be of its making")
	f.BoolVar(&made, "made", false, "deny that too")
	f.BoolVar(&dry, "dry-run", false, "deny nothing, only say what would be")
	proposeFlag(cmd)
	region := regionFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var plan operator.Containment
		if err := executeAt(cmd, *region, "contain.plan", map[string]any{"principal": args[0], "since": record.At(time.Now().Add(-since))}, &plan); err != nil {
			return hinted(cmd, *region, err)
		}
		in := &operator.Together{Reason: reason, Deny: plan.Deny}
		if made {
			for _, t := range plan.Made {
				in.Deny = append(in.Deny, t.Deny)
			}
		}
		result := contained{Containment: plan, Denials: []*record.Denial{}}
		if !dry {
			if err := denyTogether(cmd, *region, in, &result.Denials); err != nil || propose(cmd) != "" {
				return hinted(cmd, *region, err)
			}
		}
		return show(cmd, *format, result, "DONE\tWHAT\tTARGET\tNOTE", result.rows(made, dry))
	}
	return cmd
}

func denyTogether(cmd *cobra.Command, region string, in *operator.Together, out *[]*record.Denial) error {
	if region != "" {
		return signForRegion(cmd, region, in, out)
	}
	return execute(cmd, "deny.together", in, out)
}

// contained is what was done about a principal, and what remains.
type contained struct {
	operator.Containment
	Denials []*record.Denial `json:"denials"`
}

func (c *contained) rows(made, dry bool) (rows [][]string) {
	done := "denied"
	if dry {
		done = "would be denied"
	}
	for _, d := range c.Deny {
		rows = append(rows, []string{done, d.Scope, d.Target, ""})
	}
	if !made {
		done = "remains"
	}
	for _, t := range c.Made {
		rows = append(rows, []string{done, t.What, t.Deny.Target, fmt.Sprintf("%s, made %s: it may have made that", t.Name, t.Created.Std().Format(time.RFC3339))})
	}
	for _, role := range c.Assumes {
		rows = append(rows, []string{"remains", "role", role, "it may assume that: its own sessions of it are denied, what they did is not undone"})
	}
	return rows
}
