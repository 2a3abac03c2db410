// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// The partners of Microsoft's gallery, and those that came to it later.
var galleryPartners = []string{
	"1kosmos", "au10tix", "authid", "clear", "hypr", "id_dataweb", "idemia", "jumio", "lexisnexis", "onfido", "persona",
	"transmit_security", "truecredential", "vu", "zealid",
}

var (
	manifestURL = regexp.MustCompile(`^https://verifiedid\.did\.msidentity\.com/v1\.0/tenants/[0-9a-f-]{36}/verifiableCredentials/contracts/[0-9a-f-]{36}/manifest$`)
	sourceDate  = regexp.MustCompile(`^(\d{4}-\d\d(-\d\d)?|undated, read \d{4}-\d\d)$`)
)

func TestPresets(t *testing.T) {
	t.Parallel()
	all := idvredirect.Presets()
	var names []string
	for _, preset := range all {
		names = append(names, preset.Name)
		for _, name := range append(preset.Aliases, preset.Name) {
			found, ok := idvredirect.FindPreset(name)
			if !ok || !reflect.DeepEqual(found, preset) {
				t.Errorf("FindPreset(%q) = %v, %v, want %v", name, found, ok, preset)
			}
		}
		if preset.DisplayName == "" || strings.ToLower(preset.Name) != preset.Name {
			t.Errorf("preset %+v has no display name, or capitals in its name", preset)
		}
		facts := append(slices.Clone(preset.Notes), preset.CredentialType, preset.PhotoClaim, preset.Manifest, preset.Issuing,
			idvredirect.Fact{Value: strings.Join(preset.Claims, " "), Source: preset.ClaimsSource})
		for _, fact := range facts {
			if fact.Value == "" {
				continue
			}
			if fact.Source.Title == "" || !sourceDate.MatchString(fact.Source.Date) {
				t.Errorf("%s: %q is said by %+v, want a title and a date", preset.Name, fact.Value, fact.Source)
			}
		}
		if preset.Manifest.Value != "" && !manifestURL.MatchString(preset.Manifest.Value) {
			t.Errorf("%s: the manifest is %s", preset.Name, preset.Manifest.Value)
		}
		issuing := []string{"", idvredirect.IssuingOwn, idvredirect.IssuingCustomer, idvredirect.IssuingManaged}
		if !slices.Contains(issuing, preset.Issuing.Value) {
			t.Errorf("%s: issuing is %q", preset.Name, preset.Issuing.Value)
		}
	}
	if !slices.Equal(names, galleryPartners) {
		t.Errorf("the presets are %v, want %v", names, galleryPartners)
	}
	if _, ok := idvredirect.FindPreset("fabrikam"); ok {
		t.Error(`FindPreset("fabrikam") = true`)
	}
}

// What is not published is asked for, whom and in which words; what is published is not.
func TestPresetsSayWhatToAskFor(t *testing.T) {
	t.Parallel()
	for _, preset := range idvredirect.Presets() {
		asked := map[string]string{}
		for _, ask := range preset.Unpublished() {
			asked[ask.Option] = ask.Words
			if ask.Words != preset.Ask(ask.Option) || !strings.Contains(ask.Words, " ") || strings.HasSuffix(ask.Words, ".") {
				t.Errorf("%s: for %s the words are %q", preset.Name, ask.Option, ask.Words)
			}
		}
		for option, published := range map[string]bool{
			"url": false, "org_id": false, "issuer": false, // by nobody
			"type": preset.CredentialType.Value != "", "photo_claim": preset.PhotoClaim.Value != "", "claims": len(preset.Claims) > 0,
		} {
			if (asked[option] == "") != published {
				t.Errorf("%s: %s is published: %v, and the words to ask for it are %q", preset.Name, option, published, asked[option])
			}
		}
	}
	au10tix, _ := idvredirect.FindPreset("au10tix")
	if got := au10tix.Ask("url"); !strings.Contains(got, "ask AU10TIX") || !strings.Contains(got, "start URL") {
		t.Errorf("Ask(url) = %q", got)
	}
	if got := au10tix.Ask("lifetime"); got != "" {
		t.Errorf("Ask(lifetime) = %q, want nothing", got)
	}
}

func TestPresetsBelongToTheCaller(t *testing.T) {
	t.Parallel()
	change := func(p idvredirect.Preset) {
		p.Claims[0], p.Notes[0].Value = "changed", "changed"
	}
	first := idvredirect.Presets()
	change(first[slices.Index(galleryPartners, "au10tix")])
	found, _ := idvredirect.FindPreset("au10tix")
	change(found)
	if found, _ := idvredirect.FindPreset("au10tix"); found.Claims[0] == "changed" || found.Notes[0].Value == "changed" {
		t.Error("a caller can change the presets")
	}
}
