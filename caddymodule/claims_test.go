// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A careless issuer puts placeholders, line breaks and megabytes into claims. Nothing is expanded, injected or cut.
// TM-012, TM-013, TM-016.
func TestHostileClaimValues(t *testing.T) {
	t.Setenv("CANARY", "the-canary")
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n header X-Name {claim.name}\n header X-Both \"{claim.name} of {claim.other}\"\n}")
	for name, value := range map[string]string{
		"placeholder": "{env.CANARY} {http.request.host} {claim.other}", "line break": "a\r\nX-Role: admin", "nul": "a\x00b", "template": "{{env \"CANARY\"}}",
		"controls": "\x1b[31m\x7f", "letters": "Zoë 王小明", "blanks": "  padded ", "percent": "100%25", "long": strings.Repeat("x", claimheader.MaxHeader+1),
		"invalid": "a\xffb",
	} {
		t.Run(name, func(t *testing.T) {
			_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "name", Value: value}, verifier.Claim{Name: "other", Value: "o"}))
			if len(cookie) > 3900 {
				cookie = "" // no cookie holds it; the header is looked at below
			}
			r := request("GET", testOrigin+"/", http.Header{})
			if cookie != "" {
				r.Header.Set("Cookie", cookie)
				w, u := serve(t, g, r)
				if w.Code != http.StatusOK || u.hits != 1 {
					t.Fatalf("status %d with %d hits upstream", w.Code, u.hits)
				}
			} else {
				held, _ := sessionOf(g, presentation(g, verifier.Claim{Name: "name", Value: value}))
				g.setHeaders(r.Header, identity{session: held, presentation: &held.Presentations[0]}, "")
			}
			got, sent := r.Header["X-Name"]
			if name == "long" {
				if sent {
					t.Errorf("a header of %d bytes was sent", len(got[0]))
				}
				return
			}
			if len(got) != 1 || strings.Contains(got[0], "the-canary") {
				t.Fatalf("X-Name = %q", got)
			}
			if decoded, err := claimheader.Decode(got[0]); err != nil || decoded != value {
				t.Errorf("X-Name %q decodes to %q (%v), want %q", got[0], decoded, err, value)
			}
			for i := range len(got[0]) {
				if c := got[0][i]; c < 0x20 || c > 0x7e {
					t.Errorf("X-Name %q has byte %#x", got[0], c)
				}
			}
			if placed := replacerOf(r).ReplaceAll("{http.verified_id.claims.name}", ""); placed != value {
				t.Errorf("the placeholder gives %q, want %q", placed, value)
			}
		})
	}
}

// The session knows how it came about, and one whose code may have been scanned elsewhere can end sooner. TM-044.
func TestCrossDeviceSessionIsShorter(t *testing.T) {
	app, g, s := journeyGate(t, "session {\n lifetime 4h\n idle 4h\n cross_device_lifetime 10m\n}", "verified_id {\n header X-Device {device}\n}")
	for _, c := range []struct {
		sameDeviceOnly bool
		device         string
		lifetime       time.Duration
	}{{false, "cross", 10 * time.Minute}, {true, "same", 4 * time.Hour}} {
		setNow(testNow)
		app.Session.SameDeviceOnly = c.sameDeviceOnly
		b := newBrowser(t, g)
		id := b.begin("/")
		requestID, state, key := s.last(t)
		if w, _ := b.open("/.verified-id/wait?t=" + id); strings.Contains(w.Body.String(), "<svg") == c.sameDeviceOnly {
			t.Errorf("same device only %v: the page's QR code (TM-035) is the other way round", c.sameDeviceOnly)
		}
		callback(t, g, key, verified(requestID, state))
		b.finish(id)
		if _, u := b.open("/"); u.hits != 1 || u.seen.Header.Get("X-Device") != c.device {
			t.Errorf("X-Device = %q, want %s", u.seen.Header.Get("X-Device"), c.device)
		}
		setNow(testNow.Add(c.lifetime - time.Second))
		if _, u := b.open("/"); u.hits != 1 {
			t.Errorf("%s: ended before %s", c.device, c.lifetime)
		}
		setNow(testNow.Add(c.lifetime))
		if _, u := b.open("/"); u.hits != 0 {
			t.Errorf("%s: alive after %s", c.device, c.lifetime)
		}
	}
}

// Finish takes no destination from the client: it was kept since the start, and is a path of this site. TM-083, TM-084.
func TestFinishTakesNoDestination(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	for asked, want := range map[string]string{"/payroll?a=1": "/payroll?a=1", "//evil.example/x": "/", "/.verified-id/logout": "/"} {
		b := newBrowser(t, g)
		b.client = "198.51.100." + map[string]string{"/payroll?a=1": "1", "//evil.example/x": "2", "/.verified-id/logout": "3"}[asked]
		r := request("GET", testOrigin+"/", pageLoad)
		r.URL, _ = url.ParseRequestURI("/")
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(asked, "?")
		original := *r
		g.startURL(returnTo(withOriginal(r, original)), noSession)
		w, _ := b.open(g.startURL(returnTo(withOriginal(r, original)), noSession) + "&r=https://evil.example&return_to=//evil.example")
		w = b.post("/.verified-id/request?return_to=//evil.example", url.Values{"token": {tokenIn(t, w.Body.String())}, "credential": {"employee"}, "return_to": {"https://evil.example"}})
		at, err := url.Parse(w.Header().Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		requestID, state, key := s.last(t)
		callback(t, g, key, verified(requestID, state))
		id := at.Query().Get("t")
		page, _ := b.open("/.verified-id/wait?t=" + id)
		w = b.post("/.verified-id/finish?r=//evil.example", url.Values{"token": {tokenIn(t, page.Body.String())}, "t": {id}, "return_to": {"//evil.example"}, "r": {"https://evil.example"}})
		if got := onward(w); got != want {
			t.Errorf("asked for %s: sent to %q, want %q", asked, got, want)
		}
	}
}

// Somebody who is no longer welcome is put out everywhere at once: by session, person, issuer, card, or all. TM-156.
func TestRevocationEndsSessions(t *testing.T) {
	for _, kind := range []verifier.RevocationKind{
		verifier.RevokeSession, verifier.RevokeSubject, verifier.RevokeIssuer, verifier.RevokeCredential, verifier.RevokeAll,
	} {
		t.Run(string(kind), func(t *testing.T) {
			app, ctx := loadApp(t, testApp(""))
			g := loadGate(t, ctx, "verified_id")
			held, cookie := sessionOf(g, presentation(g))
			value := map[verifier.RevocationKind]string{
				verifier.RevokeSession: held.ID, verifier.RevokeSubject: held.Subject, verifier.RevokeIssuer: testIssuer, verifier.RevokeCredential: "employee",
			}[kind]
			other := verifier.Revocation{Kind: kind, Value: value + "x", Since: testNow, Until: testNow.Add(time.Hour)}
			if kind == verifier.RevokeAll {
				other.Since = testNow.Add(-time.Hour) // before this session began
			}
			if err := app.store.end(t.Context(), other); err != nil {
				t.Fatal(err)
			}
			if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 1 {
				t.Fatal("another's revocation ended this session")
			}
			if err := app.store.end(t.Context(), verifier.Revocation{Kind: kind, Value: value, Since: testNow, Until: testNow.Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 0 {
				t.Error("the session lives on")
			}
		})
	}
}
