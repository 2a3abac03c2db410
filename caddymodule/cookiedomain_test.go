// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// sharedSites are two sites under one cookie domain; the second demands more than the first.
func sharedSites(t *testing.T) (first, second *Gate) {
	t.Helper()
	app, ctx := loadApp(t, testApp("session {\n cookie_domain contoso.example\n}"))
	first = loadGate(t, ctx, "verified_id")
	second = loadGate(t, ctx, "verified_id {\n require jobTitle Clerk\n}")
	from, err := parseOrigin("https://hr.contoso.example:8443", false)
	if err != nil {
		t.Fatal(err)
	}
	second.site = app.siteOf(from)
	return first, second
}

// Who has verified on one site is known on its sibling, which still asks for what it demands; who logs out is out on both.
func TestSiblingSitesShareASession(t *testing.T) {
	first, second := sharedSites(t)
	at := func(g *Gate, cookie string) int {
		w, u := serve(t, g, request("GET", g.site.origin.url+"/", http.Header{"Cookie": {cookie}}))
		if u.hits == 0 {
			return w.Code
		}
		if strings.Contains(u.seen.Header.Get("Cookie"), "verified-id") {
			t.Errorf("the app is sent %s", u.seen.Header.Get("Cookie"))
		}
		return http.StatusOK
	}
	_, weak := sessionOf(first, presentation(first))
	held, strong := sessionOf(first, presentation(first, verifier.Claim{Name: "jobTitle", Value: "Clerk"}))
	if at(first, weak) != http.StatusOK || at(second, weak) == http.StatusOK {
		t.Error("the second site's own demand does not count")
	}
	if at(second, strong) != http.StatusOK {
		t.Error("the sibling does not know the session")
	}
	header := http.Header{}
	if err := second.site.session.Set(header, "x", 0); err != nil || !strings.Contains(header.Get("Set-Cookie"), "__Secure-verified-id=x; Path=/; Domain=contoso.example; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("Set-Cookie %q, %v", header.Get("Set-Cookie"), err)
	}
	if first.site.binding.Domain != "" || !strings.HasPrefix(first.site.binding.Name, "__Host-") || !strings.HasPrefix(first.site.journey.Name, "__Host-") {
		t.Error("what ties a visit to its browser left its host")
	}
	if err := first.app.end(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: held.ID, Since: testNow, Until: held.Expires}); err != nil {
		t.Fatal(err)
	}
	if at(first, strong) == http.StatusOK || at(second, strong) == http.StatusOK {
		t.Error("who has logged out on one site is in on the other")
	}
}

// A sibling host can plant a cookie. Beside the real one it makes none, in either order; what an app behind the gate sets is taken
// out; and no spelling, and no cookie of another domain or of a single site, is taken for it. TM-011, TM-021, TM-027.
func TestSiblingPlantsASession(t *testing.T) {
	g, _ := sharedSites(t)
	_, genuine := sessionOf(g, presentation(g))
	value := strings.TrimPrefix(genuine, sharedCookie+"=")
	_, ctx := loadApp(t, testApp(""))
	alone := loadGate(t, ctx, "verified_id")
	alone.app.keys = g.app.keys // the same node after the option was removed
	_, single := sessionOf(alone, presentation(alone))
	_, wider := loadApp(t, testApp("session {\n cookie_domain payroll.contoso.example\n}"))
	other := loadGate(t, wider, "verified_id")
	other.app.keys = g.app.keys
	for name, c := range map[string]struct {
		gate   *Gate
		cookie string
		want   bool
	}{
		"real":              {g, genuine, true},
		"twice":             {g, genuine + "; " + genuine, false},
		"planted before":    {g, sharedCookie + "=planted; " + genuine, false},
		"planted behind":    {g, genuine + "; " + sharedCookie + "=planted", false},
		"lower case":        {g, "__secure-verified-id=" + value, false},
		"of a single site":  {g, sharedCookie + "=" + strings.TrimPrefix(single, "__Host-verified-id="), false},
		"as a single one":   {g, "__Host-verified-id=" + value, false},
		"without option":    {alone, genuine, false},
		"renamed":           {alone, "__Host-verified-id=" + value, false},
		"of another domain": {other, genuine, false},
	} {
		w, u := serve(t, c.gate, request("GET", testOrigin+"/", http.Header{"Cookie": {c.cookie}}))
		if got := u.hits == 1; got != c.want {
			t.Errorf("%s: let through: %v (%d), want %v", name, got, w.Code, c.want)
		}
	}
	if got := answerWith(t, g, http.Header{"Set-Cookie": {sharedCookie + "=fixed; Domain=contoso.example; Secure", "theirs=1"}}); len(got.Values("Set-Cookie")) != 1 {
		t.Errorf("the app sets %q", got.Values("Set-Cookie"))
	}
}

// A site that the shared cookie does not reach would ask for ever; one without TLS would give it away.
func TestSiteOutsideTheCookieDomain(t *testing.T) {
	app, ctx := loadApp(t, testApp("session {\n cookie_domain contoso.example\n}"))
	for address, want := range map[string]bool{
		"https://contoso.example": true, "https://a.b.contoso.example:8443": true, "https://evilcontoso.example": false,
		"https://contoso.example.evil.example": false, "https://example": false, "https://192.0.2.7": false, "http://localhost:8080": false,
	} {
		from, err := parseOrigin(address, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := app.checkShared(ctx, from); (err == nil) != want {
			t.Errorf("%s: %v, want it to load: %v", address, err, want)
		}
		if shared := app.siteOf(from).session.Name == sharedCookie; shared != want {
			t.Errorf("%s: shares: %v, want %v", address, shared, want)
		}
	}
	for domain, want := range map[string]bool{
		"contoso.com": true, "gated.corp.example": true, "com": false, "co.uk": false, "github.io": false, "Contoso.com": false,
		".contoso.com": false, "contoso.com.": false, "contoso.com:443": false, "[::1]": false, "127.0.0.1": false, "*.contoso.com": false, "localhost": false, "a_b.example": false,
	} {
		if err := checkCookieDomain(domain); (err == nil) != want {
			t.Errorf("cookie_domain %s: %v, want it to load: %v", domain, err, want)
		}
	}
}

// The operator is told at each load what the option means.
func TestCookieDomainWarns(t *testing.T) {
	core, logs := observer.New(zapcore.WarnLevel)
	app := &App{logger: zap.New(core), Session: &SessionConfig{CookieDomain: "corp.example"}}
	if err := app.provisionSession(); err != nil || logs.Len() != 1 {
		t.Errorf("%v; %d warnings, want 1", err, logs.Len())
	}
}
