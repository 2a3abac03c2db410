// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"net/url"
	"strings"
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
	v.see(haveCard)
	v.expectStep(3, "Show your new card here")
	w.expectNobodyIn()

	v.click(haveCard)
	v.see(".created")
	v.expectStep(4, "Open it on your phone")
	request := w.scan(v)
	v.see(".retrieved:not([hidden])")
	v.expectStep(5, "Confirm on your phone")
	w.accept(request)
	w.expectIn(v, "/payroll/march?year=2026")
}

// expectStep checks what the visitor on the way over a partner reads of where they are: of five steps in all.
func (v *visitor) expectStep(step int, text string) {
	v.t.Helper()
	want := fmt.Sprintf("Step %d of 5 · %s", step, text)
	if got := v.read(".steps"); got != want {
		v.t.Errorf("the page says %q, want %q", got, want)
	}
}

// The visitor's tab with the gate is gone; the partner is still at it. In another tab, at another address of the site, the page
// knows the journey and tells what to do, and the way back still leads to where they wanted to go first.
func TestJourneyGoesOnInAnotherTab(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{noCard: true, idv: `note "About 5 minutes. A passport, and a phone with a camera."`})
	v := newVisitor(t)
	v.open(w.origin + "/payroll/march")
	if note := v.read(".partner p"); note != "About 5 minutes. A passport, and a phone with a camera." {
		t.Errorf("of the partner the page says %q", note)
	}
	v.click(needCard)
	v.see(partnerDocument)

	tab := v.newTab()
	tab.open(w.origin + "/payroll/april")
	tab.expectStep(3, "Show your new card here")
	if note := tab.read(".note"); !strings.Contains(note, "You have been to Fabrikam Identity Check") {
		t.Errorf("the other tab says %q", note)
	}
	w.issue("VerifiedEmployee") // the partner has, meanwhile
	tab.open(w.origin + "/.verified-id/return")
	tab.click(haveCard)
	w.accept(w.scan(tab))
	w.expectIn(tab, "/payroll/march")
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
