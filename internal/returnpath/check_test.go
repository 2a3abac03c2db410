// SPDX-License-Identifier: Apache-2.0

package returnpath_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	whatwg "github.com/nlnwa/whatwg-url/url"

	"github.com/caddy-verified-id/caddy-verified-id/internal/returnpath"
)

// A phisher sends a link to the gate that ends up on the phisher's page: the visitor has just presented their credential, sees a
// page like the one expected, and goes on. CVE-2020-5233, CVE-2021-32786, CVE-2022-23527, CVE-2024-21497 and others were each one
// spelling that somebody's filter took for a path (TM-081, TM-082, and for the way out TM-086).
func TestReturnToOtherSite(t *testing.T) {
	t.Parallel()
	targets := corpus(t)
	if len(targets) < 300 {
		t.Errorf("%d strings in the corpus, want at least 300", len(targets))
	}
	for _, target := range targets {
		got, ok := returnpath.Check(target.raw)
		want := "/"
		if target.safe {
			want = target.raw
		}
		if got != want || ok != target.safe {
			t.Errorf("line %d: Check(%q) = %q, %t, want %q, %t: %s", target.line, target.raw, got, ok, want, target.safe, target.why)
		}
	}
}

// The second opinion: whatever Check accepts, a browser resolves to our own origin.
func TestBrowserStaysOnOurSite(t *testing.T) {
	t.Parallel()
	for _, target := range corpus(t) {
		if got, ok := returnpath.Check(target.raw); ok {
			askBrowser(t, got)
		}
	}
}

// The second opinion is one only if it sees the attacks.
func TestBrowserIsFooledByUncheckedPaths(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"//evil.test", `/\evil.test`, "/\t/evil.test", "/\n\\evil.test", "https://evil.test", "\t//evil.test"} {
		u, err := whatwg.ParseRef("https://app.example/", raw)
		if err != nil || u.Host() != "evil.test" {
			t.Errorf("%q: a browser goes to %v (%v), want evil.test", raw, u, err)
		}
	}
}

// All short strings of the characters that matter.
func TestShortPathsStayOnOurSite(t *testing.T) {
	t.Parallel()
	const alphabet = "/\\.%2fFeE5cC;?#@:a \t"
	accepted := 0
	var try func(prefix string, left int)
	try = func(prefix string, left int) {
		if got, ok := returnpath.Check(prefix); ok {
			accepted++
			askBrowser(t, got)
		}
		if left == 0 {
			return
		}
		for i := range len(alphabet) {
			try(prefix+alphabet[i:i+1], left-1)
		}
	}
	try("/", 3)
	// And those with whole escapes.
	pieces := []string{"/", "\\", ".", "%2f", "%2E", "%5c", "%09", "%20", ";", "a", "?", "%", "//", "..", "%3b"}
	var combine func(prefix string, left int)
	combine = func(prefix string, left int) {
		if got, ok := returnpath.Check(prefix); ok {
			accepted++
			askBrowser(t, got)
		}
		if left == 0 {
			return
		}
		for _, piece := range pieces {
			combine(prefix+piece, left-1)
		}
	}
	combine("/", 4)
	if accepted < 1000 {
		t.Errorf("only %d paths accepted; the test no longer shows much", accepted)
	}
}

// askBrowser fails unless a browser on our site that is sent to target stays on it, and the path is one that no proxy changes.
func askBrowser(t *testing.T, target string) {
	t.Helper()
	u, err := whatwg.ParseRef("https://app.example/.verified-id/finish?x=y", target)
	if err != nil {
		t.Errorf("%q: a browser cannot resolve it: %v", target, err)
		return
	}
	if u.Protocol() != "https:" || u.Host() != "app.example" || u.Username() != "" || u.Password() != "" || u.Hash() != "" {
		t.Errorf("%q: a browser goes to %s", target, u)
	}
	path, _, _ := strings.Cut(target, "?")
	if got, want := strings.Count(u.Pathname(), "/"), strings.Count(path, "/"); got != want {
		t.Errorf("%q: a browser makes it %s", target, u)
	}
	// Once more for those who decode and resolve then.
	decoded, err := url.PathUnescape(path)
	if err != nil {
		t.Errorf("%q: %v", target, err)
	}
	if strings.HasPrefix(decoded, "//") || strings.ContainsFunc(decoded, func(r rune) bool { return r < ' ' || r == 0x7F || r == '\\' }) {
		t.Errorf("%q: decodes to %q", target, decoded)
	}
	if segments := strings.Split(decoded, "/"); slices.Contains(segments, ".") || slices.Contains(segments, "..") {
		t.Errorf("%q: decodes to %q with a dot segment", target, decoded)
	}
	again, err := whatwg.ParseRef("https://app.example/", decoded)
	if err != nil || again.Host() != "app.example" || again.Protocol() != "https:" {
		t.Errorf("%q: decodes to %q, and a browser goes to %v (%v)", target, decoded, again, err)
	}
}

// What is accepted goes into Location, and must come out of it the same.
func TestAcceptedPathSurvivesRedirect(t *testing.T) {
	t.Parallel()
	for _, target := range corpus(t) {
		got, ok := returnpath.Check(target.raw)
		if !ok {
			continue
		}
		w := httptest.NewRecorder()
		w.Header().Set("Location", got)
		w.WriteHeader(http.StatusSeeOther)
		if location := w.Result().Header.Get("Location"); location != target.raw {
			t.Errorf("Check(%q) arrives as %q", target.raw, location)
		}
	}
}

// Every visit checks its path; a plain one costs nothing but the look at it.
func TestCheckAllocatesNothing(t *testing.T) {
	for _, path := range []string{"/payroll/2026/03?year=2026", "/My%20Documents/a", "//evil.test", "/a/..%2f"} {
		if got := testing.AllocsPerRun(100, func() { returnpath.Check(path) }); got != 0 {
			t.Errorf("Check(%q) allocates %v times, want 0", path, got)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, target := range corpus(f) {
		if len(target.raw) < 100 {
			f.Add(target.raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, ok := returnpath.Check(raw)
		if ok && got != raw || !ok && got != "/" {
			t.Fatalf("Check(%q) = %q, %t", raw, got, ok)
		}
		if ok {
			askBrowser(t, got)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for name, path := range map[string]string{
		"plain":   "/payroll/2026/03/statement?year=2026&page=2",
		"escapes": "/My%20Documents/stra%C3%9Fe/Q1%20report.pdf",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				returnpath.Check(path)
			}
		})
	}
}
