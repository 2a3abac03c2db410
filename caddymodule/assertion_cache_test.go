// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A page makes fifty requests: one signature serves them, and what the app gets is good for half a minute at least and a minute
// at most.
func TestAssertionIsSignedOnceAWindow(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n assertion\n}")
	_, cookie := sessionOf(g, presentation(g))
	published := publishedBy(t, g)
	texts := map[string]int{}
	for second := range 90 {
		now := testNow.Add(time.Duration(second) * time.Second)
		setNow(now)
		token := assertedTo(t, g, cookie)
		texts[token]++
		claims := readAssertion(t, token, published).Claims
		expires, err := claims.GetExpirationTime()
		issued, issuedErr := claims.GetIssuedAt()
		if err != nil || issuedErr != nil || expires.Sub(issued.Time) != time.Minute || expires.Sub(now) <= 30*time.Second || issued.After(now) {
			t.Fatalf("at %s: from %s to %s", now, issued, expires)
		}
	}
	if len(texts) != 3 {
		t.Errorf("%d assertions in 90 seconds, want 3", len(texts))
	}
	setNow(testNow.Add(-10 * time.Second)) // the clock is set back, and what was signed is from the future
	if token := assertedTo(t, g, cookie); texts[token] > 0 {
		t.Error("the app gets an assertion from the future")
	}
}

// Somebody steps up, or presents another card, or is verified anew; or the same session comes to a stricter route. What was true
// before is never handed out again, although the half minute is not over. A session that has ended gets nothing at all. TM-009.
func TestStaleAssertionIsNeverHandedOut(t *testing.T) {
	app, ctx := loadApp(t, testApp("credential contractor {\n type VerifiedContractor\n issuer "+testIssuer+"\n face_check photo 80\n}"))
	g := loadGate(t, ctx, "verified_id employee contractor {\n assertion\n}")
	strict := loadGate(t, ctx, "verified_id employee {\n assertion\n face_check 90\n}")
	published := publishedBy(t, g)
	employee := presentation(g, verifier.Claim{Name: "displayName", Value: "Ana"})
	newer := employee
	newer.VerifiedAt = employee.VerifiedAt.Add(time.Second)
	contractor := employee
	contractor.Credential, contractor.Type, contractor.Policy = "contractor", "VerifiedContractor", g.wants[1].requirement.Policy()

	seen := map[string]string{}
	for _, step := range []struct {
		name, id string
		gate     *Gate
		shown    verifier.Presentation
	}{
		{"first", "a-session", g, employee},
		{"another session", "another-session", g, employee},
		{"verified anew", "a-session", g, newer},
		{"another card", "a-session", g, contractor},
		{"a stricter route", "a-session", strict, employee},
	} {
		held, _ := sessionOf(g, step.shown)
		held.ID = step.id
		token := assertedTo(t, step.gate, step.gate.site.session.Name+"="+step.gate.site.seal(held))
		if before, known := seen[token]; known {
			t.Errorf("%s got the assertion of %s", step.name, before)
		}
		seen[token] = step.name
		claims, _ := readAssertion(t, token, published).Claims.(jwt.MapClaims)
		shown, _ := claims["verified_id"].(map[string]any)
		face, _ := shown["face_check"].(map[string]any)
		got := fmt.Sprint(claims["sid"], claims["auth_time"], shown["credential"], face["threshold"])
		bar := step.gate.wants[0].requirement.FaceCheck.Threshold
		if want := fmt.Sprint(step.id, float64(step.shown.VerifiedAt.Unix()), step.shown.Credential, bar); got != want {
			t.Errorf("%s: %s, want %s", step.name, got, want)
		}
	}

	_, cookie := sessionOf(g, employee)
	assertedTo(t, g, cookie)
	if err := app.store.end(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: "a-session", Since: testNow, Until: testNow.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if w, u := serve(t, g, request("GET", testOrigin+"/", http.Header{"Cookie": {cookie}})); u.hits != 0 {
		t.Errorf("an ended session: status %d with %d hits upstream", w.Code, u.hits)
	}
}

// Thousands of sessions come and go; the cache keeps to its bound and forgets what is over.
func TestAssertionCacheIsBounded(t *testing.T) {
	cache, signed := newAssertionCache(), 0
	entries := func() (n int) {
		for i := range cache.shards {
			n += len(cache.shards[i].younger) + len(cache.shards[i].older)
		}
		return n
	}
	get := func(session int, now time.Time) {
		t.Helper()
		key := assertionKey{session: fmt.Sprint(session)}
		text, err := cache.get(key, now, func() (string, error) { signed++; return key.session, nil })
		if err != nil || text != key.session {
			t.Fatalf("session %d got %q (%v)", session, text, err)
		}
	}
	for i := range 3 * maxAssertions {
		get(i, testNow)
	}
	if n := entries(); n > maxAssertions || n < maxAssertions/2 {
		t.Errorf("%d entries, want at most %d", n, maxAssertions)
	}
	if get(3*maxAssertions-1, testNow); signed != 3*maxAssertions {
		t.Error("the newest entry was forgotten")
	}
	for i := range 400 {
		get(-i, testNow.Add(assertionLifetime))
	}
	for i := range 400 {
		get(-i, testNow.Add(2*assertionLifetime))
	}
	if n := entries(); n > 800 {
		t.Errorf("%d entries two lifetimes later, want those of 400 sessions", n)
	}
	if _, err := cache.get(assertionKey{}, testNow, func() (string, error) { return "half", errors.New("no key") }); err == nil {
		t.Error("a failure is kept from the caller")
	}
	get(0, testNow.Add(2*assertionLifetime))
}

// Many requests of many sessions at once: each gets its own, and one of them signs.
func TestAssertionCacheUnderLoad(t *testing.T) {
	cache := newAssertionCache()
	var mu sync.Mutex
	signed := map[string]int{}
	var wait sync.WaitGroup
	for worker := range 32 {
		wait.Go(func() {
			for i := range 200 {
				key := assertionKey{session: fmt.Sprint((worker + i) % 50)}
				text, err := cache.get(key, testNow, func() (string, error) {
					mu.Lock()
					defer mu.Unlock()
					signed[key.session]++
					return "of " + key.session, nil
				})
				if err != nil || text != "of "+key.session {
					t.Errorf("session %s got %q (%v)", key.session, text, err)
				}
			}
		})
	}
	wait.Wait()
	for session, times := range signed {
		if times != 1 {
			t.Errorf("session %s was signed for %d times", session, times)
		}
	}
}

// BenchmarkGateWithAssertion is BenchmarkGate with the option assertion: where the text is known, as for nearly all requests, and
// where it has to be signed.
func BenchmarkGateWithAssertion(b *testing.B) {
	g, cookie := benchmarkSession(b)
	g.Assertion = defaultAssertionHeader
	if err := g.provisionAssertion(); err != nil {
		b.Fatal(err)
	}
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	template := request("GET", testOrigin+"/payroll", nil)
	header := browserHeader(cookie)
	for _, kind := range []string{"known", "signed"} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if kind == "signed" {
					g.app.assertions = newAssertionCache()
				}
				r := freshRequest(template, header)
				if err := g.ServeHTTP(&discard{http.Header{}}, r, next); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
