package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/holdfast-iam/holdfast/internal/backup"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/operator"
)

func backupCommand() *cobra.Command {
	var out string
	var recipients []string
	cmd := &cobra.Command{Use: "backup --out FILE --recipient age1…", Short: "Write the whole configuration to a file that its recipients alone can read",
		Long: "Write the whole configuration to a file that its recipients alone can read, while everything goes on. Make the recipient's key elsewhere, with\n" +
			"`age-keygen`, and keep it there. The file does not hold the KEK, and opens nothing without it: keep a copy of that in another place.",
		Args: cobra.NoArgs}
	cmd.Flags().StringVar(&out, "out", "", "the new file; it is there when the backup is whole")
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "age recipient (age1…) that can read it; may be given again")
	_, _ = cmd.MarkFlagRequired("out"), cmd.MarkFlagRequired("recipient") // the flags exist
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := backup.Recipients(recipients); err != nil { // before anything is asked
			return usage(err)
		}
		sockets, key, err := operatorKey(cmd)
		if err != nil {
			return usage(err)
		}
		client, err := operator.Dial(sockets, key)
		if err != nil {
			return usage(err)
		}
		defer client.Close()
		summary, err := writeBackup(out, func(to io.Writer) (*backup.Summary, error) {
			return client.Backup(cmd.Context(), recipients, time.Now(), to, progress(cmd.ErrOrStderr()))
		})
		var refused *operator.Refused
		switch {
		case errors.As(err, &refused), errors.Is(err, os.ErrExist):
			return usage(err)
		case err != nil:
			return unreachable(err)
		}
		return tellBackup(cmd, summary)
	}
	cmd.AddCommand(backupVerifyCommand())
	return cmd
}

// progress says now and then how far a backup is.
func progress(words io.Writer) backup.Progress {
	last := time.Now()
	return func(s *backup.Summary) {
		if now := time.Now(); now.Sub(last) > time.Second {
			last = now
			fmt.Fprintf(words, "holdfast: %d records, %d MiB\n", s.Records, s.Bytes>>20)
		}
	}
}

// writeBackup writes a new file that is there whole or not at all, also when two
// write it at once.
func writeBackup(path string, write func(io.Writer) (*backup.Summary, error)) (*backup.Summary, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s: %w", path, os.ErrExist)
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, usage(err)
	}
	defer dir.Close()
	f, err := os.CreateTemp(dir.Name(), filepath.Base(path)+".unfinished-*")
	if err != nil {
		return nil, usage(err)
	}
	defer os.Remove(f.Name()) // when it is not renamed
	summary, err := write(f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return nil, err
	}
	_ = dir.Sync() // its name lasts, where a system can say so of a directory
	return summary, nil
}

func tellBackup(cmd *cobra.Command, s *backup.Summary) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "cluster   %s\nrevision  %s\ncommitted %s\nmade      %s\nrecords   %d\nlog       %d to %d\n", s.Cluster, s.Revision,
		s.Commit.Std().Format(time.RFC3339), s.Made.Std().Format(time.RFC3339), s.Records, s.LogFirst, s.LogLast)
	return err
}

func backupVerifyCommand() *cobra.Command {
	var identity, root string
	cmd := &cobra.Command{Use: "verify FILE --identity KEYFILE", Short: "Say whether a backup is whole and of this deployment",
		Long: "Say whether a backup is whole and of this deployment: genesis signed by the root, records that come to the digest of their signed head, and a log\n" +
			"that leads up to it. Nothing is written. Exit status 1: it is not.",
		Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&identity, "identity", "", "age identity file (AGE-SECRET-KEY-1…) of one of its recipients")
	cmd.Flags().StringVar(&root, "root", "", "SHA-256 of the root's public key, hex (default: the deployment's under --data)")
	_ = cmd.MarkFlagRequired("identity") // the flag exists
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if root == "" {
			data, _ := cmd.Flags().GetString("data")
			layout, err := local.Find(data)
			if err != nil {
				return usage(fmt.Errorf("name the root with --root: %w", err))
			}
			var m local.Marker
			if err := local.Read(layout.Marker(), &m); err != nil {
				return usage(err)
			}
			root = m.Root
		}
		b, err := readBackup(args[0], identity, root)
		if err != nil {
			return err
		}
		return tellBackup(cmd, &b.Summary)
	}
	return cmd
}

// readBackup reads and verifies a backup.
func readBackup(path, identity, root string) (*backup.Backup, error) {
	keys, err := os.Open(identity)
	if err != nil {
		return nil, usage(err)
	}
	defer keys.Close()
	identities, err := age.ParseIdentities(io.LimitReader(keys, 1<<16))
	if err != nil {
		return nil, usage(fmt.Errorf("%s holds no age identity", identity)) // the library's words may quote it
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, usage(err)
	}
	defer f.Close()
	b, err := backup.Read(f, identities, root, nil)
	if err != nil {
		return nil, &exitError{statusNo, fmt.Errorf("%s: %w", path, err)}
	}
	return b, nil
}
