// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-verified-id/caddy-verified-id/internal/contract"
)

// manifestCommand is `caddy verified-id manifest`: what a contract's manifest says, as lines for a Caddyfile.
func manifestCommand() *cobra.Command {
	var trustedCA string
	var loopback bool
	cmd := &cobra.Command{
		Use:   "manifest <url or file>",
		Short: "Read a credential's manifest and print the lines for the Caddyfile",
		Long: `Reads the manifest of an issuer's contract, from the address that the issuer or partner publishes or from a file, verifies its
signature against the issuer's DID document, and prints type, issuer and claims, with the lines for the Caddyfile.

Only did:web is looked up, at the issuer's own host. Where its document cannot be had, the output says NOT VERIFIED: then only the
host of the manifest vouches for it, so compare the DID with what the issuer tells you. A signature that is wrong is an error.

Connections are made to public addresses only, over https, without a proxy, and follow no redirect.`,
		Example: "  caddy verified-id manifest https://verifiedid.did.msidentity.com/v1.0/tenants/…/verifiableCredentials/contracts/…/manifest",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			roots, _, err := (&App{TrustedCA: trustedCA}).trustedRoots()
			if err != nil {
				return err
			}
			return printManifest(cmd.Context(), cmd.OutOrStdout(), args[0], roots, loopback)
		},
	}
	cmd.Flags().StringVar(&trustedCA, "trusted-ca", "", "PEM file of certificate authorities in place of the system's")
	cmd.Flags().BoolVar(&loopback, "insecure-loopback-http", false, "Permit addresses of this machine, for trying with the emulator")
	return cmd
}

func printManifest(ctx context.Context, out io.Writer, from string, roots *x509.CertPool, loopback bool) error {
	if ctx == nil { // where Caddy has started the command
		ctx = context.Background()
	}
	said, err := readManifest(ctx, from, contract.NewFetcher(roots, loopback))
	if err != nil && !errors.Is(err, contract.ErrUnresolved) {
		return fmt.Errorf("manifest %s: %w", from, err)
	}
	signed := "verified, " + said.KeyID
	if err != nil {
		signed = "NOT VERIFIED: " + strings.ReplaceAll(err.Error(), "\n", ": ")
	}
	for _, line := range [][2]string{
		{"name", said.Name}, {"issued by", said.IssuedBy}, {"type", said.Type}, {"issuer", said.Issuer},
		{"claims", strings.Join(said.Claims, " ")}, {"signature", signed}, {"digest", said.Digest},
	} {
		fmt.Fprintf(out, "%-10s %s\n", line[0], line[1])
	}
	fmt.Fprintf(out, "\ncredential <name> {\n\ttype %s\n\tissuer %s\n}\n", said.Type, said.Issuer)
	return nil
}

// readManifest reads from an address or a file. The contract comes together with an error that wraps contract.ErrUnresolved.
func readManifest(ctx context.Context, from string, fetcher *contract.Fetcher) (*contract.Contract, error) {
	if strings.Contains(from, "://") {
		return fetcher.Get(ctx, from)
	}
	content, err := os.ReadFile(from) //nolint:gosec // a path from the operator
	if err != nil {
		return nil, withoutPath(err)
	}
	said, err := contract.Parse(content)
	if err != nil {
		return nil, err
	}
	return said, fetcher.Verify(ctx, said)
}
