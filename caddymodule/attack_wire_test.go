// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// gatedSite is a site that nobody enters without a session.
const gatedSite = `http://payroll.contoso.example {
	verified_id {
		header X-Employee-Mail {claim.mail}
	}
	reverse_proxy {app}
}`

// Three sites in front of one app: everybody needs a session, nobody does, and a path is open. The server's own filter of
// odd header names is relaxed, as some operators must.
const wireSites = `{
	servers {
		expected_underscore_headers X_Verified_* X_Employee_* Remote_*
		expected_dot_headers X.Verified.* X.Employee.*
	}
}
http://payroll.contoso.example {
	verified_id {
		header X-Employee-Mail {claim.mail}
		public /open
	}
	reverse_proxy {app}
}
http://optional.contoso.example {
	verified_id {
		optional
	}
	reverse_proxy {app}
}
http://report.contoso.example {
	verified_id {
		report_only
	}
	reverse_proxy {app}
}
http://partly.contoso.example {
	verified_id /inner/* {
		headers remote_user
	}
	reverse_proxy {app}
}
`

// wireWays are all ways through a gate to the app.
func wireWays(x *wireTarget, t testing.TB) map[string][]string {
	cookie := x.cookie(t)
	return map[string][]string{
		"session":      {"GET /a HTTP/1.1", "Host: payroll.contoso.example", "Cookie: " + cookie},
		"public":       {"GET /open HTTP/1.1", "Host: payroll.contoso.example"},
		"optional":     {"GET /a HTTP/1.1", "Host: optional.contoso.example"},
		"optional too": {"GET /a HTTP/1.1", "Host: optional.contoso.example", "Cookie: " + cookie},
		"report only":  {"GET /a HTTP/1.1", "Host: report.contoso.example"},
		"not gated":    {"GET /a HTTP/1.1", "Host: partly.contoso.example"},
		"lower case":   {"get /a HTTP/1.1", "Host: optional.contoso.example"},
		"preflight":    {"OPTIONS /a HTTP/1.1", "Host: optional.contoso.example", "Origin: https://x.example", "Access-Control-Request-Method: GET"},
		"absolute":     {"GET http://payroll.contoso.example/a HTTP/1.1", "Host: other.example", "Cookie: " + cookie},
		"http/1.0":     {"GET /a HTTP/1.0", "Host: payroll.contoso.example", "Cookie: " + cookie},
		"websocket": {
			"GET /a HTTP/1.1", "Host: payroll.contoso.example", "Cookie: " + cookie, "Upgrade: websocket",
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
		},
	}
}

// Clients write every spelling of an identity header, several times, and name the real ones in Connection, on every way
// through a gate to the app. None arrives, and none of ours is lost. TM-001 to TM-004, TM-007, TM-112.
func TestForgedHeadersOnTheWire(t *testing.T) {
	_, strict, _ := strings.Cut(wireSites, "\n}\n")
	t.Run("relaxed", func(t *testing.T) { forgeHeaders(t, attack(t, "", wireSites)) })
	t.Run("strict", func(t *testing.T) { forgeHeaders(t, attack(t, "", strict)) })
}

func forgeHeaders(t *testing.T, x *wireTarget) {
	t.Helper()
	for way, head := range wireWays(x, t) {
		t.Run(way, func(t *testing.T) {
			connection := "Connection: close"
			if way == "websocket" {
				connection = "Connection: Upgrade, close"
			}
			request := append([]string{}, head...)
			request = append(request,
				"x-verified-id-subject: FORGED", "X-VERIFIED-ID-SUBJECT: FORGED", "X-Verified-Id-Role: FORGED", "X_Verified_Id_Subject: FORGED",
				"X.Verified.Id.Subject: FORGED", "X-Verified_Id-Role: FORGED", "X-Employee-Mail: FORGED", "x_employee_mail: FORGED",
				"X.Employee.Mail: FORGED", "Remote-User: FORGED", "remote_user: FORGED", "X-Verified-Id-: FORGED",
				"Transfer_Encoding: FORGED", "Proxy-Connection: X-Verified-Id-Issuer", "Keep-Alive: FORGED",
				connection, "connection: X-Verified-Id-Subject,\tx-verified-id-issuer", "CONNECTION: Cookie, X-Forwarded-For",
			)
			answers := x.raw(t, wireLines(request...))
			seen := x.behind.take()
			if len(seen) != 1 {
				t.Fatalf("%d requests reached the app, want one; answers %v", len(seen), answers)
			}
			for name, values := range seen[0].header {
				if value := strings.Join(values, ", "); strings.Contains(value, "FORGED") {
					t.Errorf("%s: %q reached the app", name, value)
				}
			}
			if seen[0].header.Get("X-Forwarded-For") == "" {
				t.Error("a header of the proxy is lost")
			}
			identity := strings.Contains(strings.Join(head, "\n"), "Cookie: ")
			if got := seen[0].header.Get("X-Verified-Id-Subject"); (got == "subject-of-ana") != identity || (got == "") == identity {
				t.Errorf("X-Verified-Id-Subject = %q, want an identity: %v", got, identity)
			}
			if strings.Contains(seen[0].header.Get("Cookie"), "verified-id") {
				t.Errorf("our cookie reached the app: %q", seen[0].header.Get("Cookie"))
			}
		})
	}
}

// Trailers are headers that nobody looks at any more; the server passes them on. Announced, unannounced beside an announced
// one, unannounced alone, on every way through, over HTTP/1.1. TM-005.
func TestForgedTrailersOnTheWire(t *testing.T) {
	x := attack(t, "", wireSites)
	for way, head := range wireWays(x, t) {
		if strings.Contains(head[0], "1.0") || way == "websocket" {
			continue
		}
		for name, announced := range map[string][]string{
			"announced":   {"Trailer: X-Verified-Id-Role, X-Harmless", "TE: trailers"},
			"beside":      {"Trailer: X-Harmless", "Connection: TE, close", "TE: trailers"},
			"unannounced": {},
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				request := append(append([]string{}, head...), "Connection: close", "Transfer-Encoding: chunked")
				request[0] = strings.NewReplacer("GET", "POST", "get", "post", "OPTIONS", "POST").Replace(request[0])
				request = append(request, announced...)
				x.raw(t, wireLines(request...)+"4\r\nbody\r\n0\r\nX-Harmless: FORGED\r\nX-Verified-Id-Role: FORGED\r\nX-Verified-Id-Subject: FORGED\r\n\r\n")
				seen := x.behind.take()
				if len(seen) != 1 || seen[0].body != "body" {
					t.Fatalf("%+v reached the app, want one request with its body", seen)
				}
				if len(seen[0].trailer) != 0 || seen[0].header.Get("Trailer") != "" {
					t.Errorf("trailers %v, announced %q", seen[0].trailer, seen[0].header.Get("Trailer"))
				}
			})
		}
	}
}

// secure serves a target over TLS with HTTP/2 and returns a client that speaks it.
func (x *wireTarget) secure(t testing.TB) (*httptest.Server, *http.Client) {
	t.Helper()
	server := httptest.NewUnstartedServer(x.server)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, server.Client()
}

// The same over HTTP/2, where trailers are a frame of their own. TM-005.
func TestForgedTrailersOverHTTP2(t *testing.T) {
	x := attack(t, "", wireSites)
	server, client := x.secure(t)
	for host, header := range map[string]http.Header{
		"payroll.contoso.example":  {"Cookie": {x.cookie(t)}},
		"optional.contoso.example": {},
		"partly.contoso.example":   {},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/a", io.MultiReader(strings.NewReader("body"), new(bytes.Reader)))
		if err != nil {
			t.Fatal(err)
		}
		r.Host, r.Header = host, header
		r.Header["X-Verified-Id-Subject"] = []string{"FORGED", "FORGED"}
		r.Trailer = http.Header{"X-Verified-Id-Role": {"FORGED"}, "X-Harmless": {"FORGED"}}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Error(err)
		}
		if response.ProtoMajor != 2 {
			t.Fatalf("HTTP/%d", response.ProtoMajor)
		}
		seen := x.behind.take()
		if len(seen) != 1 || len(seen[0].trailer) != 0 || strings.Contains(fmt.Sprint(seen[0].header), "FORGED") {
			t.Errorf("%s: %+v reached the app", host, seen)
		}
	}
}

// After "101 Switching Protocols" to another HTTP nobody looks at requests any more. The app is never asked for it, whether
// the prior knowledge comes as an upgrade or as a preface. TM-112, TM-116.
func TestUpgradeToAnotherHTTP(t *testing.T) {
	x := attack(t, "", wireSites)
	cookie := x.cookie(t)
	for _, protocol := range []string{"h2c", "H2C", "h2c, websocket", "websocket, h2c", "TLS/1.0", "HTTP/2.0", "websocket\r\nUpgrade: h2c"} {
		x.raw(t, wireLines("GET /a HTTP/1.1", "Host: payroll.contoso.example", "Cookie: "+cookie, "Upgrade: "+protocol,
			"Connection: Upgrade, HTTP2-Settings, close", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"))
		for _, r := range x.behind.take() {
			if r.header.Get("Upgrade") != "" || r.header.Get("HTTP2-Settings") != "" {
				t.Errorf("Upgrade: %q: the app got Upgrade %q", protocol, r.header.Get("Upgrade"))
			}
		}
	}
	x.raw(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	if seen := x.behind.take(); len(seen) != 0 {
		t.Errorf("a preface reached the app: %+v", seen)
	}
}
