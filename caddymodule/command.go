// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// subcommands make what stands under `caddy verified-id`, each in a file of its own.
var subcommands = []func() *cobra.Command{
	checkCommand, revokeCommand, requestCommand, kickstartCommand, keysCommand, manifestCommand, pinCommand, networkCommand,
}

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "verified-id",
		Usage: "<command>",
		Short: "Works with the Entra Verified ID gate",
		Long:  "Works with the gate that asks visitors for a Microsoft Entra Verified ID (the directive verified_id).",
		CobraFunc: func(cmd *cobra.Command) {
			cmd.Args = cobra.NoArgs
			for _, sub := range subcommands {
				cmd.AddCommand(sub())
			}
		},
	})
}
