package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/holdfast-iam/holdfast/internal/record"
	"github.com/spf13/cobra"
)

// pollPause is how often `status --watch` and `wait` look again.
const pollPause = 100 * time.Millisecond

// nodeStatus is one line of status: where a node is, and what it says.
type nodeStatus struct {
	local.NodeAddresses
	Status *node.Status `json:"status"`
	Error  string       `json:"error,omitempty"`
}

func deployment(cmd *cobra.Command) (*local.Addresses, error) {
	data, _ := cmd.Flags().GetString("data")
	layout, err := local.Find(data)
	if err != nil {
		return nil, usage(err)
	}
	var a local.Addresses
	if err := local.Read(layout.AddressesFile(), &a); err != nil {
		return nil, unreachable(fmt.Errorf("%s is not running: start it with `holdfast up`", layout.Dir))
	}
	return &a, nil
}

func askAll(ctx context.Context, a *local.Addresses) []nodeStatus {
	var all []nodeStatus
	for _, n := range a.All() {
		s := nodeStatus{NodeAddresses: n}
		status, err := askNode(ctx, n.Admin)
		if err != nil {
			s.Error = "unreachable"
		} else {
			s.Status = status
		}
		all = append(all, s)
	}
	return all
}

func askNode(ctx context.Context, admin string) (*node.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/status", nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: &http.Transport{}} // no proxy: loopback
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var s node.Status
	return &s, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&s)
}

func statusCommand() *cobra.Command {
	var format string
	var watch bool
	cmd := &cobra.Command{Use: "status", Short: "Show every node: revision, age, digest, readiness", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for {
				a, err := deployment(cmd)
				if err != nil {
					return err
				}
				all := askAll(cmd.Context(), a)
				if format == "json" {
					err = json.NewEncoder(cmd.OutOrStdout()).Encode(all)
				} else {
					err = printStatus(cmd.OutOrStdout(), all)
				}
				if err != nil {
					return err
				}
				if !watch {
					return verdict(all)
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(10 * pollPause):
				}
			}
		}}
	cmd.Flags().StringVar(&format, "format", "text", "text or json")
	cmd.Flags().BoolVar(&watch, "watch", false, "look again every second")
	return cmd
}

// takenOut names the nodes that were fenced: nobody waits for them.
func takenOut(all []nodeStatus) map[string]bool {
	out := map[string]bool{}
	for _, s := range all {
		if s.Status != nil && s.Status.Role == record.ControlNode {
			for _, id := range s.Status.Fenced {
				out[id] = true
			}
		}
	}
	return out
}

func verdict(all []nodeStatus) error {
	out := takenOut(all)
	for _, s := range all {
		if out[s.Name] {
			continue
		}
		if s.Status == nil {
			return unreachable(fmt.Errorf("%s is unreachable", s.Name))
		}
		if !s.Status.Ready {
			return &exitError{statusNo, fmt.Errorf("%s is not ready: %s", s.Name, s.Status.Why)}
		}
	}
	return nil
}

func printStatus(w io.Writer, all []nodeStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NODE\tREGION\tADDRESS\tREADY\tREVISION\tAGE\tDIGEST\tRECORDS")
	for _, s := range all {
		if s.Status == nil {
			fmt.Fprintf(t, "%s\t%s\t%s\tunreachable\t\t\t\t\n", s.Name, s.Region, s.API)
			continue
		}
		ready := "yes"
		if !s.Status.Ready {
			ready = "no: " + s.Status.Why
		}
		digest := s.Status.Digest
		if len(digest) > 12 {
			digest = digest[:12]
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%.1fs\t%s\t%d\n", s.Name, s.Status.Region, s.API, ready, s.Status.Revision, s.Status.Age, digest, s.Status.Records)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return printHeadroom(w, all)
}

func waitCommand() *cobra.Command {
	var revision string
	var timeout time.Duration
	cmd := &cobra.Command{Use: "wait --revision R", Short: "Wait until every node serves a revision", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			lineage, index, err := record.ParseRevision(revision)
			if err != nil {
				return usage(fmt.Errorf("--revision: %w", err))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			for {
				a, err := deployment(cmd)
				if err != nil {
					return err
				}
				behind := behindOf(askAll(ctx, a), lineage, index)
				if behind == "" {
					return nil
				}
				select {
				case <-ctx.Done():
					return &exitError{statusNo, fmt.Errorf("%s does not serve %s after %s", behind, revision, timeout)}
				case <-time.After(pollPause):
				}
			}
		}}
	cmd.Flags().StringVar(&revision, "revision", "", "as X-Holdfast-Revision told it")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "give up after this long")
	_ = cmd.MarkFlagRequired("revision") // the flag exists
	return cmd
}

func behindOf(all []nodeStatus, lineage string, index uint64) string {
	out := takenOut(all)
	for _, s := range all {
		if out[s.Name] {
			continue
		}
		if s.Status == nil || s.Status.Lineage != lineage || s.Status.Index < index {
			return s.Name
		}
	}
	return ""
}
