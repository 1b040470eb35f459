package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/lint"
	"github.com/holdfast-iam/holdfast/internal/lint/source"
	"github.com/spf13/cobra"
)

const lintHelp = `Lint checks policies before anybody stores them. A FILE is a policy, what
"terraform show -json" prints of a plan or a state, or a CloudFormation
template, as JSON or YAML; - is stdin.

Exit status: 0 if nothing or notes alone were found, 1 if there are errors or
warnings, 2 if a file could not be read as any of these, or on wrong usage.`

type lintFlags struct {
	format, kind     string
	services, ignore []string
}

// lintCommand is `holdfast policy lint`.
func lintCommand() *cobra.Command {
	var f lintFlags
	cmd := &cobra.Command{Use: "lint FILE…", Short: "Find what is wrong with policies", Long: lintHelp,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(errors.New("name a file, or - for stdin"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runLint(cmd, args, f) }}
	cmd.Flags().StringVar(&f.format, "format", "text", "text, json or sarif")
	cmd.Flags().StringVar(&f.kind, "type", "", "type of the policies: identity, resource, trust, scp, rcp, boundary or session (default: what holds them says, or their form)")
	cmd.Flags().StringSliceVar(&f.services, "service", nil, "prefix of a service of your own, whose actions and condition keys are not AWS's; may be given again")
	cmd.Flags().StringSliceVar(&f.ignore, "ignore", nil, "rule to leave out; may be given again")
	return cmd
}

func (f lintFlags) options() (lint.Options, error) {
	o := lint.Options{Services: f.services, Ignore: f.ignore}
	if !slices.Contains([]string{"text", "json", "sarif"}, f.format) {
		return o, usage(fmt.Errorf("--format is %q, want text, json or sarif", f.format))
	}
	if kind, known := lint.Types[f.kind]; known {
		o.Type = kind
	} else if f.kind != "" {
		return o, usage(fmt.Errorf("--type is %q, want identity, resource, trust, scp, rcp, boundary or session", f.kind))
	}
	for _, id := range f.ignore {
		if !slices.ContainsFunc(lint.Rules, func(r lint.Rule) bool { return r.ID == id }) {
			return o, usage(fmt.Errorf("--ignore: there is no rule %q", id))
		}
	}
	return o, nil
}

func runLint(cmd *cobra.Command, files []string, f lintFlags) error {
	o, err := f.options()
	if err != nil {
		return err
	}
	report := lint.Report{Files: len(files)}
	for i, name := range files {
		if slices.Contains(files[:i], name) {
			return usage(fmt.Errorf("%s is named twice", name))
		}
		found, err := lintFile(cmd, name, o)
		if err != nil {
			report.Unread = true
			fmt.Fprintln(cmd.ErrOrStderr(), "holdfast: "+err.Error())
		}
		report.Findings = append(report.Findings, found...)
	}
	if err := printReport(cmd, &report, f.format); err != nil {
		return err
	}
	counts := strings.Join([]string{counted(report.Count(lint.Error), "error"), counted(report.Count(lint.Warning), "warning"), counted(report.Count(lint.Note), "note")}, ", ")
	switch {
	case report.Unread:
		return usage(errors.New("not every file could be linted; " + counts))
	case !report.Clean():
		return &exitError{statusNo, errors.New(counts)}
	case len(report.Findings) > 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "holdfast: "+counts)
	}
	return nil
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lintFile lints one file. Its errors name it, and the place.
func lintFile(cmd *cobra.Command, name string, o lint.Options) ([]lint.Finding, error) {
	text, err := readInput(cmd, name)
	if err != nil {
		return nil, err
	}
	if filepath.Ext(name) == ".tf" {
		return nil, fmt.Errorf("%s: Terraform's own language is not read; lint what `terraform show -json` prints of a plan or a state", name)
	}
	found, err := lint.File(name, text, o)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	return found, nil
}

func readInput(cmd *cobra.Command, name string) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	return io.ReadAll(io.LimitReader(in, source.MaxFile+1))
}

func printReport(cmd *cobra.Command, r *lint.Report, format string) error {
	out := cmd.OutOrStdout()
	switch format {
	case "json":
		return r.JSON(out)
	case "sarif":
		return r.SARIF(out, release)
	}
	return r.Text(out, colourful(out))
}

// colourful says whether to colour: on a terminal whose user has not asked for
// none (no-color.org).
func colourful(out io.Writer) bool {
	if os.Getenv("NO_COLOR") != "" || strings.EqualFold(os.Getenv("TERM"), "dumb") {
		return false
	}
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
