// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// testKickstartLifetime is how long a link made by hand can be used: long enough to be clicked, too short to be kept.
const testKickstartLifetime = 2 * time.Minute

// kickstartCommand is `caddy verified-id kickstart`: a link to a partner for trying.
func kickstartCommand() *cobra.Command {
	var config configFlags
	var site string
	cmd := &cobra.Command{
		Use:   "kickstart <idv> [--site <origin>] [--config <file>]",
		Short: "Print a test link to a partner, signed with the real key",
		Long: `Prints the address to which visitors of this partner are sent, with a token that is signed with the key in use, and on the
error output what the token says. It can be used for two minutes, and its RequestId begins with "test-": coming back from the partner with
it opens the start page and nothing else.

Caddy's storage is read, so run this as the user that Caddy runs as.`,
		Example: "  sudo --user=caddy caddy verified-id kickstart au10tix --config /etc/caddy/Caddyfile",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			from, err := config.originFor(site)
			if err != nil {
				return err
			}
			app, err := config.commandApp()
			if err != nil {
				return err
			}
			link, token, err := app.testKickstart(args[0], from)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.ErrOrStderr(), token)
			fmt.Fprintln(cmd.OutOrStdout(), link)
			return nil
		},
	}
	config.add(cmd)
	cmd.Flags().StringVar(&site, "site", "", "Origin of the gated site, such as https://payroll.contoso.com, where the config has several")
	return cmd
}

// originFor is the origin that visitors start from: the one that is asked for, or the config's only one.
func (f *configFlags) originFor(site string) (string, error) {
	content, err := f.load()
	if err != nil {
		return "", err
	}
	origins, err := gatedOrigins(content)
	if err != nil {
		return "", err
	}
	site = strings.TrimSuffix(site, "/")
	switch {
	case site == "" && len(origins) == 1:
		return origins[0], nil
	case slices.Contains(origins, site):
		return site, nil
	case len(origins) == 0:
		return "", fmt.Errorf("the config has no site with a gate")
	}
	return "", fmt.Errorf("say with --site which gated site the visitor starts from: %s", strings.Join(origins, ", "))
}

// testKickstart makes the link, and says in words what its token holds.
func (a *App) testKickstart(name, from string) (link, token string, err error) {
	cfg := a.IDV[name]
	if cfg == nil {
		return "", "", fmt.Errorf("idv %q is not defined; the config has %s", name, strings.Join(slices.Sorted(maps.Keys(a.IDV)), ", "))
	}
	built, err := cfg.build(name, a.urlOptions()...)
	if err != nil {
		return "", "", fmt.Errorf("idv %s: %w", name, err)
	}
	_, keys, err := a.commandKeys("kickstart")
	if err != nil {
		return "", "", err
	}
	to, now := built.Partner, a.now()
	to.Issuer, to.Lifetime = from, min(to.Lifetime, testKickstartLifetime)
	token, err = to.KickstartToken(keys.Signing(now), "test-"+randomText(16), from+basePath+"/return", now, rand.Reader)
	if err == nil {
		link, err = to.URL.With(token)
	}
	if err != nil {
		return "", "", err
	}
	return link, readableToken(token), nil
}

// readableToken decodes the header and the claims of a token of ours.
func readableToken(token string) string {
	var lines []string
	for _, part := range strings.Split(token, ".")[:2] {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			panic("verified_id: internal error: " + err.Error()) // we made it
		}
		lines = append(lines, string(text))
	}
	return strings.Join(lines, "\n")
}
