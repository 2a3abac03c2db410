// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// Somebody holds another person's phone. The card is right and the face is not.
func TestWrongFaceIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)

	v.open(w.origin + "/payroll")
	v.click(haveCard)
	if outcome := w.share(w.scan(v), emulator.ShareOptions{FaceScore: 61}); outcome.Accepted {
		t.Errorf("the wallet says %+v", outcome)
	}
	v.expectRefusal("did not match the photo", "even light")
	w.expectNobodyIn()

	// The owner takes the phone back and tries again, on the same page.
	v.click(haveCard)
	w.accept(w.scan(v))
	w.expectIn(v, "/payroll")
}

// Mallory runs a Verified ID tenant as well, and issues a card that looks like Contoso's in everything but its issuer.
func TestCardOfAnotherIssuerIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{noCard: true})
	v := newVisitor(t)
	forged := w.issueAs(emulator.MalloryAuthority)

	v.open(w.origin + "/payroll")
	v.click(haveCard)
	offer := w.scan(v)
	if outcome := w.share(offer, emulator.ShareOptions{CardIDs: []string{forged.ID}, Force: true}); outcome.Accepted {
		t.Errorf("the wallet says %+v", outcome)
	}
	v.open(w.origin + "/payroll")
	v.see(haveCard)
	w.expectNobodyIn()
}

// Somebody has left the company, and the card was revoked; it is still in their wallet.
func TestRevokedCardIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{noCard: true})
	v := newVisitor(t)
	card := w.issue("VerifiedEmployee")
	if err := w.emulator.Revoke(card.ID); err != nil {
		t.Fatalf("revoking the card: %v", err)
	}

	v.open(w.origin + "/payroll")
	v.click(haveCard)
	if outcome := w.share(w.scan(v), honest); outcome.Accepted {
		t.Errorf("the wallet says %+v", outcome)
	}
	v.expectRefusal("was cancelled by its issuer", "Get a new card")
	v.see(needCard)
	w.expectNobodyIn()
}

// A card may be genuine, and too old for what is behind the gate: somebody who joined years ago has to get a new one.
func TestOldCardIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{noCard: true, credential: "max_credential_age 720h"})
	v := newVisitor(t)
	if _, err := w.emulator.Issue(w.wallet, emulator.IssueOptions{Contract: "VerifiedEmployee", IssuedAt: time.Now().Add(-1000 * time.Hour)}); err != nil {
		t.Fatalf("issuing: %v", err)
	}

	v.open(w.origin + "/payroll")
	v.click(haveCard)
	w.share(w.scan(v), honest)
	v.expectRefusal("issued too long ago", "Get a new card")
	v.see(needCard)
	w.expectNobodyIn()
}

// expectRefusal checks that the page says what was wrong and what to do, with a support code, and nothing of the holder.
func (v *visitor) expectRefusal(words ...string) {
	v.t.Helper()
	v.see(refusedSign)
	text := v.read("main")
	for _, want := range words {
		if !strings.Contains(text, want) {
			v.t.Errorf("the page does not say %q:\n%s", want, text)
		}
	}
	for _, canary := range []string{"Ana", "ana.lima", "61", "80"} {
		if strings.Contains(text, canary) && !strings.Contains(v.at(), canary) {
			v.t.Errorf("the page tells %q:\n%s", canary, text)
		}
	}
	if code := v.read("footer code"); len(code) < 10 {
		v.t.Errorf("the support code is %q", code)
	}
}

// Declining sends nothing to anybody, so the page cannot know. It must stay calm, let nobody in, and offer a way to begin
// again.
func TestDeclinedRequestLetsNobodyIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)

	v.open(w.origin + "/payroll")
	v.click(haveCard)
	offer := w.scan(v)
	v.see(phoneHasIt)
	if err := offer.Decline(t.Context()); err != nil {
		t.Fatalf("declining: %v", err)
	}
	v.open(w.origin + "/payroll")
	v.see(haveCard)
	w.expectNobodyIn()

	v.click(haveCard)
	w.accept(w.scan(v))
	w.expectIn(v, "/payroll")
}

// A code lives for minutes. The page notices by itself when it has run out, and one click brings a new one.
func TestExpiredCodeIsRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{codeLifetime: 4 * time.Second})
	v := newVisitor(t)

	v.open(w.origin + "/payroll")
	v.click(haveCard)
	v.see(code)
	v.see(expiredSign)
	w.expectNobodyIn()

	v.click(haveCard)
	w.accept(w.scan(v))
	w.expectIn(v, "/payroll")
}

// Mallory lures Ana into scanning the code on Mallory's screen, or reads the address of Ana's waiting page over her
// shoulder. What Ana presents goes to the browser that started and to no other.
func TestResultGoesOnlyToTheBrowserThatStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	ana, mallory := newVisitor(t), newVisitor(t)

	ana.open(w.origin + "/payroll")
	ana.click(haveCard)
	offer := w.scan(ana)
	mallory.open(ana.at())
	mallory.see("h1")
	w.accept(offer)
	w.expectIn(ana, "/payroll")

	mallory.open(w.origin + "/payroll")
	mallory.see(haveCard)
	if requests := len(w.app.seen()); requests != 1 {
		t.Errorf("the app was asked %d times, want once, by Ana", requests)
	}
}
