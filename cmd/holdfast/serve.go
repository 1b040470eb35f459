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
		sub := &cobra.Command{Use: role, Short: "Run a " + role + " node", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), role, file, etcd) }}
		sub.Flags().StringVar(&file, "config", "", "configuration file (JSON)")
		if role == "control" {
			sub.Flags().StringSliceVar(&etcd, "etcd-endpoints", nil, "URLs of an external etcd cluster, comma separated; wins over the file's etcdEndpoints")
		}
		_ = sub.MarkFlagRequired("config") // the flag exists
		cmd.AddCommand(sub)
	}
	return cmd
}

func serve(ctx context.Context, role, file string, etcd []string) error {
	debug.SetTraceback("none") // no memory of ours in a crash report (lesson L20)
	in, err := config.Inherit()
	if err != nil {
		return usage(err)
	}
	c, err := config.Load(file)
	if err != nil {
		return usage(err)
	}
	if len(etcd) > 0 {
		c.EtcdEndpoints = etcd
		if err := c.Check(); err != nil {
			return usage(err)
		}
	}
	failpoint.Start(filepath.Base(c.Dir), c.Dir)
	if c.Role != role {
		return usage(fmt.Errorf("%s is of a %s node", file, c.Role))
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return usage(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := watchParent(in, cancel)
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil)).With("node", role, "region", c.Region)
	if role == "control" {
		err = (&node.Control{Config: c, Inherited: in, Log: log, Ready: ready}).Run(ctx)
	} else {
		err = (&node.Region{Config: c, Inherited: in, Log: log, Ready: ready}).Run(ctx)
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

// watchParent ends the node with its supervisor, also when that is killed: the
// pipe it holds is closed by the system. It returns how to say ready.
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
	}
}
