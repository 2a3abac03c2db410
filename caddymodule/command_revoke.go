// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// revokeCommand is `caddy verified-id revoke`.
func revokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "revoke (--session <id> | --subject <subject> | --issuer <did> | --credential <name> | --all) " +
			"[--address <interface>] [--config <path> [--adapter <name>]]",
		Short: "Ends sessions at once, on all nodes",
		Long: `
Ends sessions that have begun, before their time: one session, all of one person,
all that rest on credentials of one issuer, all that rest on one credential of the
config, or all. Session and subject are those of the log line session_started.

Sessions that begin later are good. To keep somebody out, have the credential
revoked by its issuer first.

It asks the running Caddy through its admin API, and returns when the revocation
is kept in Caddy's storage. Other nodes that share it follow within 5 seconds.
What they still have open is cut within a second.`,
		Example: `  $ caddy verified-id revoke --session 3q2-7wAAAAB1b3JrczRtZQ
  $ caddy verified-id revoke --all`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().String("session", "", "ID of one session")
	cmd.Flags().String("subject", "", "Subject: all sessions of this person's wallet")
	cmd.Flags().String("issuer", "", "DID: all sessions with a credential of this issuer")
	cmd.Flags().String("credential", "", "Name in the config: all sessions with this credential")
	cmd.Flags().Bool("all", false, "All sessions")
	cmd.MarkFlagsOneRequired("session", "subject", "issuer", "credential", "all")
	cmd.MarkFlagsMutuallyExclusive("session", "subject", "issuer", "credential", "all")
	addAdminFlags(cmd)
	cmd.RunE = caddycmd.WrapCommandFuncForCobra(func(flags caddycmd.Flags) (int, error) {
		asked := revokeRequest{
			Session: flags.String("session"), Subject: flags.String("subject"), Issuer: flags.String("issuer"),
			Credential: flags.String("credential"), All: flags.Bool("all"),
		}
		if _, _, err := asked.revocation(); err != nil {
			return caddy.ExitCodeFailedStartup, errors.New("the value is empty")
		}
		var done revokeAnswer
		if err := callAdmin(flags, http.MethodPost, revokePath, asked, &done); err != nil {
			return caddy.ExitCodeFailedStartup, err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "Ended: %s, as far as begun until %s. Other nodes that share the storage follow within 5 seconds.\n",
			asked, done.Since.Format(time.RFC3339))
		return caddy.ExitCodeSuccess, nil
	})
	return cmd
}

// String says in words what is asked for.
func (r revokeRequest) String() string {
	switch {
	case r.Session != "":
		return "session " + r.Session
	case r.Subject != "":
		return "all sessions of subject " + r.Subject
	case r.Issuer != "":
		return "all sessions with a credential of " + r.Issuer
	case r.Credential != "":
		return "all sessions with credential " + r.Credential
	}
	return "all sessions"
}

// addAdminFlags adds the flags by which Caddy's own commands find the running Caddy.
func addAdminFlags(cmd *cobra.Command) {
	cmd.Flags().String("address", "", "Address of the admin API, if not the default")
	cmd.Flags().StringP("config", "c", "", "Configuration file from which to learn the address of the admin API")
	cmd.Flags().StringP("adapter", "a", "", "Name of the config adapter for --config")
}

// callAdmin sends one request to the running Caddy and reads its answer.
func callAdmin(flags caddycmd.Flags, method, path string, body, into any) error {
	address, err := caddycmd.DetermineAdminAPIAddress(flags.String("address"), nil, flags.String("config"), flags.String("adapter"))
	if err != nil {
		return fmt.Errorf("finding the admin API: %w", err)
	}
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	response, err := caddycmd.AdminAPIRequest(address, method, path, nil, bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("asking the Caddy at %s: %w", address, err)
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into)
}
