package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/spf13/cobra"
)

type upFlags struct {
	listen, account, readyFile, balancer string
	regions                              []string
	zones                                int
	detach, ephemeral                    bool
}

// maxRegions and maxZones bound what one machine is asked to run.
const (
	maxRegions = 16
	maxZones   = 9
)

var accountID = regexp.MustCompile(`^[0-9]{12}$`)

func upCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{Use: "up", Short: "Run everything on this machine", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, _ := cmd.Flags().GetString("data")
			return up(cmd.Context(), data, f, cmd.ErrOrStderr())
		}}
	cmd.Flags().StringVar(&f.listen, "listen", "127.0.0.1:4260", "HOST:PORT of the first Region; the other ports follow from it")
	cmd.Flags().StringSliceVar(&f.regions, "regions", nil, "Regions, comma separated (default us-east-1)")
	cmd.Flags().IntVar(&f.zones, "azs", 0, "availability zone nodes a Region (default 1)")
	cmd.Flags().StringVar(&f.account, "account", "", "id of the first account (default 111122223333)")
	cmd.Flags().StringVar(&f.balancer, "balancer", "", "haproxy: a balancer before each Region's nodes, as in production")
	cmd.Flags().BoolVar(&f.detach, "detach", false, "run in the background; end it with `holdfast down`")
	cmd.Flags().BoolVar(&f.ephemeral, "ephemeral", false, "use a directory that is removed at the end")
	cmd.Flags().StringVar(&f.readyFile, "ready-file", "", "write this file when ready")
	return cmd
}

func (f *upFlags) check() error {
	for _, r := range f.regions {
		if !config.ValidRegion(r) {
			return fmt.Errorf("--regions: %q is no Region name, such as us-east-1", r)
		}
	}
	switch {
	case len(f.regions) > maxRegions:
		return fmt.Errorf("--regions: at most %d fit on one machine", maxRegions)
	case f.zones < 0 || f.zones > maxZones:
		return fmt.Errorf("--azs is %d, want 1 to %d", f.zones, maxZones)
	case f.account != "" && !accountID.MatchString(f.account):
		return fmt.Errorf("--account %q is not twelve digits", f.account)
	}
	seen := map[string]bool{}
	for _, r := range f.regions {
		if seen[r] {
			return fmt.Errorf("--regions names %s twice", r)
		}
		seen[r] = true
	}
	return nil
}

func up(ctx context.Context, data string, f upFlags, words io.Writer) error {
	if err := f.check(); err != nil {
		return usage(err)
	}
	if f.ephemeral && data != "" {
		return usage(errors.New("--ephemeral makes a directory of its own: leave --data out"))
	}
	if f.detach {
		return detach(ctx, data, f, words)
	}
	dir, err := dataDirectory(data, f.ephemeral)
	if err != nil {
		return usage(err)
	}
	if f.ephemeral {
		defer os.RemoveAll(dir)
	}
	if f.readyFile != "" { // one of an earlier run would lie
		if err := os.Remove(f.readyFile); err != nil && !errors.Is(err, os.ErrNotExist) {
			return usage(fmt.Errorf("--ready-file: %w", err))
		}
		defer os.Remove(f.readyFile)
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	balancer, err := balancerPath(f.balancer)
	if err != nil {
		return usage(err)
	}
	begun := time.Now()
	u := &local.Up{Options: local.Options{Layout: local.Layout{Dir: dir}, Listen: f.listen, Account: f.account, Regions: f.regions, Zones: f.zones},
		Executable: exe, Balancer: balancer, Develop: node.Develop, Invite: node.Invite,
		Events: func(e local.Event) { tellEvent(words, local.Layout{Dir: dir}, e) }}
	defer u.Close()
	if err := u.Open(); err != nil {
		return usage(err)
	}
	u.Run(ctx, func() {
		fmt.Fprint(words, welcome(dir, u.Addresses(), time.Since(begun)))
		if f.readyFile != "" {
			if err := os.WriteFile(f.readyFile, []byte("ready\n"), 0o600); err != nil {
				fmt.Fprintln(words, "holdfast: ready file:", err)
			}
		}
	})
	fmt.Fprintln(words, "holdfast: stopped; the next `holdfast up` continues here")
	return nil
}

// balancerPath finds the balancer that was asked for.
func balancerPath(name string) (string, error) {
	switch name {
	case "":
		return "", nil
	case "haproxy":
	default:
		return "", fmt.Errorf("--balancer is %q, want haproxy", name)
	}
	for _, path := range []string{"haproxy", "/usr/sbin/haproxy"} {
		if found, err := exec.LookPath(path); err == nil {
			return filepath.Abs(found)
		}
	}
	return "", errors.New("--balancer: there is no haproxy here; on Debian it is in the package haproxy")
}

func dataDirectory(data string, ephemeral bool) (string, error) {
	switch {
	case ephemeral:
		return os.MkdirTemp("", "holdfast-")
	case data == "":
		data = os.Getenv("HOLDFAST_DATA")
	}
	if data == "" {
		data = "holdfast-data"
	}
	return filepath.Abs(data)
}

func tellEvent(words io.Writer, l local.Layout, e local.Event) {
	if e.What == "ended" {
		fmt.Fprintf(words, "holdfast: %s ended (%v); starting it again; its log is %s\n", e.Name, e.Error, l.Log(e.Name))
	}
}

func welcome(dir string, a *local.Addresses, took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "holdfast: ready after %.1f s; data in %s\n", took.Seconds(), dir)
	for _, r := range a.Regions {
		fmt.Fprintf(&b, "  %-16s http://%s\n", r.Name, r.API)
	}
	b.WriteString("holdfast: for development only: plain HTTP on loopback; root, operator and administrator keys lie in the data directory\n")
	b.WriteString("Next, in another terminal:\n\n  holdfast exec -- aws iam create-user --user-name alice\n  eval \"$(holdfast env)\"\n\nCtrl-C stops it.\n")
	return b.String()
}

// readyTimeout bounds how long a detached start is waited for.
const readyTimeout = 60 * time.Second

// detach starts this command again in the background, and returns when it is
// ready or has failed.
func detach(ctx context.Context, data string, f upFlags, words io.Writer) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	ready := f.readyFile
	if ready == "" {
		tmp, err := os.MkdirTemp("", "holdfast-ready-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		ready = filepath.Join(tmp, "ready")
	} else if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return usage(fmt.Errorf("--ready-file: %w", err))
	}
	args := []string{"up", "--listen", f.listen, "--ready-file", ready}
	if f.ephemeral {
		args = append(args, "--ephemeral")
	} else if data != "" {
		args = append(args, "--data", data)
	}
	if f.balancer != "" {
		args = append(args, "--balancer", f.balancer)
	}
	if f.account != "" {
		args = append(args, "--account", f.account)
	}
	if len(f.regions) > 0 {
		args = append(args, "--regions", strings.Join(f.regions, ","))
	}
	if f.zones > 0 {
		args = append(args, fmt.Sprintf("--azs=%d", f.zones))
	}
	said, err := os.CreateTemp("", "holdfast-up-")
	if err != nil {
		return err
	}
	defer os.Remove(said.Name())
	cmd := exec.Command(exe, args...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = ownSession()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return awaitReady(ctx, cmd, ended, ready, said.Name(), words)
}

func awaitReady(ctx context.Context, cmd *exec.Cmd, ended <-chan error, ready, said string, words io.Writer) error {
	limit := time.After(readyTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			text, _ := os.ReadFile(said)
			return usage(errors.New(strings.TrimPrefix(strings.TrimSpace(string(text)), "holdfast: ")))
		case <-limit:
			_ = cmd.Process.Signal(syscall.SIGTERM)
			return unreachable(fmt.Errorf("not ready after %s", readyTimeout))
		case <-ctx.Done():
			_ = cmd.Process.Signal(syscall.SIGTERM)
			return ctx.Err()
		case <-tick.C:
			if _, err := os.Stat(ready); err == nil {
				text, _ := os.ReadFile(said)
				_, _ = words.Write(text)
				return nil
			}
		}
	}
}

func downCommand() *cobra.Command {
	return &cobra.Command{Use: "down", Short: "Stop a detached `up`", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, _ := cmd.Flags().GetString("data")
			layout, err := local.Find(data)
			if err != nil {
				return usage(err)
			}
			var a local.Addresses
			if err := local.Read(layout.AddressesFile(), &a); err != nil {
				return unreachable(fmt.Errorf("%s is not running", layout.Dir))
			}
			p, err := os.FindProcess(a.Supervisor)
			if err == nil {
				err = p.Signal(syscall.SIGTERM)
			}
			if err != nil {
				return unreachable(fmt.Errorf("%s is not running", layout.Dir))
			}
			return awaitGone(cmd.Context(), layout)
		}}
}

func awaitGone(ctx context.Context, layout local.Layout) error {
	limit := time.After(readyTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-limit:
			return unreachable(fmt.Errorf("still running after %s", readyTimeout))
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if !layout.Held() {
				return nil
			}
		}
	}
}
