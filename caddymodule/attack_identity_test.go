// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// bind is made of several placeholders, one of which is empty: nobody has logged in, so nothing is started and nobody passes.
// TM-041.
func TestBindWithOneEmptyPlaceholder(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n bind mail {http.auth.user.id}@contoso.example\n}")
	s := newService(t, app)
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "mail", Value: "@contoso.example"}))
	if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 0 {
		t.Error("nobody passed as @contoso.example")
	}
	b := asUser(t, g, "ana")
	start, _ := b.open("/.verified-id/start")
	b.user = ""
	b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	if s.calls() != 0 {
		t.Errorf("a verification for @contoso.example was started")
	}
}

// Caches in front of us obey headers of their own before Cache-Control, and private="x" makes only that header private.
// Ana's page must not be kept for Ben. TM-105.
func TestCachesWithTheirOwnHeaders(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for _, name := range []string{"Cdn-Cache-Control", "Surrogate-Control", "Cloudflare-Cdn-Cache-Control", "X-Accel-Expires"} {
		if got := answerWith(t, g, http.Header{name: {"max-age=600"}}).Get(name); got != "" {
			t.Errorf("%s: %s went to the caches", name, got)
		}
	}
	got := answerWith(t, g, http.Header{"Cache-Control": {`private="x-theirs", max-age=600`}}).Get("Cache-Control")
	if !slices.ContainsFunc(strings.Split(got, ","), func(d string) bool { return strings.TrimSpace(d) == "private" }) {
		t.Errorf("Cache-Control %q lets a shared cache keep the answer", got)
	}
}

// A header is made of two claims and what stands between them. A claim that holds what stands between must not become two.
// TM-012, TM-016.
func TestClaimHoldsTheSeparator(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n header X-User \"mail={claim.mail};role={claim.role}\"\n}")
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "mail", Value: "x@evil.example;role=admin"}, verifier.Claim{Name: "role", Value: "user"}))
	_, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie)))
	if got := u.seen.Header.Get("X-User"); strings.Contains(got, ";role=admin") {
		t.Errorf("X-User: %s", got)
	}
}

// The stored keys lack the one that makes subjects opaque. Without it anybody computes them from a DID. TM-142, TM-149.
func TestStoredKeysWithoutSubjectKey(t *testing.T) {
	app, _ := loadApp(t, testApp("sealing_key "+"3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="))
	if err := app.keys.kickstart.storage.Store(t.Context(), storedKeysPath, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if err := app.provisionKeys(); err == nil {
		t.Errorf("loaded; did:ion:ana is %s", app.keys.subjectOf("did:ion:ana"))
	}
}

// Our own answers, JSON and 401 included, tell browsers the same as our pages. TM-101, TM-104.
func TestEveryOwnAnswerIsLockedDown(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	for _, c := range []struct {
		method, path string
		header       http.Header
	}{
		{"GET", "/", nil},
		{"GET", "/", pageLoad},
		{"GET", "/.verified-id/session", nil},
		{"GET", "/.verified-id/status?t=" + id, nil},
		{"GET", "/.verified-id/status?t=x", nil},
		{"POST", "/.verified-id/callback", nil},
		{"GET", "/.verified-id/nothing", nil},
	} {
		w, _ := b.send(c.method, c.path, nil, c.header)
		h := w.Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s %s (%d): %s %q, want %q", c.method, c.path, w.Code, name, h.Get(name), want)
			}
		}
		if h.Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s (%d): no Content-Security-Policy", c.method, c.path, w.Code)
		}
	}
}

// Two claims that the holder may choose are so long that nothing else fits. A header that is left out must be heard of. TM-013.
func TestLongClaimPushesOutAHeader(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id {
			header X-Fixed `+strings.Repeat("x", 250)+`
			header X-Name {claim.displayName}
			header X-Street {claim.street}
			header X-Restricted {claim.restricted}
		}
		reverse_proxy {app}
	}`)
	g := x.gate(t, nil)
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "displayName", Value: strings.Repeat("é", 675)},
		verifier.Claim{Name: "restricted", Value: "true"}, verifier.Claim{Name: "street", Value: strings.Repeat("é", 610)}))
	x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Cookie: "+cookie))
	seen := x.behind.take()
	if len(seen) != 1 {
		t.Fatalf("%d requests reached the app", len(seen))
	}
	if seen[0].header.Get("X-Restricted") != "true" && !strings.Contains(x.logged(t), "X-Restricted") {
		t.Error("X-Restricted was left out in silence")
	}
}

// A visitor carries a weak card that says role=admin, and a strong one that says nothing of a role. The route for the strong
// one must not show the role of the weak one, neither as a header nor as a placeholder. TM-003, TM-022.
func TestClaimsOfTwoCardsAreNotMixed(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	outer := loadGate(t, ctx, "verified_id guest {\n header X-Role {claim.role}\n}")
	inner := loadGate(t, ctx, "verified_id employee {\n header X-Role {claim.role}\n}")
	_, cookie := sessionOf(outer, guestOf(outer, verifier.Claim{Name: "role", Value: "admin"}), presentation(inner))
	_, u := chained(t, request("GET", testOrigin+"/", withCookie(cookie)), outer, inner)
	if u.hits != 1 {
		t.Fatalf("%d hits, want one", u.hits)
	}
	if got := u.seen.Header.Get("X-Role"); got != "" || u.seen.Header.Get("X-Verified-Id-Credential") != "employee" {
		t.Errorf("X-Role %q of %q", got, u.seen.Header.Get("X-Verified-Id-Credential"))
	}
	if got := replacerOf(u.seen).ReplaceAll("{http.verified_id.credential} {http.verified_id.claims.role}", ""); got != "employee " {
		t.Errorf("placeholders say %q, want those of the inner gate", got)
	}
}

// A route is open to everybody and shows who is an employee. A guest, whom an outer gate let in, is no employee there: the
// inner gate's answer is "nobody". TM-007.
func TestOuterIdentityEndsAtAnOptionalGate(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	outer := loadGate(t, ctx, "verified_id guest")
	for name, text := range map[string]string{
		"optional": "verified_id employee {\n optional\n}", "public": "verified_id employee {\n public /open\n}",
	} {
		inner := loadGate(t, ctx, text)
		_, cookie := sessionOf(outer, guestOf(outer))
		_, u := chained(t, request("GET", testOrigin+"/open", withCookie(cookie)), outer, inner)
		if u.hits != 1 || u.seen.Header.Get("X-Verified-Id-Subject") != "" {
			t.Errorf("%s: %d hits with subject %q, want one without", name, u.hits, u.seen.Header.Get("X-Verified-Id-Subject"))
		}
	}
}
