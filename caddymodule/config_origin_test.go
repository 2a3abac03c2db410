// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// A site has one name, however it is spelled, or what was sealed for it would open elsewhere, or nowhere. TM-118.
func TestParseOrigin(t *testing.T) {
	for raw, want := range map[string]string{
		"https://payroll.contoso.com":      "https://payroll.contoso.com",
		"https://payroll.contoso.com/":     "https://payroll.contoso.com",
		"HTTPS://Payroll.CONTOSO.com":      "https://payroll.contoso.com",
		"https://payroll.contoso.com.":     "https://payroll.contoso.com",
		"https://payroll.contoso.com:443":  "https://payroll.contoso.com",
		"https://payroll.contoso.com:0443": "https://payroll.contoso.com",
		"https://payroll.contoso.com.:443": "https://payroll.contoso.com",
		"https://payroll.contoso.com:8443": "https://payroll.contoso.com:8443",
		"https://payroll.contoso.com:":     "https://payroll.contoso.com",
		"https://xn--zrich-kva.example":    "https://xn--zrich-kva.example",
		"https://192.0.2.7:8443":           "https://192.0.2.7:8443",
		"https://[2001:DB8::7]":            "https://[2001:db8::7]",
		"https://[2001:db8::7]:443":        "https://[2001:db8::7]",
		"https://[2001:db8::7]:8443":       "https://[2001:db8::7]:8443",
		"https://intranet":                 "https://intranet",
		"http://localhost":                 "http://localhost",
		"http://localhost:80":              "http://localhost",
		"http://LOCALHOST:8080/":           "http://localhost:8080",
		"http://payroll.localhost:8080":    "http://payroll.localhost:8080",
		"http://127.0.0.1:8080":            "http://127.0.0.1:8080",
		"http://127.8.9.1":                 "http://127.8.9.1",
		"http://[::1]:8080":                "http://[::1]:8080",
	} {
		got, err := parseOrigin(raw, true)
		if err != nil || got.url != want {
			t.Errorf("parseOrigin(%q) = %q, %v, want %q", raw, got.url, err, want)
			continue
		}
		if got.secure != strings.HasPrefix(want, "https:") || strings.Trim(got.host, "[]") != got.host || strings.HasSuffix(got.host, ".") {
			t.Errorf("parseOrigin(%q) = %+v", raw, got)
		}
		_, err = parseOrigin(raw, false)
		if loads := strings.HasPrefix(want, "https:"); loads != (err == nil) {
			t.Errorf("parseOrigin(%q) without insecure_loopback_http: error %v", raw, err)
		}
		if err != nil && !strings.Contains(err.Error(), "insecure_loopback_http") {
			t.Errorf("parseOrigin(%q): error %q does not say how to permit it", raw, err)
		}
	}
}

func TestParseOriginRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		"":                                    "write https://",
		"payroll.contoso.com":                 "write https://",
		"payroll.contoso.com:8443":            "write https://",
		"//payroll.contoso.com":               "is not https",
		"https:payroll.contoso.com":           "write https://",
		"https://":                            "write https://",
		"https:///":                           "write https://",
		"https://.":                           "no single host",
		"https://..":                          "no single host",
		"https://:8443":                       "no single host",
		"https://a..example":                  "no single host",
		"https://-a.example":                  "no single host",
		"https://*.contoso.com":               "no single host",
		"https://*":                           "no single host",
		"https://zürich.example":              "xn--",
		"https://pay%72oll.contoso.com":       "no",
		"https://a b.example":                 "write https://",
		"https://a.example:0":                 "port",
		"https://a.example:65536":             "port",
		"https://a.example:99999999999999999": "port",
		"https://a.example:x":                 "write https://",
		"https://2001:db8::7":                 "write https://",
		"https://[fe80::1%25eth0]":            "no single host",
		"https://[::1":                        "write https://",
		"https://user@a.example":              "write https://",
		"https://a.example/app":               "write https://",
		"https://a.example?x=1":               "write https://",
		"https://a.example#x":                 "write https://",
		"http://payroll.contoso.com":          "TLS",
		"http://localhost.contoso.com":        "TLS",
		"http://127.0.0.1.contoso.com":        "TLS",
		"http://notlocalhost":                 "TLS",
		"http://0.0.0.0":                      "TLS",
		"ftp://payroll.contoso.com":           "is not https",
		"javascript://payroll.contoso.com":    "is not https",
	} {
		got, err := parseOrigin(raw, true)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseOrigin(%q) = %q, %v, want an error with %q", raw, got.url, err, want)
		}
	}
}

// originAt is the origin that a site of a provisioned config says it has, in its answer to a request.
func originAt(t *testing.T, ctx caddy.Context, url string) string {
	t.Helper()
	w := visitSite(t, ctx, http.MethodGet, url, nil)
	realm := w.Header().Get("Www-Authenticate")
	origin, found := strings.CutPrefix(realm, `VerifiedID realm="`)
	if !found || w.Code != http.StatusUnauthorized {
		t.Fatalf("GET %s: status %d, WWW-Authenticate %q", url, w.Code, realm)
	}
	return strings.TrimSuffix(origin, `"`)
}

// Two sites of one Caddyfile share a server and the app. Had both taken the first one's name, a session of one would open the
// other, and callbacks would go astray. TM-021, TM-118.
func TestEachSiteHasItsOwnOrigin(t *testing.T) {
	setSecret(t)
	gated := " {\nverified_id\nrespond app\n}\n"
	for _, c := range []struct {
		name, options, sites string
		global               string
		want                 map[string]string // request to origin
	}{
		{
			name: "two sites of one server", sites: "a.example" + gated + "b.example" + gated,
			want: map[string]string{"https://a.example/": "https://a.example", "https://b.example/x": "https://b.example"},
		},
		{
			name: "a site without a gate before", sites: "a.example {\nrespond open\n}\nb.example" + gated,
			want: map[string]string{"https://b.example/": "https://b.example"},
		},
		{
			name: "other ports", sites: "a.example:8443" + gated + "b.example:9443" + gated + "c.example" + gated,
			want: map[string]string{
				"https://a.example:8443/": "https://a.example:8443", "https://b.example:9443/": "https://b.example:9443", "https://c.example/": "https://c.example",
			},
		},
		{
			name: "ports that Caddy listens on while clients use the usual ones", global: "https_port 8443\nhttp_port 8080\n",
			sites: "a.example" + gated + "b.example:9443" + gated,
			want:  map[string]string{"https://a.example:8443/": "https://a.example", "https://b.example:9443/": "https://b.example:9443"},
		},
		{
			name: "addresses", sites: "https://192.0.2.7" + gated + "https://[2001:db8::7]" + gated + "https://[2001:db8::7]:8443" + gated,
			want: map[string]string{
				"https://192.0.2.7/": "https://192.0.2.7", "https://[2001:db8::7]/": "https://[2001:db8::7]", "https://[2001:db8::7]:8443/": "https://[2001:db8::7]:8443",
			},
		},
		{
			name: "international name", sites: "zürich.example" + gated,
			want: map[string]string{"https://xn--zrich-kva.example/": "https://xn--zrich-kva.example"},
		},
		{
			name: "bound to an interface", sites: "a.example {\nbind 192.0.2.7 [2001:db8::7]\nverified_id\n}\n",
			want: map[string]string{"https://a.example/": "https://a.example"},
		},
		{
			name: "public_url is one of several hosts", options: "public_url https://A.example:443/", sites: "a.example, b.example" + gated,
			want: map[string]string{"https://a.example/": "https://a.example", "https://b.example/": "https://a.example"},
		},
		{
			name: "public_url is another site's", options: "public_url https://a.example", sites: "a.example" + gated + "b.example" + gated,
			want: map[string]string{"https://a.example/": "https://a.example", "https://b.example/": "https://b.example"},
		},
		{
			name: "public_url of a wildcard", options: "public_url https://a.contoso.example", sites: "*.contoso.example" + gated,
			want: map[string]string{"https://a.contoso.example/": "https://a.contoso.example"},
		},
		{
			name: "behind a proxy that ends TLS", options: "public_url https://payroll.contoso.example", sites: "http://payroll.internal:8080" + gated,
			want: map[string]string{"http://payroll.internal:8080/": "https://payroll.contoso.example"},
		},
		{
			name: "behind a proxy that ends TLS, any host", options: "public_url https://payroll.contoso.example", sites: "http://:8080" + gated,
			want: map[string]string{"http://anything:8080/": "https://payroll.contoso.example"},
		},
		{
			name: "loopback over http", options: "public_url http://localhost:8080\ninsecure_loopback_http", sites: "http://localhost:8080" + gated,
			want: map[string]string{"http://localhost:8080/": "http://localhost:8080"},
		},
		{
			name: "loopback over https", sites: "localhost:8443" + gated,
			want: map[string]string{"https://localhost:8443/": "https://localhost:8443"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(caddyfileOf(c.options, c.sites), "{\n", "{\n"+c.global, 1)
			err := newMachine(t).load(t, adaptText(t, text), func(ctx caddy.Context) {
				for url, want := range c.want {
					if got := originAt(t, ctx, url); got != want {
						t.Errorf("the site at %s calls itself %q, want %q", url, got, want)
					}
				}
			})
			if err != nil {
				t.Fatalf("loading: %v\n%s", err, text)
			}
		})
	}
}

// Where a site has no address of its own that everybody can reach, it must be told, and not guessed from the Host of whoever
// comes first. TM-118.
func TestSiteWithoutAnOriginDoesNotLoad(t *testing.T) {
	setSecret(t)
	gated := " {\nverified_id\nrespond app\n}\n"
	for _, c := range []struct {
		name, options, sites string
		wants                []string
	}{
		{"several hosts", "", "a.example, b.example" + gated, []string{"a.example, b.example", "public_url"}},
		{"several hosts, foreign public_url", "public_url https://c.example", "a.example, b.example" + gated, []string{"https://c.example", "a.example, b.example"}},
		{"any host", "", ":443" + gated, []string{"no host name", "public_url"}},
		{"wildcard", "", "*.contoso.example" + gated, []string{"no host name", "public_url"}},
		{"a host and a wildcard", "", "a.contoso.example, *.contoso.example" + gated, []string{"no host name", "public_url"}},
		{"placeholder", "", "http://{env.VERIFIED_ID_TEST_SECRET}:8080" + gated, []string{"no host name", "public_url"}},
		{"plain http", "", "http://a.example" + gated, []string{"a.example is not served over TLS", "public_url"}},
		{"plain http on loopback", "", "http://localhost:8080" + gated, []string{"public_url http://localhost:8080", "insecure_loopback_http"}},
		{"plain http on loopback, permitted", "insecure_loopback_http", "http://[::1]:8080" + gated, []string{"public_url http://[::1]:8080", "insecure_loopback_http"}},
		{"named route", "", "&(gate) {\nverified_id\n}\na.example {\ninvoke gate\nrespond app\n}\n", []string{"no host name", "public_url"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := caddyfileOf(c.options, c.sites)
			wantError(t, newMachine(t).load(t, adaptText(t, text), nil), []string{testSecret}, c.wants...)
		})
	}
}
