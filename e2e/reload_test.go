// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// The operator reloads Caddy while somebody is looking for their phone. Nothing is lost: the code on the screen still
// works, the page still hears of it, and those who are in stay in.
func TestReloadInMidJourneyLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	inside, waiting := newVisitor(t), newVisitor(t)
	w.enter(inside, "/inside")
	waiting.open(w.origin + "/payroll?year=2026")
	waiting.click(haveCard)
	waiting.see(code)

	w.caddy.Reload(t, w.caddyfile)
	offer := w.scan(waiting)
	waiting.see(phoneHasIt)
	w.caddy.Reload(t, strings.Replace(w.caddyfile, "reverse_proxy", "header X-Reloaded yes\n\treverse_proxy", 1))
	w.accept(offer)
	w.expectIn(waiting, "/payroll?year=2026")

	inside.open(w.origin + "/still/inside")
	w.expectIn(inside, "/still/inside")
}

// A config that does not load leaves the old one at work.
func TestBrokenConfigLeavesTheGateAtWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)

	if answer, err := w.caddy.Call(http.MethodPost, "/load", "text/caddyfile", strings.Replace(w.caddyfile, "issuer ", "isuer ", 1)); err == nil {
		t.Errorf("Caddy took the option isuer: %s", answer)
	} else if !strings.Contains(answer, "isuer") {
		t.Errorf("the refusal %s does not name the option isuer", answer)
	}
	w.enter(v, "/payroll")
	w.expectIn(v, "/payroll")
}

// The operator raises the bar while somebody presents for the lower one. The old request is dead: what it brings does not
// open the stricter gate.
func TestStricterPolicyAfterReloadIsNotMetByTheOldRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)
	v.open(w.origin + "/payroll")
	v.click(haveCard)
	offer := w.scan(v)
	v.see(phoneHasIt)

	w.caddy.Reload(t, strings.Replace(w.caddyfile, "face_check photo 80", "face_check photo 99", 1))
	w.share(offer, honest)
	v.open(w.origin + "/payroll")
	v.see(haveCard)
	w.expectNobodyIn()
}

// Caddy restarts, for an update say. Sessions are sealed with a key that outlives it, so nobody is logged out.
func TestRestartKeepsPeopleIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	v := newVisitor(t)
	w.enter(v, "/payroll")

	w.caddy.Stop(t)
	w.caddy = caddyprocess.Start(t, w.home, w.caddyfile)
	v.open(w.origin + "/payroll/after")
	w.expectIn(v, "/payroll/after")
	if calls := len(w.emulator.RequestsTo(emulator.APICreatePresentation)); calls != 1 {
		t.Errorf("the Request Service was asked %d times", calls)
	}
}

// Microsoft's service is down. Who is in notices nothing; who wants in gets an honest page, and is let in when it is back.
func TestServiceOutageConcernsNewcomersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{})
	inside, newcomer := newVisitor(t), newVisitor(t)
	w.enter(inside, "/payroll")
	w.emulator.Faults().Inject(emulator.APICreatePresentation, emulator.Fault{Status: http.StatusServiceUnavailable})

	newcomer.open(w.origin + "/payroll")
	newcomer.click(haveCard)
	newcomer.see("footer code") // what they may tell a help desk
	inside.open(w.origin + "/payroll/meanwhile")
	w.expectIn(inside, "/payroll/meanwhile")

	w.emulator.Faults().Clear()
	w.enter(newcomer, "/payroll/afterwards")
	w.expectIn(newcomer, "/payroll/afterwards")
}

// The machine is shut down while pages with a code are open, in tabs that nobody looks at. Caddy waits for its connections, for ever
// by default; the pages' streams must not be what it waits for.
func TestStopDoesNotWaitForOpenPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{app: many})
	for range 5 {
		page := w.newClient("127.0.0.1")
		if err := errors.Join(page.start(), page.request()); err != nil {
			t.Fatal(err)
		}
		stream, err := page.http.Get(w.origin + "/.verified-id/events?t=" + url.QueryEscape(page.transaction)) //nolint:noctx // it ends with the server
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stream.Body.Close() })
		if _, err := stream.Body.Read(make([]byte, 1)); err != nil {
			t.Fatalf("reading the stream: %v", err)
		}
	}

	began := time.Now()
	w.caddy.Terminate(t)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
}
