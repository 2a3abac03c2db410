// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"net/url"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// The power fails, and the store comes back without its last second: it has lost that a result was taken. Whoever kept the cookies of
// the browser fetches it again, up to five minutes after it came. That is the session of before and no second one, so the logout that
// came in between ends it too, to its last moment. X2, TM-032, TM-155.
func TestLostSecondMakesNoSecondSession(t *testing.T) {
	app, g, s := journeyGate(t, "session {\n lifetime 30m\n idle 30m\n}\n", mailGate) // so that it does not idle out before
	b := newBrowser(t, g)
	id := b.verifyAt(s, "/")
	wait, _ := b.open("/.verified-id/wait?t=" + id)
	form := url.Values{"token": {tokenIn(t, wait.Body.String())}, "t": {id}}
	cookies := maps.Clone(b.cookies)
	kept, err := app.store.Get(t.Context(), id)
	if err != nil || kept.Status != verifier.StatusVerified {
		t.Fatalf("Get = %v, %v, want a result that waits", kept.Status, err)
	}
	loseSecond := func() {
		t.Helper()
		if err := app.store.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := app.store.Create(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
	}
	take := func() (sessionID string, ends time.Time) {
		t.Helper()
		b.cookies = maps.Clone(cookies)
		b.post("/.verified-id/finish", form)
		held, err := app.keys.sessions.OpenSession(b.cookies[g.site.session.Name], g.site.sessionBinding)
		if err != nil {
			t.Fatalf("finish gave no session: %v", err)
		}
		return held.ID, held.Expires
	}

	first, _ := take()
	loseSecond()
	setNow(testNow.Add(verifier.FinishGrace - time.Second))
	again, expires := take()
	if again != first {
		t.Errorf("after the loss the result makes session %q, want %q again", again, first)
	}
	if _, u := b.open("/"); u.hits != 1 {
		t.Error("after the loss the visitor's own session does not open the gate")
	}

	setNow(testNow.Add(10 * time.Second))
	loseSecond()
	take()
	b.post("/.verified-id/logout", url.Values{})
	loseSecond()
	setNow(testNow.Add(verifier.FinishGrace - time.Second))
	take()
	copied := maps.Clone(b.cookies)
	for name, now := range map[string]time.Time{"at once": testNow.Add(verifier.FinishGrace), "at its end": expires.Add(-time.Second)} {
		setNow(now)
		app.store.revoked.add()        // forgets what is over, as each new revocation does
		b.cookies = maps.Clone(copied) // the last answer may have taken them off
		if _, u := b.open("/"); u.hits != 0 {
			t.Errorf("%s: a session that was logged out is back", name)
		}
	}
}

// An operator puts somebody out whose result still waits for the browser, where sessions last as long as they may: that browser has no
// session at any later time, whether it fetches the result for the first time or, after the power cut, for the second. X2, TM-156.
func TestRevocationOutlivesALateFinish(t *testing.T) {
	app, _, _ := journeyGate(t, "", mailGate)
	setNow(testNow)
	r, err := app.revokeNow(t.Context(), verifier.RevokeAll, "")
	if err != nil {
		t.Fatal(err)
	}
	if last := testNow.Add(verifier.FinishGrace + maxSessionLifetime); r.Until.Before(last.Add(clockSkew)) {
		t.Errorf("forgotten at %v, and what it ends may last until %v", r.Until, last)
	}
}
