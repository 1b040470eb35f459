package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/drill"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/spf13/cobra"
)

type drillFlags struct {
	drill.Options
	yes, list bool
	format    string
	report    string
}

func drillCommand() *cobra.Command {
	var f drillFlags
	cmd := &cobra.Command{Use: "drill [SCENARIO...]", Short: "Rehearse faults on this machine's deployment, under load, and say what held",
		Long: "Rehearse faults on the deployment of `holdfast up`, under load whose answers are known before they are asked for. Without a scenario: all of them.\n" +
			"It says what it will do and asks first, touches processes of its own data directory alone, and always ends what it began: also on Ctrl-C.\n" +
			"Users and roles that it makes are under " + drill.Path + " and are taken away at the end. Exit status 0: everything held; 1: not.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.list {
				return listScenarios(cmd.OutOrStdout())
			}
			return f.run(cmd, args)
		}}
	flags := cmd.Flags()
	flags.StringVar(&f.Region, "region", "", "Region of the scenarios that are of one Region (default: the last)")
	flags.StringVar(&f.Zone, "az", "", "zone of the scenarios that are of one zone (default: the last)")
	flags.DurationVar(&f.For, "for", 10*time.Second, "how long a fault lasts")
	flags.IntVar(&f.Rate, "rate", 100, "requests a second, over all Regions")
	flags.IntVar(&f.Writes, "writes", 2, "writes a second")
	flags.IntVar(&f.Retries, "retries", 1, "how often a request may be repeated that was not answered, or with a 5xx")
	flags.DurationVar(&f.Timeout, "timeout", 5*time.Second, "how long one try may take")
	flags.BoolVar(&f.yes, "yes", false, "do not ask first")
	flags.BoolVar(&f.list, "list", false, "list the scenarios, and do nothing")
	flags.StringVar(&f.format, "format", "text", "text or json")
	flags.StringVar(&f.report, "report", "", "file for the report (default: a new one in DIR/drills)")
	return cmd
}

func listScenarios(w io.Writer) error {
	for _, s := range drill.Scenarios {
		if _, err := fmt.Fprintln(w, s.Name); err != nil {
			return err
		}
	}
	return nil
}

func (f *drillFlags) run(cmd *cobra.Command, names []string) error {
	scenarios, err := chosen(names)
	if err != nil {
		return usage(err)
	}
	if f.format != "text" && f.format != "json" {
		return usage(fmt.Errorf("--format is %q, want text or json", f.format))
	}
	data, _ := cmd.Flags().GetString("data")
	layout, err := local.Find(data)
	if err != nil {
		return usage(err)
	}
	sockets, key, err := operatorKey(cmd)
	if err != nil {
		return usage(err)
	}
	d, err := drill.Attach(layout, time.Now)
	if err != nil {
		return unreachable(err)
	}
	if err := f.Check(d); err != nil {
		return usage(err)
	}
	c, err := layout.Credentials("")
	if err != nil {
		return usage(err)
	}
	client, err := operator.Dial(sockets, key)
	if err != nil {
		return usage(err)
	}
	defer client.Close()
	words := cmd.ErrOrStderr()
	if err := f.agreed(cmd, d, scenarios); err != nil {
		return err
	}
	run := &drill.Drill{Deployment: d, Options: f.Options, Admin: drill.Credential{ID: c.AdminKeyID, Secret: c.AdminSecret}, Account: c.Account,
		Register: func(caller string) error { return drillService(cmd.Context(), client, c.Account, caller) },
		Say:      func(format string, args ...any) { fmt.Fprintf(words, format+"\n", args...) }}
	report := &drill.Report{Holdfast: release, Began: time.Now().UTC()}
	var m local.Marker
	if err := local.Read(layout.Marker(), &m); err == nil {
		report.Cluster = m.Root
	}
	for _, s := range scenarios {
		if cmd.Context().Err() != nil {
			break
		}
		fmt.Fprintf(words, "%s: %s\n", s.Name, s.What(d, &f.Options))
		report.Scenarios = append(report.Scenarios, run.Run(cmd.Context(), s))
	}
	report.Finish(d, d.Look(context.WithoutCancel(cmd.Context())))
	return f.tell(cmd, layout, report)
}

func chosen(names []string) (list []*drill.Scenario, err error) {
	for _, name := range names {
		s, err := drill.Find(name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if len(names) == 0 {
		for i := range drill.Scenarios {
			list = append(list, &drill.Scenarios[i])
		}
	}
	return list, nil
}

// agreed says what will be done and asks.
func (f *drillFlags) agreed(cmd *cobra.Command, d *drill.Deployment, list []*drill.Scenario) error {
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "On the deployment in %s, with %d requests and %d writes a second:\n", d.Layout.Dir, f.Rate, f.Writes)
	for _, s := range list {
		fmt.Fprintf(w, "  %-20s %s\n", s.Name, s.What(d, &f.Options))
		if s.Needs != nil {
			if err := s.Needs(d, &f.Options); err != nil {
				fmt.Fprintf(w, "  %-20s will not be run: %v\n", "", err)
			}
		}
	}
	if f.yes {
		return nil
	}
	fmt.Fprint(w, "Go on? [y/N] ")
	line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return usage(errors.New("nothing was done; --yes goes on without asking"))
	}
	return nil
}

// tell writes the report, and says whether everything held.
func (f *drillFlags) tell(cmd *cobra.Command, layout local.Layout, r *drill.Report) error {
	path := f.report
	if path == "" {
		path = filepath.Join(layout.Dir, "drills", r.Began.Format("20060102T150405Z")+".json")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return usage(fmt.Errorf("--report: %w", err))
	}
	if err := errors.Join(r.Write(file), file.Close()); err != nil {
		return err
	}
	if f.format == "json" {
		err = r.Write(cmd.OutOrStdout())
	} else {
		err = r.Table(cmd.OutOrStdout())
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "The report is %s\n", path)
	if !r.Held {
		return &exitError{statusNo, errors.New("not everything held, or was run")}
	}
	return nil
}

// drillService admits the drill's user as the caller of a service of its own, or
// takes the service away, also after Ctrl-C.
func drillService(ctx context.Context, c *operator.Client, account, caller string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if caller == "" {
		_, err := c.Execute(ctx, "service.delete", map[string]string{"name": drill.ServiceName}, new(record.Service), time.Now())
		return err
	}
	s := operator.NewService{Name: drill.ServiceName, Callers: []string{caller}, Actions: []string{"drill:"}, Resources: []string{"arn:aws:drill:::*"}, Accounts: []string{account}}
	_, err := c.Execute(ctx, "service.create", &s, new(record.Service), time.Now())
	return err
}
