// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/url"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// What a visitor looks for on the partner's pages.
const (
	partnerDocument = `form[action$="/document"] button`
	partnerSelfie   = `form[action$="/selfie"] button`
	partnerLink     = `a[href^="openid-vc:"]`
	partnerBack     = `a.button[href*="/.verified-id/return"]`
	partnerLeave    = `form[action$="/abandon"] button`
)

// Somebody has no card yet: off to the partner with a signed link, checked there as strictly as a real one would, back
// with the new card, and in, at the address they wanted in the first place.
func TestVisitorWithoutCardGetsOneFromThePartner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{noCard: true})
	v := newVisitor(t)

	v.open(w.origin + "/payroll/march?year=2026")
	v.click(needCard)
	v.click(partnerDocument)
	v.click(partnerSelfie)
	offer := w.openLink(v.attribute(partnerLink, "href"))
	if offer.Kind != emulator.Issuance {
		t.Fatalf("the partner offers a %s", offer.Kind)
	}
	if _, err := offer.AcceptIssuance(t.Context(), ""); err != nil {
		t.Fatalf("taking the card: %v", err)
	}
	v.click(partnerBack)
	w.expectNobodyIn()

	v.click(haveCard)
	w.accept(w.scan(v))
	w.expectIn(v, "/payroll/march?year=2026")
}

// Coming back from the partner proves nothing: who left it without a card stands before the gate as before.
func TestReturningFromThePartnerIsNoProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{noCard: true})
	v := newVisitor(t)

	v.open(w.origin + "/payroll")
	v.click(needCard)
	v.click(partnerLeave)
	v.click(partnerBack)
	v.see(haveCard)
	v.open(w.origin + "/payroll")
	v.see(haveCard)
	w.expectNobodyIn()
}

// A link to the partner that somebody else got hold of, from a log or over a shoulder, works no second time.
func TestKickstartLinkWorksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{noCard: true})
	v, thief := newVisitor(t), newVisitor(t)

	links := v.requested("token")
	v.open(w.origin + "/payroll")
	v.click(needCard)
	v.see(partnerDocument)
	link := links()
	if parsed, err := url.Parse(link); err != nil || parsed.Query().Get("token") == "" {
		t.Fatalf("the visitor came to the partner by %q", link)
	}

	thief.open(link)
	thief.see(".checks .failed")
}
