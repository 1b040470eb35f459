package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/policyline"
	"github.com/holdfast-iam/holdfast/sigv4"
	"github.com/spf13/cobra"
)

// policyCommand is the policy laboratory.
func policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Evaluate policies"}
	var format string
	eval := &cobra.Command{Use: "eval", Short: "Evaluate one JSON case a line from stdin, one answer a line", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "json" {
				return usage(fmt.Errorf("--format is %q, want json", format))
			}
			return policyline.Run(cmd.InOrStdin(), cmd.OutOrStdout())
		}}
	eval.Flags().StringVar(&format, "format", "json", "json")
	cmd.AddCommand(eval)
	return cmd
}

// maxRaw bounds a raw request in bytes.
const maxRaw = 8 << 20

type sigv4Flags struct {
	accessKey, region, service, secret, now, token string
	keepPath                                       bool
}

// sigv4Command tells why a signature fails.
func sigv4Command() *cobra.Command {
	cmd := &cobra.Command{Use: "sigv4", Short: "Look at signatures"}
	var f sigv4Flags
	verify := &cobra.Command{Use: "verify", Short: "Verify one raw HTTP/1.1 request from stdin", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxRaw))
			if err != nil {
				return err
			}
			return verifyRaw(cmd.OutOrStdout(), raw, f)
		}}
	verify.Flags().StringVar(&f.accessKey, "access-key", "", "access key id")
	verify.Flags().StringVar(&f.region, "region", "", "Region that the scope must name")
	verify.Flags().StringVar(&f.service, "service", "", "service that the scope must name")
	verify.Flags().StringVar(&f.secret, "secret-key", "-", "secret access key; - reads AWS_SECRET_ACCESS_KEY")
	verify.Flags().StringVar(&f.now, "now", "", "time of the verifier (RFC 3339; default now)")
	verify.Flags().StringVar(&f.token, "session-token", "", "session token that the request must carry")
	verify.Flags().BoolVar(&f.keepPath, "no-normalize-path", false, "leave the path as it was sent (S3)")
	cmd.AddCommand(verify)
	return cmd
}

// verdictLine is the answer of sigv4 verify.
type verdictLine struct {
	OK               bool   `json:"ok"`
	Code             string `json:"code,omitempty"`
	Message          string `json:"message,omitempty"`
	CanonicalRequest string `json:"canonicalRequest,omitempty"`
}

func verifyRaw(out io.Writer, raw []byte, f sigv4Flags) error {
	now := time.Now()
	if f.now != "" {
		t, err := time.Parse(time.RFC3339, f.now)
		if err != nil {
			return usage(fmt.Errorf("--now: %w", err))
		}
		now = t
	}
	secret := f.secret
	if secret == "-" {
		secret = os.Getenv("AWS_SECRET_ACCESS_KEY")
	}
	if secret == "" {
		return usage(errors.New("give --secret-key, or AWS_SECRET_ACCESS_KEY"))
	}
	line := verdictLine{}
	err := checkRaw(raw, f, secret, now)
	var e *sigv4.Error
	switch {
	case err == nil:
		line.OK = true
	case errors.As(err, &e):
		line.Code, line.Message, line.CanonicalRequest = e.Code, e.Brief, e.CanonicalRequest
	default:
		line.Code, line.Message = "MalformedRequest", err.Error()
	}
	if err := json.NewEncoder(out).Encode(line); err != nil {
		return err
	}
	if !line.OK {
		return errNo
	}
	return nil
}

func checkRaw(raw []byte, f sigv4Flags, secret string, now time.Time) error {
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return fmt.Errorf("this is no HTTP/1.1 request: %w", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	req := sigv4.FromHTTP(r, body)
	p, err := sigv4.Parse(&req)
	if err != nil {
		return err
	}
	for _, c := range []struct{ name, want, got string }{{"access key", f.accessKey, p.AccessKeyID}, {"Region", f.region, p.Scope.Region},
		{"service", f.service, p.Scope.Service}, {"session token", f.token, p.SessionToken}} {
		if c.want != "" && c.want != c.got {
			return &sigv4.Error{Code: sigv4.SignatureDoesNotMatch, Brief: "the request's " + c.name + " is another: " + strings.TrimSpace(c.got)}
		}
	}
	profile := sigv4.Own
	if f.keepPath {
		profile = sigv4.S3
	}
	key := sigv4.DeriveKey(secret, p.Scope)
	return sigv4.Verify(&p, &req, &key, now, profile)
}
