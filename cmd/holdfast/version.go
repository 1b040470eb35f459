package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/spf13/cobra"
)

// release is the version of this build.
const release = node.Release

func versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			commit := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, s := range info.Settings {
					if s.Key == "vcs.revision" {
						commit = s.Value
					}
				}
			}
			if format == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{
					"version": release, "commit": commit, "go": runtime.Version(), "format": record.Format})
			}
			fmt.Fprintf(cmd.OutOrStdout(), "holdfast %s (commit %s, %s, format %d)\n", release, commit, runtime.Version(), record.Format)
			return nil
		}}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	return cmd
}
