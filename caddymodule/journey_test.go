// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// cookieNamed is the answer's cookie of that name, or nil.
func cookieNamed(header http.Header, name string) *http.Cookie {
	for _, cookie := range (&http.Response{Header: header}).Cookies() {
		if cookie.Name == name {
			return cookie
		}
	}
	return nil
}

// kickstartAgain presses the button of a partner on the page and returns the answer's cookies and where it leads.
func (b *browser) kickstartAgain(page, partner string) (http.Header, *url.URL) {
	b.t.Helper()
	w := b.post(basePath+"/idv", url.Values{"token": {tokenIn(b.t, page)}, "credential": {"employee"}, "partner": {partner}})
	location, err := url.Parse(onward(w))
	if w.Code != http.StatusOK || err != nil {
		b.t.Fatalf("idv: status %d, to %q (%v)", w.Code, onward(w), err)
	}
	return w.Header(), location
}

// The check of the documents takes a while; meanwhile the browser is closed, or the phone restarts. The journey is in no session
// cookie, and leads on to the same place for an hour.
func TestJourneySurvivesRestartOfTheBrowser(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	start, _ := b.open("/payroll?year=2026")
	start, _ = b.open(start.Header().Get("Location"))
	header, _ := b.kickstartAgain(start.Body.String(), "au10tix")
	if c := cookieNamed(header, g.site.journey.Name); c == nil || c.MaxAge != 3600 || c.SameSite != http.SameSiteLaxMode || !c.HttpOnly || !c.Secure {
		t.Fatalf("the journey's cookie is %v, want one that lasts an hour and comes along from the partner", c)
	}
	for after, want := range map[time.Duration]bool{59 * time.Minute: true, 61 * time.Minute: false} {
		setNow(testNow.Add(after))
		w, _ := b.open(basePath + "/return")
		if got := strings.Contains(w.Body.String(), "/payroll"); w.Code != http.StatusOK || got != want {
			t.Errorf("after %s: status %d, knows the way: %v, want %v", after, w.Code, got, want)
		}
	}
}

// In another tab, or at the site's address again: the page knows that a card is on its way, and help desk and log see one visit.
func TestAnotherTabKnowsTheJourney(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	b.sendTo("au10tix", "/payroll")
	returned, _ := b.open(basePath + "/return")
	other, _ := b.open("/wiki")
	other, _ = b.open(other.Header().Get("Location"))
	body := other.Body.String()
	if !strings.Contains(body, "You have been to AU10TIX") || !strings.Contains(body, "Step 3 of 5") || !strings.Contains(body, "/wiki") {
		t.Errorf("another tab shows %q", body)
	}
	if a, b := supportCode.FindString(returned.Body.String()), supportCode.FindString(body); a != b || a == "" {
		t.Errorf("support codes %q and %q of one journey", a, b)
	}
	stranger, _ := newBrowser(t, g).open(basePath + "/start")
	if strings.Contains(stranger.Body.String(), "AU10TIX for a card") {
		t.Error("a stranger's page knows of a journey")
	}
}

// However somebody comes to the return address, they see a page that says what to do next, and nothing has happened. TM-095,
// TM-096.
func TestReturnsAreHarmlessAndFriendly(t *testing.T) {
	_, g, s := partnerGate(t)
	away := func() *browser {
		b := newBrowser(t, g)
		b.sendTo("au10tix", "/payroll/march")
		return b
	}
	foreign := newBrowser(t, g)
	foreign.cookies[g.site.journey.Name] = away().cookies[g.site.journey.Name] + "x"
	repeated := away()
	repeated.open(basePath + "/return")
	tests := []struct {
		name, query string
		b           *browser
		says        []string
	}{
		// The partner's "cancel" leads back, too: the way to try again is on the page.
		{"abandoned", "?status=cancelled", away(), []string{"Now show your new card", "/payroll/march", "is not in Authenticator yet", "Get the card from AU10TIX"}},
		{"repeated", "", repeated, []string{"Now show your new card", "/payroll/march"}},
		{"unsolicited", "", newBrowser(t, g), []string{"Show your digital card", "I have this card", "I need one first"}},
		{"foreign", "?RequestId=of-somebody-else", foreign, []string{"Show your digital card", "I have this card", "I need one first"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w, u := test.b.open(basePath + "/return" + test.query)
			for _, text := range test.says {
				if !strings.Contains(w.Body.String(), text) {
					t.Errorf("the page does not say %q", text)
				}
			}
			if w.Code != http.StatusOK || u.hits != 0 || s.calls() != 0 || cookieNamed(w.Header(), g.site.session.Name) != nil {
				t.Errorf("status %d, %d requests of the app, %d calls of the service, cookies %v", w.Code, u.hits, s.calls(), w.Header()["Set-Cookie"])
			}
		})
	}
}

// Somebody presses a partner's button, comes back and presses it again. Each link has a RequestId of its own, and the journey is
// that of the last: who comes back by an earlier one still sees where they were going, but ends no journey. TM-090.
func TestPreviousRequestIDIsDead(t *testing.T) {
	_, g, _ := partnerGate(t)
	log := watchLog(g)
	b := newBrowser(t, g)
	start, _ := b.open("/payroll")
	start, _ = b.open(start.Header().Get("Location"))
	var ids []string
	for _, partner := range []string{"au10tix", "vu"} {
		_, location := b.kickstartAgain(start.Body.String(), partner)
		id, _ := kickstartClaims(t, location)["RequestId"].(string)
		ids = append(ids, id)
	}
	j, ok := g.site.openJourney(requestWith(b), testNow)
	if ids[0] == ids[1] || !ok || j.RequestID != ids[1] || j.Partner != "vu" {
		t.Fatalf("RequestIds %q, journey %+v", ids, j)
	}
	for i, id := range ids {
		w, _ := b.open(basePath + "/return?RequestId=" + id)
		if !strings.Contains(w.Body.String(), "/payroll") {
			t.Errorf("return %d has lost the way", i)
		}
		if got := log.FilterMessage(eventIDVReturned).Len(); got != i {
			t.Errorf("return %d: %d journeys have ended, want %d", i, got, i)
		}
	}
}

// The help desk gets a support code from a page, and finds with it whatever was logged of the visit; so does Microsoft's support
// with our calls: one base from the first page over the partner to the session.
func TestOneVectorOverTheDetour(t *testing.T) {
	_, g, s := partnerGate(t)
	log := watchLog(g)
	b := newBrowser(t, g)
	pages := map[string]string{}
	w, _ := b.open("/payroll")
	w, _ = b.open(w.Header().Get("Location"))
	pages["start"] = w.Body.String()
	w = b.post(basePath+"/idv", url.Values{"token": {tokenIn(t, w.Body.String())}, "credential": {"employee"}, "partner": {"au10tix"}})
	pages["onward"] = w.Body.String()
	w, _ = b.open(basePath + "/return")
	pages["returned"] = w.Body.String()
	w = b.post(basePath+"/request", url.Values{"token": {tokenIn(t, w.Body.String())}, "credential": {"employee"}})
	request, state, key := s.last(t)
	at, _ := url.Parse(w.Header().Get("Location"))
	w, _ = b.open(w.Header().Get("Location"))
	pages["code"] = w.Body.String()
	if !strings.Contains(pages["code"], "Step 4 of 5") {
		t.Error("the page with the code does not know of the detour")
	}
	callback(t, g, key, verified(request, state))
	w = b.finish(at.Query().Get("t"))
	pages["done"] = w.Body.String()
	if c := cookieNamed(w.Header(), g.site.journey.Name); c == nil || c.MaxAge >= 0 {
		t.Errorf("after the way in the journey's cookie is %v, want it gone", c)
	}

	base, _, _ := strings.Cut(supportCode.FindString(pages["start"]), ".")
	base = strings.TrimPrefix(html.UnescapeString(base), "<code>")
	if len(base) != 22 {
		t.Fatalf("the start page shows the base %q", base)
	}
	for name, body := range pages {
		if !strings.Contains(html.UnescapeString(body), "<code>"+base+".") {
			t.Errorf("the page %s has another support code", name)
		}
	}
	logged := map[string]bool{}
	for _, entry := range log.All() {
		vector, has := entry.ContextMap()["correlation_vector"].(string)
		if has && !strings.HasPrefix(vector, base+".") {
			t.Errorf("%q was logged with the vector %q", entry.Message, vector)
		}
		logged[entry.Message] = has
	}
	for _, event := range []string{eventIDVStarted, eventIDVReturned, eventRequested, eventVerified, eventSessionStarted} {
		if !logged[event] {
			t.Errorf("%s was logged without a vector", event)
		}
	}
	if sent := s.requests[0].Vector; !strings.HasPrefix(sent, base+".") {
		t.Errorf("the Request Service was called with the vector %q", sent)
	}
}

var formAway = regexp.MustCompile(`<form method="post" action="([^"]*)" data-send><input type="hidden" name="([^"]*)" value="([^"]*)"><button>`)

// A partner takes the token in the body of a form only. The page sends it without a script of its own, or by its button, to that
// partner and to nobody else, ourselves included; the token stands in no address. TM-092.
func TestPartnerThatWantsAForm(t *testing.T) {
	text := strings.Replace(testApp(`idv vu {
		url https://vu.example/start?lang=en
		org_id contoso
		method post
		token_parameter jwt
	}
	idv other {
		url https://other.example/
		org_id contoso
	}`), "face_check photo 80", "face_check photo 80\n idv vu other", 1)
	_, ctx := loadApp(t, text)
	g := loadGate(t, ctx, "verified_id")
	b := newBrowser(t, g)
	start, _ := b.open(basePath + "/start")
	w := b.post(basePath+"/idv", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}, "partner": {"vu"}})
	form := formAway.FindStringSubmatch(w.Body.String())
	if w.Code != http.StatusOK || form == nil || form[1] != "https://vu.example/start?lang=en" || form[2] != "jwt" {
		t.Fatalf("status %d, form %q", w.Code, form)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasSuffix(csp, "; form-action https://vu.example") || strings.Contains(csp, "unsafe-inline") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
	if w.Header().Get("Referrer-Policy") != "no-referrer" || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "http-equiv") {
		t.Errorf("headers %v", w.Header())
	}
	keySet, _ := b.send("GET", basePath+"/jwks.json", nil, nil)
	keys, err := idvredirect.ParseJWKS(keySet.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	claims, err := idvredirect.Verify(t.Context(), form[3], idvredirect.VerifyConfig{
		Keys: keys, OrgIDs: []string{"contoso"}, Audience: "https://vu.example", Issuer: testOrigin,
		RedirectURLs: []string{testOrigin + basePath + "/return"},
		OneTime:      idvredirect.NewMemoryOneTimeStore(10, clockNow), Now: clockNow,
	})
	if j, ok := g.site.openJourney(requestWith(b), testNow); err != nil || !ok || claims.RequestID != j.RequestID {
		t.Errorf("the partner reads %+v (%v), the journey is %+v", claims, err, j)
	}
}

var startLink = regexp.MustCompile(`href="(/\.verified-id/start\?v=[^"]*)"`)

// The policy becomes stricter while somebody reads the start page, or is with the partner for a card. They begin at the gate of now, and
// still end where they were going. TM-083.
func TestWayOutlivesTheGateThatItBeganAt(t *testing.T) {
	app, g, s := partnerGate(t)
	b := newBrowser(t, g)
	b.open(basePath + "/start") // for the binding
	hash, _ := g.site.boundTo(requestWith(b))
	began := visit{Gate: "of another config", ReturnTo: "/payroll?year=2026", Made: testNow, Vector: newVector(), Browser: shortHash(hash)}
	for _, path := range []string{"/request", "/idv"} {
		w := b.post(basePath+path, url.Values{"token": {g.site.sealVisit(began)}, "credential": {"employee"}, "partner": {"au10tix"}})
		again := startLink.FindStringSubmatch(w.Body.String())
		if w.Code != http.StatusForbidden || again == nil || s.calls() != 0 {
			t.Fatalf("%s: status %d, %d calls of the service, the page leads to %q", path, w.Code, s.calls(), again)
		}
		if w, _ = b.open(html.UnescapeString(again[1])); !strings.Contains(w.Body.String(), "/payroll") {
			t.Errorf("after %s: the start page has lost the way", path)
		}
	}
	away := journey{Visit: began, Partner: "au10tix", Credential: "employee", RequestID: "r", Started: testNow}
	b.cookies[g.site.journey.Name] = g.site.sealJSON(app.keys.journeys, away)
	w, _ := b.open(basePath + "/return")
	if !strings.Contains(w.Body.String(), "/payroll") || !strings.Contains(w.Body.String(), "Now show your new card") {
		t.Errorf("who comes back from the partner is shown %q", w.Body)
	}
	w = b.post(basePath+"/request", url.Values{"token": {tokenIn(t, w.Body.String())}, "credential": {"employee"}})
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	at, _ := url.Parse(w.Header().Get("Location"))
	if w := b.finish(at.Query().Get("t")); onward(w) != "/payroll?year=2026" {
		t.Errorf("the way ends at %q", onward(w))
	}
}
