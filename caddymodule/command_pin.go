// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// exitNotPinned is the exit code for a credential with which nobody can begin.
const exitNotPinned = 2

// pinCommand is `caddy verified-id pin`: what is pinned of manifests, and how the operator accepts another one.
func pinCommand() *cobra.Command {
	var config configFlags
	var accept string
	cmd := &cobra.Command{
		Use:   "pin [<credential> [--accept <did>]] [--config <file>]",
		Short: "Show what credentials have learned from their manifests, or accept a change",
		Long: `Shows type and issuer that are pinned for the credentials whose option manifest is an address, and whether the manifest says
something else by now. Nobody is called. The exit code is 2 if one of them is not pinned yet, or has changed.

With --accept the manifest is fetched and pinned in place of what is pinned, if it is by the DID that is given: ask the issuer for it, by
another way than the manifest. Running nodes hear of it within seconds. Cards by the earlier issuer then open nothing any more.

It works with Caddy's storage, so run it as the user that Caddy runs as.`,
		Example: "  caddy verified-id pin identity --accept did:web:did.partner.example",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cmd.SilenceUsage = true
			if accept != "" && len(args) == 0 {
				return errors.New("--accept: name the credential")
			}
			app, err := config.commandApp()
			if err == nil {
				err = app.readPins()
			}
			if err != nil {
				return err
			}
			pins, err := app.pinsOf(args)
			if err != nil {
				return err
			}
			if accept != "" {
				if err := pins[0].accept(accept); err != nil {
					return err
				}
			}
			if !printPins(cmd.OutOrStdout(), pins) {
				return exitWith(cmd, exitNotPinned, errors.New("nobody can begin with at least one credential"))
			}
			return nil
		},
	}
	config.add(cmd)
	cmd.Flags().StringVar(&accept, "accept", "", "DID of the issuer whose manifest is pinned in place of what is pinned")
	return cmd
}

// readPins builds the credentials of a command's app and reads what is pinned for them. Nothing is made in the storage.
func (a *App) readPins() error {
	a.logger = zap.NewNop()
	if err := a.provisionCredentials(); err != nil {
		return err
	}
	if len(a.SealingKeys) > 0 {
		keyring, err := a.configuredSealingKeys()
		if err != nil {
			return err
		}
		ring, err := session.NewKeyRing(keyring...)
		if err != nil {
			return fmt.Errorf("sealing_key: %w", err)
		}
		a.keys = &keys{ring: ring}
	} else {
		if storage := a.ctx.Storage(); !storage.Exists(a.ctx, storedKeysPath) {
			return noStoredKeys(storage)
		}
		if err := a.provisionKeys(); err != nil {
			return err
		}
	}
	return a.provisionManifests()
}

// pinsOf are the manifests of the credential that is named, or of all.
func (a *App) pinsOf(names []string) ([]*pinnedManifest, error) {
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(a.credentials))
	} else if c := a.credentials[names[0]]; c == nil || c.pin == nil {
		return nil, fmt.Errorf("credential %q has no manifest at an address; the config has %s", names[0], strings.Join(slices.Sorted(maps.Keys(a.credentials)), ", "))
	}
	var pins []*pinnedManifest
	for _, name := range names {
		if pin := a.credentials[name].pin; pin != nil {
			pins = append(pins, pin)
		}
	}
	return pins, nil
}

// printPins says whether visitors can begin with all of them.
func printPins(out io.Writer, pins []*pinnedManifest) bool {
	sound := true
	for i, p := range pins {
		if i > 0 {
			fmt.Fprintln(out)
		}
		lines := [][2]string{{"credential", p.credential}, {"manifest", p.url}}
		pin := p.current.Load()
		switch {
		case p.damaged != nil:
			lines, sound = append(lines, [2]string{"REFUSED", p.damaged.Error()}, [2]string{"mend", p.acceptBy("<the issuer's DID>")}), false
		case pin == nil:
			lines, sound = append(lines, [2]string{"NOT PINNED", "it was never read, or could not be verified; Caddy's log says why"}), false
		default:
			signed := "verified"
			if !pin.Verified {
				signed = "not verified; the option issuer says the same"
			}
			lines = append(lines, [2]string{"type", pin.Type}, [2]string{"issuer", pin.Issuer}, [2]string{"claims", strings.Join(pin.Claims, " ")},
				[2]string{"signature", signed}, [2]string{"pinned", pin.Pinned.Format(time.RFC3339)}, [2]string{"checked", pin.Checked.Format(time.RFC3339)})
			if pin.Changed != nil {
				lines, sound = append(lines, [2]string{"CHANGED", p.changedError(pin).Error()}), false
			}
		}
		for _, line := range lines {
			fmt.Fprintf(out, "%-10s %s\n", line[0], line[1])
		}
	}
	return sound
}

// accept pins what the manifest says now, if it is by the issuer that the operator names.
func (p *pinnedManifest) accept(issuer string) error {
	said, err := p.fetcher.Get(p.ctx, p.url)
	if said == nil {
		return fmt.Errorf("manifest %s: %w", p.url, err)
	}
	if said.Issuer != issuer {
		return fmt.Errorf("manifest %s is by %s, and --accept says %s; nothing is changed", p.url, said.Issuer, issuer)
	}
	if err := p.meets(p.url, said.Type, said.Issuer, said.Verified); err != nil {
		return fmt.Errorf("%w; nothing is changed", err)
	}
	return p.replace(p.ctx, func(stored *manifestPin, _ error) (*manifestPin, error) {
		now := p.now()
		if stored != nil { // by a clock that is ahead of ours; nodes take nothing older than what they have
			now = later(now, stored.Pinned.Add(time.Second))
		}
		pin := newManifestPin(p.url, said, now)
		pin.Checked, pin.Accepted = pin.Pinned, true
		return pin, nil
	})
}
