// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// X14: a node's clock is wrong. A minute is invisible. Beyond that, a clock that is behind refuses the sessions of other nodes and
// says once a minute why; one that is ahead ends them early. None makes a session last longer. TM-136.
func TestClockOfOneNodeIsWrong(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	core, log := observer.New(zapcore.WarnLevel)
	app.logger = zap.New(core)
	held, _ := sessionOf(g, presentation(g))
	held.Created, held.Seen, held.Expires = testNow, testNow, testNow.Add(time.Hour)
	cookie := g.site.session.Name + "=" + g.site.seal(held)
	for off, want := range map[time.Duration]bool{
		-time.Minute: true, 0: true, time.Minute: true, 10 * time.Minute: true,
		-10 * time.Minute: false, -time.Hour: false, time.Hour: false, 12 * 365 * 24 * time.Hour: false,
	} {
		setNow(testNow.Add(off))
		log.TakeAll()
		for range 3 {
			if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); (u.hits == 1) != want {
				t.Errorf("at %v the session opens the app: %v, want %v", off, u.hits == 1, want)
			}
		}
		lines := log.TakeAll()
		if behind := off < -time.Minute; behind != (len(lines) == 1) || behind && lines[0].ContextMap()["ahead"] != -off {
			t.Errorf("at %v there are %d warnings: %v", off, len(lines), lines)
		}
	}
}

// X14: a session goes on over the second in which 32-bit clocks run over.
func TestSessionOutlives2038(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	over := time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC)
	shown := presentation(g)
	shown.VerifiedAt, shown.CredentialExpires = over.Add(-time.Second), over.Add(24*time.Hour)
	held, _ := sessionOf(g, shown)
	held.Created, held.Seen, held.Expires = over.Add(-time.Second), over.Add(-time.Second), over.Add(time.Hour)
	cookie := g.site.session.Name + "=" + g.site.seal(held)
	for after, want := range map[time.Duration]int{-time.Second: 1, 0: 1, time.Minute: 1, time.Hour: 0} {
		setNow(over.Add(after))
		if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != want {
			t.Errorf("%v later the session opens the app: %v", after, u.hits)
		}
	}
}

// X14: the clock is set back by an hour in the middle of a visit. It goes on or begins anew; nobody gets in for longer.
func TestClockJumpsInMidVisit(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	request, state, key := s.last(t)
	setNow(testNow.Add(-time.Hour))
	callback(t, g, key, verified(request, state))
	if w := b.finish(id); w.Code == http.StatusOK && onward(w) == "/" {
		held, _ := g.site.openSession(requestWith(b), clockNow())
		if held != nil && held.Expires.After(testNow.Add(time.Duration(app.Session.Lifetime)+time.Minute)) {
			t.Errorf("a session lasts until %v", held.Expires)
		}
	}
	if _, u := b.open("/"); u.hits > 1 {
		t.Error("the app was asked twice")
	}
}
