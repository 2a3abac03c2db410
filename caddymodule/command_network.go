// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/caddy-verified-id/caddy-verified-id/internal/entra"
	"github.com/caddy-verified-id/caddy-verified-id/internal/network"
)

// networkCommand is `caddy verified-id network`: which issuers have published what in the Verified ID Network.
func networkCommand() *cobra.Command {
	var config configFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "network search|types [--json] [--config <file>]",
		Short: "Find issuers and their credential types in the Verified ID Network",
		Long: `Asks the Verified ID Network, where issuers publish their credential types: what the Entra admin center shows under
"Select issuers". Not every issuer is there.

It signs in as the config's option entra says. The app needs the application permission VerifiableCredential.Network.Read of
"Verifiable Credentials Service Admin", with admin consent; the gates do not need it. Best take it away again afterwards.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("say what to do: search or types") },
	}
	config.add(cmd)
	cmd.PersistentFlags().BoolVar(&asJSON, "json", false, "Print JSON")
	run := func(missing string, do func(ctx context.Context, out io.Writer, client *network.Client, about string, asJSON bool) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			if len(args) != 1 {
				return errors.New(missing)
			}
			client, end, err := config.networkClient()
			if err != nil {
				return err
			}
			defer end()
			ctx := cmd.Context()
			if ctx == nil { // where Caddy has started the command
				ctx = context.Background()
			}
			return do(ctx, cmd.OutOrStdout(), client, args[0], asJSON)
		}
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "search <part of a domain>", Short: "Find issuers by a part of their domain",
			Example: "  caddy verified-id network search au10tix",
			RunE:    run("say for whom to search, by a part of the domain, such as: caddy verified-id network search contoso", printIssuers),
		},
		&cobra.Command{
			Use: "types <DID, domain or tenant/id>", Short: "Print an issuer's credential types and the lines for the Caddyfile",
			Example: "  caddy verified-id network types www.contoso.com",
			RunE:    run("say whose types to print, by DID, domain or tenant/id, such as: caddy verified-id network types www.contoso.com", printTypes),
		},
	)
	return cmd
}

// networkClient signs in as the config says. end gives back what it holds.
func (f *configFlags) networkClient() (client *network.Client, end func(), err error) {
	content, err := f.load()
	if err != nil {
		return nil, nil, err
	}
	app, _, err := readApp(content)
	if err != nil {
		return nil, nil, err
	}
	if app.Entra == nil {
		return nil, nil, errors.New("the config has no option entra, by which to sign in")
	}
	roots, _, err := app.trustedRoots()
	if err != nil {
		return nil, nil, err
	}
	cfg, err := app.Entra.config(roots, app.GroupReadableKeys)
	if err != nil {
		return nil, nil, fmt.Errorf("entra: %w", err)
	}
	service := app.Service
	if service != "" {
		if service, err = resolve("service", service); err != nil {
			return nil, nil, err
		}
	}
	cfg.Scope = entra.AdminScope
	tokens, err := entra.New(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("entra: %w", err)
	}
	client, err = network.New(network.Config{ServiceURL: service, Tokens: tokens, RootCAs: roots, InsecureHTTP: app.InsecureLoopbackHTTP})
	if err != nil {
		tokens.Close()
		return nil, nil, fmt.Errorf("service: %w", err)
	}
	return client, tokens.Close, nil
}

func printIssuers(ctx context.Context, out io.Writer, client *network.Client, text string, asJSON bool) error {
	found, leftOut, err := client.Search(ctx, text)
	switch {
	case err != nil:
		return err
	case len(found) == 0 && leftOut == 0:
		return fmt.Errorf("no issuer in the Network has %q in its domain. It may be there under another domain, or not at all: ask it for "+
			"the address of its manifest, and see: caddy verified-id manifest <url>", text)
	case asJSON:
		return printJSON(out, found)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tDOMAINS\tTENANT/ID\tDID")
	for _, i := range found {
		fmt.Fprintf(table, "%s\t%s\t%s/%s\t%s\n", i.Name, strings.Join(i.LinkedDomainURLs, " "), i.TenantID, i.ID, i.DID)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if leftOut > 0 {
		fmt.Fprintf(out, "\nLeft out: %d without a DID or ids that could be read.\n", leftOut)
	}
	if len(found)+leftOut >= network.MaxIssuers {
		fmt.Fprintf(out, "\nThe Network tells no more than %d; there may be others. Search for more of the domain.\n", network.MaxIssuers)
	}
	_, err = fmt.Fprint(out, `
The search finds every domain with the text in it, and issuers choose their names themselves: check that the domain is the
one you expect before you take over a DID.
`)
	return err
}

func printTypes(ctx context.Context, out io.Writer, client *network.Client, about string, asJSON bool) error {
	issuer, err := client.Resolve(ctx, about)
	if err != nil {
		return err
	}
	types, err := client.Types(ctx, issuer)
	if err != nil {
		return err
	}
	if len(types) == 0 {
		return errors.New("the issuer has published no credential types")
	}
	if asJSON {
		return printJSON(out, struct {
			network.Issuer
			Contracts []network.CredentialType `json:"contracts"`
		}{issuer, types})
	}
	for _, line := range [][2]string{
		{"issuer", issuer.Name},
		{"domains", strings.Join(issuer.LinkedDomainURLs, " ")},
		{"did", issuer.DID},
		{"tenant/id", issuer.TenantID + "/" + issuer.ID},
	} {
		if line[1] != "" {
			fmt.Fprintf(out, "%-10s %s\n", line[0], line[1])
		}
	}
	for _, t := range types {
		fmt.Fprintf(out, "\n%-10s %s\n%-10s %s\n%-10s %s\n", "name", t.Name, "types", strings.Join(t.Types, " "), "claims", strings.Join(t.Claims, " "))
		if t.Asked() == "" {
			fmt.Fprintln(out, "\nNone of these types can be asked for.")
			continue
		}
		fmt.Fprintf(out, "\ncredential <name> {\n\ttype %s\n\tissuer %s\n}\n", t.Asked(), cmp.Or(issuer.DID, "<its DID, from the search>"))
	}
	return nil
}

func printJSON(out io.Writer, what any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(what)
}
