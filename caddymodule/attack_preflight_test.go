// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"strings"
	"testing"
)

const preflightSite = `http://payroll.contoso.example {
	verified_id {
		header X-Employee-Mail {claim.mail}
		preflight
	}
	reverse_proxy {app}
}
http://closed.contoso.example {
	verified_id
	reverse_proxy {app}
}`

// preflight is what a browser sends before a request of another site's script.
func preflight(more ...string) []string {
	return append([]string{
		"OPTIONS /api/pay HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Origin: https://partner.example",
		"Access-Control-Request-Method: DELETE", "Access-Control-Request-Headers: content-type",
	}, more...)
}

// Mallory dresses a request as a preflight, to get it past the gate: with a body, with another method that some app takes for the
// real one, or with half of what makes one. Only the real thing passes, and only where the operator wants it. TM-110.
func TestNearlyPreflight(t *testing.T) {
	x := attack(t, "", preflightSite)
	genuine := wireLines(preflight()...)
	swap := func(old, replacement string) string { return strings.Replace(genuine, old, replacement, 1) }
	for name, bytes := range map[string]string{
		"the real thing": genuine,
		"no length":      wireLines(preflight("Content-Length: 0")...),
		"null origin":    swap("https://partner.example", "null"),
		"with an accept": wireLines(preflight("Accept: */*", "Sec-Fetch-Mode: cors")...),
	} {
		answers := x.raw(t, bytes)
		if seen := x.behind.take(); len(answers) != 1 || answers[0].status != 200 || len(seen) != 1 || seen[0].method != "OPTIONS" {
			t.Errorf("%s: %d answers, the app saw %+v", name, len(answers), seen)
		}
	}
	for name, bytes := range map[string]string{
		"where nobody wants it":   swap("payroll", "closed"),
		"lower case":              swap("OPTIONS", "options"),
		"get":                     swap("OPTIONS", "GET"),
		"post":                    swap("OPTIONS", "POST"),
		"no origin":               swap("Origin:", "X-Origin:"),
		"empty origin":            swap("https://partner.example", ""),
		"two origins":             wireLines(preflight("Origin: https://other.example")...),
		"no method asked":         swap("Access-Control-Request-Method", "X-Method"),
		"empty method asked":      swap("DELETE", ""),
		"two methods asked":       wireLines(preflight("Access-Control-Request-Method: GET")...),
		"folded method asked":     swap("Access-Control-Request-Method", "Access_Control_Request_Method"),
		"body":                    wireLines(preflight("Content-Length: 4")...) + "pay!",
		"chunked body":            wireLines(preflight("Transfer-Encoding: chunked")...) + "4\r\npay!\r\n0\r\n\r\n",
		"empty chunked body":      wireLines(preflight("Transfer-Encoding: chunked")...) + "0\r\n\r\n",
		"override":                wireLines(preflight("X-HTTP-Method-Override: DELETE")...),
		"another override":        wireLines(preflight("X-HTTP-Method: DELETE")...),
		"yet another override":    wireLines(preflight("X-Method-Override: DELETE")...),
		"upgrade":                 swap("Connection: close", "Upgrade: websocket\r\nConnection: Upgrade, close"),
		"the server, no resource": swap("/api/pay", "*"),
	} {
		answers := x.raw(t, bytes)
		if seen := x.behind.take(); len(answers) != 1 || answers[0].status < 400 && name != "the server, no resource" || len(seen) != 0 {
			t.Errorf("%s: answers %+v, the app saw %+v", name, answers, seen)
		}
	}
}

// Caddy itself drops odd header names. Where an operator lets them in, for an app that reads X_Http_Method_Override as the header
// with hyphens, such a request is no preflight either. TM-110, TM-002.
func TestPreflightWithFoldedOverride(t *testing.T) {
	x := attack(t, "", "{\n\tservers {\n\t\texpected_underscore_headers X_Http_*\n\t}\n}\n"+preflightSite)
	answers := x.raw(t, wireLines(preflight("X_Http_Method_Override: DELETE")...))
	if seen := x.behind.take(); len(answers) != 1 || answers[0].status != 401 || len(seen) != 0 {
		t.Errorf("answers %+v, the app saw %+v", answers, seen)
	}
}

// A preflight is nobody's: neither what the client says about itself nor a session that comes along reaches the app, and our own
// pages answer none. TM-110, TM-001.
func TestPreflightCarriesNobody(t *testing.T) {
	x := attack(t, "", preflightSite)
	x.raw(t, wireLines(preflight("Cookie: "+x.cookie(t)+"; own=1", "X-Verified-Id-Subject: FORGED", "x_employee_mail: FORGED",
		"X-Original-Url: /other")...))
	seen := x.behind.take()
	if len(seen) != 1 {
		t.Fatalf("the app saw %+v", seen)
	}
	for name, values := range seen[0].header {
		if lower := strings.ToLower(name); strings.Contains(lower, "verified") || strings.Contains(lower, "employee") || lower == "x-original-url" {
			t.Errorf("the app is told %s: %s", name, values)
		}
	}
	if got := seen[0].header.Get("Cookie"); got != "own=1" {
		t.Errorf("the app's cookies are %q", got)
	}
	got := x.raw(t, strings.Replace(wireLines(preflight()...), "/api/pay", "/.verified-id/request", 1))
	if len(got) != 1 || got[0].status < 400 || len(x.behind.take()) != 0 {
		t.Errorf("our own page answers a preflight with %+v", got)
	}
}
