// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// verifyAt walks one browser through a whole visit and returns the transaction's id.
func (b *browser) verifyAt(s *service, path string, changes ...string) string {
	b.t.Helper()
	id := b.begin(path)
	request, state, key := s.last(b.t)
	if w := callback(b.t, b.gate, key, verified(request, state, changes...)); w.Code != http.StatusOK {
		b.t.Fatalf("callback: status %d", w.Code)
	}
	return id
}

// onSite makes a gate of the same config that belongs to another site.
func onSite(t testing.TB, app *App, g *Gate, at string) *Gate {
	t.Helper()
	from, err := parseOrigin(at, true)
	if err != nil {
		t.Fatal(err)
	}
	other := new(Gate)
	*other = *g
	other.site = app.siteOf(from)
	other.id = other.fingerprint()
	app.gates.add(other)
	return other
}

// A form of one site is nothing on another site with the same keys: neither the address of its start page nor its page token
// starts anything there. TM-021.
func TestPageTokenOfAnotherSite(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	other := onSite(t, app, g, "https://wiki.contoso.example")
	there, here := newBrowser(t, other), newBrowser(t, g)
	w, _ := there.open("/secret-of-the-wiki")
	start := w.Header().Get("Location")
	page, _ := there.open(start)
	here.cookies = there.cookies
	if w, _ := here.open(start); strings.Contains(w.Body.String(), "secret-of-the-wiki") {
		t.Error("the start page took another site's visit")
	}
	for _, path := range []string{"/request", "/finish", "/idv"} {
		w := here.post("/.verified-id"+path, url.Values{"token": {tokenIn(t, page.Body.String())}, "credential": {"employee"}})
		if w.Code == http.StatusSeeOther || s.calls() != 0 {
			t.Errorf("%s took another site's token: status %d", path, w.Code)
		}
	}
}

// The attacker prepares a visit in his own browser and hands the victim its address: what comes of it belongs to the victim's
// browser and leads to the same site; the attacker's form does nothing in the victim's browser. TM-029, TM-031.
func TestAttackersVisitInVictimsBrowser(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	attacker, victim := newBrowser(t, g), newBrowser(t, g)
	w, _ := attacker.open("/attackers-choice")
	start := w.Header().Get("Location")
	attackersPage, _ := attacker.open(start)
	victim.open(start)
	form := url.Values{"token": {tokenIn(t, attackersPage.Body.String())}, "credential": {"employee"}}
	if w := victim.post("/.verified-id/request", form); w.Code == http.StatusSeeOther {
		t.Error("the attacker's form started something in the victim's browser")
	}
	id := attacker.verifyAt(s, "/")
	wait, _ := attacker.open("/.verified-id/wait?t=" + id)
	// Login CSRF: the attacker's finished verification is to become the victim's session.
	victim.post("/.verified-id/finish", url.Values{"token": {tokenIn(t, wait.Body.String())}, "t": {id}})
	ownPage, _ := victim.open("/.verified-id/start")
	victim.post("/.verified-id/finish", url.Values{"token": {tokenIn(t, ownPage.Body.String())}, "t": {id}})
	if _, has := victim.cookies[g.site.session.Name]; has {
		t.Error("the victim got the attacker's session")
	}
}

// A visitor starts at a weak gate and finishes: the session does not meet the strong one, whichever page token or transaction
// they name on the way. TM-022, TM-074.
func TestStartAtWeakGateFinishForStrong(t *testing.T) {
	app, ctx := loadApp(t, testApp("limits {\n starts_per_client 100\n starts_per_second 100\n}"))
	weak := loadGate(t, ctx, mailGate)
	strong := loadGate(t, ctx, "verified_id {\n face_check 95\n require jobTitle Director\n header X-Employee-Mail {claim.mail}\n}")
	s := newService(t, app)
	b := newBrowser(t, weak)
	id := b.verifyAt(s, "/")
	b.gate = strong
	challenged, _ := b.open("/strong")
	strongStart, _ := b.open(challenged.Header().Get("Location"))
	b.post("/.verified-id/finish", url.Values{"token": {tokenIn(t, strongStart.Body.String())}, "t": {id}})
	if _, u := b.open("/strong"); u.hits != 0 {
		t.Error("a weak transaction opened the strong gate")
	}
	b.gate = weak
	if _, u := b.open("/"); u.hits != 1 {
		t.Error("the weak gate refuses its own session")
	}
	// The strong gate's form with a callback for the weak request: what came is judged by what was asked.
	b.gate = strong
	w := b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, strongStart.Body.String())}, "credential": {"employee"}})
	at, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	request, state, key := s.last(t)
	callback(t, strong, key, verified(request, state))
	if got := statusOf(t, app, at.Query().Get("t")); got != verifier.StatusRefused {
		t.Errorf("the strong transaction is %s, want refused", got)
	}
}

// A revoked session is revoked for good: a finish repeated within its 30 seconds, a callback repeated, a renewed cookie bring
// no session back. TM-032, TM-062, TM-155.
func TestLogoutIsNotUndone(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.verifyAt(s, "/")
	wait, _ := b.open("/.verified-id/wait?t=" + id)
	form := url.Values{"token": {tokenIn(t, wait.Body.String())}, "t": {id}}
	b.post("/.verified-id/finish", form)
	before := maps.Clone(b.cookies)
	setNow(testNow.Add(10 * time.Second))
	b.post("/.verified-id/logout", url.Values{})
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	b.cookies = before
	b.post("/.verified-id/finish", form)
	if _, u := b.open("/"); u.hits != 0 {
		t.Error("a logged-out session is back")
	}
}

// A hundred finishes at once make one session. TM-032.
func TestParallelFinishes(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.verifyAt(s, "/")
	wait, _ := b.open("/.verified-id/wait?t=" + id)
	form := url.Values{"token": {tokenIn(t, wait.Body.String())}, "t": {id}}.Encode()
	found := make(chan string, 100)
	for range cap(found) {
		go func() {
			r := request("POST", testOrigin+"/.verified-id/finish", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Content-Type": {"application/x-www-form-urlencoded"}})
			r.Body = readCloser{strings.NewReader(form)}
			r.Header.Set("Cookie", g.site.binding.Name+"="+b.cookies[g.site.binding.Name])
			w := httptest.NewRecorder()
			g.serveEndpoint(w, r, "/finish")
			for _, cookie := range w.Result().Cookies() {
				if cookie.Name == g.site.session.Name {
					if held, err := app.keys.sessions.OpenSession(cookie.Value, g.site.sessionBinding); err == nil {
						found <- held.ID
						return
					}
				}
			}
			found <- ""
		}()
	}
	ids := map[string]bool{}
	for range cap(found) {
		ids[<-found] = true
	}
	if len(ids) != 1 || ids[""] {
		t.Errorf("%d identities: %v", len(ids), ids)
	}
}

// A stolen journey cookie, a session cookie, a page token: none stands for the binding secret of a browser. TM-020, TM-098.
func TestNothingElseIsABindingSecret(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.verifyAt(s, "/")
	wait, _ := b.open("/.verified-id/wait?t=" + id)
	token := tokenIn(t, wait.Body.String())
	hash, _ := g.site.boundTo(requestWith(b))
	thief := newBrowser(t, g)
	for _, secret := range []string{token, id, strings.Repeat("A", 43), string(bytes.Repeat(hash[:1], 43)), b.cookies[g.site.binding.Name][:42], b.cookies[g.site.binding.Name] + "A"} {
		thief.cookies = map[string]string{g.site.binding.Name: secret, g.site.journey.Name: token}
		thief.post("/.verified-id/finish", url.Values{"token": {token}, "t": {id}})
		if _, has := thief.cookies[g.site.session.Name]; has {
			t.Errorf("%q took the result", secret)
		}
	}
}

// On plain HTTP on this machine the cookies have other names: what another local program plants under one kind of name is
// nothing for the other. TM-018, TM-019.
func TestInsecureCookieIsNoSecureOne(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	insecure := onSite(t, app, g, "http://localhost:8080")
	held, _ := sessionOf(g, presentation(g))
	for _, c := range []struct {
		at     *Gate
		cookie string
	}{
		{g, insecure.site.session.Name + "=" + g.site.seal(held)},
		{g, g.site.session.Name + "=" + insecure.site.seal(held)},
		{insecure, g.site.session.Name + "=" + insecure.site.seal(held)},
		{insecure, insecure.site.session.Name + "=" + g.site.seal(held)},
	} {
		if _, u := serve(t, c.at, request("GET", testOrigin+"/", withCookie(c.cookie))); u.hits != 0 {
			t.Errorf("%.40s opened %s", c.cookie, c.at.site.origin.url)
		}
	}
}

// A session of the future, of an unknown format, with somebody else's purpose or twice sealed opens nothing and is no error.
// TM-028, TM-136.
func TestOddSessions(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	held, _ := sessionOf(g, presentation(g))
	future, ended, empty := *held, *held, session.Session{}
	future.Created = testNow.Add(2 * time.Minute)
	ended.Expires = testNow
	seal := func(v *session.Session) string { return g.site.seal(v) }
	value := seal(held)
	for name, cookie := range map[string]string{
		"future": seal(&future), "ended": seal(&ended), "empty": seal(&empty), "as a visit": app.keys.visits.SealSession(held, g.site.sessionBinding),
		"as a journey": app.keys.journeys.SealSession(held, g.site.sessionBinding), "for the page": app.keys.sessions.SealSession(held, g.site.origin.url),
		"cut": value[:len(value)-4], "long": value + strings.Repeat("A", 5000), "blank": "", "percent": url.QueryEscape(value) + "%3D",
		"swapped": value[len(value)/2:] + value[:len(value)/2],
	} {
		w, u := serve(t, g, request("GET", testOrigin+"/", withCookie(g.site.session.Name+"="+cookie)))
		if u.hits != 0 || w.Code != http.StatusUnauthorized {
			t.Errorf("%s: status %d with %d hits", name, w.Code, u.hits)
		}
	}
}
