// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

var pageLoad = http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Accept": {"text/html"}}

func withCookie(cookie string, more ...string) http.Header {
	h := http.Header{"Cookie": {cookie}}
	for i := 0; i+1 < len(more); i += 2 {
		h[more[i]] = append(h[more[i]], more[i+1])
	}
	return h
}

func TestPageLoadWithoutSessionGoesToStart(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	w, u := serve(t, g, request("GET", testOrigin+"/payroll?year=2026", pageLoad))
	if w.Code != http.StatusSeeOther || u.hits != 0 {
		t.Fatalf("status %d with %d hits upstream, want 303 and none", w.Code, u.hits)
	}
	location, err := url.Parse(w.Header().Get("Location"))
	if err != nil || location.Path != "/.verified-id/start" || location.Host != "" {
		t.Fatalf("Location = %q, want our start page, path only", w.Header().Get("Location"))
	}
	token, ok := g.site.openVisit(location.Query().Get("v"), testNow)
	if !ok || token.ReturnTo != "/payroll?year=2026" || token.Gate != g.id {
		t.Errorf("visit = %+v, %v; want the address with its query and this gate", token, ok)
	}
}

// Scripts that are redirected take our page for the app's answer; they get 401 and the address of the start page.
// TM-111.
func TestScriptIsNotRedirected(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for name, r := range map[string]*http.Request{
		"fetch":         request("GET", testOrigin+"/api", http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Accept": {"text/html"}}),
		"iframe":        request("GET", testOrigin+"/x", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}),
		"post":          request("POST", testOrigin+"/x", http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Accept": {"text/html"}}),
		"beacon":        request("POST", testOrigin+"/x", http.Header{"Sec-Fetch-Mode": {"no-cors"}, "Content-Type": {"application/x-www-form-urlencoded"}}),
		"framed form":   request("POST", testOrigin+"/x", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}, "Accept": {"text/html"}}),
		"put":           request("PUT", testOrigin+"/x", pageLoad),
		"curl":          request("GET", testOrigin+"/x", http.Header{"Accept": {"*/*"}}),
		"xhr":           request("GET", testOrigin+"/x", http.Header{"Accept": {"text/html"}, "X-Requested-With": {"XMLHttpRequest"}}),
		"websocket":     request("GET", testOrigin+"/x", http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}),
		"unknown verb":  request("PURGE", testOrigin+"/x", pageLoad),
		"lower case":    request("get", testOrigin+"/x", pageLoad),
		"options":       request("OPTIONS", testOrigin+"/x", http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"GET"}}),
		"health checks": request("GET", testOrigin+"/x", http.Header{"User-Agent": {"GoogleHC/1.0"}}),
	} {
		t.Run(name, func(t *testing.T) {
			w, u := serve(t, g, r)
			if w.Code != http.StatusUnauthorized || u.hits != 0 {
				t.Fatalf("status %d with %d hits upstream, want 401 and none", w.Code, u.hits)
			}
			var body problem
			if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
				t.Fatalf("body %q: %v", w.Body, err)
			}
			if w.Header().Get("Content-Type") != "application/problem+json" || body.Status != 401 ||
				!strings.HasPrefix(body.Start, "/.verified-id/start?v=") || body.Reason != "no_session" {
				t.Errorf("problem = %+v (%s)", body, w.Header().Get("Content-Type"))
			}
		})
	}
}

func TestSessionPassesWithHeaders(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, `verified_id {
		header X-Employee-Name {claim.displayName}
		header X-Employee-Mail "mailto:{claim.mail}"
		header X-Absent {claim.nothing}
	}`)
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "displayName", Value: "Ána Lima"}, verifier.Claim{Name: "mail", Value: "ana@contoso.example"}))
	w, u := serve(t, g, request("GET", testOrigin+"/", withCookie("a=1; "+cookie+"; b=2")))
	if w.Code != http.StatusOK || u.hits != 1 {
		t.Fatalf("status %d with %d hits upstream, want 200 and one", w.Code, u.hits)
	}
	for name, want := range map[string]string{
		"X-Employee-Name":            "%C3%81na Lima",
		"X-Employee-Mail":            "mailto:ana@contoso.example",
		"X-Verified-Id-Subject":      "subject-of-ana",
		"X-Verified-Id-Issuer":       testIssuer,
		"X-Verified-Id-Type":         "VerifiedEmployee",
		"X-Verified-Id-Credential":   "employee",
		"X-Verified-Id-Verified-At":  "2026-01-15T10:01:00Z",
		"X-Absent":                   "",
		"X-Verified-Id-Not-A-Header": "",
	} {
		if got := u.seen.Header.Get(name); got != want {
			t.Errorf("%s = %q, want %q", name, got, want)
		}
	}
	if got := u.seen.Header.Get("Cookie"); got != "a=1; b=2" {
		t.Errorf("Cookie upstream = %q, want the app's own cookies only", got)
	}
	if got := w.Header().Get("Cache-Control"); got != "private" {
		t.Errorf("Cache-Control = %q, want private", got)
	}
}

// The client sends identity headers in every spelling that some app reads as ours, with and without a session; none of its
// values may arrive. TM-001, TM-002, TM-003, TM-007.
func TestForgedClaimHeaderIsStripped(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, `verified_id {
		header X-Employee-Name {claim.displayName}
		optional
		public /open
	}`)
	_, cookie := sessionOf(g, presentation(g))
	spellings := []string{
		"X-Verified-Id-Subject", "x-verified-id-subject", "X_Verified_Id_Subject", "X.Verified.Id.Subject", "X-Verified_Id.Role",
		"X-VERIFIED-ID-ADMIN", "X-Employee-Name", "x_employee_name", "X.Employee-Name",
	}
	for way, r := range map[string]*http.Request{
		"session":    request("GET", testOrigin+"/", withCookie(cookie)),
		"no session": request("GET", testOrigin+"/", nil),
		"public":     request("GET", testOrigin+"/open", nil),
		"upgrade":    request("GET", testOrigin+"/", withCookie(cookie, "Connection", "upgrade", "Upgrade", "websocket")),
		"preflight":  request("OPTIONS", testOrigin+"/", http.Header{"Origin": {"https://x.example"}}),
	} {
		t.Run(way, func(t *testing.T) {
			for _, name := range spellings {
				r.Header[name] = []string{"forged", "forged"}
			}
			r.Header["Connection"] = append(r.Header["Connection"], "close, x-verified-id-subject", "X-Employee-Name,cookie")
			r.Trailer = http.Header{"X-Verified-Id-Role": {"forged"}}
			_, u := serve(t, g, r)
			if u.hits != 1 {
				t.Fatalf("%d hits upstream, want one", u.hits)
			}
			for name, values := range u.seen.Header {
				for _, value := range values {
					if strings.Contains(value, "forged") || (name == "Connection" && strings.Contains(strings.ToLower(value), "x-")) {
						t.Errorf("%s: %q reached the app", name, value)
					}
				}
			}
			if u.seen.Trailer != nil {
				t.Errorf("trailers %v reached the app", u.seen.Trailer)
			}
		})
	}
}

// A session's limits are the server's, whatever the browser does with its cookie. TM-023.
func TestEndedSessionIsReplayed(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	_, cookie := sessionOf(g, presentation(g))
	for name, now := range map[string]time.Time{
		"absolute end": testNow.Add(time.Hour + time.Second),
		"idle end":     testNow.Add(59*time.Minute + time.Second),
		"before birth": testNow.Add(-10 * time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			setNow(now)
			w, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie, "Accept", "text/html")))
			if u.hits != 0 || w.Code != http.StatusSeeOther {
				t.Errorf("status %d with %d hits upstream, want 303 and none", w.Code, u.hits)
			}
			set, rests := w.Header().Get("Set-Cookie"), name == "idle end"
			if cleared := strings.HasPrefix(set, g.site.session.Name+"=;"); cleared == rests {
				t.Errorf("Set-Cookie = %q, want a dead cookie cleared (TM-034), and one kept by which a session can yet be ended", set)
			}
		})
	}
}

// The same keys serve two sites; a cookie of one is nothing on the other. TM-021.
func TestCookieOfAnotherSite(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	other, err := parseOrigin("https://hr.contoso.example", false)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := sessionOf(g, presentation(g))
	cookie := g.site.session.Name + "=" + app.siteOf(other).seal(s)
	if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 0 {
		t.Error("a session of another site was accepted")
	}
}

// Two routes of one site ask for different things; a session for the weaker one does not open the stronger. TM-022.
func TestWeakerSessionOnStrongerRoute(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	weak := loadGate(t, ctx, "verified_id")
	for name, text := range map[string]string{
		"higher score":   "verified_id {\n face_check 95\n}",
		"fresher":        "verified_id {\n max_age 30s\n}",
		"required claim": "verified_id {\n require jobTitle Director\n}",
	} {
		t.Run(name, func(t *testing.T) {
			strong := loadGate(t, ctx, text)
			_, cookie := sessionOf(weak, presentation(weak, verifier.Claim{Name: "jobTitle", Value: "director"}))
			if _, u := serve(t, weak, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 1 {
				t.Error("the weak gate refused its own session")
			}
			if w, u := serve(t, strong, request("GET", testOrigin+"/", withCookie(cookie, "Accept", "text/html"))); u.hits != 0 || w.Code != http.StatusSeeOther {
				t.Errorf("status %d with %d hits upstream, want 303 and none", w.Code, u.hits)
			}
		})
	}
}

// A request without a host skips routes elsewhere; here it gets nothing. TM-118.
func TestEmptyHostIsRefused(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	r := request("GET", testOrigin+"/", pageLoad)
	r.Host = ""
	if w, u := serve(t, g, r); w.Code != http.StatusBadRequest || u.hits != 0 {
		t.Errorf("status %d with %d hits upstream, want 400 and none", w.Code, u.hits)
	}
}

// Everything below our base path is ours, in every spelling; the app never sees it. TM-106.
func TestOwnPathsNeverReachTheApp(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	_, cookie := sessionOf(g, presentation(g))
	for _, path := range []string{
		"/.verified-id", "/.verified-id/", "/.verified-id/nothing", "/.verified-id/../admin", "/.verified-id/start/",
		"/%2everified-id/start", "/.verified-id%2fstart", "/.verified-id/callback?x=1",
	} {
		w, u := serve(t, g, request("GET", testOrigin+path, withCookie(cookie)))
		if w.Code != http.StatusNotFound || u.hits != 0 {
			t.Errorf("%s: status %d with %d hits upstream, want 404 and none", path, w.Code, u.hits)
		}
	}
}

// An open path must be spelled plainly: what we take for it, every app takes for it. TM-107.
func TestPublicPathSpelledOtherwise(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n public /health /assets/*\n}")
	for path, want := range map[string]int{
		"/health": 1, "/assets/app.css": 1, "/assets/a/b.js?v=1": 1,
		"/health/": 0, "/Health": 0, "/health;x": 0, "/health%2f..%2fadmin": 0, "/assets": 0, "/assets/../admin": 0, "/assets/..%2fadmin": 0,
		"/assets/%2e%2e/admin": 0, "/assets//admin": 0, `/assets/..\admin`: 0, "/assets/.hidden": 0, "/assets/%00": 0, "/assets/a%25": 0, "//health": 0,
	} {
		r := request("GET", testOrigin+"/", nil)
		u, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatal(err)
		}
		r.URL = u
		original := *r
		if _, up := serve(t, g, withOriginal(r, original)); up.hits != want {
			t.Errorf("%s reached the app %d times, want %d", path, up.hits, want)
		}
	}
}

// A single-page site rewrites every path to /index.html before the gate; a gate for /app/* must still see that the visitor
// asked for /app/payroll. F9.
func TestRewriteDoesNotSlipPastTheMatcher(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	path := caddyhttp.MatchPath{"/app/*"}
	if err := path.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	g.matchers = caddyhttp.MatcherSets{{path}}
	for asked, want := range map[string]int{"/app/payroll": 0, "/about": 1} {
		r := request("GET", testOrigin+asked, nil)
		r.URL = &url.URL{Path: "/index.html"}
		if _, u := serve(t, g, r); u.hits != want {
			t.Errorf("%s, rewritten: %d hits upstream, want %d", asked, u.hits, want)
		}
	}
	r := request("GET", testOrigin+"/alias", nil)
	r.URL = &url.URL{Path: "/app/payroll"}
	if _, u := serve(t, g, r); u.hits != 0 {
		t.Error("/alias, rewritten to /app/payroll, reached the app")
	}
}

// A bug of ours must not let anybody through: it is an error and a closed gate. TM-124.
func TestPanicLeavesTheGateClosed(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	app.now = func() time.Time { panic("a bug") }
	if w, u := serve(t, g, request("GET", testOrigin+"/", pageLoad)); w.Code != http.StatusInternalServerError || u.hits != 0 {
		t.Errorf("status %d with %d hits upstream, want 500 and none", w.Code, u.hits)
	}
}

// Two gates of one site stand one behind the other, the first for some paths only. The first must leave the second what it
// needs, set what it sets, and take nothing away that the other has set. TM-001, TM-010.
func TestTwoGatesInOneChain(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	bank := loadGate(t, ctx, "verified_id {\n max_age 2m\n header X-Bank {claim.mail}\n header X-Both {claim.iban}\n}")
	path := caddyhttp.MatchPath{"/bank*"}
	if err := path.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	bank.matchers = caddyhttp.MatcherSets{{path}}
	all := loadGate(t, ctx, "verified_id {\n header X-All {claim.mail}\n}")
	_, cookie := sessionOf(all, presentation(all, verifier.Claim{Name: "mail", Value: "ana@contoso.example"}))
	for asked, bankHeader := range map[string]string{"/": "", "/bank": "ana@contoso.example"} {
		u := &upstream{}
		inner := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return all.ServeHTTP(w, r, u) })
		w := httptest.NewRecorder()
		r := request("GET", testOrigin+asked, withCookie("a=1; "+cookie, "X-Bank", "forged", "X-All", "forged", "X-Both", "forged"))
		if err := bank.ServeHTTP(w, r, inner); err != nil || u.hits != 1 {
			t.Fatalf("%s: %v, status %d with %d hits upstream, want one", asked, err, w.Code, u.hits)
		}
		header := u.seen.Header
		if header.Get("X-All") != "ana@contoso.example" || header.Get("X-Bank") != bankHeader || header.Get("X-Both") != "" || header.Get("Cookie") != "a=1" {
			t.Errorf("%s: the app got %v", asked, header)
		}
		setNow(testNow.Add(10 * time.Minute)) // too old for the bank, not for the rest
		u.hits = 0
		r = request("GET", testOrigin+asked, withCookie(cookie))
		if err := bank.ServeHTTP(httptest.NewRecorder(), r, inner); err != nil || (u.hits == 1) != (asked == "/") {
			t.Errorf("%s, later: %v with %d hits upstream", asked, err, u.hits)
		}
		setNow(testNow)
	}
}
