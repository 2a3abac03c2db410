// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// What a visitor looks for in examples/single-page-app, and in the dialog of our script there.
const (
	appPayslips = `#payslips`
	appName     = `#name:not(:empty)`
	appSaid     = `#said`
	dialogHost  = `verified-id-dialog`
	dialogOpen  = `#open`
	dialogLeave = `#cancel`
)

// popupOf does what opens a window, and returns the window.
func (v *visitor) popupOf(do func()) *visitor {
	v.t.Helper()
	known := v.windows()
	do()
	deadline, look := time.After(patience), time.NewTicker(20*time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-deadline:
			v.t.Fatal("no window was opened")
		case <-look.C:
		}
		for id, title := range v.windows() {
			// A window changes its process on the way to its first page; its title says that it is there.
			if _, old := known[id]; !old && strings.HasPrefix(title, "Show") {
				return openTab(v.t, v.ctx, chromedp.WithTargetID(id))
			}
		}
	}
}

// windows are the titles of the gate's own pages that the visitor has open on the site.
func (v *visitor) windows() map[target.ID]string {
	v.t.Helper()
	targets, err := chromedp.Targets(v.ctx)
	if err != nil {
		v.t.Fatalf("listing windows: %v", err)
	}
	found := make(map[target.ID]string)
	for _, info := range targets {
		if info.Type == "page" && strings.HasPrefix(info.URL, v.site()+"/.verified-id/") {
			found[info.TargetID] = info.Title
		}
	}
	return found
}

// site is the origin of the page.
func (v *visitor) site() string {
	address, err := url.Parse(v.at())
	if err != nil {
		v.t.Fatalf("the visitor stands at %v", err)
	}
	return address.Scheme + "://" + address.Host
}

// clickInDialog clicks a button of the dialog as a hand does: only so may it open windows.
func (v *visitor) clickInDialog(selector string) {
	v.t.Helper()
	v.see(dialogHost)
	at := evaluate[[]float64](v, fmt.Sprintf(`(() => {
		const box = document.querySelector(%q).shadowRoot.querySelector(%q).getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})()`, dialogHost, selector))
	v.do("clicking "+selector, chromedp.MouseClickXY(at[0], at[1]))
}

// gone waits until there is no such element.
func (v *visitor) gone(selector string) {
	v.t.Helper()
	v.do("missing "+selector, chromedp.WaitNotPresent(chromedp.CSS(selector)))
}

// says waits until the app says something.
func (v *visitor) says(words string) {
	v.t.Helper()
	evaluate[bool](v, fmt.Sprintf(`new Promise((resolve) => {
		const said = document.querySelector(%q), look = () => said.textContent.includes(%q) && resolve(true);
		new MutationObserver(look).observe(said, { childList: true, subtree: true, characterData: true });
		look();
	})`, appSaid, words))
}

// startSinglePageApp opens the example, and its wallet in another tab.
func startSinglePageApp(t *testing.T) (app, wallet *visitor, origin map[string]string) {
	t.Helper()
	origin = startExample(t, "single-page-app")
	app = newVisitor(t)
	wallet = app.newTab()
	app.open(origin["8080"])
	return app, wallet, origin
}

// showIn shows the card in an app's window, and waits until it has closed itself.
func (v *visitor) showIn(popup, wallet *visitor, walletAddress string) {
	v.t.Helper()
	popup.click(haveCard)
	popup.see(code)
	wallet.open(walletAddress)
	wallet.click(walletRequest)
	wallet.click(walletShare)
	v.gone(dialogHost)
	closed, err := chromedp.Detached(popup.ctx)
	if err != nil {
		v.t.Fatalf("watching the window: %v", err)
	}
	ctx, cancel := context.WithTimeout(v.ctx, patience)
	defer cancel()
	select {
	case <-closed:
	case <-ctx.Done():
		v.t.Error("the window does not close itself")
	}
}

// The whole way of a call that needs a card: two calls share one window, the card is shown there, the window closes itself, and
// the calls come through. After the logout the next call asks again.
func TestCallOfAnAppAsksInAWindow(t *testing.T) {
	t.Parallel()
	app, wallet, origin := startSinglePageApp(t)
	popup := app.popupOf(func() { app.click(appPayslips) })
	popup.see(haveCard)
	// Whoever opens the window, another site too, has no hold on it, nor it on them.
	if evaluate[bool](popup, `window.opener !== null`) {
		t.Error("the window knows who has opened it")
	}
	if n := len(app.windows()); n != 1 {
		t.Errorf("two calls opened %d windows", n)
	}
	app.showIn(popup, wallet, origin["8090"]+"/wallet")
	if got := app.read(appName); got != ", Ana Lima" {
		t.Errorf("the app greets %q", got)
	}
	app.says("Here they are.")

	// A call that changes something, on a route that wants a card shown lately: this one was.
	app.click(`#account`)
	app.says("Your salary goes to GB00")

	app.open(origin["8080"] + "/.verified-id/logout")
	app.click(logoutButton)
	app.see(signInAgain)
	app.open(origin["8080"])
	app.popupOf(func() { app.click(appPayslips) }).see(haveCard)
}

// Who closes the window, or says no in the dialog, gets the app back, which is told so.
func TestVisitorGivesUpInTheWindow(t *testing.T) {
	t.Parallel()
	app, _, _ := startSinglePageApp(t)
	popup := app.popupOf(func() { app.click(appPayslips) })
	popup.click(haveCard)
	popup.see(code)
	if err := chromedp.Cancel(popup.ctx); err != nil {
		t.Fatalf("closing the window: %v", err)
	}
	app.says("Nothing was done.")
	app.gone(dialogHost)

	app.popupOf(func() { app.click(appPayslips) }).see(haveCard)
	app.clickInDialog(dialogLeave)
	app.says("Nothing was done.")
	app.gone(dialogHost)
	if got := evaluate[string](app, `document.activeElement.id`); got != "payslips" {
		t.Errorf("afterwards the focus is on %q", got)
	}
	app.popupOf(func() { app.click(appPayslips) }).see(haveCard)
	app.press("\x1b")
	app.says("Nothing was done.")
}

// A call that no click has made may open no window. The dialog asks for the click.
func TestBrowserRefusesTheWindow(t *testing.T) {
	t.Parallel()
	app, wallet, origin := startSinglePageApp(t)
	evaluate[bool](app, `document.querySelector("#payslips").click(), true`)
	app.see(dialogHost)
	if n := len(app.windows()); n != 0 {
		t.Fatalf("%d windows are open without a click", n)
	}
	popup := app.popupOf(func() { app.clickInDialog(dialogOpen) })
	app.showIn(popup, wallet, origin["8090"]+"/wallet")
	app.says("Here they are.")
}

// A browser without windows goes to the start page itself, and comes back to the page of the app.
func TestBrowserWithoutWindows(t *testing.T) {
	t.Parallel()
	app, wallet, origin := startSinglePageApp(t)
	app.open(origin["8080"] + "/?tab=2")
	evaluate[bool](app, `(window.open = () => null, true)`)
	app.click(appPayslips)
	app.clickInDialog(dialogOpen)
	app.click(haveCard)
	app.see(code)
	wallet.open(origin["8090"] + "/wallet")
	wallet.click(walletRequest)
	wallet.click(walletShare)
	app.see(`body[data-session="yes"]`)
	if got, want := app.at(), origin["8080"]+"/?tab=2"; got != want {
		t.Errorf("the visitor comes back to %s, want %s", got, want)
	}
}

// Somebody is signed in, and one call wants a surer face than the others: it asks in a window, and says why.
func TestCallOfAnAppStepsUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{site: `verified_id /api/strict employee {
	face_check 95
	max_age 1h
}
GATE
reverse_proxy APP`})
	v := newVisitor(t)
	w.enter(v, "/payroll")
	evaluate[bool](v, `new Promise((resolve) => {
		const script = document.createElement("script");
		script.onload = () => resolve(true);
		script.src = "/.verified-id/verified-id.js";
		document.head.append(script);
	})`)
	popup := v.popupOf(func() {
		evaluate[bool](v, `(() => {
			const button = document.body.appendChild(document.createElement("button"));
			button.id = "pay";
			button.textContent = "Pay";
			button.onclick = async () => {
				const answer = await verifiedId.fetch("/api/strict", { method: "POST", body: "100" });
				button.dataset.status = answer.status;
			};
			return true;
		})()`)
		v.click("#pay")
	})
	popup.see(`.note`)
	popup.click(haveCard)
	if outcome := w.share(w.scan(popup), emulator.ShareOptions{FaceScore: 97}); !outcome.Accepted {
		t.Fatalf("the wallet says %+v", outcome)
	}
	v.see(`#pay[data-status="200"]`)
	paid := 0
	for _, r := range w.app.seen() {
		if r.URL.Path == "/api/strict" {
			paid++
		}
	}
	if paid != 1 {
		t.Errorf("the app was asked to pay %d times", paid)
	}
}
