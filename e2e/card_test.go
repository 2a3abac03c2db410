// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// enter takes a visitor with a card from the address to the app behind the gate.
func (w *world) enter(v *visitor, path string) {
	w.t.Helper()
	v.open(w.origin + path)
	v.click(haveCard)
	w.accept(w.scan(v))
	v.see(inTheApp)
}

// expectIn checks that the visitor stands in the app, at the path with its query.
func (w *world) expectIn(v *visitor, path string) {
	w.t.Helper()
	v.see(inTheApp)
	if got, want := v.at(), w.origin+path; got != want {
		w.t.Errorf("the visitor stands at %s, want %s", got, want)
	}
	if got := v.read("#asked"); got != path {
		w.t.Errorf("the app was asked for %s, want %s", got, path)
	}
}

// expectNobodyIn checks that no request has reached the app.
func (w *world) expectNobodyIn() {
	w.t.Helper()
	for _, r := range w.app.seen() {
		w.t.Errorf("the app was asked for %s", r.URL.RequestURI())
	}
}

// The whole product in one visit: from the address that somebody wanted, over the code, the wallet and the face, to that
// address with its query, and the app knows who it is.
func TestVisitorWithCardGetsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)

	v.open(w.origin + "/payroll/march?year=2026&sort=name")
	v.click(haveCard)
	offer := w.scan(v)
	v.see(phoneHasIt)
	w.expectNobodyIn()
	w.accept(offer)

	w.expectIn(v, "/payroll/march?year=2026&sort=name")
	if got := v.read("#name"); got != "Ana Lima" {
		t.Errorf("the app believes that the visitor is %q", got)
	}
	v.open(w.origin + "/elsewhere")
	w.expectIn(v, "/elsewhere")
	if calls := len(w.emulator.RequestsTo(emulator.APICreatePresentation)); calls != 1 {
		t.Errorf("the Request Service was asked %d times for one visit", calls)
	}
}

// A phone has its wallet on board: a link in place of the code, and no second device.
func TestVisitorOnPhoneFollowsTheLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t).onPhone()

	v.open(w.origin + "/payroll?from=phone")
	v.click(haveCard)
	w.accept(w.tap(v))

	w.expectIn(v, "/payroll?from=phone")
}

// Without scripts the waiting page asks again by itself, and a button leads on.
func TestVisitorWithoutJavaScriptGetsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t).withoutScripts()

	v.open(w.origin + "/payroll?plain=yes")
	v.click(haveCard)
	w.accept(w.scan(v))
	v.click(continueForm)

	w.expectIn(v, "/payroll?plain=yes")
}

// Who cannot use a mouse gets in with Tab and Enter, and sees at each step where they are.
func TestVisitorWithKeyboardOnlyGetsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)

	v.open(w.origin + "/payroll")
	v.see(haveCard)
	v.tabTo(haveCard)
	v.press(enterKey)
	w.accept(w.scan(v))

	w.expectIn(v, "/payroll")
}

// Somebody opens two pages at once, as people do in the morning. Each tab ends at its own address.
func TestTwoTabsEndWhereEachWasGoing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	first := newVisitor(t)
	second := first.newTab()

	first.open(w.origin + "/first")
	second.open(w.origin + "/second")
	first.click(haveCard)
	second.click(haveCard)
	one, two := w.scan(first), w.scan(second)
	w.accept(two)
	w.expectIn(second, "/second")
	w.accept(one)
	w.expectIn(first, "/first")
}

// The back button after the way in shows no second code and starts nothing.
func TestBackButtonAfterTheWayInStartsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)
	w.enter(v, "/payroll")

	v.back()
	v.open(w.origin + "/payroll")
	w.expectIn(v, "/payroll")
	if calls := len(w.emulator.RequestsTo(emulator.APICreatePresentation)); calls != 1 {
		t.Errorf("the Request Service was asked %d times for one visit", calls)
	}
}
