package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/failpoint"
	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/spf13/cobra"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "serve", Short: "Run one node from a configuration file"}
	for _, role := range []string{"control", "region"} {
		var file string
		var etcd []string
		var insecure bool
		sub := &cobra.Command{Use: role, Short: "Run a " + role + " node", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				return serve(cmd.Context(), role, file, func(c *config.Config) {
					if len(etcd) > 0 {
						c.EtcdEndpoints = etcd
					}
					c.InsecureHTTP = c.InsecureHTTP || insecure
				})
			}}
		sub.Flags().StringVar(&file, "config", "", "configuration file (JSON)")
		sub.Flags().BoolVar(&insecure, "insecure-http", false, "plain HTTP also on addresses that are not loopback")
		if role == "control" {
			sub.Flags().StringSliceVar(&etcd, "etcd-endpoints", nil, "URLs of an external etcd cluster, comma separated; wins over the file's etcdEndpoints")
		}
		_ = sub.MarkFlagRequired("config") // the flag exists
		cmd.AddCommand(sub)
	}
	return cmd
}

func serve(ctx context.Context, role, file string, flags func(*config.Config)) error {
	debug.SetTraceback("none") // no memory of ours in a crash report (lesson L20)
	noCore()
	in, err := config.Inherit()
	if err != nil {
		return usage(err)
	}
	c, err := configuration(file, role, flags)
	if err != nil {
		return usage(err)
	}
	for _, dir := range []string{c.Dir, c.Run} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return usage(err)
		}
	}
	failpoint.Start(filepath.Base(c.Dir), c.Dir)
	asked, pause := make(chan struct{}), c.Drain()
	if in["parent"] != nil { // its sockets stay open in `up`, and others accept on them
		pause = letGo
	}
	ctx, cancel := endLater(ctx, asked, pause)
	defer cancel()
	ready := watchParent(in, cancel)
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("node", role, "region", c.Region)
	if role == "control" {
		err = (&node.Control{Config: c, Inherited: in, Log: log, Ready: ready, Ending: asked}).Run(ctx)
	} else {
		err = (&node.Region{Config: c, Inherited: in, Log: log, Ready: ready, Ending: asked}).Run(ctx)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	if err != nil {
		log.Error("the node has stopped", "error", err)
		return &exitError{statusNo, err}
	}
	return nil
}

// configuration is the file's, changed by flags.
func configuration(file, role string, flags func(*config.Config)) (*config.Config, error) {
	c, err := config.Read(file)
	if err != nil {
		return nil, err
	}
	flags(c)
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if c.Role != role {
		return nil, fmt.Errorf("%s is of a %s node", file, c.Role)
	}
	if c.Run == "" {
		c.Run = c.Dir
	}
	return c, nil
}

// letGo is how long a node of `up` that was asked to end by itself goes on, so that
// its clients leave: each answer tells them to take another connection. A whole
// `up` ends at once.
const letGo = time.Second

// endLater is a context that ends a pause after ctx: asked is closed at once, so
// that the node says meanwhile that it is ending.
func endLater(ctx context.Context, asked chan<- struct{}, pause time.Duration) (context.Context, context.CancelFunc) {
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		select {
		case <-ctx.Done():
		case <-later.Done():
			return
		}
		close(asked)
		_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) // nobody may be listening
		select {
		case <-time.After(pause):
		case <-later.Done():
		}
		cancel()
	}()
	return later, cancel
}

// watchParent ends the node with its supervisor, also when that is killed: the
// pipe it holds is closed by the system. It returns how to say ready, to `up`
// or to systemd.
func watchParent(in config.Inherited, end func()) func() {
	if parent := in["parent"]; parent != nil {
		go func() {
			_, _ = io.Copy(io.Discard, parent)
			end()
		}()
	}
	return func() {
		if notify := in["notify"]; notify != nil {
			_, _ = notify.WriteString("ready\n") // nobody may be listening
		}
		_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	}
}
