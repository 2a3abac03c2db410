// SPDX-License-Identifier: Apache-2.0

package claimheader_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"":                      "",
		"X-Verified-Id-Subject": "x-verified-id-subject",
		"x_verified.id!SUBJECT": "x-verified-id-subject",
		"X--A":                  "x--a",
		"Zoë1":                  "zo--1",
		"\x00[`{@/:":            "-------",
	} {
		if got := claimheader.Fold(name); got != want {
			t.Errorf("Fold(%q) = %q, want %q", name, got, want)
		}
		if got := string(claimheader.FoldAppend([]byte("a"), name)); got != "a"+want {
			t.Errorf("FoldAppend(a, %q) = %q, want %q", name, got, "a"+want)
		}
	}
}

// A client writes itself a header that the app believes, spelled so that a filter comparing bytes lets it through and the app,
// which knows headers by their CGI names only, reads it as ours. This was CVE-2025-64484 and CVE-2026-52845 (TM-001, TM-002).
func TestForgedClaimHeaderIsStripped(t *testing.T) {
	t.Parallel()
	strip := claimheader.NewStrip([]string{"X-Verified-Id-"}, []string{"X-Employee-Name", "Remote-User", "Auth"})
	var spellings []string
	for _, name := range []string{
		"X-Verified-Id-Subject", "X-Verified-Id-Claim-Role", "X-Verified-Id-", "X-Employee-Name", "Remote-User", "Auth",
	} {
		// Each separator, in each place and in all of them.
		for _, separator := range []string{"-", "_", ".", "!", "~", "'", "+", "|", "^", "`", "$", "&", "%", "*", "#", " ", "\t", "\x00", "\xff", ":"} {
			spelled := strings.ReplaceAll(name, "-", separator)
			spellings = append(spellings, spelled, lower(spelled), upper(spelled), swapCase(spelled))
			for i := range len(name) {
				if name[i] == '-' {
					spellings = append(spellings, name[:i]+separator+name[i+1:])
				}
			}
		}
	}
	for _, name := range spellings {
		if !strip.Matches(name) {
			t.Errorf("Matches(%q) = false, want true", name)
		}
		// As a key set directly, and as the server would.
		for _, h := range []http.Header{{name: {"forged"}}, {http.CanonicalHeaderKey(name): {"forged", "twice"}}, {name: nil}} {
			if got := strip.From(h); len(h) != 0 || got != 1 {
				t.Errorf("From(%q) = %d and left %v, want 1 and nothing", name, got, h)
			}
		}
	}

	// All at once, with others between them.
	h := http.Header{"Accept": {"*/*"}, "X-Employee": {"kept"}}
	for _, name := range spellings {
		h[name] = []string{"forged"}
	}
	strip.From(h)
	if want := (http.Header{"Accept": {"*/*"}, "X-Employee": {"kept"}}); !maps.EqualFunc(h, want, slices.Equal) {
		t.Errorf("From() left %v, want %v", h, want)
	}
}

func TestOtherHeadersStay(t *testing.T) {
	t.Parallel()
	strip := claimheader.NewStrip([]string{"X-Verified-Id-", ""}, []string{"X-Employee-Name", "Remote-User", ""})
	h := typicalHeaders()
	for _, name := range []string{
		"", "X", "-", "X-Verified-Id", "X-Verified-Ix-A", "Y-Verified-Id-A", "XX-Verified-Id-A", "X-Employee-Nam", "X-Employee-Name2",
		"X-Employee--Name", "-Remote-User", "Remote-User-", "Remoteuser", "Remote-Used", strings.Repeat("X", 1000),
	} {
		h[name] = []string{"v"}
	}
	want := maps.Clone(h)
	if got := strip.From(h); got != 0 || !maps.EqualFunc(h, want, slices.Equal) {
		t.Errorf("From() = %d and left %d of %d headers, want all", got, len(h), len(want))
	}
	// The zero value deletes nothing.
	if got := new(claimheader.Strip).From(h); got != 0 {
		t.Errorf("zero Strip: From() = %d, want 0", got)
	}
	if got := strip.From(nil); got != 0 {
		t.Errorf("From(nil) = %d, want 0", got)
	}
}

// Long names share a bit in the filter by length; none may fall through.
func TestStripOfLongNames(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 61, 62, 63, 64, 65, 127, 128, 300} {
		name := strings.Repeat("A", n)
		strip := claimheader.NewStrip(nil, []string{name})
		for m := 1; m <= 310; m++ {
			if got := strip.Matches(strings.Repeat("a", m)); got != (m == n) {
				t.Errorf("name of %d: Matches(%d) = %t", n, m, got)
			}
		}
	}
}

// Transfer_Encoding means nothing to HTTP and everything to an app that folds names: it would read another body than the proxy
// sent. In their proper spelling these headers are net/http's business and stay.
func TestOddSpellingOfFramingHeaderIsStripped(t *testing.T) {
	t.Parallel()
	strip := claimheader.NewStrip(nil, nil)
	for _, name := range []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		if strip.Matches(name) {
			t.Errorf("Matches(%q) = true, want it left to HopByHop", name)
		}
		odd := []string{strings.ToLower(name), strings.ToUpper(name)}
		if underscored := strings.ReplaceAll(name, "-", "_"); underscored != name {
			odd = append(odd, underscored, strings.ReplaceAll(name, "-", "."))
		}
		for _, name := range odd {
			if !strip.Matches(name) {
				t.Errorf("Matches(%q) = false, want true", name)
			}
		}
	}
	// An operator who insists on one of these names has it deleted altogether.
	if !claimheader.NewStrip(nil, []string{"Te"}).Matches("Te") {
		t.Error("Matches(Te) = false, want true when it is configured")
	}
}

// An independent and slow way to say what Strip does.
func FuzzStrip(f *testing.F) {
	for _, name := range []string{"X-Verified-Id-Subject", "X-Verified-Id-", "Remote-User", "Transfer-Encoding", "X-Employee-Name", "Q"} {
		for _, separator := range []string{"-", "_", ".", " ", "\x00", "\xff", "--"} {
			f.Add(strings.ReplaceAll(name, "-", separator))
		}
	}
	prefixes, names := []string{"X-Verified-Id-", "Q"}, []string{"Remote-User", "X-Employee-Name", "x"}
	strip := claimheader.NewStrip(prefixes, names)
	framing := []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
	f.Fuzz(func(t *testing.T, name string) {
		fold := claimheader.Fold(name)
		want := slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(fold, claimheader.Fold(p)) }) ||
			slices.ContainsFunc(names, func(n string) bool { return fold == claimheader.Fold(n) }) ||
			slices.ContainsFunc(framing, func(n string) bool { return fold == claimheader.Fold(n) && name != n })
		if got := strip.Matches(name); got != want {
			t.Errorf("Matches(%q) = %t, want %t", name, got, want)
		}
	})
}

// lower, upper and swapCase change ASCII letters, byte by byte, so that other bytes stay what they are.
func lower(s string) string { return mapBytes(s, func(byte) bool { return false }) }

func upper(s string) string { return mapBytes(s, func(byte) bool { return true }) }

func swapCase(s string) string { return mapBytes(s, func(c byte) bool { return c >= 'a' }) }

func mapBytes(s string, up func(byte) bool) string {
	b := []byte(s)
	for i, c := range b {
		switch letter := c | 0x20; {
		case letter < 'a' || letter > 'z':
		case up(c):
			b[i] = letter - 0x20
		default:
			b[i] = letter
		}
	}
	return string(b)
}

// typicalHeaders returns the 20 headers that a browser and a load balancer send.
func typicalHeaders() http.Header {
	return http.Header{
		"Accept":                    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"Accept-Encoding":           {"gzip, deflate, br, zstd"},
		"Accept-Language":           {"en-GB,en;q=0.5"},
		"Cache-Control":             {"no-cache"},
		"Connection":                {"keep-alive"},
		"Cookie":                    {"theme=dark; __Host-vid=AAAA"},
		"Dnt":                       {"1"},
		"If-None-Match":             {`"abc"`},
		"Priority":                  {"u=0, i"},
		"Referer":                   {"https://app.example/"},
		"Sec-Ch-Ua":                 {`"Chromium";v="140"`},
		"Sec-Ch-Ua-Platform":        {`"Linux"`},
		"Sec-Fetch-Dest":            {"document"},
		"Sec-Fetch-Mode":            {"navigate"},
		"Sec-Fetch-Site":            {"same-origin"},
		"Upgrade-Insecure-Requests": {"1"},
		"User-Agent":                {"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
		"X-Forwarded-For":           {"192.0.2.1"},
		"X-Forwarded-Host":          {"app.example"},
		"X-Forwarded-Proto":         {"https"},
	}
}
