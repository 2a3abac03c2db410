// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// serverFor is the server of a provisioned config that listens where a URL points to.
func serverFor(t testing.TB, ctx caddy.Context, r *http.Request) *caddyhttp.Server {
	t.Helper()
	loaded, err := ctx.App("http")
	if err != nil {
		t.Fatalf("finding the http app: %v", err)
	}
	app, ok := loaded.(*caddyhttp.App)
	if !ok {
		t.Fatalf("the http app is a %T", loaded)
	}
	port := r.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.URL.Scheme]
	}
	for _, server := range app.Servers {
		for _, listen := range server.Listen {
			if strings.HasSuffix(listen, ":"+port) {
				return server
			}
		}
	}
	t.Fatalf("no server listens on port %s", port)
	return nil
}

// visitSite sends one request through a provisioned config, as its server would serve it.
func visitSite(t testing.TB, ctx caddy.Context, method, url string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	serverFor(t, ctx, r).ServeHTTP(w, r)
	return w
}

// Somebody asks for a page of a site whose Caddyfile has a gate, and handle, route, respond or try_files beside it. Had the
// gate been ordered just before reverse_proxy, as gates often are, those would have answered first, with 200, and the gate
// would only have looked as if it were there. Now the gate comes before them whatever the order of the lines: without a
// session a page load is sent to the start page and everything else is refused, nothing of the app is seen, and the start
// page itself answers, whatever block catches its path and whatever rewrites it. TM-115, TM-106.
func TestHandleBlockIsGated(t *testing.T) {
	setSecret(t)
	const marker = "the app's own words"
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Remote-Email", "ana@contoso.example")
		fmt.Fprint(w, marker)
	}))
	t.Cleanup(other.Close)
	upstream := strings.TrimPrefix(other.URL, "http://")
	root := t.TempDir()
	for _, name := range []string{"index.html", "secret.txt"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(marker), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	answer := `respond "` + marker + `"` + "\n"

	for name, site := range map[string]string{
		"handle":                      "handle /app/* {\n" + answer + "}\nhandle {\n" + answer + "}\nverified_id\n",
		"handle of everything":        "handle {\n" + answer + "}\nverified_id\n",
		"handle of our path":          "handle /.verified-id/* {\n" + answer + "}\n" + answer + "verified_id\n",
		"handle_path":                 "handle_path /app/* {\n" + answer + "}\n" + answer + "verified_id\n",
		"route":                       "route /app/* {\n" + answer + "}\n" + answer + "verified_id\n",
		"route with the gate in it":   "route {\nverified_id\n" + answer + "}\n",
		"handle with the gate in it":  "handle {\nverified_id\n" + answer + "}\n",
		"respond":                     answer + "verified_id\n",
		"respond for a path":          "respond /app/* \"" + marker + "\"\n" + answer + "verified_id\n",
		"error":                       "error /app/* 404\n" + answer + "verified_id\n",
		"reverse_proxy":               "reverse_proxy " + upstream + "\nverified_id\n",
		"forward_auth before":         "reverse_proxy " + upstream + "\nforward_auth " + upstream + " {\nuri /auth\ncopy_headers Remote-Email\n}\nverified_id {\nbind mail {http.request.header.Remote-Email}\n}\n",
		"single page":                 "root " + root + "\ntry_files {path} /index.html\nfile_server\nverified_id\n",
		"single page, gate on a path": "root " + root + "\ntry_files {path} /index.html\nfile_server\nverified_id /app/*\n",
		"single page in a handle":     "root " + root + "\nhandle {\ntry_files {path} /index.html\nfile_server\n}\nverified_id\n",
		"rewrite":                     "rewrite * /index.html\n" + answer + "verified_id\n",
		"uri":                         "uri strip_prefix /app\n" + answer + "verified_id\n",
		"file_server":                 "root " + root + "\nfile_server browse\nverified_id\n",
		"encode and header":           "header X-Frame-Options DENY\nencode\n" + answer + "verified_id\n",
		"templates":                   "templates\n" + answer + "verified_id\n",
		"snippet":                     "import gated\n" + answer,
		"named route":                 "invoke app\nverified_id\n",
		"two gates":                   "verified_id /other/*\n" + answer + "verified_id /app/*\n",
	} {
		t.Run(name, func(t *testing.T) {
			text := caddyfileOf("", "(gated) {\nverified_id\n}\n&(app) {\n"+answer+"}\npayroll.contoso.example {\n"+site+"}\n")
			err := newMachine(t).load(t, adaptText(t, text), func(ctx caddy.Context) { checkGated(t, ctx, marker) })
			if err != nil {
				t.Fatalf("loading: %v\n%s", err, text)
			}
		})
	}
}

// checkGated asks for a page in every way that must not be answered, and follows the way to the start page.
func checkGated(t *testing.T, ctx caddy.Context, marker string) {
	t.Helper()
	for name, c := range map[string]struct {
		method string
		header http.Header
		want   int
	}{
		"page load": {http.MethodGet, pageLoad, http.StatusSeeOther},
		"script":    {http.MethodGet, http.Header{"Accept": {"application/json"}}, http.StatusUnauthorized},
		"form":      {http.MethodPost, pageLoad, http.StatusUnauthorized},
	} {
		w := visitSite(t, ctx, c.method, testOrigin+"/app/secret.txt", c.header)
		if w.Code != c.want || strings.Contains(w.Body.String(), marker) {
			t.Errorf("%s: status %d, body %q; want %d and nothing of the app", name, w.Code, w.Body, c.want)
		}
		if name != "page load" {
			continue
		}
		location, err := url.Parse(w.Header().Get("Location"))
		if err != nil || location.Path != basePath+"/start" {
			t.Fatalf("Location = %q, want the start page", w.Header().Get("Location"))
		}
		start := visitSite(t, ctx, http.MethodGet, testOrigin+location.String(), pageLoad)
		if start.Code != http.StatusOK || !strings.Contains(start.Body.String(), `action="`+basePath+`/request"`) {
			t.Errorf("the start page: status %d, body %.200q; want 200 with our form", start.Code, start.Body)
		}
	}
	for path, want := range map[string]int{
		basePath + "/start":       http.StatusOK,
		basePath + "/nothing":     http.StatusNotFound,
		basePath + "/%2e%2e/app/": http.StatusNotFound,
	} {
		w := visitSite(t, ctx, http.MethodGet, testOrigin+path, pageLoad)
		if w.Code != want || strings.Contains(w.Body.String(), marker) {
			t.Errorf("%s: status %d, want %d and nothing of the app", path, w.Code, want)
		}
	}
}

// Where the gate stands inside a block for other paths, visitors would be sent to pages that nobody serves.
func TestGateInsideAnotherPathDoesNotLoad(t *testing.T) {
	setSecret(t)
	for name, site := range map[string]string{
		"handle":      "handle /app/* {\nverified_id\nrespond app\n}\n",
		"handle_path": "handle_path /app/* {\nverified_id\nrespond app\n}\n",
		"route":       "route /app/* {\nverified_id\nrespond app\n}\n",
	} {
		t.Run(name, func(t *testing.T) {
			text := caddyfileOf("", "payroll.contoso.example {\n"+site+"}\n")
			wantError(t, newMachine(t).load(t, adaptText(t, text), nil), nil, "verified_id", "would never be reached", "verified_id /app/*")
		})
	}
}
