// SPDX-License-Identifier: Apache-2.0

package partner_test

import (
	"bufio"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
)

func documentForm(credential string) url.Values {
	return url.Values{
		"credential": {credential},
		"first_name": {"Ana"}, "last_name": {"Lima"}, "date_of_birth": {"1990-04-12"}, "document_number": {"X0000001"},
	}
}

// waiting brings a visit to the page with the code and returns its path.
func (f *fixture) waiting(t *testing.T) string {
	t.Helper()
	path := f.begin(t, minimal())
	for _, p := range []page{f.post(t, path+"/document", documentForm("VerifiedEmployee")), f.post(t, path+"/selfie", nil)} {
		if p.status != http.StatusSeeOther || p.location != path {
			t.Fatalf("post = %d to %q, want 303 to %q", p.status, p.location, path)
		}
	}
	return path
}

var backLink = regexp.MustCompile(`<a class="button" href="(https://payroll[^"]*)">Go back`)

func (f *fixture) wayBack(t *testing.T, path string) string {
	t.Helper()
	m := backLink.FindStringSubmatch(f.get(t, path).body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// TestVisit walks through every page in order, without JavaScript.
func TestVisit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *partner.Config) { c.PIN = true })
	claims := minimal()
	claims["RequestId"] = "k7WqzT0eRkGmX2bV+9/fHA.1"
	claims["redirectUrl"] = "https://payroll.contoso.example/.verified-id/return?j=1&x=a%20b"
	path := f.begin(t, claims)

	document := f.get(t, path)
	for _, want := range []string{`value="Ana"`, `value="VerifiedIdentity" checked`, "Emulator", "Leave without a card"} {
		if !strings.Contains(document.body, want) {
			t.Errorf("document page lacks %q", want)
		}
	}
	f.post(t, path+"/document", documentForm("VerifiedEmployee"))
	if selfie := f.get(t, path); !strings.Contains(selfie.body, "Take a selfie") {
		t.Error("after the document there is no selfie page")
	}
	f.post(t, path+"/selfie", nil)

	sent := f.service.last(t)
	card := f.get(t, path)
	link := "openid-vc://?request_uri=" + f.service.server.URL + "/requests/" + sent.requestID
	for _, want := range []string{
		`href="` + link + `"`,
		`href="http://localhost:8090/wallet/open?link=` + url.QueryEscape(link) + `"`,
		`<noscript><meta http-equiv="refresh"`, sent.PIN.Value, `alt="QR code`,
	} {
		if !strings.Contains(card.body, want) {
			t.Errorf("card page lacks %q", want)
		}
	}
	if sent.Claims["mail"] != "ana.lima@contoso.example" || sent.Claims["displayName"] != "Ana Lima" || sent.Claims["photo"] == "" {
		t.Errorf("employee claims = %v", sent.Claims)
	}
	if png := f.get(t, path+"/code.png"); png.header.Get("Content-Type") != "image/png" || !strings.HasPrefix(png.body, "\x89PNG") {
		t.Errorf("code.png is %q", png.header.Get("Content-Type"))
	}
	if got := f.wayBack(t, path); got != "" {
		t.Errorf("before issuance the page already leads back to %q", got)
	}

	if got := f.service.callback(t, "request_retrieved", nil); got != http.StatusNoContent {
		t.Errorf("request_retrieved = %d, want 204", got)
	}
	if retrieved := f.get(t, path); !strings.Contains(retrieved.body, "opened the offer") {
		t.Error("the page does not say that the wallet has opened the offer")
	}
	if got := f.service.callback(t, "issuance_successful", nil); got != http.StatusNoContent {
		t.Errorf("issuance_successful = %d, want 204", got)
	}
	const want = "https://payroll.contoso.example/.verified-id/return?j=1&x=a%20b&RequestId=k7WqzT0eRkGmX2bV%2B9%2FfHA.1"
	if got := f.wayBack(t, path); got != want {
		t.Errorf("way back = %q, want %q", got, want)
	}

	// A late or repeated callback changes nothing.
	f.service.callback(t, "issuance_error", nil)
	f.service.callback(t, "request_retrieved", nil)
	if got := f.wayBack(t, path); got != want {
		t.Errorf("after late callbacks the way back = %q, want %q", got, want)
	}
}

// TestPlainReturn: nothing is specified about parameters, so some partners add none.
func TestPlainReturn(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *partner.Config) { c.Organisations[0].PlainReturn = true })
	path := f.waiting(t)
	f.service.callback(t, "issuance_successful", nil)
	if got, want := f.wayBack(t, path), "https://payroll.contoso.example/.verified-id/return"; got != want {
		t.Errorf("way back = %q, want %q", got, want)
	}
}

// TestForgedIssuanceCallbacks: strangers can reach the callback address, but cannot make a
// visit look finished (TM-052 seen from the partner's side).
func TestForgedIssuanceCallbacks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status string
		change func(body map[string]any, h http.Header)
		want   int
	}{
		{"no key", "issuance_successful", func(_ map[string]any, h http.Header) { h.Del("Api-Key") }, 401},
		{"wrong key", "issuance_successful", func(_ map[string]any, h http.Header) { h.Set("Api-Key", "guess") }, 401},
		{"unknown state", "issuance_successful", func(b map[string]any, _ http.Header) { b["state"] = "guess" }, 401},
		{"empty state and key", "issuance_successful", func(b map[string]any, h http.Header) { b["state"] = ""; h.Del("Api-Key") }, 401},
		{"other request", "issuance_successful", func(b map[string]any, _ http.Header) { b["requestId"] = "other" }, 400},
		{"unknown status", "presentation_verified", nil, 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			path := f.waiting(t)
			if got := f.service.callback(t, test.status, test.change); got != test.want {
				t.Errorf("callback = %d, want %d", got, test.want)
			}
			if got := f.wayBack(t, path); got != "" {
				t.Errorf("the visit ended with a way back to %q", got)
			}
		})
	}
}

// TestCodeRunsOut: five minutes pass; the page says so and makes a new code, and the old
// request's callback no longer counts.
func TestCodeRunsOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	path := f.waiting(t)
	first := f.service.last(t)
	f.advance(5 * time.Minute)
	if p := f.get(t, path); !strings.Contains(p.body, "run out") || strings.Contains(p.body, "openid-vc:") {
		t.Error("the page still shows the dead code")
	}
	f.post(t, path+"/card", nil)
	if second := f.service.last(t); second.requestID == first.requestID {
		t.Fatal("no new request was made")
	}
	if p := f.get(t, path); !strings.Contains(p.body, "openid-vc:") {
		t.Error("the page shows no new code")
	}
}

// TestServiceRefuses: the page shows what the service said, and a second try works.
func TestServiceRefuses(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.service.refuse = http.StatusBadRequest
	path := f.waiting(t)
	p := f.get(t, path)
	for _, want := range []string{"No card was issued", "400 badRequest", "valid authority DID", "(authority)"} {
		if !strings.Contains(p.body, want) {
			t.Errorf("page lacks %q", want)
		}
	}
	f.post(t, path+"/card", nil)
	if p := f.get(t, path); !strings.Contains(p.body, "openid-vc:") {
		t.Error("the second try shows no code")
	}
}

// TestWrongClientSecret: the page names Entra's error and not the secret.
func TestWrongClientSecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(c *partner.Config) {
		for i := range c.Credentials {
			c.Credentials[i].Account.ClientSecret = "s3cr3t-canary"
		}
	})
	p := f.get(t, f.waiting(t))
	if !strings.Contains(p.body, "AADSTS7000215") || strings.Contains(p.body, "s3cr3t-canary") {
		t.Error("page lacks AADSTS7000215, or shows the secret")
	}
}

// TestAbandonedVisit: the person leaves, and no card can be made any more.
func TestAbandonedVisit(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	path := f.waiting(t)
	f.post(t, path+"/abandon", nil)
	if got := f.wayBack(t, path); !strings.HasPrefix(got, "https://payroll.contoso.example/") {
		t.Errorf("way back = %q", got)
	}
	f.service.callback(t, "issuance_successful", nil)
	if p := f.get(t, path); !strings.Contains(p.body, "left without a card") {
		t.Error("a callback revived the visit")
	}
}

// TestBadParticulars: the form comes back with what was typed.
func TestBadParticulars(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, field, value, want string }{
		{"empty name", "first_name", "  ", "First name is missing"},
		{"long name", "last_name", strings.Repeat("x", 61), "longer than 60"},
		{"no date", "date_of_birth", "12.04.1990", "YYYY-MM-DD"},
		{"born tomorrow", "date_of_birth", "2026-01-16", "past day"},
		{"unknown card", "credential", "Gold", "Choose the card"},
		{"markup", "document_number", `"><script>alert(1)</script>`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			path := f.begin(t, minimal())
			form := documentForm("VerifiedIdentity")
			form.Set(test.field, test.value)
			f.post(t, path+"/document", form)
			p := f.get(t, path)
			if !strings.Contains(p.body, test.want) {
				t.Errorf("page lacks %q", test.want)
			}
			if strings.Contains(p.body, "<script>alert") {
				t.Error("what was typed became markup")
			}
		})
	}
}

// TestCrossSiteForm: another site cannot press the buttons.
func TestCrossSiteForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	path := f.begin(t, minimal())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.server.URL+path+"/abandon", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if p := f.do(t, req); p.status != http.StatusForbidden {
		t.Errorf("cross-site form = %d, want 403", p.status)
	}
}

// TestVisitsEnd: after an hour nothing is left of a person.
func TestVisitsEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	path := f.waiting(t)
	f.advance(time.Hour)
	for _, suffix := range []string{"", "/code.png", "/portrait.jpg", "/events"} {
		if p := f.get(t, path+suffix); p.status != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", suffix, p.status)
		}
	}
	if p := f.get(t, "/-/visit/guess"); p.status != http.StatusNotFound {
		t.Errorf("made-up visit = %d, want 404", p.status)
	}
}

// TestEvents: the stream speaks up when the callback comes, and at once when it came before
// the stream began.
func TestEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	path := f.waiting(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.server.URL+path+"/events?stage=card", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != ": waiting" {
		t.Fatalf("first line = %q", lines.Text())
	}
	f.service.callback(t, "request_retrieved", nil)
	var seen string
	for lines.Scan() {
		seen += lines.Text() + "\n"
	}
	if !strings.Contains(seen, "event: changed") {
		t.Errorf("stream = %q, want the event changed", seen)
	}
	if late := f.get(t, path+"/events?stage=card"); !strings.Contains(late.body, "event: changed") {
		t.Errorf("late stream = %q, want the event at once", late.body)
	}
}

// TestSecurityHeaders: every answer to a browser carries them, errors too.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	path := f.waiting(t)
	for _, at := range []string{"/", path, path + "/code.png", "/-/assets/style.css", "/nowhere", "/contoso/", "/-/visit/guess"} {
		p := f.get(t, at)
		if csp := p.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy = %q", at, csp)
		}
		if p.header.Get("X-Content-Type-Options") != "nosniff" || p.header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("%s: nosniff or referrer policy missing", at)
		}
		if strings.Contains(p.body, " style=") || strings.Contains(p.body, "<script>") {
			t.Errorf("%s: inline style or script", at)
		}
	}
}
