// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// No method, form of the request line, version or host gets an anonymous request through a gate. TM-109, TM-118, F8, F10.
func TestOddRequestsReachNobody(t *testing.T) {
	x := attack(t, "", gatedSite)
	for name, request := range map[string]string{
		"HEAD":                 wireLines("HEAD /a HTTP/1.1", "Host: payroll.contoso.example"),
		"OPTIONS":              wireLines("OPTIONS /a HTTP/1.1", "Host: payroll.contoso.example", "Origin: https://x.example", "Access-Control-Request-Method: GET"),
		"OPTIONS *":            wireLines("OPTIONS * HTTP/1.1", "Host: payroll.contoso.example"),
		"TRACE":                wireLines("TRACE /a HTTP/1.1", "Host: payroll.contoso.example"),
		"CONNECT":              wireLines("CONNECT payroll.contoso.example:80 HTTP/1.1", "Host: payroll.contoso.example"),
		"CONNECT with a path":  wireLines("CONNECT /a HTTP/1.1", "Host: payroll.contoso.example"),
		"lower case":           wireLines("get /a HTTP/1.1", "Host: payroll.contoso.example"),
		"unknown":              wireLines("FROB /a HTTP/1.1", "Host: payroll.contoso.example"),
		"long method":          wireLines(strings.Repeat("G", 33)+" /a HTTP/1.1", "Host: payroll.contoso.example"),
		"absolute":             wireLines("GET http://payroll.contoso.example/a HTTP/1.1", "Host: payroll.contoso.example"),
		"absolute of ours":     wireLines("GET http://payroll.contoso.example/.verified-id/../a HTTP/1.1", "Host: payroll.contoso.example"),
		"absolute with a user": wireLines("GET http://u:p@payroll.contoso.example/a HTTP/1.1", "Host: payroll.contoso.example"),
		"1.0":                  wireLines("GET /a HTTP/1.0", "Host: payroll.contoso.example"),
		"1.0 without host":     wireLines("GET /a HTTP/1.0"),
		"empty host":           wireLines("GET /a HTTP/1.1", "Host: "),
		"two hosts":            wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example", "Host: other.example"),
		"upper case host":      wireLines("GET /a HTTP/1.1", "Host: PAYROLL.CONTOSO.EXAMPLE.:9900"),
		"websocket": wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example", "Upgrade: websocket", "Connection: Upgrade",
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"),
		"pipelined": wireLines("GET /.verified-id/start HTTP/1.1", "Host: payroll.contoso.example") + wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example"),
		"CL and TE": wireLines("POST /.verified-id/nothing HTTP/1.1", "Host: payroll.contoso.example", "Content-Length: 6", "Transfer-Encoding: chunked") +
			"0\r\n\r\n" + wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example"),
		"two lengths": wireLines("POST /a HTTP/1.1", "Host: payroll.contoso.example", "Content-Length: 0", "Content-Length: 40") +
			wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example"),
		"odd coding": wireLines("POST /a HTTP/1.1", "Host: payroll.contoso.example", "Transfer-Encoding: xchunked") + "0\r\n\r\n",
		"folded":     wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example", "Accept: a", " b"),
	} {
		answers := x.raw(t, strings.Replace(request, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%s reached the app: %+v", name, seen)
		}
		for _, a := range answers {
			if strings.Contains(a.body, "the app") {
				t.Errorf("%s got the app's answer", name)
			}
		}
	}
}

// The request line holds any path. None reaches the app without a session, none of ours is the app's, and where the visitor
// is sent after verifying stays on this site. TM-081, TM-082, TM-106, TM-107.
func TestOddPathsOnTheWire(t *testing.T) {
	x := attack(t, "", gatedSite)
	cookie := x.cookie(t)
	for _, path := range []string{
		"//evil.test/x", "///evil.test", `/\evil.test`, "/a/../b", "/..%2fb", `/a\b`, "/a#b", "/%00", "/a;b", "/a%5c", "/%09/evil.test",
		"/.verified-id/../a", "/.verified-id/..%2fa", "/.verified-id%2f..%2fa", "/.VERIFIED-ID/start", "/./.verified-id/start",
		"//.verified-id/start", "/a/../.verified-id/start", "/%2everified-id/start", "/.verified-id;x/start", "/.verified-id/start;x",
		"/.verified-id/callback", "/.verified-id/start/", "/.verified-id\\start", "/.verified-id/%73tart", "/\xff", "/\x01", "/a b",
	} {
		head := []string{"GET " + path + " HTTP/1.1", "Host: payroll.contoso.example", "Accept: text/html", "Connection: close"}
		for _, a := range x.raw(t, wireLines(head...)) {
			location := a.header.Get("Location")
			if a.status == http.StatusSeeOther && !strings.HasPrefix(location, "/.verified-id/start?v=") {
				t.Errorf("%q: sent to %q", path, location)
			}
			if _, token, ok := strings.Cut(location, "?v="); ok {
				g := x.gate(t, nil)
				v, opened := g.site.openVisit(token, testNow)
				if !opened || !strings.HasPrefix(v.ReturnTo, "/") || strings.HasPrefix(v.ReturnTo, "//") || strings.ContainsAny(v.ReturnTo, "\\\t#") {
					t.Errorf("%q: the visit returns to %q", path, v.ReturnTo)
				}
			}
		}
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%q reached the app without a session: %s", path, seen[0].uri)
		}
		// With a session, what is ours by prefix is never the app's.
		x.raw(t, wireLines(append(head, "Cookie: "+cookie)...))
		for _, r := range x.behind.take() {
			if strings.HasPrefix(r.uri, "/.verified-id") && !strings.HasPrefix(r.uri, "/.verified-id;") && !strings.HasPrefix(r.uri, "/.verified-id%5") {
				t.Errorf("%q reached the app as %s", path, r.uri)
			}
		}
	}
}

// Where the error routes have an app, a request that skips all normal routes (empty host, overlong method) brings its forged
// headers there. verified_id_strip takes them away, our cookies and trailers too. TM-008, F8.
func TestErrorRoutesWithStrip(t *testing.T) {
	x := attack(t, "", `:80 {
		verified_id
		reverse_proxy 127.0.0.1:1
		handle_errors {
			verified_id_strip
			reverse_proxy {app}
		}
	}`)
	cookie := x.cookie(t)
	forged := []string{
		"X-Verified-Id-Subject: FORGED", "X_Verified_Id_Role: FORGED", "X.Verified.Id.Role: FORGED", "Cookie: a=1; " + cookie,
		"Connection: close, X-Verified-Id-Issuer", "Transfer-Encoding: chunked", "Trailer: X-Harmless",
	}
	body := "0\r\nX-Harmless: FORGED\r\nX-Verified-Id-Role: FORGED\r\n\r\n"
	for name, head := range map[string][]string{
		"empty host":  {"POST /admin HTTP/1.1", "Host: "},
		"long method": {strings.Repeat("P", 33) + " /admin HTTP/1.1", "Host: payroll.contoso.example"},
		"app is down": {"POST /admin HTTP/1.1", "Host: payroll.contoso.example"},
	} {
		t.Run(name, func(t *testing.T) {
			x.raw(t, wireLines(append(head, forged...)...)+body)
			seen := x.behind.take()
			if len(seen) != 1 {
				t.Errorf("%d requests reached the error app, want one", len(seen))
			}
			for _, r := range seen {
				if text := fmt.Sprint(r.header, r.trailer); strings.Contains(text, "FORGED") || strings.Contains(text, "verified-id=") ||
					strings.Contains(text, "Verified-Id") {
					t.Errorf("%s reached the error app", text)
				}
			}
		})
	}
}

// A session is worth nothing to a client that writes it twice, trims it, quotes it or spells its name otherwise. TM-027.
func TestOddCookiesOnTheWire(t *testing.T) {
	x := attack(t, "", gatedSite)
	cookie := x.cookie(t)
	name, value, _ := strings.Cut(cookie, "=")
	for _, head := range [][]string{
		{"Cookie: " + cookie + "; " + cookie},
		{"Cookie: " + cookie, "Cookie: " + cookie},
		{"Cookie: " + cookie, "Cookie: " + name + "=x"},
		{"Cookie: " + strings.ToLower(name) + "=" + value},
		{"Cookie: " + name + "=\"" + value + "\""},
		{"Cookie: " + name + " =" + value},
		{"Cookie: \xc2\xa0" + cookie},
		{"Cookie: $Version=1; " + name + "=" + value + "x"},
		{"Cookie: x=" + cookie},
		{"Cookie: " + name + "=" + value + "="},
		{"Cookie: " + name + "=" + value[:len(value)-1]},
		{"Cookie2: " + cookie},
	} {
		x.raw(t, wireLines(append([]string{"GET /a HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"}, head...)...))
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%q opened the app", head)
		}
	}
}

// Headers in which proxies, frameworks and scanners name another path, method, host or themselves open nothing and change nothing
// that we say. TM-046, TM-108.
func TestHeadersThatNameAnotherRequest(t *testing.T) {
	x := attack(t, "", wireSites)
	for _, value := range []string{"/open", "http://payroll.contoso.example/open", "OPTIONS", "GET", "open.example", "127.0.0.1", "localhost"} {
		head := []string{"GET /a HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Accept: text/html", "User-Agent: GoogleHC/1.0 kube-probe/1.29"}
		for _, name := range []string{
			"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Forwarded-Method", "X-Forwarded-Host",
			"X-Forwarded-Proto", "X-Forwarded-For", "X-Real-IP", "X-Original-Host", "X-Host", "Forwarded", "X-HTTP-Method-Override", "X-Method-Override",
			"X-Auth-Request-Redirect", "Referer", "Origin",
		} {
			head = append(head, name+": "+value)
		}
		for _, a := range x.raw(t, wireLines(head...)) {
			if a.status != http.StatusSeeOther || !strings.HasPrefix(a.header.Get("Location"), "/.verified-id/start?v=") {
				t.Errorf("%s: %d to %q", value, a.status, a.header.Get("Location"))
			}
		}
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%s: %+v reached the app", value, seen)
		}
	}
}

// Another login stands before the gate and would ask Microsoft to log in. verified_id_callback lets the callback and the key set
// through, in their one spelling; everything else still asks for the login. TM-106.
func TestCallbackBehindAnotherLogin(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id_callback
		basic_auth {
			ana $2a$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy
		}
		verified_id {
			bind mail {http.auth.user.id}
		}
		reverse_proxy {app}
	}`)
	send := func(method, path string, header ...string) wireAnswer {
		t.Helper()
		answers := x.raw(t, wireLines(append([]string{method + " " + path + " HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"}, header...)...))
		if len(answers) != 1 {
			t.Fatalf("%s: %d answers", path, len(answers))
		}
		return answers[0]
	}
	asks := func(a wireAnswer) bool { return strings.HasPrefix(a.header.Get("Www-Authenticate"), "Basic") }
	if a := send("POST", "/.verified-id/callback", "Authorization: Bearer x.y", "Content-Type: application/json"); asks(a) || a.status != http.StatusUnauthorized {
		t.Errorf("callback: %+v", a)
	}
	if a := send("GET", "/.verified-id/jwks.json"); a.status != http.StatusOK {
		t.Errorf("key set: status %d", a.status)
	}
	for _, path := range []string{
		"/", "/.verified-id/start", "//.verified-id/callback", "/.verified-id/callback/", "/.VERIFIED-ID/callback", "/a/..%2f.verified-id%2fcallback",
		"/.verified-id/callback%2f..%2fa", "/.verified-id/callback;x", "/.verified-id%2fcallback", "/a/../.verified-id/jwks.json", "/.verified-id/jwks.json/a",
	} {
		if a := send("GET", path); !asks(a) {
			t.Errorf("%s was let through: status %d", path, a.status)
		}
	}
	if seen := x.behind.take(); len(seen) != 0 {
		t.Errorf("%+v reached the app", seen)
	}
}
