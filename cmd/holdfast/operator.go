package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/operator/operatorpb"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/spf13/cobra"
)

// execute runs an operator's command against the deployment, and says on
// stderr at which revision it is in force and where it is not yet.
func execute(cmd *cobra.Command, name string, arguments, out any) error {
	return executeAt(cmd, "", name, arguments, out)
}

// executeAt is execute at a Region's own nodes; "": at the control plane.
func executeAt(cmd *cobra.Command, region, name string, arguments, out any) error {
	sockets, key, err := operatorKeyAt(cmd, region)
	if err != nil {
		return usage(err)
	}
	if file := propose(cmd); file != "" {
		return proposed(cmd, key, name, arguments, file)
	}
	client, err := operator.Dial(sockets, key)
	if err != nil {
		return usage(err)
	}
	defer client.Close()
	r, err := client.Execute(cmd.Context(), name, arguments, out, time.Now())
	return told(cmd, name, r, err)
}

// readCommand lists the operators' commands, beside the lists, that change nothing.
var readCommand = map[string]bool{"can": true, "node.exposed": true, "node.pins": true, "account.freshness": true, "account.regions": true,
	"contain.plan": true}

// told says what became of a command.
func told(cmd *cobra.Command, name string, r *operatorpb.Result, err error) error {
	if errors.Is(err, operator.ErrUnreachable) || errors.Is(err, operator.ErrUnconfirmed) {
		return unreachable(err)
	}
	if err != nil {
		return usage(err)
	}
	if !readCommand[name] && !strings.HasSuffix(name, ".list") {
		where := "on every node"
		if len(r.Missing) > 0 {
			where = "not yet on " + strings.Join(r.Missing, ", ")
		}
		if r.Revision == "" { // a Region's own
			fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: in the Region, %s\n", where)
			return nil
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: revision %s, %s\n", r.Revision, where)
	}
	return nil
}

// show prints a result as JSON, or by a table's rows.
func show(cmd *cobra.Command, format string, v any, header string, rows [][]string) error {
	out := cmd.OutOrStdout()
	switch format {
	case "json":
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "text":
		return table(out, header, rows)
	}
	return usage(fmt.Errorf("--format is %q, want text or json", format))
}

func table(w io.Writer, header string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, header)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}

func formatFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("format", "text", "text or json")
}

func serviceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "service", Short: "Services that may ask for decisions"}
	var s operator.NewService
	create := &cobra.Command{Use: "create NAME", Short: "Register a service", Args: cobra.ExactArgs(1)}
	format := formatFlag(create)
	f := create.Flags()
	f.StringSliceVar(&s.Callers, "caller", nil, "ARN of a user or role that speaks for it")
	f.StringSliceVar(&s.Actions, "action", nil, "prefix of the actions it may ask about, such as storage:")
	f.StringSliceVar(&s.Resources, "resource", nil, "pattern of the resources it may ask about")
	f.StringSliceVar(&s.Accounts, "account", nil, "account it serves; * for all")
	f.StringSliceVar(&s.Scopes, "scope", nil, "credential scope service of the requests that it shows us")
	f.StringSliceVar(&s.Hosts, "host", nil, "host of those requests")
	f.StringSliceVar(&s.Keys, "key", nil, "prefix of condition keys of its own")
	create.RunE = func(cmd *cobra.Command, args []string) error {
		s.Name = args[0]
		var out record.Service
		if err := execute(cmd, "service.create", &s, &out); err != nil {
			return err
		}
		return show(cmd, *format, out, serviceHeader, serviceRows(&out))
	}
	list := &cobra.Command{Use: "list", Short: "List the services", Args: cobra.NoArgs}
	listFormat := formatFlag(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		var out []*record.Service
		if err := execute(cmd, "service.list", struct{}{}, &out); err != nil {
			return err
		}
		return show(cmd, *listFormat, out, serviceHeader, serviceRows(out...))
	}
	remove := &cobra.Command{Use: "delete NAME", Short: "Delete a service", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return execute(cmd, "service.delete", map[string]string{"name": args[0]}, new(record.Service))
		}}
	cmd.AddCommand(create, list, remove)
	return cmd
}

const serviceHeader = "NAME\tCALLERS\tACTIONS\tRESOURCES\tACCOUNTS"

func serviceRows(list ...*record.Service) [][]string {
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{s.Name, strings.Join(s.Callers, ","), strings.Join(s.Actions, ","), strings.Join(s.Resources, ","), strings.Join(s.Accounts, ",")})
	}
	return rows
}

func denyCommand() *cobra.Command {
	var account, before, reason string
	cmd := &cobra.Command{Use: "deny SCOPE TARGET", Short: "Refuse one thing at once",
		Long: "Refuse one thing at once: a session, key, principal (unique id), sessions-before (of a unique id), source-identity, minter (node) or account.",
		Args: cobra.ExactArgs(2)}
	format := formatFlag(cmd)
	cmd.Flags().StringVar(&account, "account", "", "account of a source identity")
	cmd.Flags().StringVar(&before, "before", "", "time for sessions-before (RFC 3339; default now)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	proposeFlag(cmd)
	region := regionFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *region != "" {
			return denyInRegion(cmd, *region, *format, &operator.Together{Reason: reason, Deny: []operator.Denied{{Scope: args[0], Target: args[1], Account: account}}}, before)
		}
		in := map[string]any{"scope": args[0], "target": args[1], "account": account, "reason": reason}
		if before != "" {
			in["before"] = before
		}
		var out record.Denial
		if err := execute(cmd, "deny.create", in, &out); err != nil || propose(cmd) != "" {
			return hinted(cmd, "", err)
		}
		return show(cmd, *format, out, denialHeader, denialRows(&out))
	}
	list := &cobra.Command{Use: "list", Short: "List the denials in force", Args: cobra.NoArgs}
	listFormat, listRegion := formatFlag(list), list.Flags().String("region", "", "ask this Region's own nodes")
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		var out []*record.Denial
		if err := executeAt(cmd, *listRegion, "deny.list", struct{}{}, &out); err != nil {
			return err
		}
		return show(cmd, *listFormat, out, denialHeader, denialRows(out...))
	}
	lift := &cobra.Command{Use: "lift ID", Short: "Lift a denial", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return execute(cmd, "deny.lift", map[string]string{"id": args[0]}, new(record.Denial))
		}}
	proposeFlag(lift)
	cmd.AddCommand(list, lift)
	return cmd
}

const denialHeader = "ID\tSCOPE\tTARGET\tBY\tCREATED\tREASON"

func denialRows(list ...*record.Denial) [][]string {
	var rows [][]string
	for _, d := range list {
		rows = append(rows, []string{d.ID, d.Scope, d.Target, d.By, d.Created.Std().Format(time.RFC3339), d.Reason})
	}
	return rows
}

func accountCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Accounts of the deployment"}
	var id, name, shell, format string
	create := &cobra.Command{Use: "create", Short: "Create an account; prints its root key in env's formats", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var out operator.NewAccount
			if err := execute(cmd, "account.create", map[string]string{"id": id, "name": name}, &out); err != nil {
				return err
			}
			if sockets, _ := cmd.Flags().GetStringSlice("operator-socket"); len(sockets) > 0 { // no data directory here: it is told once
				text, err := render([]variable{{"AWS_ACCESS_KEY_ID", out.RootKeyID}, {"AWS_SECRET_ACCESS_KEY", out.RootSecret}, {"HOLDFAST_ACCOUNT_ID", out.Account}}, shell, format)
				fmt.Fprint(cmd.OutOrStdout(), text)
				return err
			}
			data, _ := cmd.Flags().GetString("data")
			layout, err := local.Find(data)
			if err != nil {
				return usage(err)
			}
			if err := layout.KeepCredentials(local.Credentials{Account: out.Account, RootKeyID: out.RootKeyID, RootSecret: out.RootSecret}); err != nil {
				return err
			}
			vars, err := environment(data, envFlags{account: out.Account, as: "root"})
			if err != nil {
				return err
			}
			text, err := render(vars, shell, format)
			fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		}}
	create.Flags().StringVar(&id, "id", "", "twelve digits (default: random)")
	create.Flags().StringVar(&name, "name", "", "a name for people")
	create.Flags().StringVar(&shell, "shell", "sh", "sh, fish or powershell")
	create.Flags().StringVar(&format, "format", "shell", "shell, json, dotenv or github")
	list := &cobra.Command{Use: "list", Short: "List the accounts", Args: cobra.NoArgs}
	listFormat := formatFlag(list)
	list.RunE = func(cmd *cobra.Command, _ []string) error {
		var out []operator.AccountLine
		if err := execute(cmd, "account.list", struct{}{}, &out); err != nil {
			return err
		}
		var rows [][]string
		for _, a := range out {
			rows = append(rows, []string{a.ID, a.Name, a.Alias, a.Created.Std().Format(time.RFC3339)})
		}
		return show(cmd, *listFormat, out, "ID\tNAME\tALIAS\tCREATED", rows)
	}
	remove := &cobra.Command{Use: "delete ID", Short: "Delete an empty account", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return execute(cmd, "account.delete", map[string]string{"id": args[0]}, &struct{}{})
		}}
	cmd.AddCommand(create, list, remove, newAccountFreshness(), newAccountRegion())
	return cmd
}
