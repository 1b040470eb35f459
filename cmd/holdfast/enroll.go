package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/holdfast-iam/holdfast/internal/node"
	"github.com/holdfast-iam/holdfast/internal/operator"
	"github.com/spf13/cobra"
)

func operatorCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "operator", Short: "Operators of the deployment"}
	key := &cobra.Command{Use: "key", Short: "An operator's own key"}
	key.AddCommand(operatorKeyMakeCommand())
	cmd.AddCommand(key, operatorEnrollCommand(), operatorListCommand(), operatorRemoveCommand())
	return cmd
}

func operatorKeyMakeCommand() *cobra.Command {
	return &cobra.Command{Use: "make ID FILE", Short: "Make an operator's key; prints its public half",
		Long: "Make an operator's key in a new file, 0400, which never leaves its owner. Prints the public half, for `init --operator` or `operator enroll`.",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !nodeName.MatchString(args[0]) {
				return usage(fmt.Errorf("%q is no operator's id: letters, digits, . _ -", args[0]))
			}
			k, err := operator.MakeKey(args[1], args[0])
			if err != nil {
				return usage(err)
			}
			return json.NewEncoder(cmd.OutOrStdout()).Encode(operator.Public{ID: k.ID, Key: k.Public()})
		}}
}

const operatorHeader = "ID\tPUBLIC KEY\tENROLLED"

func operatorRows(list ...operator.OperatorLine) (rows [][]string) {
	for _, o := range list {
		rows = append(rows, []string{o.ID, fmt.Sprintf("%x", o.Key), o.Created.Std().Format(time.RFC3339)})
	}
	return rows
}

func operatorEnrollCommand() *cobra.Command {
	var root string
	cmd := &cobra.Command{Use: "enroll FILE", Short: "Enroll an operator: the root signs, an operator hands it in",
		Long: "Enroll the operator whose public key the file holds. The root's key signs it here; an operator's key, that of --operator-key, hands it in.",
		Args: cobra.ExactArgs(1)}
	format := formatFlag(cmd)
	cmd.Flags().StringVar(&root, "root-key", "", "the root's key file")
	_ = cmd.MarkFlagRequired("root-key") // the flag exists
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		public, err := operator.ReadPublic(args[0])
		if err != nil {
			return usage(err)
		}
		key, err := node.LoadRoot(root)
		if err != nil {
			return usage(err)
		}
		rec := public.Enroll(time.Now())
		rec.Sign(key)
		var out operator.OperatorLine
		if err := execute(cmd, "operator.enroll", rec, &out); err != nil {
			return err
		}
		return show(cmd, *format, out, operatorHeader, operatorRows(out))
	}
	return cmd
}

func operatorListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the operators", Args: cobra.NoArgs}
	format := formatFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var out []operator.OperatorLine
		if err := execute(cmd, "operator.list", struct{}{}, &out); err != nil {
			return err
		}
		return show(cmd, *format, out, operatorHeader, operatorRows(out...))
	}
	return cmd
}

func operatorRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "remove ID", Short: "Take an operator out; takes two operators in production", Args: cobra.ExactArgs(1)}
	proposeFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return execute(cmd, "operator.remove", map[string]string{"id": args[0]}, &operator.OperatorLine{})
	}
	return cmd
}
