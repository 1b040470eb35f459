package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/spf13/cobra"
)

// unset lists what would win over, or mix with, the variables that env sets
// (what AWS's clients read; measured).
var unset = []string{
	"AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
	"AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
	"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CREDENTIAL_EXPIRATION",
	"AWS_STS_REGIONAL_ENDPOINTS", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
}

// variable is one name with its value, in the order they are printed.
type variable struct{ Name, Value string }

type envFlags struct{ region, account, as string }

func (f *envFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.region, "region", "", "Region to talk to (default: the first)")
	cmd.Flags().StringVar(&f.account, "account", "", "account (default: the first)")
	cmd.Flags().StringVar(&f.as, "as", "admin", "admin or root")
}

// environment finds the deployment and makes the variables for its clients.
func environment(data string, f envFlags) ([]variable, error) {
	layout, err := local.Find(data)
	if err != nil {
		return nil, usage(err)
	}
	var a local.Addresses
	if err := local.Read(layout.AddressesFile(), &a); err != nil {
		return nil, unreachable(fmt.Errorf("%s is not running: start it with `holdfast up`", layout.Dir))
	}
	node, err := regionNode(&a, f.region)
	if err != nil {
		return nil, usage(err)
	}
	id, secret, account, err := credentials(layout, f)
	if err != nil {
		return nil, usage(err)
	}
	return append([]variable{
		{"AWS_ACCESS_KEY_ID", id}, {"AWS_SECRET_ACCESS_KEY", secret},
		{"AWS_ENDPOINT_URL", "http://" + node.API},
		{"AWS_REGION", node.Region}, {"AWS_DEFAULT_REGION", node.Region},
		{"HOLDFAST_ACCOUNT_ID", account},
	}, pastProxies()...), nil
}

// loopbacks are what no request should go through a proxy for.
var loopbacks = []string{"127.0.0.1", "localhost", "::1"}

// pastProxies keeps loopback out of a proxy that this environment names:
// botocore sends loopback through HTTP_PROXY. It reads the lower-case name
// first, others the upper-case one, so both are set.
func pastProxies() []variable {
	proxied := slices.ContainsFunc([]string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"}, func(name string) bool {
		return os.Getenv(name) != "" || os.Getenv(strings.ToLower(name)) != ""
	})
	if !proxied {
		return nil
	}
	var kept []string
	for _, name := range []string{"no_proxy", "NO_PROXY"} {
		for _, host := range strings.Split(os.Getenv(name), ",") {
			if host = strings.TrimSpace(host); plainHost(host) && !slices.Contains(kept, host) {
				kept = append(kept, host)
			}
		}
	}
	for _, host := range loopbacks {
		if !slices.Contains(kept, host) {
			kept = append(kept, host)
		}
	}
	list := strings.Join(kept, ",")
	return []variable{{"NO_PROXY", list}, {"no_proxy", list}}
}

// plainHost says whether an entry of NO_PROXY is one, and so holds nothing that
// a shell would read.
func plainHost(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".-_:*/[]", r)
	})
}

func regionNode(a *local.Addresses, region string) (*local.NodeAddresses, error) {
	var names []string
	for i := range a.Regions {
		if region == "" || a.Regions[i].Region == region {
			return &a.Regions[i], nil
		}
		names = append(names, a.Regions[i].Region)
	}
	return nil, fmt.Errorf("there is no Region %s here, only %s", region, strings.Join(names, ", "))
}

func credentials(layout local.Layout, f envFlags) (id, secret, account string, err error) {
	c, err := layout.Credentials(f.account)
	if err != nil {
		return "", "", "", err
	}
	switch f.as {
	case "admin":
		if c.AdminKeyID == "" {
			return "", "", "", fmt.Errorf("account %s has no admin user of ours: use --as root", c.Account)
		}
		return c.AdminKeyID, c.AdminSecret, c.Account, nil
	case "root":
		return c.RootKeyID, c.RootSecret, c.Account, nil
	}
	return "", "", "", fmt.Errorf("--as is %q, want admin or root", f.as)
}

func envCommand() *cobra.Command {
	var f envFlags
	var shell, format, profile string
	cmd := &cobra.Command{Use: "env", Short: "Print what AWS clients need", Args: cobra.NoArgs,
		Long: "Print what AWS clients need, for eval \"$(holdfast env)\". On any error it prints `false`, so that\n`eval \"$(holdfast env)\" && aws …` stops there instead of reaching AWS.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			data, _ := cmd.Flags().GetString("data")
			vars, err := environment(data, f)
			if err == nil && profile != "" {
				err = writeProfile(profile, vars)
			}
			var text string
			if err == nil {
				text, err = render(vars, shell, format)
			}
			if err != nil {
				return err // run prints `false`, as for a wrong flag
			}
			_, err = io.WriteString(cmd.OutOrStdout(), text)
			return err
		}}
	f.bind(cmd)
	cmd.Flags().StringVar(&shell, "shell", "sh", "sh, fish or powershell")
	cmd.Flags().StringVar(&format, "format", "shell", "shell, json, dotenv or github")
	cmd.Flags().StringVar(&profile, "write-profile", "", "also write this profile to the AWS configuration files")
	return cmd
}

// render prints the variables for a shell or a program. Values hold no quote:
// keys, addresses and Region names are all made by us, hosts are plain.
func render(vars []variable, shell, format string) (string, error) {
	var b strings.Builder
	switch format {
	case "json":
		m := map[string]string{}
		for _, v := range vars {
			m[v.Name] = v.Value
		}
		out, err := json.MarshalIndent(m, "", "  ")
		return string(out) + "\n", err
	case "dotenv":
		for _, v := range vars {
			fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Value)
		}
	case "github":
		file := os.Getenv("GITHUB_ENV")
		if file == "" {
			return "", usage(errors.New("--format github needs GITHUB_ENV"))
		}
		for _, v := range vars {
			fmt.Fprintf(&b, "%s=%s\n", v.Name, v.Value)
		}
		return "", appendFile(file, b.String())
	case "shell":
		return renderShell(vars, shell)
	default:
		return "", usage(fmt.Errorf("--format is %q, want shell, json, dotenv or github", format))
	}
	return b.String(), nil
}

func renderShell(vars []variable, shell string) (string, error) {
	set, drop := "export %s='%s'\n", "unset %s\n"
	switch shell {
	case "sh":
	case "fish":
		set, drop = "set -gx %s '%s'\n", "set -e %s\n"
	case "powershell":
		set, drop = "$env:%s = '%s'\n", "Remove-Item Env:%s -ErrorAction SilentlyContinue\n"
	default:
		return "", usage(fmt.Errorf("--shell is %q, want sh, fish or powershell", shell))
	}
	var b strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&b, set, v.Name, v.Value)
	}
	for _, name := range unset {
		fmt.Fprintf(&b, drop, name)
	}
	return b.String(), nil
}

func appendFile(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func execCommand() *cobra.Command {
	var f envFlags
	cmd := &cobra.Command{Use: "exec [flags] -- COMMAND…", Short: "Run a command against this deployment", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, _ := cmd.Flags().GetString("data")
			vars, err := environment(data, f)
			if err != nil {
				return err
			}
			c := exec.Command(args[0], args[1:]...)
			c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
			c.Env = clientEnviron(vars)
			return runHandingOn(c)
		}}
	f.bind(cmd)
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// runHandingOn runs a command with this process's SIGTERM handed on. Ctrl-C
// reaches it from the terminal; what it does with that is its own affair.
func runHandingOn(c *exec.Cmd) error {
	if err := c.Start(); err != nil {
		return usage(err)
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	defer signal.Stop(terms)
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for {
		select {
		case s := <-terms:
			_ = c.Process.Signal(s) // it may have ended already
		case err := <-ended:
			var e *exec.ExitError
			if errors.As(err, &e) {
				return &exitError{statusOf(e), errors.New("")}
			}
			return err
		}
	}
}

// statusOf is a command's exit status, for a signal as shells tell it.
func statusOf(e *exec.ExitError) int {
	if w, ok := e.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return e.ExitCode()
}

// clientEnviron is this process's environment with the variables set and what
// would win over them taken out.
func clientEnviron(vars []variable) []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if slices.Contains(unset, name) || strings.HasPrefix(name, "AWS_ENDPOINT_URL_") ||
			slices.ContainsFunc(vars, func(v variable) bool { return v.Name == name }) {
			continue
		}
		env = append(env, kv)
	}
	for _, v := range vars {
		env = append(env, v.Name+"="+v.Value)
	}
	return env
}
