package main

import (
	"fmt"
	"strings"

	"github.com/holdfast-iam/holdfast/internal/config"
	"github.com/holdfast-iam/holdfast/internal/local"
	"github.com/spf13/cobra"
)

func configHAProxyCommand() *cobra.Command {
	var b local.Balancer
	var nodes []string
	cmd := &cobra.Command{Use: "haproxy", Short: "Write the configuration of a Region's HAProxy",
		Long: "Write the configuration of a Region's HAProxy, for Debian's package: /readyz decides who is asked, requests that change nothing are repeated at another\n" +
			"node, an IAM write that was sent never is, nodes hear the client's address by PROXY v2, and no query is logged. Name the balancer in the nodes' \"proxies\".",
		Args: cobra.NoArgs}
	f := cmd.Flags()
	f.StringVar(&b.Region, "region", "", "the Region")
	f.StringVar(&b.Listen, "listen", "", "HOST:PORT for clients")
	f.StringVar(&b.Cert, "cert", "", "PEM file with certificate and key for clients")
	f.StringVar(&b.CA, "ca", "", "PEM file with the authorities of the nodes' certificates")
	f.StringArrayVar(&nodes, "node", nil, "NAME=API,ADMIN: a node with its two HOST:PORT; once a node")
	for _, name := range []string{"region", "listen", "node"} {
		_ = cmd.MarkFlagRequired(name) // the flags exist
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		b.Package = true
		switch {
		case !config.ValidRegion(b.Region):
			return usage(fmt.Errorf("--region: %q is no Region name, such as us-east-1", b.Region))
		case (b.Cert == "" || b.CA == "") && !config.Loopback(b.Listen):
			return usage(fmt.Errorf("--listen %s is not loopback: give --cert for clients and --ca for the nodes", b.Listen))
		case strings.ContainsAny(b.Listen+b.Cert+b.CA, " \t\n\"'\\"):
			return usage(fmt.Errorf("--listen, --cert and --ca are without space or quotation mark"))
		}
		for _, text := range nodes {
			name, addresses, _ := strings.Cut(text, "=")
			api, admin, ok := strings.Cut(addresses, ",")
			if !ok || !nodeName.MatchString(name) || strings.ContainsAny(addresses, " \t\n\"'\\") {
				return usage(fmt.Errorf("--node %q is not NAME=API,ADMIN, such as use-a=10.0.1.1:4260,10.0.1.1:4550", text))
			}
			b.Nodes = append(b.Nodes, local.BalancedNode{Name: name, API: api, Admin: admin})
		}
		text, err := local.HAProxy(b)
		if err != nil {
			return usage(err)
		}
		fmt.Fprint(cmd.OutOrStdout(), text)
		return nil
	}
	return cmd
}
