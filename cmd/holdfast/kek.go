package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/holdfast-iam/holdfast/internal/keyring"
	"github.com/holdfast-iam/holdfast/internal/local"
)

// kekCommand renews the KEK's file, of which every control-plane node has a copy.
func kekCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "kek", Short: "Renew the key that account keys are sealed under",
		Long: "The KEK's file holds the key that all others are sealed under. It is renewed in three steps, while everything\n" +
			"goes on: `kek add` puts a new key into the file; the file is copied to every control-plane node, and each is\n" +
			"restarted, one after the other; what the state holds is sealed anew by itself, and the log says when nothing is\n" +
			"sealed under an earlier key any more. Then `kek drop` leaves the new key alone in the file."}
	add := &cobra.Command{Use: "add [FILE]", Short: "Put a new key into the KEK's file", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := kekFile(cmd, args)
			if err == nil {
				err = keyring.AddKEK(path)
			}
			if err != nil {
				return usage(err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: copy %s to every control-plane node and into the safe, and restart the nodes one after the other:\n"+
				"  once all have it, what is sealed is sealed anew under the new key, and the log of the node that does it says so\n", path)
			return printKEKs(cmd, path)
		}}
	var earlier string
	drop := &cobra.Command{Use: "drop [FILE] --to EARLIER", Short: "Leave the newest key alone in the KEK's file", Args: cobra.MaximumNArgs(1),
		Long: "Leave the newest key alone in the KEK's file. The earlier ones go to a file of their own, since backups of before\n" +
			"open with them alone. A control-plane node that starts with a file that lacks a key says so and does not start.",
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := kekFile(cmd, args)
			if err == nil {
				err = keyring.DropKEKs(path, earlier)
			}
			if err != nil {
				return usage(err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "holdfast: copy %s to every control-plane node, and keep %s, offline, for as long as you keep backups of before:\n"+
				"  to restore one, put its keys before that of the KEK's file (cat %s %s > both)\n", path, earlier, earlier, path)
			return printKEKs(cmd, path)
		}}
	drop.Flags().StringVar(&earlier, "to", "", "new file for the keys that leave")
	_ = drop.MarkFlagRequired("to") // the flag exists
	list := &cobra.Command{Use: "list [FILE]", Short: "Name the keys in the KEK's file, oldest first", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := kekFile(cmd, args)
			if err != nil {
				return usage(err)
			}
			return printKEKs(cmd, path)
		}}
	cmd.AddCommand(add, drop, list)
	return cmd
}

// kekFile is the file that was named, or the deployment's.
func kekFile(cmd *cobra.Command, args []string) (string, error) {
	if len(args) == 1 {
		return args[0], nil
	}
	data, err := cmd.Flags().GetString("data")
	if err != nil {
		return "", err
	}
	layout, err := local.Find(data)
	return layout.KEK(), err
}

// printKEKs prints the tags of the keys in a file, which say nothing about them.
func printKEKs(cmd *cobra.Command, path string) error {
	b, err := keyring.LoadKEK(path)
	if err != nil {
		return usage(err)
	}
	fmt.Fprintln(cmd.OutOrStdout(), strings.Join(keyring.Tags(b), "\n"))
	return nil
}
