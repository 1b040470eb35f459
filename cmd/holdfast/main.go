// Command holdfast is identity and access management that keeps working: both
// planes, the supervisor that runs them on one machine, and the operators'
// tools.
//
// Invariant: data goes to stdout and words to stderr; exit 0 is yes, 1 is no,
// 2 is usage or configuration, 3 is unreachable.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitError carries the exit status of an error.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// Exit statuses.
const (
	statusNo          = 1
	statusUsage       = 2
	statusUnreachable = 3
)

func usage(err error) error       { return &exitError{statusUsage, err} }
func unreachable(err error) error { return &exitError{statusUnreachable, err} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	root := commands()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if cmd.Name() == "env" { // also for a wrong flag, which its own code never sees
		fmt.Println("false")
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, "holdfast: "+text)
	}
	var e *exitError
	if errors.As(err, &e) {
		return e.status
	}
	return statusUsage
}

func commands() *cobra.Command {
	root := &cobra.Command{
		Use:           "holdfast",
		Short:         "AWS IAM and STS on planes that hold",
		Long:          "Holdfast is identity and access management that keeps working when everything around it does not.\nStart with `holdfast up`.",
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return fromEnvironment(cmd.Flags())
		},
	}
	root.PersistentFlags().String("data", "", "data directory of the deployment (default: holdfast-data here or above)")
	root.PersistentFlags().String("operator-key", "", "an operator's key file, for operators' verbs (default: the deployment's)")
	root.PersistentFlags().StringSlice("operator-socket", nil, "operators' sockets of control-plane nodes, for operators' verbs (default: the deployment's)")
	root.AddCommand(upCommand(), auditCommand(), canCommand(), downCommand(), drillCommand(), envCommand(), execCommand(), serveCommand(), statusCommand(), waitCommand(),
		accountCommand(), serviceCommand(), denyCommand(), containCommand(), nodeCommand(), approveCommand(), backupCommand(), promoteCommand(), restoreCommand(), policyCommand(), sigv4Command(), versionCommand(),
		initCommand(), configCommand(), operatorCommand(), regionCommand(), etcdCommand(), kekCommand())
	return root
}

// fromEnvironment sets each flag that was not given from HOLDFAST_<FLAG>: a
// flag wins over its variable.
func fromEnvironment(flags *pflag.FlagSet) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "HOLDFAST_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		if v, ok := os.LookupEnv(name); ok && !f.Changed && failed == nil {
			if err := flags.Set(f.Name, v); err != nil {
				failed = usage(fmt.Errorf("%s=%q: %w", name, v, err))
			}
		}
	})
	return failed
}
