// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// assertedTo sends a request with the session to the app and returns the assertion that reached it.
func assertedTo(t testing.TB, g *Gate, cookie string) string {
	t.Helper()
	w, u := serve(t, g, request("GET", testOrigin+"/", http.Header{"Cookie": {cookie}}))
	if w.Code != http.StatusOK || u.hits != 1 {
		t.Fatalf("status %d with %d hits upstream", w.Code, u.hits)
	}
	got := u.seen.Header[g.Assertion]
	if len(got) != 1 || got[0] == "" {
		t.Fatalf("%s: %q, want one assertion", g.Assertion, got)
	}
	return got[0]
}

// publishedBy is what anybody gets from jwks.json.
func publishedBy(t testing.TB, g *Gate) []byte {
	t.Helper()
	w, _ := serve(t, g, request("GET", testOrigin+basePath+"/jwks.json", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("jwks.json: status %d", w.Code)
	}
	return w.Body.Bytes()
}

// The app has a second opinion: it can check by itself that the gate was passed, by whom, with what, and how strongly, with
// keys that it finds at the site. TM-009.
func TestAssertionSaysWhatWasShown(t *testing.T) {
	seconds := func(at time.Time) any { return float64(at.Unix()) }
	expires := testNow.Add(24 * time.Hour)
	usual := map[string]any{
		"credential": "employee", "type": "VerifiedEmployee", "issuer": testIssuer, "expires_at": seconds(expires),
		"revocation": "valid", "face_check": map[string]any{"threshold": 80.0}, "device": "same",
		"claims": map[string]any{"displayName": "Zoë <&>", "mail": "zoe@contoso.example"},
	}
	for _, test := range []struct {
		name       string
		credential string // options of it
		gate       string // options of it
		change     func(*verifier.Presentation)
		want       map[string]any // what differs; nil: is not there
	}{
		{name: "as usual"},
		{name: "a higher bar on this route", gate: "face_check 90", want: map[string]any{"face_check": map[string]any{"threshold": 90.0}}},
		{name: "without Face Check", credential: "face_check off", want: map[string]any{"face_check": nil}},
		{name: "issuer without status", credential: "no_status", want: map[string]any{"revocation": "unknown"}},
		{
			name: "revoked and allowed", credential: "insecure_allow_revoked",
			change: func(p *verifier.Presentation) { p.Revoked = true }, want: map[string]any{"revocation": "revoked"},
		},
		{
			name: "another device", change: func(p *verifier.Presentation) { p.CrossDevice = true },
			want: map[string]any{"device": "cross"},
		},
		{
			name: "all that a credential has", change: func(p *verifier.Presentation) {
				p.CredentialIssued, p.LinkedDomain = testNow.Add(-time.Hour), "contoso.example"
			},
			want: map[string]any{"issued_at": seconds(testNow.Add(-time.Hour)), "linked_domain": "contoso.example"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := testApp("")
			if test.credential != "" {
				text = strings.Replace(text, "face_check photo 80", test.credential, 1)
			}
			if !strings.Contains(test.credential, "face_check") && test.credential != "" {
				text = strings.Replace(text, test.credential, test.credential+"\nface_check photo 80", 1)
			}
			_, ctx := loadApp(t, text)
			g := loadGate(t, ctx, "verified_id {\n assertion\n"+test.gate+"\n}")
			p := presentation(g, verifier.Claim{Name: "displayName", Value: "Zoë <&>"}, verifier.Claim{Name: "mail", Value: "zoe@contoso.example"})
			if test.change != nil {
				test.change(&p)
			}
			_, cookie := sessionOf(g, p)
			shown := maps.Clone(usual)
			for name, value := range test.want {
				if shown[name] = value; value == nil {
					delete(shown, name)
				}
			}
			token := readAssertion(t, assertedTo(t, g, cookie), publishedBy(t, g))
			if token.Header["typ"] != "verified-id-assertion+jwt" || len(token.Header) != 3 {
				t.Errorf("header %v", token.Header)
			}
			want := jwt.MapClaims{
				"iss": testOrigin + "/.verified-id", "aud": testOrigin, "sub": "subject-of-ana", "sid": "a-session",
				"iat": seconds(testNow), "exp": seconds(testNow.Add(time.Minute)), "auth_time": seconds(testNow.Add(-time.Minute)),
				"verified_id": shown,
			}
			if !reflect.DeepEqual(token.Claims, want) {
				got, _ := json.Marshal(token.Claims)
				t.Errorf("claims %s, want %v", got, want)
			}
		})
	}
}

// The client writes an assertion of its own, or one that it was shown elsewhere, in every spelling that some server folds into
// the right one; onto the gated page, onto pages that are open to all, and into an error route. TM-009, TM-002, TM-003.
func TestForgedAssertionIsRemoved(t *testing.T) {
	forged := func(cookie string) http.Header {
		return http.Header{
			"X-Verified-Id-Assertion": {"Mallory"}, "X_verified_id_assertion": {"Mallory"}, "X-Verified_id-Assertion": {"Mallory"},
			"X-Employee-Proof": {"Mallory", "Mallory"}, "X_employee_proof": {"Mallory"}, "Cookie": {cookie},
		}
	}
	for _, test := range []struct{ name, options, path string }{
		{"gated", "", "/payroll"},
		{"public", "public /open", "/open"},
		{"optional", "optional", "/payroll"},
		{"report only", "report_only", "/payroll"},
		{"outside the matcher", "", "/payroll"},
	} {
		t.Run(test.name, func(t *testing.T) {
			app, ctx := loadApp(t, testApp(""))
			g := loadGate(t, ctx, "verified_id {\n assertion X-Employee-Proof\n "+test.options+"\n}")
			cookie, passes := "", test.name != "gated"
			if !passes {
				_, cookie = sessionOf(g, presentation(g))
			}
			if test.name == "outside the matcher" {
				g.matchers = caddyhttp.MatcherSets{{caddyhttp.MatchPath{"/elsewhere"}}}
			}
			_, u := serve(t, g, request("GET", testOrigin+test.path, forged(cookie)))
			if u.hits != 1 {
				t.Fatalf("%d hits upstream", u.hits)
			}
			expectNoMallory(t, u.seen.Header)
			if _, set := u.seen.Header["X-Employee-Proof"]; set == passes {
				t.Errorf("an assertion arrived: %v, want %v", set, !passes)
			}

			u = &upstream{}
			strip, w := &Strip{app: app}, &discard{http.Header{}}
			if err := strip.ServeHTTP(w, request("GET", testOrigin+test.path, forged("")), u); err != nil {
				t.Fatal(err)
			}
			expectNoMallory(t, u.seen.Header)
		})
	}
}

func expectNoMallory(t *testing.T, header http.Header) {
	t.Helper()
	for name, values := range header {
		if strings.Contains(strings.Join(values, " "), "Mallory") {
			t.Errorf("the app got %s: %q", name, values)
		}
	}
}

// An issuer writes so much into a claim that no header carries the assertion, or its key cannot be read. The app relies on it, so
// the request does not go on without it, and the log says what to do. TM-013, TM-009.
func TestNoRequestWithoutItsAssertion(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n assertion\n}")
	log := watchLog(g)
	held, _ := sessionOf(g, presentation(g, verifier.Claim{Name: "bio", Value: strings.Repeat("x", 8<<10)}))
	r := request("GET", testOrigin+"/", nil)
	if err := g.handOver(r, identity{held, &held.Presentations[0], &g.wants[0].requirement}, testNow); err == nil {
		t.Error("a request goes on with an assertion that no server reads")
	} else if strings.Contains(err.Error(), "xxx") || len(r.Header) != 0 {
		t.Errorf("error %v, headers %v", err, r.Header)
	}
	if text := log.text(); !strings.Contains(text, "keep fewer or shorter claims of credential employee") || strings.Contains(text, "xxx") {
		t.Errorf("the log says %s", text)
	}

	g.app.keys.assertion.known.Store(nil)
	g.app.keys.assertion.askAt = time.Time{}
	g.app.keys.assertion.storage = &silentStorage{}
	_, cookie := sessionOf(g, presentation(g))
	if w, u := serve(t, g, request("GET", testOrigin+"/", http.Header{"Cookie": {cookie}})); w.Code != http.StatusInternalServerError || u.hits != 0 {
		t.Errorf("without a key: status %d with %d hits upstream", w.Code, u.hits)
	}
}

// Whoever reads the log, at any level, must not get hold of an assertion: it is good for a minute, and full of claims. TM-141.
func TestAssertionIsNotLogged(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		log
		verified_id {
			assertion
		}
		@fails path /fails
		error @fails "no luck" 500
		respond "{http.request.header.X-Verified-Id-Assertion}"
	}`)
	for _, path := range []string{"/", "/fails"} {
		x.raw(t, wireLines("GET "+path+" HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Cookie: "+x.cookie(t)))
	}
	answers := x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Cookie: "+x.cookie(t)))
	if len(answers) != 1 || !strings.HasPrefix(answers[0].body, "eyJ") {
		t.Fatalf("answers %v, want the assertion", answers)
	}
	if log := x.logged(t); strings.Contains(log, "eyJ") || !strings.Contains(log, "handled request") {
		t.Error("the log holds an assertion, or is not the log of these requests")
	}
}

// silentStorage is a storage that does not answer.
type silentStorage struct{ readOnlyStorage }

func (*silentStorage) Load(context.Context, string) ([]byte, error) {
	return nil, context.DeadlineExceeded
}
