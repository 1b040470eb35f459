package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/holdfast-iam/holdfast/internal/policyline"
	"github.com/holdfast-iam/holdfast/sigv4"
	"github.com/spf13/cobra"
)

// policyCommand is the policy laboratory.
func policyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Evaluate, test and check policies"}
	cmd.AddCommand(evalCommand(), policyTestCommand(), lintCommand())
	return cmd
}

func evalCommand() *cobra.Command {
	var format string
	var lab policyline.Laboratory
	cmd := &cobra.Command{Use: "eval", Short: "Evaluate one JSON case a line from stdin, one answer a line", Args: cobra.NoArgs,
		Long: "Evaluate one JSON case a line from stdin, one answer a line on stdout, in the same order. A bad line is\n" +
			"an answer with an error. Answers wait for no later line, so that a program can ask line by line.",
		Example: `  echo '{"request":{"principal":{"type":"AWS","arn":"arn:aws:iam::111122223333:user/alice"},"action":"s3:GetObject",` +
			`"resource":"arn:aws:s3:::photos/cat.jpg"},"policies":{"identity":[{"name":"read","document":{"Version":"2012-10-17",` +
			`"Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}}]}}' | holdfast policy eval --explain --format text`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "json" && format != "text" {
				return usage(fmt.Errorf("--format is %q, want json or text", format))
			}
			lab.Text = format == "text"
			return lab.Run(cmd.InOrStdin(), cmd.OutOrStdout())
		}}
	cmd.Flags().StringVar(&format, "format", "json", "json; text is for people")
	cmd.Flags().BoolVar(&lab.Explain, "explain", false, "tell every statement that was considered, and which condition or missing key kept it from matching")
	return cmd
}

type sigv4Flags struct {
	accessKey, region, service, secret, now, token string
	keepPath, v4a                                  bool
}

// sigv4Command tells why a signature fails.
func sigv4Command() *cobra.Command {
	cmd := &cobra.Command{Use: "sigv4", Short: "Look at signatures"}
	var f sigv4Flags
	verify := &cobra.Command{Use: "verify", Short: "Verify one raw HTTP/1.1 request from stdin", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			raw, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), sigv4.MaxRaw+1))
			if err != nil {
				return err
			}
			return verifyRaw(cmd.OutOrStdout(), raw, f)
		}}
	verify.Flags().StringVar(&f.accessKey, "access-key", "", "access key id")
	verify.Flags().StringVar(&f.region, "region", "", "Region that the scope must name")
	verify.Flags().StringVar(&f.service, "service", "", "service that the scope must name")
	verify.Flags().StringVar(&f.secret, "secret-key", "-", "secret access key; - takes AWS_SECRET_ACCESS_KEY, or without it the first line of stdin")
	verify.Flags().StringVar(&f.now, "now", "", "time of the verifier (RFC 3339; default now)")
	verify.Flags().StringVar(&f.token, "session-token", "", "session token that the request must carry")
	verify.Flags().BoolVar(&f.keepPath, "no-normalize-path", false, "leave the path as it was sent (S3)")
	verify.Flags().BoolVar(&f.v4a, "v4a", false, "verify SigV4A, from the public key that the secret derives")
	for _, name := range []string{"access-key", "region", "service"} {
		_ = verify.MarkFlagRequired(name) // the flag exists
	}
	cmd.AddCommand(verify)
	return cmd
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
		if secret = os.Getenv("AWS_SECRET_ACCESS_KEY"); secret == "" {
			line, rest, _ := bytes.Cut(raw, []byte("\n"))
			secret, raw = string(bytes.TrimRight(line, "\r")), rest
		}
	}
	if secret == "" || strings.Contains(secret, " ") { // a request line has spaces, a secret none
		return usage(errors.New("give --secret-key, or AWS_SECRET_ACCESS_KEY, or the secret as stdin's first line"))
	}
	r := sigv4.VerifyRaw(raw, sigv4.RawOptions{AccessKeyID: f.accessKey, SecretAccessKey: secret, SessionToken: f.token,
		Region: f.region, Service: f.service, Now: now, KeepPath: f.keepPath, V4A: f.v4a})
	if err := json.NewEncoder(out).Encode(r); err != nil {
		return err
	}
	if !r.OK {
		return &exitError{statusNo, errors.New(r.Message)}
	}
	return nil
}
