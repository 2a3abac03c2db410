// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Validate judges what Provision has put together: whether anybody can pass the gate at all, and whether what it sends to
// the app can be sent. Caddyfiles are judged by the same checks earlier, where the line is known.
func (g *Gate) Validate() error {
	if err := g.check(); err != nil {
		return err
	}
	for _, w := range g.wants {
		if err := g.checkCredential(w.credential.name, w.credential.base.FaceCheck); err != nil {
			return err
		}
		if err := w.credential.validate(w.credential.requirement(g.FaceCheck, w.requirement.RequiredClaims)); err != nil {
			return fmt.Errorf("credential %s: %w", w.credential.name, err)
		}
	}
	return nil
}

// minMaxAge is the shortest max_age that a visitor can meet: the browser has to come back from the wallet within it.
const minMaxAge = 30 * time.Second

// check judges the gate's settings by themselves.
func (g *Gate) check() error {
	if age := time.Duration(g.MaxAge); age > 0 && age < minMaxAge {
		return optionError("max_age", age.String(), "must be at least 30s, or visitors are asked again and again")
	}
	if g.Optional && g.ReportOnly {
		return errors.New("optional and report_only contradict each other; remove one")
	}
	for i, rule := range g.Require {
		if err := checkRule("require", rule.Claim, rule.Values); err != nil {
			return err
		}
		for _, before := range g.Require[:i] {
			if before.Claim == rule.Claim && disjoint(before.Values, rule.Values) {
				return fmt.Errorf("require %s: no value satisfies both lines, so nobody would pass; write all values on one line", rule.Claim)
			}
		}
	}
	if g.Bind != nil && !placeholderPattern.MatchString(g.Bind.Value) {
		return fmt.Errorf("bind %s: the value has no placeholder, for example {http.auth.user.id}; for a fixed value write require", g.Bind.Claim)
	}
	return g.checkHeaders()
}

func disjoint(a, b []string) bool {
	return !slices.ContainsFunc(a, func(value string) bool { return slices.Contains(b, value) })
}

// checkHeaders refuses names that an app cannot tell apart, those of the preset included, and text that no header carries.
func (g *Gate) checkHeaders() error {
	var names []string
	for _, preset := range headerPresets[g.presetName()] {
		names = append(names, preset.Name)
	}
	for _, header := range g.Headers {
		names = append(names, header.Name)
		if strings.ContainsFunc(header.Value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("header %s: the value has a control character or a line break; write it on one line", header.Name)
		}
	}
	folded := map[string]string{}
	for _, name := range names {
		if other, twice := folded[claimheader.Fold(name)]; twice {
			return fmt.Errorf("header %s is the same as %s, which is set already; remove it, rename it, or write headers none", name, other)
		}
		folded[claimheader.Fold(name)] = name
	}
	if g.Assertion == "" {
		return nil
	}
	if err := claimheader.CheckName(g.Assertion); err != nil {
		return fmt.Errorf("assertion: %w", err)
	}
	if other, twice := folded[claimheader.Fold(g.Assertion)]; twice {
		return fmt.Errorf("assertion %s is the same header as %s, which is set already; give it a name of its own", g.Assertion, other)
	}
	return nil
}

func (g *Gate) presetName() string {
	if g.HeaderPreset == "" {
		return "default"
	}
	return g.HeaderPreset
}

// checkCredential judges the gate's settings against one of its credentials.
func (g *Gate) checkCredential(name string, face *verifier.FaceCheckRequirement) error {
	if face == nil {
		if g.FaceCheck != 0 {
			return fmt.Errorf("face_check %d: credential %q has face_check off; switch it on there", g.FaceCheck, name)
		}
		return nil
	}
	for _, option := range g.claimUses() {
		if option.claim == face.SourcePhotoClaim {
			return fmt.Errorf("%s: the photo claim %q of credential %q is only compared with the live face and never read; remove it",
				option.name, option.claim, name)
		}
	}
	return nil
}

// claimUse is an option that makes us read a claim.
type claimUse struct{ name, claim string }

func (g *Gate) claimUses() []claimUse {
	var out []claimUse
	for _, rule := range g.Require {
		out = append(out, claimUse{"require " + rule.Claim, rule.Claim})
	}
	if g.Bind != nil {
		out = append(out, claimUse{"bind " + g.Bind.Claim, g.Bind.Claim})
	}
	for _, header := range g.Headers {
		template, err := parseHeader(header)
		if err != nil {
			continue // has been complained about
		}
		for _, part := range template.parts {
			if claim, ok := strings.CutPrefix(part.value, "claim."); ok {
				out = append(out, claimUse{"header " + header.Name, claim})
			}
		}
	}
	return out
}

// Interface guards.
var _ caddy.Validator = (*Gate)(nil)
