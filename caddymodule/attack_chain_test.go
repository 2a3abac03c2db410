// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// chained serves one request through several gates, the first outermost.
func chained(t testing.TB, r *http.Request, gates ...*Gate) (*httptest.ResponseRecorder, *upstream) {
	t.Helper()
	w, u := httptest.NewRecorder(), &upstream{}
	var next caddyhttp.Handler = u
	for _, g := range slices.Backward(gates) {
		inner := next
		next = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return g.ServeHTTP(w, r, inner) })
	}
	if err := next.ServeHTTP(w, r); err != nil {
		if handler, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
			w.Code = handler.StatusCode
		}
	}
	return w, u
}

// twoCredentials is an app whose visitors carry a weak card that others issue, or a strong one of ours.
const twoCredentials = `credential guest {
	type       VerifiedGuest
	issuer     did:web:anybody.example
	face_check off
}`

// guestOf is a presentation of the weak card.
func guestOf(g *Gate, claims ...verifier.Claim) verifier.Presentation {
	p := verifier.Presentation{
		Credential: "guest", Type: "VerifiedGuest", Issuer: "did:web:anybody.example", Claims: claims,
		VerifiedAt: testNow.Add(-time.Minute), CredentialExpires: testNow.Add(24 * time.Hour),
	}
	for _, w := range g.wants {
		if w.credential.name == "guest" {
			p.Policy = w.requirement.Policy()
		}
	}
	return p
}

// Two gates stand in one chain; the client forges what the second would set. The mark that the first leaves, so that the
// second does not strip again, is out of the client's reach. TM-001.
func TestForgedHeaderBetweenGates(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	outer := loadGate(t, ctx, "verified_id guest {\n optional\n}")
	inner := loadGate(t, ctx, "verified_id employee {\n optional\n header X-Role {claim.role}\n}")
	for _, header := range []http.Header{
		{"X-Role": {"FORGED"}, "X-Verified-Id-Subject": {"FORGED"}, "Verified_id.stripped": {"true"}, "Verified-Id.stripped": {"true"}},
		{"X_role": {"FORGED"}, "X.verified-Id.subject": {"FORGED"}, "Cookie": {"verified_id.stripped=true"}},
	} {
		_, u := chained(t, request("GET", testOrigin+"/?verified_id.stripped=true", header), outer, inner)
		if u.hits != 1 {
			t.Fatal("an optional gate refused")
		}
		for name, values := range u.seen.Header {
			if strings.Contains(strings.Join(values, ""), "FORGED") {
				t.Errorf("%s: %q reached the app", name, values)
			}
		}
	}
}

// A request passes a gate and a second one that wants more: the second refuses and the app is not reached, in either order.
// TM-022.
func TestStrongerGateInTheChainDecides(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	guests := loadGate(t, ctx, "verified_id guest employee")
	employees := loadGate(t, ctx, "verified_id employee {\n face_check 90\n}")
	weak := presentation(employees)
	weak.FaceScore = 85
	for name, cookie := range map[string]string{
		"guest":           secondOf(sessionOf(guests, guestOf(guests))),
		"employee at 85":  secondOf(sessionOf(guests, weak)),
		"guest and at 85": secondOf(sessionOf(guests, guestOf(guests), weak)),
	} {
		for order, gates := range map[string][]*Gate{"weak first": {guests, employees}, "strong first": {employees, guests}} {
			if _, u := chained(t, request("GET", testOrigin+"/", withCookie(cookie)), gates...); u.hits != 0 {
				t.Errorf("%s, %s: the app was reached", name, order)
			}
		}
	}
}

func secondOf[A, B any](_ A, b B) B { return b }

// A handler between two gates rewrites the path. Both gates' matchers see where the request came from and where it goes, and
// our own pages stay ours. F9.
func TestRewriteBetweenGates(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	outer := loadGate(t, ctx, "verified_id guest {\n optional\n}")
	inner := loadGate(t, ctx, "verified_id employee")
	path := caddyhttp.MatchPath{"/admin/*"}
	if err := path.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	inner.matchers = caddyhttp.MatcherSets{{path}}
	for _, c := range []struct{ asked, becomes string }{
		{"/admin/x", "/index.html"}, {"/open", "/admin/x"}, {"/.verified-id/x", "/index.html"}, {"/.verified-id/../admin/x", "/open"},
	} {
		w, u := httptest.NewRecorder(), &upstream{}
		rewritten := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			r.URL.Path, r.URL.RawPath = c.becomes, ""
			return inner.ServeHTTP(w, r, u)
		})
		r := request("GET", testOrigin+c.asked, nil)
		original := *r
		address := *r.URL
		original.URL = &address
		r = withOriginal(r, original)
		if err := outer.ServeHTTP(w, r, rewritten); err != nil {
			t.Fatal(err)
		}
		if u.hits != 0 {
			t.Errorf("%s, rewritten to %s, reached the app", c.asked, c.becomes)
		}
	}
}

// Gates as operators nest them: in named routes, in error routes, in routes that handle a response. Each holds by itself.
// TM-001, TM-114.
func TestGatesInOddPlaces(t *testing.T) {
	t.Run("named route", func(t *testing.T) {
		x := attack(t, "", `&(gated) {
			verified_id
			reverse_proxy {app}
		}
		http://payroll.contoso.example {
			invoke gated
		}`)
		x.raw(t, wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example", "X-Verified-Id-Subject: FORGED", "Connection: close"))
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%+v reached the app", seen)
		}
	})
	t.Run("error route", func(t *testing.T) {
		x := attack(t, "", `:80 {
			reverse_proxy 127.0.0.1:1
			handle_errors {
				verified_id
				reverse_proxy {app}
			}
		}`)
		for _, host := range []string{"Host: payroll.contoso.example", "Host: "} {
			x.raw(t, wireLines("GET /a HTTP/1.1", host, "X-Verified-Id-Subject: FORGED", "Connection: close"))
			if seen := x.behind.take(); len(seen) != 0 {
				t.Errorf("%s: %+v reached the app", host, seen)
			}
			x.raw(t, wireLines("GET /a HTTP/1.1", host, "X-Verified-Id-Role: FORGED", "Connection: close", "Cookie: "+x.cookie(t)))
			for _, r := range x.behind.take() {
				if r.header.Get("X-Verified-Id-Role") != "" || host == "Host: " {
					t.Errorf("%s: %+v reached the app", host, r)
				}
			}
		}
	})
	t.Run("handled response", func(t *testing.T) {
		x := attack(t, "", `http://payroll.contoso.example {
			reverse_proxy {app} {
				@moved status 404
				handle_response @moved {
					verified_id
					reverse_proxy {app}
				}
			}
		}`)
		x.behind.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
		x.raw(t, wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example", "X-Verified-Id-Subject: FORGED", "Connection: close"))
		if seen := x.behind.take(); len(seen) != 1 {
			t.Errorf("%d requests reached the app, want the ungated one", len(seen))
		}
	})
	t.Run("intercepted response", func(t *testing.T) {
		x := attack(t, "", `http://payroll.contoso.example {
			verified_id
			intercept {
				@gone status 404
				handle_response @gone {
					reverse_proxy {app}
				}
			}
			reverse_proxy {app}
		}`)
		calls := 0
		x.behind.answer = func(w http.ResponseWriter, _ *http.Request) {
			if calls++; calls == 1 {
				w.WriteHeader(http.StatusNotFound)
			}
		}
		x.raw(t, wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example", "X-Verified-Id-Role: FORGED", "Cookie: "+x.cookie(t), "Connection: close"))
		seen := x.behind.take()
		if len(seen) != 2 {
			t.Fatalf("%d requests reached the app, want two", len(seen))
		}
		for _, r := range seen {
			if r.header.Get("X-Verified-Id-Role") != "" || r.header.Get("X-Verified-Id-Subject") != "subject-of-ana" || r.header.Get("Cookie") != "" {
				t.Errorf("%+v reached the app", r)
			}
		}
	})
}

// The app fails; both gates' identity is gone before the error routes run, whichever gate set it. TM-008.
func TestErrorRouteBehindTwoGates(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	outer := loadGate(t, ctx, "verified_id employee {\n headers remote_user\n header X-Outer {claim.mail}\n}")
	inner := loadGate(t, ctx, "verified_id employee {\n header X-Inner {claim.mail}\n}")
	_, cookie := sessionOf(outer, presentation(outer, verifier.Claim{Name: "mail", Value: "ana@contoso.example"}))
	r := request("GET", testOrigin+"/", withCookie(cookie))
	failing := caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		if r.Header.Get("X-Outer") == "" || r.Header.Get("X-Inner") == "" || r.Header.Get("Remote-User") == "" {
			t.Errorf("the app got %v", r.Header)
		}
		return caddyhttp.Error(http.StatusBadGateway, http.ErrServerClosed)
	})
	chain := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return inner.ServeHTTP(w, r, failing) })
	if err := outer.ServeHTTP(httptest.NewRecorder(), r, chain); err == nil {
		t.Fatal("the app's error is gone")
	}
	for _, name := range []string{"X-Outer", "X-Inner", "Remote-User", "X-Verified-Id-Subject", "X-Verified-Id-Issuer", "Cookie"} {
		if value := r.Header.Get(name); value != "" {
			t.Errorf("%s: %q is there for the error route", name, value)
		}
	}
}

// bind compares with who logged in, never with who an outer gate says it is; and where nobody logged in, nothing is started.
// TM-041.
func TestBindBehindAnotherGate(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	outer := loadGate(t, ctx, "verified_id guest {\n optional\n}")
	inner := loadGate(t, ctx, "verified_id employee {\n bind mail {http.auth.user.id}\n}")
	mail := verifier.Claim{Name: "mail", Value: "ana@contoso.example"}
	_, cookie := sessionOf(outer, guestOf(outer), presentation(inner, mail))
	for user, want := range map[string]int{"": 0, "ana@contoso.example": 1, "ben@contoso.example": 0, "Ana@contoso.example": 0, "ana@contoso.example ": 0} {
		r := request("GET", testOrigin+"/", withCookie(cookie))
		if user != "" {
			replacerOf(r).Set("http.auth.user.id", user)
		}
		if _, u := chained(t, r, outer, inner); u.hits != want {
			t.Errorf("user %q: %d hits, want %d", user, u.hits, want)
		}
	}
}

// A site has a gate for everything and a stronger one for a part of it. Who meets both reaches that part, with the identity of
// the stronger one; the first gate must not hide the session from the second. TM-022, DESIGN §2.
func TestSessionReachesTheSecondGate(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id *
		verified_id /admin/* {
			max_age 5m
		}
		reverse_proxy {app}
	}`)
	cookie := x.cookie(t)
	for _, path := range []string{"/", "/admin/x"} {
		answers := x.raw(t, wireLines("GET "+path+" HTTP/1.1", "Host: payroll.contoso.example", "Cookie: a=1; "+cookie, "Connection: close"))
		seen := x.behind.take()
		if len(seen) != 1 {
			t.Errorf("%s: %d requests reached the app, want one; answer %v", path, len(seen), answers)
			continue
		}
		if seen[0].header.Get("X-Verified-Id-Subject") != "subject-of-ana" || seen[0].header.Get("Cookie") != "a=1" {
			t.Errorf("%s: the app got %v", path, seen[0].header)
		}
	}
}
