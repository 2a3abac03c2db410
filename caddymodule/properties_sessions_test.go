// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A card is revoked while its holder is in. Nobody tells us; the session's end is when it is noticed, so the operator cannot
// make it longer than a day, and what is not said is bounded as well. TM-157.
func TestSessionLifetimeIsBounded(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"": 8 * time.Hour, "session {\n lifetime 1h\n}": time.Hour, "session {\n lifetime 24h\n}": 24 * time.Hour, "session {\n lifetime 1s\n}": time.Second,
		"session {\n lifetime 24h1s\n}": 0, "session {\n lifetime 2d\n}": 0, "session {\n lifetime 10000h\n}": 0, "session {\n lifetime -1h\n}": 0, "session {\n lifetime 0\n}": 0,
		"session {\n idle 9h\n}": 0, "session {\n cross_device_lifetime 25h\n}": 0,
	} {
		app := new(App)
		err := app.UnmarshalCaddyfile(caddyfile.NewTestDispenser(testApp(text)))
		if err == nil {
			err = app.provisionSession()
		}
		if want == 0 {
			if err == nil {
				t.Errorf("%q loads with a lifetime of %s", text, time.Duration(app.Session.Lifetime))
			}
			continue
		}
		if err != nil || time.Duration(app.Session.Lifetime) != want {
			t.Errorf("%q: lifetime %s (%v), want %s", text, time.Duration(app.Session.Lifetime), err, want)
		}
	}
	for _, raw := range []caddy.Duration{caddy.Duration(25 * time.Hour), -1, caddy.Duration(1<<63 - 1)} { // as JSON can have it
		if err := (&SessionConfig{Lifetime: raw}).withDefaults(); err == nil {
			t.Errorf("a lifetime of %s loads from JSON", time.Duration(raw))
		}
	}
}

// The holder of a revoked card goes on using the site, and renews his cookie with every request. That moves the idle end and
// never the absolute one. TM-157, TM-023.
func TestUseDoesNotLengthenASession(t *testing.T) {
	_, g, s := journeyGate(t, "session {\n lifetime 2h\n idle 1h\n}", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	callback(t, g, key, verified(requestID, state))
	b.finish(id)
	for after := 10 * time.Minute; after <= 3*time.Hour; after += 10 * time.Minute {
		setNow(testNow.Add(after))
		want := 1
		if after >= 2*time.Hour {
			want = 0
		}
		if _, u := b.open("/"); u.hits != want {
			t.Fatalf("after %s: %d hits upstream, want %d", after, u.hits, want)
		}
	}
}

// Scripts, other sites and plain connections must not get at our cookies: every one that we ever set says so, also those
// that clear. TM-018.
func TestEveryCookieIsLockedDown(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range ownAnswers(t, nil, "") {
		for _, line := range a.Header().Values("Set-Cookie") {
			name, _, _ := strings.Cut(line, "=")
			seen[name] = true
			for _, attribute := range []string{"; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
				if !strings.Contains(line+";", attribute+";") {
					t.Errorf("%s: no%s in %q", a.name, attribute, line)
				}
			}
			if !strings.HasPrefix(name, "__Host-verified-id") || strings.Contains(line, "Domain=") {
				t.Errorf("%s: %q", a.name, line)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("cookies %v were set, want session, binding and journey", seen)
	}
}

// Mallory plants the cookies of her own session, or of her own browser, in Ana's browser. Ana's verification makes a new
// session, in no way Mallory's, and Mallory's copies are worth nothing afterwards. TM-030.
func TestPlantedCookiesAreNotAdopted(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	enter := func(b *browser, changes ...string) {
		t.Helper()
		start, _ := b.open(basePath + "/start")
		w := b.post(basePath+"/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
		at, err := url.Parse(w.Header().Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		requestID, state, key := s.last(t)
		callback(t, g, key, verified(requestID, state, changes...))
		b.finish(at.Query().Get("t"))
	}
	sessionOf := func(b *browser) string {
		if held, _ := g.site.openSession(requestWith(b), testNow); held != nil {
			return held.ID
		}
		return ""
	}
	mallory := newBrowser(t, g)
	enter(mallory, "did:ion:ana", "did:ion:mallory", "ana@", "mallory@")
	planted := mallory.cookies[g.site.session.Name]
	malloryID := sessionOf(mallory)

	ana := newBrowser(t, g)
	ana.cookies[g.site.session.Name] = planted
	enter(ana)
	if got := sessionOf(ana); got == "" || got == malloryID {
		t.Errorf("Ana's session is %q, Mallory's was %q", got, malloryID)
	}
	if _, u := ana.open("/"); u.hits != 1 || u.seen.Header.Get("X-Employee-Mail") != "ana@contoso.example" {
		t.Errorf("Ana acts as %q", u.seen.Header.Get("X-Employee-Mail"))
	}
	mallory.cookies = map[string]string{g.site.session.Name: planted}
	if _, u := mallory.open("/"); u.hits != 0 {
		t.Error("the planted session still works")
	}
	// The same holder again: a new session all the same.
	before := sessionOf(ana)
	enter(ana)
	if after := sessionOf(ana); after == before || after == "" {
		t.Errorf("the second verification gave session %q, want another than %q", after, before)
	}
}

// A site on plain HTTP would send its cookies in clear, and browsers drop the prefix that guards them in silence. It does
// not load, unless the operator says where TLS is, or that all this is for trying on one machine. TM-019.
func TestPlainSiteGetsNoCookies(t *testing.T) {
	setSecret(t)
	const plain = "http://payroll.contoso.example {\n verified_id\n respond \"the app\"\n}\n"
	local := strings.Replace(plain, "payroll.contoso.example", "localhost:8080", 1)
	for name, c := range map[string]struct {
		public, options, site string
		loads, secure         bool
	}{
		"https":                             {"", "", sitePart, true, true},
		"plain":                             {"", "", plain, false, false},
		"plain, weakening":                  {"", "insecure_loopback_http", plain, false, false},
		"plain behind a TLS proxy":          {"https://payroll.contoso.example", "", plain, true, true},
		"plain public address":              {"http://payroll.contoso.example", "", plain, false, false},
		"plain public address, weakening":   {"http://payroll.contoso.example", "insecure_loopback_http", plain, false, false},
		"plain on this machine":             {"http://localhost:8080", "", local, false, false},
		"plain on this machine, weakening":  {"http://localhost:8080", "insecure_loopback_http", local, true, false},
		"another host that looks like this": {"http://localhost.evil.example", "insecure_loopback_http", plain, false, false},
		"no host":                           {"", "", ":8080 {\n verified_id\n}\n", false, false},
	} {
		if c.public != "" {
			t.Setenv("VERIFIED_ID_TEST_URL", c.public)
			c.options += "\npublic_url {env.VERIFIED_ID_TEST_URL}"
		}
		err := newMachine(t).load(t, adaptText(t, caddyfileOf(c.options, c.site)), func(ctx caddy.Context) {
			for _, g := range appOf(t, ctx).gates.gates {
				names := []string{g.site.session.Name, g.site.binding.Name, g.site.journey.Name}
				for _, cookie := range names {
					if strings.HasPrefix(cookie, "__Host-") != c.secure || g.site.session.Secure != c.secure {
						t.Errorf("%s: cookie %s, secure %v; want secure %v", name, cookie, g.site.session.Secure, c.secure)
					}
				}
			}
		})
		if (err == nil) != c.loads {
			t.Errorf("%s: loads %v (%v), want %v", name, err == nil, err, c.loads)
		}
	}
}

// Money moves on one route of a site. Who verified ten minutes ago is in everywhere else, and asked once more there; what he
// presents then opens both. TM-158.
func TestRouteAsksForAFresherPresentation(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	all, bank := loadGate(t, ctx, mailGate), loadGate(t, ctx, "verified_id {\n max_age 5m\n}")
	s := newService(t, app)
	b := newBrowser(t, all)
	enter := func(g *Gate) {
		t.Helper()
		b.gate = g
		id := b.begin("/")
		requestID, state, key := s.last(t)
		callback(t, g, key, verified(requestID, state))
		b.finish(id)
	}
	at := func(g *Gate) int {
		t.Helper()
		b.gate = g
		_, u := b.open("/")
		return u.hits
	}
	enter(all)
	if at(all) != 1 || at(bank) != 1 {
		t.Fatal("a fresh presentation does not open both")
	}
	setNow(testNow.Add(5*time.Minute + time.Second))
	if at(all) != 1 || at(bank) != 0 {
		t.Error("after five minutes: want the rest of the site and not the bank")
	}
	enter(bank)
	if at(all) != 1 || at(bank) != 1 {
		t.Error("after verifying once more: want both")
	}
}

// There is no list of other sites that a visitor may be sent on to, and so nothing to be got into it by a name that ends like
// a listed one: our own origin written out, a partner's and a look-alike's all become the front page. TM-085.
func TestOtherOriginsAreNoDestination(t *testing.T) {
	for _, target := range []string{
		testOrigin + "/payroll", "https://idv.example/", "https://evilpayroll.contoso.example/", testOrigin + ".evil.example/", "//payroll.contoso.example/payroll",
		"https:payroll.contoso.example", "https:/payroll", "payroll.contoso.example/payroll",
	} {
		r := request("GET", testOrigin+"/", pageLoad)
		r.URL = &url.URL{Opaque: target}
		original := *r
		if got := returnTo(withOriginal(r, original)); got != "/" {
			t.Errorf("a visitor of %q is sent on to %q, want /", target, got)
		}
	}
}

// A code that has run out is replaced when the visitor asks for it, and not for ever: who asks a fourth time begins anew.
// TM-038.
func TestCodesOfAVisitAreBounded(t *testing.T) {
	_, g, s := journeyGate(t, "limits {\n starts_per_client 1000\n starts_per_second 1000\n}", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	for i := range 5 {
		w, _ := b.open(basePath + "/wait?t=" + id)
		w = b.post(basePath+"/request", url.Values{"token": {tokenIn(t, w.Body.String())}, "t": {id}, "credential": {"employee"}})
		if i >= maxCodes-1 {
			if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
				t.Errorf("code %d: status %d, want 429 and a time", i+2, w.Code)
			}
			continue
		}
		at, err := url.Parse(w.Header().Get("Location"))
		if err != nil || w.Code != http.StatusSeeOther {
			t.Fatalf("code %d: status %d (%v)", i+2, w.Code, err)
		}
		id = at.Query().Get("t")
	}
	if s.calls() != maxCodes {
		t.Errorf("the service made %d codes, want %d", s.calls(), maxCodes)
	}
}

// A value just within the limit of a header arrives whole, one byte more leaves the header out, and so does what is too much
// together: never a part, which would mean something else. TM-013.
func TestHeadersAtTheirLimit(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n headers none\n header X-A {claim.a}\n header X-B {claim.b}\n header X-C {claim.c}\n}")
	for _, c := range []struct {
		a, b, c int
		want    [3]bool
	}{
		{4096, 10, 10, [3]bool{true, true, true}},
		{4097, 10, 10, [3]bool{false, true, true}},
		{4000, 4000, 180, [3]bool{true, true, true}},
		{4000, 4000, 4000, [3]bool{true, true, false}},
		{4096, 4096, 1, [3]bool{true, false, true}}, // the names count, too
	} {
		held, _ := sessionOf(g, presentation(g, verifier.Claim{Name: "a", Value: strings.Repeat("a", c.a)},
			verifier.Claim{Name: "b", Value: strings.Repeat("b", c.b)}, verifier.Claim{Name: "c", Value: strings.Repeat("c", c.c)}))
		header := http.Header{}
		g.setHeaders(header, identity{session: held, presentation: &held.Presentations[0]}, "")
		for i, name := range []string{"X-A", "X-B", "X-C"} {
			length := [3]int{c.a, c.b, c.c}[i]
			if got := len(header.Get(name)); got != 0 && got != length || (got != 0) != c.want[i] {
				t.Errorf("%d, %d, %d bytes: %s has %d, sent: want %v", c.a, c.b, c.c, name, got, c.want[i])
			}
		}
	}
}
