// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A gate for a part of the site, in front of an app that cuts path parameters and takes backslashes for slashes, as many do.
// What the app takes for the part must be gated. TM-107.
func TestPartOfTheSiteSpelledOtherwise(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id /admin/*
		reverse_proxy {app}
	}
	http://rest.contoso.example {
		@rest not path /open /open/*
		verified_id @rest
		reverse_proxy {app}
	}`)
	for _, path := range []string{
		"/admin/x", "//admin/x", "/./admin/x", "/ADMIN/x", "/a/../admin/x", "/a/%2e%2e/admin/x", "/%61dmin/x", "/a%2f..%2fadmin/x",
		"/a/..;/admin/x", "/a/..;v=1/admin/x", "/admin;v=1/x", "/;v=1/admin/x", `/a\..\admin/x`, `/admin\x`, "/admin%5cx", "/a/..%5cadmin%5cx",
		"/%2561dmin/x", "/a/.%252e/admin/x", "/admin/../a", "/admin/%2e%2e/a", "/admin/.%2E/a", "/admin/..", "/admin/x/../../a",
	} {
		x.raw(t, wireLines("GET "+path+" HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"))
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%s reached the app ungated", path)
		}
	}
	for _, path := range []string{"/open/..;/admin/x", "/open/..;v=1/admin/x", `/open/..\admin/x`, "/open/..%5cadmin/x", "/open/%252e%252e/admin/x", "/open;v=1/../admin/x", `/open%2f"`, `/open%2fadmin%5c"`} {
		x.raw(t, wireLines("GET "+path+" HTTP/1.1", "Host: rest.contoso.example", "Connection: close"))
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%s reached the app as open", path)
		}
	}
}

// The site rewrites what it does not find to a front controller. An open path that becomes it is not open any more: its query
// chooses what the app does. TM-107, TM-108.
func TestOpenPathIsRewritten(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		@missing path /assets/nothing
		rewrite @missing /index.php?{query}&p={path}
		verified_id {
			public /assets/*
		}
		reverse_proxy {app}
	}`)
	x.raw(t, wireLines("GET /assets/nothing?route=/admin HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"))
	for _, r := range x.behind.take() {
		t.Errorf("%s reached the app as open", r.uri)
	}
}

// Many & in the address that the visitor wants: the visit that carries it must still fit into an address and a cookie. F11.
func TestAddressFullOfAmpersands(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	w, _ := b.open("/?" + strings.Repeat("&<>", 680))
	if got := len(w.Header().Get("Location")); got > 4<<10 {
		t.Errorf("the start page's address has %d bytes; servers take 8 or 16 KiB in all", got)
	}
	page, _ := b.open(w.Header().Get("Location"))
	if w := b.post("/.verified-id/idv", url.Values{"token": {tokenIn(t, page.Body.String())}, "credential": {"employee"}, "partner": {"vu"}}); w.Code != http.StatusOK {
		t.Errorf("the way to the partner: status %d", w.Code)
	}
}

// A request line without a slash has no path that a matcher could judge; the proxy passes it on, and apps that are lenient read
// the part of the site in it. TM-107, TM-109.
func TestRequestLineWithoutPath(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id /admin/*
		reverse_proxy {app}
	}`)
	for _, line := range []string{"GET http:admin/x HTTP/1.1", "GET foo:%2fadmin/x HTTP/1.1", "GET * HTTP/1.1"} {
		for _, a := range x.raw(t, wireLines(line, "Host: payroll.contoso.example", "Connection: close")) {
			if a.status != http.StatusUnauthorized {
				t.Errorf("%s was passed on: status %d", line, a.status)
			}
		}
	}
}

// Error routes and named routes do not know their site. A gate there takes the app's public address for its own, even on another
// site, refuses that site's sessions and has the browser forget them. TM-021, TM-130.
func TestErrorRouteOfAnotherSite(t *testing.T) {
	x := attack(t, "", `https://payroll.contoso.example, https://wiki.contoso.example {
		tls internal
		respond "nothing"
	}
	https://hr.contoso.example {
		tls internal
		verified_id {
			face_check 85
		}
		error /fails 500
		respond "the app"
		handle_errors {
			verified_id {
				face_check 86
			}
			respond "the error page"
		}
	}`)
	site := x.gate(t, func(g *Gate) bool { return g.FaceCheck == 85 })
	failing := x.gate(t, func(g *Gate) bool { return g.FaceCheck == 86 })
	if site.site.origin != failing.site.origin {
		t.Errorf("the site is %s, its error route %s", site.site.origin.url, failing.site.origin.url)
	}
}

// A site has the gate and verified_id_strip, which also takes our cookies away, in whatever order they stand: nobody would ever get
// in. That must not load. TM-149.
func TestStripInFrontOfTheGate(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id
		verified_id_strip
		reverse_proxy {app}
	}`)
	x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Cookie: "+x.cookie(t)))
	if seen := x.behind.take(); len(seen) != 1 {
		t.Error("it loads, and a good session is refused")
	}
}

// Another login asks its own service, with the request's header. That service is not ours to trust with sessions, nor to be told
// who somebody is by the client. TM-001, TM-010.
func TestOtherLoginSeesOurCookies(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id_strip
		forward_auth {app} {
			uri /auth
		}
		verified_id
		respond "the app"
	}`)
	x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "X-Verified-Id-Role: FORGED", "Cookie: "+x.cookie(t)))
	for _, r := range x.behind.take() {
		if strings.Contains(r.header.Get("Cookie"), "verified-id") || r.header.Get("X-Verified-Id-Role") != "" {
			t.Errorf("the login service got %.60s and %s", r.header.Get("Cookie"), r.header.Get("X-Verified-Id-Role"))
		}
	}
}

// An open path carries a header in which some frameworks and servers read the address they serve instead. TM-107, TM-108.
func TestOpenPathNamesAnotherAddress(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id {
			public /open
		}
		reverse_proxy {app}
	}`)
	x.raw(t, wireLines("GET /open HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "X-Original-URL: /admin", "X-Rewrite-URL: /admin"))
	for _, r := range x.behind.take() {
		if r.header.Get("X-Original-Url") != "" || r.header.Get("X-Rewrite-Url") != "" {
			t.Errorf("%s reached the app as open, with %v", r.uri, r.header)
		}
	}
}
