// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// directives takes a Content-Security-Policy apart; a directive that is there twice counts as a mistake.
func directives(t *testing.T, policy string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	for directive := range strings.SplitSeq(policy, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
		if _, ok := found[name]; ok {
			t.Errorf("directive %s is there twice in %q", name, policy)
		}
		found[name] = value
	}
	return found
}

// TM-101, TM-104. A page is framed under an attacker's button, a script gets in through a hole we do not know, a cache gives one
// visitor's page to another: on every page, errors included, the browser has been told not to.
func TestEveryPageIsLockedDown(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	headers := map[string]string{
		"Content-Type":                 "text/html; charset=utf-8",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Referrer-Policy":              "no-referrer",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
		"X-Robots-Tag":                 "noindex, nofollow",
	}
	policy := map[string]string{
		"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self' data:", "connect-src": "'self'",
		"form-action": "'self'", "base-uri": "'none'", "frame-ancestors": "'none'", "require-trusted-types-for": "'script'",
	}
	for _, p := range everyPage(t, r, "harmless") {
		for name, want := range headers {
			if got := p.Header().Values(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %s = %q, want %q", p.name, name, got, want)
			}
		}
		got := directives(t, p.Header().Get("Content-Security-Policy"))
		for name, want := range policy {
			if got[name] != want {
				t.Errorf("%s: %s %s, want %s", p.name, name, got[name], want)
			}
		}
		if len(got) != len(policy) {
			t.Errorf("%s: policy has %d directives, want %d", p.name, len(got), len(policy))
		}
		if p.Header().Get("Permissions-Policy") == "" {
			t.Errorf("%s has no Permissions-Policy", p.name)
		}
	}
}

// TM-092, TM-101. Browsers check where a form leads even after redirects, so partners must be named; but a partner's address
// with a semicolon in it must not end the directive and open another.
func TestFormActionNamesPartnersOnly(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	tests := []struct {
		name    string
		origins []string
		want    string
	}{
		{"none", nil, "'self'"},
		{"partners", []string{"https://idv.example", "https://other.example:8443"}, "'self' https://idv.example https://other.example:8443"},
		{"emulator", []string{"http://localhost:8092", "http://[::1]:8092"}, "'self' http://localhost:8092 http://[::1]:8092"},
		{"second directive", []string{"https://idv.example; script-src *"}, "'self'"},
		{"second source", []string{"https://idv.example https://evil.example"}, "'self'"},
		{"comma starts a second policy", []string{"https://idv.example,default-src *"}, "'self'"},
		{"wildcard", []string{"https://*.example", "https:", "*"}, "'self'"},
		{"keyword", []string{"'unsafe-inline'"}, "'self'"},
		{"other scheme", []string{"javascript://idv.example", "data:text/html,x", "ftp://idv.example"}, "'self'"},
		{"not an origin", []string{"https://idv.example/", "https://idv.example/start", "https://idv.example?x", "https://u@idv.example", "//idv.example", ""}, "'self'"},
		{"line break", []string{"https://idv.example\r\nX: y"}, "'self'"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			r.Start(w, page.Start{Meta: page.Meta{FormActions: test.origins}})
			got := directives(t, w.Header().Get("Content-Security-Policy"))
			if got["form-action"] != test.want || len(got) != 9 {
				t.Errorf("form-action = %q of %d directives, want %q of 9", got["form-action"], len(got), test.want)
			}
		})
	}
}

// TM-103. A font or a script from elsewhere tells elsewhere who signs in here, and runs when elsewhere is broken into.
func TestNothingForeignIsLoaded(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{Brand: "Brand", Logo: "/logo.png", PartnerLogos: map[string]string{"harmless": onePixel}})
	for _, p := range everyPage(t, r, "harmless") {
		root := parse(t, p)
		checkAddresses(t, p.name, root)
		for _, n := range elements(root) {
			if n.Data == "style" {
				t.Errorf("%s has a style element", p.name)
			}
			if _, ok := attr(n, "src"); n.Data == "script" && !ok {
				t.Errorf("%s has an inline script", p.name)
			}
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("%s: <%s> has the attribute %s", p.name, n.Data, a.Key)
				}
			}
		}
	}
	for _, name := range []string{"style.css", "app.js", "icon.svg", page.AppScript} {
		w := httptest.NewRecorder()
		if name == page.AppScript {
			r.ServeAppScript(w)
		} else {
			w = asset(t, r, name)
		}
		for _, foreign := range []string{"http:", "https:", "@import", "url("} {
			// The name of SVG's own language is no address.
			if body := strings.ReplaceAll(w.Body.String(), `xmlns="http://www.w3.org/2000/svg"`, ""); strings.Contains(body, foreign) {
				t.Errorf("%s contains %q", name, foreign)
			}
		}
	}
}
