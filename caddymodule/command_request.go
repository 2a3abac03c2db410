// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// requestCommand is `caddy verified-id request`: what would be sent to the Request Service.
func requestCommand() *cobra.Command {
	var config configFlags
	cmd := &cobra.Command{
		Use:   "request <credential> [--config <file>]",
		Short: "Print the presentation request that would be sent for a credential",
		Long: `Prints the body of the presentation request for a credential of the config, as each gate that asks for it would send it: with its
rules and its Face Check bar. What is new and secret in each request, state and callback key, is shown as <…>, as is what bind
takes from the visitor's request. Nothing is sent, and the config's secrets are not needed.`,
		Example: "  caddy verified-id request employee",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			content, err := config.load()
			if err != nil {
				return err
			}
			return printRequests(cmd.OutOrStdout(), content, args[0])
		},
	}
	config.add(cmd)
	return cmd
}

// printRequests prints one JSON text for each different request.
func printRequests(out io.Writer, config []byte, name string) error {
	plan, err := planCheck(config, nil, 443)
	if err != nil {
		return err
	}
	defer plan.close()
	c := plan.app.credentials[name]
	if c == nil {
		return fmt.Errorf("credential %q is not defined; the config has %s", name, strings.Join(slices.Sorted(maps.Keys(plan.app.credentials)), ", "))
	}
	if err := plan.unknown[name]; err != nil {
		return err
	}
	var bodies []string
	for _, gate := range plan.app.gates.all() {
		w, ok := gate.want(name)
		if !ok {
			continue
		}
		body, err := plan.app.exampleRequest(gate.requirement(w, "<what bind finds>"), gate)
		if err != nil {
			return err
		}
		if !slices.Contains(bodies, body) {
			bodies = append(bodies, body)
		}
	}
	if len(bodies) == 0 {
		return fmt.Errorf("no gate of the config asks for credential %q", name)
	}
	_, err = io.WriteString(out, strings.Join(bodies, ""))
	return err
}

// exampleRequest is a request with names in place of its secrets.
func (a *App) exampleRequest(requirement verifier.Requirement, gate *Gate) (string, error) {
	t := verifier.Transaction{State: "<random, new in each request>", Requirement: requirement}
	var body strings.Builder
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(a.presentationRequest(&t, gate.site, "<callback key, new in each request>"))
	return body.String(), err
}
