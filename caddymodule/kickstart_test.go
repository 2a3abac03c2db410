// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// partnerApp is an app whose employee credential a partner issues.
func partnerGate(t testing.TB) (*App, *Gate, *service) {
	t.Helper()
	text := strings.Replace(testApp(`idv au10tix {
		url https://idv.example/contoso/?lang=en&token={token}
		org_id contoso
		display_name AU10TIX
	}
	idv vu {
		url https://vu.example/start
		org_id contoso-vu
		claims minimal
	}`), "face_check photo 80", "face_check photo 80\n idv au10tix vu", 1)
	app, ctx := loadApp(t, text)
	g := loadGate(t, ctx, "verified_id")
	return app, g, newService(t, app)
}

// sendTo asks for a partner and returns where the browser is sent.
func (b *browser) sendTo(partner, from string) *url.URL {
	b.t.Helper()
	w, _ := b.open(from)
	if w.Code == http.StatusSeeOther {
		w, _ = b.open(w.Header().Get("Location"))
	}
	w = b.post("/.verified-id/idv", url.Values{"token": {tokenIn(b.t, w.Body.String())}, "credential": {"employee"}, "partner": {partner}})
	if w.Code != http.StatusOK || w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Cache-Control") != "no-store" ||
		!strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action 'self' https://idv.example") {
		b.t.Fatalf("idv: status %d, headers %v", w.Code, w.Header())
	}
	location, err := url.Parse(onward(w))
	if err != nil {
		b.t.Fatal(err)
	}
	return location
}

func TestDetourOverPartner(t *testing.T) {
	_, g, s := partnerGate(t)
	b := newBrowser(t, g)
	location := b.sendTo("au10tix", "/payroll?year=2026")
	if location.Host != "idv.example" || location.Query().Get("lang") != "en" {
		t.Fatalf("sent to %s", location)
	}
	keySet, _ := b.send("GET", "/.verified-id/jwks.json", nil, nil)
	if keySet.Header().Get("Content-Type") != "application/jwk-set+json" || strings.Contains(keySet.Body.String(), `"d"`) {
		t.Errorf("key set %s", keySet.Body)
	}
	keys, err := idvredirect.ParseJWKS(keySet.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	claims, err := idvredirect.Verify(t.Context(), location.Query().Get("token"), idvredirect.VerifyConfig{
		Keys: keys, OrgIDs: []string{"contoso"}, Audience: "https://idv.example", Issuer: testOrigin,
		RedirectURLs: []string{testOrigin + "/.verified-id/return"},
		OneTime:      idvredirect.NewMemoryOneTimeStore(10, func() time.Time { return testNow }),
		Now:          func() time.Time { return testNow },
	})
	if err != nil {
		t.Fatalf("the partner refuses our token: %v", err)
	}
	w, u := b.open("/.verified-id/return?RequestId=" + claims.RequestID + "&status=ok")
	if w.Code != http.StatusOK || u.hits != 0 || s.calls() != 0 {
		t.Fatalf("return: status %d, %d hits upstream, %d calls of the service", w.Code, u.hits, s.calls())
	}
	w = b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, w.Body.String())}, "credential": {"employee"}})
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	at, _ := url.Parse(w.Header().Get("Location"))
	if w := b.finish(at.Query().Get("t")); onward(w) != "/payroll?year=2026" {
		t.Errorf("after the detour: to %q, want the page that was asked for", onward(w))
	}
}

// The return address grants nothing, whoever calls it, how often, with whatever query; and shows none of it.
// TM-095, TM-096, TM-097.
func TestForcedReturn(t *testing.T) {
	_, g, s := partnerGate(t)
	prepared := newBrowser(t, g)
	prepared.sendTo("au10tix", "/payroll")
	for name, b := range map[string]*browser{"unsolicited": newBrowser(t, g), "after a journey": prepared} {
		for _, query := range []string{"", "?RequestId=x", "?RequestId=%3Cscript%3EMARKER&error=MARKER", "?x=" + strings.Repeat("MARKER", 1400), "?RequestId=a%0d%0aMARKER"} {
			w, u := b.open("/.verified-id/return" + query)
			if w.Code != http.StatusOK || u.hits != 0 || s.calls() != 0 || strings.Contains(w.Body.String(), "MARKER") {
				t.Errorf("%s %.40s: status %d, %d hits, %d calls, body %.80q", name, query, w.Code, u.hits, s.calls(), w.Body)
			}
			if _, has := b.cookies[g.site.session.Name]; has {
				t.Errorf("%s: a session came from the return address", name)
			}
		}
		if w := b.post("/.verified-id/return", url.Values{}); w.Code != http.StatusNotFound {
			t.Errorf("%s: POST status %d, want 404", name, w.Code)
		}
	}
}

// Links to a partner cost the organisation money: only our own page makes them, three in ten minutes. TM-090.
func TestKickstartFlood(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	page, _ := b.open("/.verified-id/start")
	form := url.Values{"token": {tokenIn(t, page.Body.String())}, "credential": {"employee"}, "partner": {"vu"}}
	seen := map[string]bool{}
	for i := range 5 {
		w := b.post("/.verified-id/idv", form)
		want := http.StatusOK
		if i >= 3 {
			want = http.StatusTooManyRequests
		}
		if w.Code != want {
			t.Errorf("link %d: status %d, want %d", i+1, w.Code, want)
		}
		if seen[b.cookies[g.site.journey.Name]] && want == http.StatusOK {
			t.Error("two links with one journey")
		}
		seen[b.cookies[g.site.journey.Name]] = true
	}
	if w, _ := b.open("/.verified-id/idv"); w.Code != http.StatusNotFound {
		t.Errorf("GET: status %d, want 404", w.Code)
	}
	form.Set("partner", "nobody")
	if w := newBrowser(t, g).post("/.verified-id/idv", form); onward(w) != "" {
		t.Error("a form of another browser made a link")
	}
}

// Cookies of one purpose are nothing for another. TM-098, TM-020.
func TestCookieTransplant(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	b.sendTo("au10tix", "/")
	_, cookie := sessionOf(g, presentation(g))
	_, sessionValue, _ := strings.Cut(cookie, "=")
	journeyValue := b.cookies[g.site.journey.Name]
	b.cookies = map[string]string{g.site.session.Name: journeyValue, g.site.journey.Name: sessionValue, g.site.binding.Name: journeyValue}
	if _, u := b.open("/"); u.hits != 0 {
		t.Error("a journey cookie opened the app")
	}
	if _, ok := g.site.openJourney(requestWith(b), testNow); ok {
		t.Error("a session cookie opened a journey")
	}
	if _, ok := g.site.openVisit(sessionValue, testNow); ok {
		t.Error("a session opened as a page token")
	}
}

// The key that signs links is replaced by itself. Partners know the new one before it signs, and the old one while its tokens
// live; a node that did not rotate hears of it. TM-093, TM-151.
func TestKickstartKeysRotate(t *testing.T) {
	app, _, _ := partnerGate(t)
	at := func(keys *signingKeys, now time.Time) *idvredirect.KeySet {
		t.Helper()
		set, err := keys.at(t.Context(), now)
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	other := &signingKeys{storage: app.keys.kickstart.storage, path: storedKickstartPath, generate: generateKickstartKey}
	first := at(&app.keys.kickstart, testNow).Signing(testNow).KeyID()
	if got := at(other, testNow).Signing(testNow).KeyID(); got != first {
		t.Errorf("another node signs with %s, want %s", got, first)
	}
	due := testNow.Add(keyRotation)
	if got := at(&app.keys.kickstart, due).Signing(due).KeyID(); got != first {
		t.Error("the new key signs before partners can know it")
	}
	published, err := idvredirect.ParseJWKS(at(&app.keys.kickstart, due).JWKS(due))
	if err != nil || len(published) != 2 {
		t.Errorf("%d keys are published (%v), want the old and the new one", len(published), err)
	}
	later := due.Add(2 * time.Hour)
	second := at(other, later).Signing(later).KeyID()
	if second == first || second != at(&app.keys.kickstart, later).Signing(later).KeyID() {
		t.Error("the nodes do not sign with the new key alike")
	}
	app.keys.kickstart.storage = &readOnlyStorage{Storage: app.keys.kickstart.storage}
	again := later.Add(keyRotation)
	if got := at(&app.keys.kickstart, again).Signing(again).KeyID(); got != second {
		t.Error("a storage that cannot be written to stops the signing")
	}
}
