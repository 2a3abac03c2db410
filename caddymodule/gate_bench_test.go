// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// benchmarkSession is a gate and a cookie of usual size: six claims, six headers of our own.
func benchmarkSession(b *testing.B) (*Gate, string) {
	b.Helper()
	_, ctx := loadApp(b, testApp(""))
	g := loadGate(b, ctx, `verified_id {
		headers none
		header X-Employee-Name {claim.displayName}
		header X-Employee-Mail {claim.mail}
		header X-Employee-Title {claim.jobTitle}
		header X-Employee-Id {claim.revocationId}
		header X-Employee-Subject {subject}
		header X-Employee-Issuer {issuer}
	}`)
	_, cookie := sessionOf(g, presentation(g,
		verifier.Claim{Name: "displayName", Value: "Ana Lima"}, verifier.Claim{Name: "givenName", Value: "Ana"},
		verifier.Claim{Name: "jobTitle", Value: "Payroll Clerk"}, verifier.Claim{Name: "mail", Value: "ana.lima@contoso.example"},
		verifier.Claim{Name: "revocationId", Value: "ana.lima@contoso.example"}, verifier.Claim{Name: "surname", Value: "Lima"}))
	return g, cookie
}

// browserHeader is what a browser sends.
func browserHeader(cookie string) http.Header {
	return http.Header{
		"Accept": {"text/html,application/xhtml+xml"}, "Accept-Encoding": {"gzip, br"}, "Accept-Language": {"en"},
		"Cache-Control": {"max-age=0"}, "Cookie": {"theme=dark; " + cookie}, "Sec-Ch-Ua": {`"Chromium";v="156"`},
		"Sec-Ch-Ua-Mobile": {"?0"}, "Sec-Ch-Ua-Platform": {`"Linux"`}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Mode": {"navigate"},
		"Sec-Fetch-Site": {"same-origin"}, "Upgrade-Insecure-Requests": {"1"}, "User-Agent": {"Mozilla/5.0"},
	}
}

// BenchmarkSessionCheck is the decision alone: find the cookie, open it, compare it with what the gate demands.
func BenchmarkSessionCheck(b *testing.B) {
	g, cookie := benchmarkSession(b)
	r := request("GET", testOrigin+"/payroll", browserHeader(cookie))
	b.ReportAllocs()
	for b.Loop() {
		held, _ := g.site.openSession(r, testNow)
		if _, refusal := g.decide(r, held, testNow); refusal != "" {
			b.Fatal(refusal)
		}
	}
}

// discard is a response writer that costs nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkGate is the whole gate around a handler that does nothing, with the request made anew each time; subtract
// BenchmarkGateFloor.
func BenchmarkGate(b *testing.B) {
	g, cookie := benchmarkSession(b)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	template := request("GET", testOrigin+"/payroll", nil)
	header := browserHeader(cookie)
	b.ReportAllocs()
	for b.Loop() {
		r := freshRequest(template, header)
		if err := g.ServeHTTP(&discard{http.Header{}}, r, next); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGateFloor is what BenchmarkGate spends on making its request.
func BenchmarkGateFloor(b *testing.B) {
	_, cookie := benchmarkSession(b)
	template := request("GET", testOrigin+"/payroll", nil)
	header := browserHeader(cookie)
	b.ReportAllocs()
	for b.Loop() {
		r := freshRequest(template, header)
		if r.Header.Get("Cookie") == "" || (&discard{http.Header{}}).Header() == nil {
			b.Fatal("no cookie")
		}
	}
}

// BenchmarkChallenge is the answer to a page load without a session.
func BenchmarkChallenge(b *testing.B) {
	g, _ := benchmarkSession(b)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	template := request("GET", testOrigin+"/payroll?year=2026", nil)
	header := browserHeader("other=1")
	b.ReportAllocs()
	for b.Loop() {
		if err := g.ServeHTTP(&discard{http.Header{}}, freshRequest(template, header), next); err != nil {
			b.Fatal(err)
		}
	}
}
