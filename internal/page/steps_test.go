// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// Who was sent from page to page scanned three codes without knowing for what, and gave up in the middle. Each page says which
// step of how many it is, the same count all the way, in words that a screen reader reads.
func TestEachPageSaysWhichStepOfHowMany(t *testing.T) {
	t.Parallel()
	idv := []page.Partner{{Name: "idv", DisplayName: "IDV"}}
	start := page.Start{Choices: []page.Choice{{Credential: "employee"}}}
	open := page.Start{Choices: []page.Choice{{Credential: "employee", Partners: idv}}}
	detour := open
	detour.Partner = "IDV"
	wait := func(state, partner string) page.Wait {
		return page.Wait{Token: "tok", Transaction: "t", State: state, DeepLink: stepsLink, Choice: page.Choice{Credential: "employee"}, Partner: partner}
	}
	tests := []struct {
		name   string
		show   func(*page.Renderer, http.ResponseWriter)
		en, de string
		bars   int
	}{
		{"start", func(r *page.Renderer, w http.ResponseWriter) { r.Start(w, start) }, "Step 1 of 3 · Choose your card", "Schritt 1 von 3 · Karte wählen", 3},
		{"start, two ways", func(r *page.Renderer, w http.ResponseWriter) { r.Start(w, open) }, "Step 1 of 3, or of 5 if you need a card first", "Schritt 1 von 3, oder von 5, falls Sie die Karte erst brauchen", 3},
		{"code", func(r *page.Renderer, w http.ResponseWriter) { r.Wait(w, wait(page.StateCreated, "")) }, "Step 2 of 3 · Open it on your phone", "Schritt 2 von 3 · Am Handy öffnen", 3},
		{"phone", func(r *page.Renderer, w http.ResponseWriter) { r.Wait(w, wait(page.StateRetrieved, "")) }, "Step 3 of 3 · Confirm on your phone", "Schritt 3 von 3 · Am Handy bestätigen", 3},
		{"onward", func(r *page.Renderer, w http.ResponseWriter) {
			r.Onward(w, page.Onward{Meta: page.Meta{FormActions: []string{"https://idv.example"}}, To: "https://idv.example/", Partner: "IDV"})
		}, "Step 2 of 5 · Get your card", "Schritt 2 von 5 · Karte holen", 5},
		{"returned", func(r *page.Renderer, w http.ResponseWriter) { r.Returned(w, detour) }, "Step 3 of 5 · Show your new card here", "Schritt 3 von 5 · Hier die neue Karte zeigen", 5},
		{"another tab", func(r *page.Renderer, w http.ResponseWriter) { r.Start(w, detour) }, "Step 3 of 5 · Show your new card here", "Schritt 3 von 5 · Hier die neue Karte zeigen", 5},
		{"code of the new card", func(r *page.Renderer, w http.ResponseWriter) { r.Wait(w, wait(page.StateCreated, "IDV")) }, "Step 4 of 5 · Open it on your phone", "Schritt 4 von 5 · Am Handy öffnen", 5},
		{"phone with the new card", func(r *page.Renderer, w http.ResponseWriter) { r.Wait(w, wait(page.StateRetrieved, "IDV")) }, "Step 5 of 5 · Confirm on your phone", "Schritt 5 von 5 · Am Handy bestätigen", 5},
		{"done", func(r *page.Renderer, w http.ResponseWriter) { r.Wait(w, wait(page.StateVerified, "IDV")) }, "All steps done", "Alle Schritte erledigt", 5},
	}
	for _, language := range []string{"en", "de"} {
		r := newRenderer(t, page.Config{Language: language})
		for _, test := range tests {
			p := rendered{test.name, httptest.NewRecorder()}
			test.show(r, p)
			want := test.en
			if language == "de" {
				want = test.de
			}
			says, bars := "", 0
			for _, n := range named(parse(t, p), "p") {
				if class, _ := attr(n, "class"); class == "steps" {
					says, bars = textOf(n), len(named(n, "i"))
				}
			}
			if got := fmt.Sprint(says, bars); got != fmt.Sprint(want, test.bars) {
				t.Errorf("%s, %s says %q, want %q with %d bars", language, test.name, got, want, test.bars)
			}
		}
	}
}

const stepsLink = "openid-vc://?request_uri=https://verifiedid.did.msidentity.com/v1.0/tenants/x/presentationRequests/y"
