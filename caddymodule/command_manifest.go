// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-verified-id/caddy-verified-id/internal/contract"
)

// manifestCommand is `caddy verified-id manifest`: what a contract's manifest says, as lines for a Caddyfile.
func manifestCommand() *cobra.Command {
	var trustedCA, save, issuer string
	var loopback bool
	cmd := &cobra.Command{
		Use:   "manifest <url or file> [--issuer <did>] [--save <file>]",
		Short: "Read a credential's manifest and print the lines for the Caddyfile",
		Long: `Reads the manifest of an issuer's contract, from the address that the issuer or partner publishes or from a file, verifies its
signature against the issuer's DID document, and prints type, issuer and claims, with the lines for the Caddyfile.

Only did:web is looked up, at the issuer's own host. Where its document cannot be had, the output says NOT VERIFIED, nothing is saved
and the exit code is 2: then only the host of the manifest vouches for it. Ask the issuer for its DID and say it with --issuer; the manifest
must be by it, and is then taken. A signature that is wrong is an error, with exit code 1, all the same.

With --save the manifest is kept in a file, for the option manifest of a credential. A file that is there already is replaced only by a
manifest of the same issuer and type: remove it first to accept another one.

Connections are made to public addresses only, over https, without a proxy, and follow no redirect.`,
		Example: "  caddy verified-id manifest https://verifiedid.did.msidentity.com/v1.0/tenants/…/verifiableCredentials/contracts/…/manifest",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			roots, _, err := (&App{TrustedCA: trustedCA}).trustedRoots()
			if err != nil {
				return err
			}
			said, err := printManifest(cmd.Context(), cmd.OutOrStdout(), args[0], contract.NewFetcher(roots, loopback))
			switch {
			case err != nil:
				return err
			case issuer != "" && issuer != said.Issuer:
				return fmt.Errorf("manifest %s is by %s, and --issuer says %s", args[0], said.Issuer, issuer)
			case issuer == "" && !said.Verified:
				return exitWith(cmd, exitUnverified, fmt.Errorf("manifest %s is NOT VERIFIED; ask the issuer for its DID, and say it with --issuer <did>", args[0]))
			case save == "":
				return nil
			}
			return saveManifest(save, said)
		},
	}
	cmd.Flags().StringVar(&issuer, "issuer", "", "DID that the issuer has told you: the manifest must be by it")
	cmd.Flags().StringVar(&save, "save", "", "File to keep the manifest in")
	cmd.Flags().StringVar(&trustedCA, "trusted-ca", "", "PEM file of certificate authorities in place of the system's")
	cmd.Flags().BoolVar(&loopback, "insecure-loopback-http", false, "Permit addresses of this machine, for trying with the emulator")
	return cmd
}

// exitUnverified is the exit code for a manifest that nobody but its host vouches for.
const exitUnverified = 2

// exitWith ends a command with an exit code above 1, which Caddy has for its own kind of commands only.
func exitWith(cmd *cobra.Command, code int, err error) error {
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, err })(cmd, nil)
}

func printManifest(ctx context.Context, out io.Writer, from string, fetcher *contract.Fetcher) (*contract.Contract, error) {
	if ctx == nil { // where Caddy has started the command
		ctx = context.Background()
	}
	said, err := readManifest(ctx, from, fetcher)
	if err != nil && !errors.Is(err, contract.ErrUnresolved) {
		return nil, fmt.Errorf("manifest %s: %w", from, err)
	}
	signed := "verified, " + said.KeyID
	if err != nil {
		signed = "NOT VERIFIED: " + strings.ReplaceAll(err.Error(), "\n", ": ")
	}
	for _, line := range [][2]string{
		{"name", said.Name},
		{"issued by", said.IssuedBy},
		{"type", said.Type},
		{"issuer", said.Issuer},
		{"claims", strings.Join(said.Claims, " ")},
		{"signature", signed},
		{"digest", said.Digest},
	} {
		fmt.Fprintf(out, "%-10s %s\n", line[0], line[1])
	}
	fmt.Fprintf(out, "\ncredential <name> {\n\ttype %s\n\tissuer %s\n}\n", said.Type, said.Issuer)
	return said, nil
}

// saveManifest keeps a manifest in a file, and refuses to replace one of another issuer or type: who signs cards for the site changes
// only where the operator wants it.
func saveManifest(path string, said *contract.Contract) error {
	switch before, err := os.ReadFile(path); { //nolint:gosec // a path from the operator
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("--save: %w", err)
	default:
		kept, err := contract.Parse(before)
		if err != nil {
			return fmt.Errorf("--save: %s is there already and is no manifest; name another file, or remove it", path)
		}
		if kept.Type != said.Type || kept.Issuer != said.Issuer {
			return fmt.Errorf("the manifest has CHANGED: %s is of type %s by %s, and now it says %s by %s. Ask the issuer whether that is "+
				"right, and if so remove the file and save anew", path, kept.Type, kept.Issuer, said.Type, said.Issuer)
		}
	}
	content, err := json.Marshal(map[string]string{"token": said.Token()})
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(content, '\n'), 0o644) //nolint:gosec // it is public, and Caddy may be another user
}

// readManifest reads from an address or a file. The contract comes together with an error that wraps contract.ErrUnresolved.
func readManifest(ctx context.Context, from string, fetcher *contract.Fetcher) (*contract.Contract, error) {
	if strings.Contains(from, "://") {
		return fetcher.Get(ctx, from)
	}
	said, err := readManifestFile(from)
	if err != nil {
		return nil, err
	}
	return said, fetcher.Verify(ctx, said)
}
