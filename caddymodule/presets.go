// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// checkPreset refuses names that are not in the table of partners.
func checkPreset(name string) error {
	if _, known := idvredirect.FindPreset(name); known {
		return nil
	}
	var names []string
	for _, preset := range idvredirect.Presets() {
		names = append(append(names, preset.Name), preset.Aliases...)
	}
	return optionError("partner", name, "is not in the table of partners; for one that is not, remove the option. It has "+strings.Join(names, ", "))
}

// preset is what is published about the partner; the zero value if the config names no preset.
func (cfg *IDV) preset() (idvredirect.Preset, error) {
	if cfg.Partner == "" {
		return idvredirect.Preset{}, nil
	}
	if err := checkPreset(cfg.Partner); err != nil {
		return idvredirect.Preset{}, err
	}
	preset, _ := idvredirect.FindPreset(cfg.Partner)
	return preset, nil
}

// presetsOf are the presets of the partners that issue the credential. all says that every one of them has one.
func (a *App) presetsOf(c *Credential) (presets []idvredirect.Preset, all bool) {
	for _, name := range c.IDV {
		if cfg := a.IDV[name]; cfg != nil && cfg.Partner != "" {
			if preset, err := cfg.preset(); err == nil { // an unknown one is complained about where it is written
				presets = append(presets, preset)
			}
		}
	}
	return presets, len(presets) > 0 && len(presets) == len(c.IDV)
}

// typeOf is the type that is written or else the one that all partners of the credential publish. One that differs, or has
// no preset, leaves it open: a guess would let visitors pay for a card that opens nothing.
func (a *App) typeOf(c *Credential) (string, error) {
	if c.Type != "" {
		return c.Type, nil
	}
	const missing = "type is missing; "
	presets, all := a.presetsOf(c)
	if !all {
		return "", errors.New(missing + "it is the type name in the issuer's contract, for example VerifiedEmployee")
	}
	kind := presets[0].CredentialType.Value
	for _, preset := range presets {
		switch published := preset.CredentialType.Value; published {
		case "":
			return "", errors.New(missing + askFor(preset, "type", "", "type <type>"))
		case kind:
		default:
			return "", fmt.Errorf(missing+"%s issues %s and %s issues %s: write one of them, or two credentials",
				presets[0].DisplayName, kind, preset.DisplayName, published)
		}
	}
	return kind, nil
}

// photoClaimOf is the photo claim of a credential that names none: the published one of its type. Where a partner has a
// preset and publishes none, nothing is guessed: with a wrong claim nobody would ever pass.
func (a *App) photoClaimOf(c *Credential) (string, error) {
	kind, err := a.typeOf(c)
	if err != nil {
		return "", err
	}
	presets, _ := a.presetsOf(c)
	if len(presets) == 0 {
		return defaultPhotoClaim, nil
	}
	for _, preset := range presets {
		if preset.CredentialType.Value == kind && preset.PhotoClaim.Value != "" {
			return preset.PhotoClaim.Value, nil
		}
	}
	const then = "face_check <photo claim>, or face_check off"
	if preset := presets[0]; preset.PhotoClaim.Value == "" {
		return "", errors.New("face_check needs the photo claim; " + askFor(preset, "photo_claim", "", then))
	}
	return "", fmt.Errorf("face_check needs the photo claim: %s publishes one for the type %s only, not for %s; write %s",
		presets[0].DisplayName, presets[0].CredentialType.Value, kind, then)
}

// issuerMissing says who knows the issuer's DID.
func (a *App) issuerMissing(c *Credential) error {
	const missing = "issuer is missing; without it the service accepts any issuer in the world. "
	presets, _ := a.presetsOf(c)
	if len(presets) == 0 {
		return errors.New(missing + "Add: issuer <did>")
	}
	then := "issuer <did>"
	if manifest := presets[0].Manifest.Value; manifest != "" {
		then += " (what the published contract says of it: caddy verified-id manifest " + manifest + ")"
	}
	return errors.New(missing + askFor(presets[0], "issuer", "", then))
}

// askFor says how to come by what is missing, and what to write then. known is for partners without a preset.
func askFor(preset idvredirect.Preset, option, known, write string) string {
	if preset.Name == "" {
		return known
	}
	return preset.Ask(option) + "; then write " + write
}
