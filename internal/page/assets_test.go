// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"encoding/base64"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// onePixel is a picture of one transparent pixel.
const onePixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"

// asset fetches a file of ours by the path that the pages use.
func asset(t *testing.T, r *page.Renderer, name string) *httptest.ResponseRecorder {
	t.Helper()
	p := rendered{"start", httptest.NewRecorder()}
	r.Start(p, page.Start{})
	for _, n := range elements(parse(t, p)) {
		for _, key := range []string{"href", "src"} {
			if path, _ := attr(n, key); strings.HasSuffix(path, "/"+name) {
				w := httptest.NewRecorder()
				if !r.ServeAsset(w, strings.TrimPrefix(path, "/.verified-id/assets/")) {
					t.Fatalf("ServeAsset does not know %s", path)
				}
				return w
			}
		}
	}
	t.Fatalf("no page asks for %s", name)
	return nil
}

func TestAssets(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{Colour: "#0f5132", Brand: "Brand", Logo: onePixel})
	tests := []struct {
		name, contentType, contains string
		most                        int // bytes
	}{
		{"style.css", "text/css; charset=utf-8", "--accent:#0f5132", 10 << 10},
		{"app.js", "text/javascript; charset=utf-8", "EventSource", 4 << 10},
		{"icon.svg", "image/svg+xml", "#0f5132", 1 << 10},
		{"logo.gif", "image/gif", "GIF89a", 1 << 10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := asset(t, r, test.name)
			if got := w.Header().Get("Content-Type"); got != test.contentType {
				t.Errorf("Content-Type = %q, want %q", got, test.contentType)
			}
			if got := w.Header().Get("Cache-Control"); got != "public, max-age=31536000, immutable" {
				t.Errorf("Cache-Control = %q", got)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s = %q, want %q", name, got, want)
				}
			}
			if !strings.Contains(w.Body.String(), test.contains) {
				t.Errorf("content does not contain %q", test.contains)
			}
			if w.Body.Len() > test.most {
				t.Errorf("content has %d bytes, more than %d", w.Body.Len(), test.most)
			}
		})
	}
}

// TM-101. The operator's logo is an SVG with a script in it. In the page it is a picture; opened by itself it would run as a page
// of the site.
func TestLogoOpenedByItselfRunsNothing(t *testing.T) {
	t.Parallel()
	svg := `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
	r := newRenderer(t, page.Config{Brand: "Brand", Logo: "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg))})
	policy := directives(t, asset(t, r, "logo.svg").Header().Get("Content-Security-Policy"))
	if _, sandboxed := policy["sandbox"]; !sandboxed || policy["default-src"] != "'none'" {
		t.Errorf("policy = %v, want a sandbox and nothing to load", policy)
	}
}

func TestUnknownAssets(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	for _, rest := range []string{
		"", "style.css", "/style.css", "0123456789abcdef", "0123456789abcdef/", "0123456789abcdef/other.css", "0123456789abcdef/../style.css",
		"0123456789abcdef//style.css", "0123456789ABCDEF/style.css", "0123456789abcde/style.css", "0123456789abcdef/style.css/",
		"0123456789abcdef/style.css?x", "0123456789abcdef/templates/wait.html", "..%2f/style.css", "0123456789abcdef/STYLE.CSS",
	} {
		w := httptest.NewRecorder()
		if r.ServeAsset(w, rest) || w.Body.Len() > 0 || len(w.Header()) > 0 {
			t.Errorf("ServeAsset(%q) answers", rest)
		}
	}
}

// During a rolling upgrade the page comes from one version and the style sheet from the other. It is better than none, and must
// not be kept under a name that is not its own.
func TestAssetOfAnotherVersionIsNotCached(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if !newRenderer(t, page.Config{}).ServeAsset(w, "0123456789abcdef/style.css") {
		t.Fatal("ServeAsset does not answer for another version")
	}
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
}

// A change of the colour changes the name of the style sheet, or browsers would go on with the old one for a year.
func TestAssetNamesFollowContent(t *testing.T) {
	t.Parallel()
	show := func(config page.Config) string {
		w := httptest.NewRecorder()
		newRenderer(t, config).Start(w, page.Start{})
		return w.Body.String()
	}
	if show(page.Config{}) != show(page.Config{Colour: page.DefaultColour}) {
		t.Error("the default colour and the same colour given differ")
	}
	if show(page.Config{}) == show(page.Config{Colour: "#0f5132"}) {
		t.Error("two colours have the same style sheet")
	}
}
