// SPDX-License-Identifier: Apache-2.0

package verifiedid_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// sections splits a page at its headings of the second level.
func sections(page string) map[string]string {
	out := map[string]string{}
	for _, section := range strings.Split(page, "\n## ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		out[title] = body
	}
	return out
}

// An operator sets a partner up from docs/partners.md alone, so it has all that the table of presets has: each fact with its
// date, and each thing to ask for.
func TestPartnersPageSaysWhatThePresetsKnow(t *testing.T) {
	t.Parallel()
	page := string(readRepositoryFile(t, "docs/partners.md"))
	found := sections(page)
	for _, preset := range idvredirect.Presets() {
		section, ok := found[preset.DisplayName]
		if !ok {
			t.Errorf("docs/partners.md has no section %q", preset.DisplayName)
			continue
		}
		delete(found, preset.DisplayName)
		for _, fact := range append(slices.Clone(preset.Notes), preset.CredentialType, preset.PhotoClaim, preset.Manifest) {
			if said := strings.TrimSuffix(fact.Value, "."); said != "" && (!strings.Contains(section, said) || !strings.Contains(section, fact.Source.Date)) {
				t.Errorf("%s: the section does not say %q of %s", preset.Name, said, fact.Source.Date)
			}
		}
		for _, ask := range preset.Unpublished() {
			words := ask.Words
			if _, after, asks := strings.Cut(words, ": ask "); asks {
				_, words, _ = strings.Cut(after, " for ")
			}
			if !strings.Contains(section, words) {
				t.Errorf("%s: the section does not say to ask for %q", preset.Name, words)
			}
		}
		for _, claim := range preset.Claims {
			if !strings.Contains(found["VerifiedIdentity"], "`"+claim+"`") {
				t.Errorf("%s: the page does not list the claim %s", preset.Name, claim)
			}
		}
		for _, name := range append(preset.Aliases, preset.Name) {
			if !strings.Contains(section, "`"+name+"`") {
				t.Errorf("%s: the section does not name the preset %s", preset.Name, name)
			}
		}
		if !strings.Contains(section, "\tpartner "+preset.Name+"\n") {
			t.Errorf("%s: the section's Caddyfile does not name the preset", preset.Name)
		}
	}
	for title := range found {
		if !slices.Contains([]string{"What to agree on with any partner", "VerifiedIdentity", "Trying a partner without a contract"}, title) {
			t.Errorf("docs/partners.md has the section %q, which is no preset", title)
		}
	}
}

var tryLine = regexp.MustCompile(`PARTNER=(\S+) ISSUER=(\S+)(?: CARD=\$'([^']*)')? \\\n\tgo run ./cmd/caddy run --config examples/partners/Caddyfile`)

// The line that tries a partner sets the example up as the persona of that partner is: a wrong DID would let nobody in.
func TestPartnersPageTriesThePersonas(t *testing.T) {
	t.Parallel()
	personas := partner.Personas()
	lines := tryLine.FindAllStringSubmatch(string(readRepositoryFile(t, "docs/partners.md")), -1)
	for _, line := range lines {
		i := slices.IndexFunc(personas, func(p partner.Persona) bool { return p.Name == line[1] })
		if i < 0 {
			t.Errorf("there is no persona %s, or it is tried twice", line[1])
			continue
		}
		persona := personas[i]
		personas = slices.Delete(personas, i, i+1)
		if line[2] != persona.Authority() {
			t.Errorf("%s: the issuer is %s, want %s", persona.Name, line[2], persona.Authority())
		}
		var card []string
		if persona.TypeAgreed {
			card = append(card, "type "+persona.Type)
		}
		if persona.PhotoAgreed {
			card = append(card, "face_check "+persona.PhotoClaim)
		}
		if want := strings.Join(card, `\n`); line[3] != want {
			t.Errorf("%s: the card is %q, want %q", persona.Name, line[3], want)
		}
	}
	for _, persona := range personas {
		t.Errorf("docs/partners.md does not try %s", persona.Name)
	}
	for _, preset := range idvredirect.Presets() { // names only: what they say has two sources
		if _, ok := partner.FindPersona(preset.Name); !ok {
			t.Errorf("no persona plays %s", preset.Name)
		}
	}
}
