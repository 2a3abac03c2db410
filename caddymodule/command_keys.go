// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// keysCommand is `caddy verified-id keys`: the keys that sign links to partners, or assertions to apps, and those that seal cookies.
func keysCommand() *cobra.Command {
	var config configFlags
	var kind, format string
	var endSessions bool
	cmd := &cobra.Command{
		Use:   "keys list|rotate|export [--kind kickstart|assertion|sealing] [--config <file>]",
		Short: "List, rotate or export the keys",
		Long: `Works with the keys that sign the links to partners (--kind kickstart) or the assertions to apps (--kind assertion), and with
those that seal sessions and all else that travels by the browser (--kind sealing), without showing a secret one. Caddy's storage is read,
so run this as the user that Caddy runs as.

Keys from the config are listed and exported as well; rotating them is a matter of the config.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("say what to do: list, rotate or export") },
	}
	config.add(cmd)
	cmd.PersistentFlags().StringVar(&kind, "kind", "kickstart", "Which keys: kickstart, assertion or sealing")
	run := func(sign func(out io.Writer, keys *signingKeys, set *idvredirect.KeySet) error, seal func(a *App, out io.Writer) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, _ []string) error {
			cmd.SilenceUsage = true
			app, err := config.commandApp()
			if err != nil {
				return err
			}
			if kind == "sealing" {
				return seal(app, cmd.OutOrStdout())
			}
			if endSessions {
				return errors.New("--end-sessions is for --kind sealing")
			}
			keys, set, err := app.commandKeys(kind)
			if err != nil {
				return err
			}
			return sign(cmd.OutOrStdout(), keys, set)
		}
	}
	export := &cobra.Command{
		Use: "export [--format jwks|pem]", Short: "Print the public keys, for partners that take them by hand", Args: cobra.NoArgs,
		RunE: run(func(out io.Writer, _ *signingKeys, set *idvredirect.KeySet) error {
			return exportKeys(out, set, format)
		}, func(*App, io.Writer) error {
			return errors.New("sealing keys have no public part, and are never shown")
		}),
	}
	export.Flags().StringVar(&format, "format", "jwks", "jwks, as the site publishes it, or pem")
	rotate := &cobra.Command{
		Use: "rotate [--kind sealing --end-sessions]", Short: "Make the next key, as the schedule would", Args: cobra.NoArgs,
		Long: `Makes the next key in Caddy's storage, for all nodes. A signing key is published at once, and signs when no copy of the older
set is in use any more, an hour and five minutes later; the key before it stays published as long again and more. So partners that
fetch the set notice nothing, and others have that long to take the new key. A sealing key is read by all nodes within half a minute, seals
a day later, and the key before it opens for two days more, so that nobody is signed out.

That is for a schedule of your own. A sealing key that has leaked must go at once: --end-sessions replaces all of them by a new one,
within half a minute on all nodes. Every session ends and everybody has to present again. For a signing key that was stolen see
"Changing keys" in docs/security.md.`,
		RunE: run(rotateKeys, func(a *App, out io.Writer) error { return a.rotateSealing(out, endSessions) }),
	}
	rotate.Flags().BoolVar(&endSessions, "end-sessions", false, "Replace all sealing keys at once, because one has leaked; everybody is signed out")
	cmd.AddCommand(
		&cobra.Command{
			Use: "list", Short: "Print the keys and their times", Args: cobra.NoArgs,
			RunE: run(func(out io.Writer, _ *signingKeys, set *idvredirect.KeySet) error { return listKeys(out, set) }, (*App).listSealing),
		},
		rotate, export,
	)
	return cmd
}

func listKeys(out io.Writer, set *idvredirect.KeySet) error {
	for _, key := range set.Timeline(time.Now()) {
		state := "published"
		switch {
		case key.Signing:
			state = "signs"
		case key.SignsFrom.After(time.Now()):
			state = "next"
		}
		fmt.Fprintf(out, "%s\t%s\tpublished %s, signs %s, leaves %s\n", key.KeyID, state,
			shortTime(key.PublishedFrom), shortTime(key.SignsFrom), shortTime(key.PublishedUntil))
	}
	return nil
}

func shortTime(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

var errRotating = errors.New("a key that is not signing yet waits for its time; rotate again when it signs (keys list)")

func rotateKeys(out io.Writer, keys *signingKeys, _ *idvredirect.KeySet) error {
	if keys.configured != nil {
		return errors.New("these keys come from the config: add the new key's file behind the others, reload, wait an hour and a half, " +
			"move it to the front, reload, wait as long again, and take the old one away")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience.StorageLock)
	defer cancel()
	now := time.Now()
	set, err := keys.renew(ctx, now, func(stored *idvredirect.KeySet) (bool, error) {
		if stored == nil {
			return false, noStoredKeys(keys.storage)
		}
		for _, key := range stored.Timeline(now) {
			if key.SignsFrom.After(now) {
				return false, errRotating
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return listKeys(out, set)
}

func exportKeys(out io.Writer, set *idvredirect.KeySet, format string) error {
	switch format {
	case "jwks":
		_, err := fmt.Fprintf(out, "%s\n", set.JWKS(time.Now()))
		return err
	case "pem":
		for _, key := range set.Timeline(time.Now()) {
			der, err := x509.MarshalPKIXPublicKey(key.Public)
			if err != nil {
				return err
			}
			block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
			if _, err := fmt.Fprintf(out, "# kid %s\n%s", key.KeyID, block); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("--format %q: write jwks or pem", format)
}
