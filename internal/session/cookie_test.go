// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

const ours = "__Host-vid"

func TestFindCookie(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		lines []string
		want  string
		ok    bool
	}{
		{"no header", nil, "", false},
		{"empty", []string{""}, "", false},
		{"alone", []string{"__Host-vid=v"}, "v", true},
		{"first", []string{"__Host-vid=v; a=b"}, "v", true},
		{"last", []string{"a=b; __Host-vid=v"}, "v", true},
		{"between", []string{"a=b; __Host-vid=v; c=d"}, "v", true},
		{"second line", []string{"a=b", "__Host-vid=v"}, "v", true},
		{"no blank", []string{"a=b;__Host-vid=v;c=d"}, "v", true},
		{"many blanks", []string{"a=b;   __Host-vid=v"}, "v", true},
		{"empty value", []string{"__Host-vid="}, "", true},
		{"no equals sign", []string{"__Host-vid"}, "", false},
		{"equals sign in the value", []string{"__Host-vid=a=b=="}, "a=b==", true},
		{"longer name", []string{"__Host-vid2=v"}, "", false},
		{"shorter name", []string{"__Host-vi=v"}, "", false},
		{"name with another before it", []string{"x__Host-vid=v"}, "", false},
		{"in a value", []string{"a=__Host-vid=v"}, "", false},
		{"quotes stay", []string{`__Host-vid="v"`}, `"v"`, true},
		{"blank after the value stays", []string{"__Host-vid=v ; a=b"}, "v ", true},
		{"semicolons only", []string{";;; ;"}, "", false},
	}
	for _, tt := range tests {
		h := http.Header{"Cookie": tt.lines}
		if got, ok := session.FindCookie(h, ours); got != tt.want || ok != tt.ok {
			t.Errorf("%s: FindCookie(%q) = %q, %t, want %q, %t", tt.name, tt.lines, got, ok, tt.want, tt.ok)
		}
	}
}

// A sibling site, or a page on plain http, sets a second cookie with our name, hoping that we take it for the first: the visitor
// would then act in the attacker's session. Two are none, in whatever order (TM-027).
func TestCookieTwiceIsNoSession(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{
		{"__Host-vid=a; __Host-vid=b"},
		{"__Host-vid=b; __Host-vid=a"},
		{"__Host-vid=a; __Host-vid=a"},
		{"__Host-vid=a; x=y; __Host-vid="},
		{"__Host-vid=; __Host-vid=a"},
		{"__Host-vid=a", "__Host-vid=b"},
		{"__Host-vid=a;__Host-vid=b;__Host-vid=c"},
	} {
		if got, ok := session.FindCookie(http.Header{"Cookie": lines}, ours); ok || got != "" {
			t.Errorf("FindCookie(%q) = %q, %t, want none", lines, got, ok)
		}
	}
}

// almostOurs are cookies whose name some program takes for ours.
var almostOurs = []string{
	"\u2000__Host-vid=evil",     // EN QUAD, trimmed by servers that trim Unicode white space
	"\u00a0__Host-vid=evil",     // NO-BREAK SPACE
	"\xa0__Host-vid=evil",       // the same as Latin-1
	"\x85__Host-vid=evil",       // NEXT LINE
	"\u3000__Host-vid=evil",     // IDEOGRAPHIC SPACE
	"\ufeff__Host-vid=evil",     // byte order mark
	"\t__Host-vid=evil",         // trimmed by net/http
	"\v__Host-vid=evil",         //
	"\x00__Host-vid=evil",       //
	"__Host-vid\u2000=evil",     //
	"__Host-vid =evil",          // trimmed by net/http
	"__Host-vid\t=evil",         //
	"__host-vid=evil",           // browsers once compared the case, servers folded it
	"__HOST-VID=evil",           //
	"__Host-VID=evil",           //
	"__\u212Bost-vid=evil",      //
	"__Host%2Dvid=evil",         // PHP and others decode names
	"%5F%5FHost-vid=evil",       //
	"..Host-vid=evil",           // PHP turns dots into underscores
	"__Host-vid[0]=evil",        // PHP arrays
	"$Version=1",                // RFC 2109
	"$__Host-vid=evil",          //
	`"__Host-vid"=evil`,         //
	"=__Host-vid=evil",          // a cookie without name, whose value looks like ours
	"= __Host-vid=evil",         //
	"a=b, __Host-vid=evil",      // RFC 2109 also parts at commas
	"$Version=1, __Host-vid=ev", //
	"__Host-vid\r=evil",         //
	"a=b\n__Host-vid=evil",      //
	"__Host-vid:evil",           //
}

// Browsers let nobody set __Host- cookies for a sibling. They know the prefix by its bytes, so an attacker sets a name which is
// another to the browser and, after trimming, folding or old cookie syntax, ours to the server (TM-027).
func TestCookieNameThatBecomesOursIsNotOurs(t *testing.T) {
	t.Parallel()
	for _, line := range almostOurs {
		h := http.Header{"Cookie": {line}}
		if got, ok := session.FindCookie(h, ours); ok {
			t.Errorf("FindCookie(%q) = %q, want none", line, got)
		}
		// Nor does it make the real one disappear.
		h = http.Header{"Cookie": {line + "; __Host-vid=real; " + line}}
		if got, ok := session.FindCookie(h, ours); !ok || got != "real" {
			t.Errorf("FindCookie(%q) = %q, %t, want real", h["Cookie"], got, ok)
		}
	}
}

// $Version and quotes have no meaning: a quoted semicolon hides nothing, neither from us nor from the browser that sent it.
func TestOldCookieSyntaxMeansNothing(t *testing.T) {
	t.Parallel()
	h := http.Header{"Cookie": {`$Version="1"; a="x; __Host-vid=real; y"; $Path="/"`}}
	if got, ok := session.FindCookie(h, ours); !ok || got != "real" {
		t.Errorf("FindCookie() = %q, %t, want real", got, ok)
	}
	session.StripCookies(h, isOurs)
	if got, want := h.Get("Cookie"), `$Version="1"; a="x; y"; $Path="/"`; got != want {
		t.Errorf("StripCookies() left %q, want %q", got, want)
	}
}

// The app behind us, and its logs, must not hold sessions; its own cookies must come to it untouched, however odd (TM-010).
func TestSessionCookieDoesNotReachTheApp(t *testing.T) {
	t.Parallel()
	const odd = "\"a;b\"=\"c\";;  =x; \u00fc=\xff; $Path=/;\tz = 1 ,2; flag"
	tests := []struct {
		name  string
		lines []string
		want  []string
	}{
		{"no header", nil, nil},
		{"only ours", []string{"__Host-vid=v"}, nil},
		{"ours twice", []string{"__Host-vid=v; __Host-vid=w"}, nil},
		{"ours with an empty end", []string{"__Host-vid=v;"}, nil},
		{"ours in all lines", []string{"__Host-vid=v", "__Host-vid=w"}, nil},
		{"ours without value", []string{"a=b; __Host-vid; c=d"}, []string{"a=b; c=d"}},
		{"first", []string{"__Host-vid=v; a=b"}, []string{"a=b"}},
		{"first, no blank", []string{"__Host-vid=v;a=b"}, []string{"a=b"}},
		{"last", []string{"a=b; __Host-vid=v"}, []string{"a=b"}},
		{"between", []string{"a=b; __Host-vid=v; c=d"}, []string{"a=b; c=d"}},
		{"another of ours", []string{"__Host-vid-page=v; a=b; __Host-vid=v"}, []string{"a=b"}},
		{"second line", []string{"a=b", "__Host-vid=v; c=d", "e=f"}, []string{"a=b", "c=d", "e=f"}},
		{"line that vanishes", []string{"a=b", "__Host-vid=v", ""}, []string{"a=b", ""}},
		{"odd ones stay", []string{odd}, []string{odd}},
		{"odd ones stay around ours", []string{odd + "; __Host-vid=v;" + odd}, []string{odd + ";" + odd}},
		{"similar names stay", []string{"__Host-vi=a; __Host-vid2=b; __host-vid=c"}, []string{"__Host-vi=a; __Host-vid2=b; __host-vid=c"}},
		{"blanks before the first stay", []string{"  a=b; __Host-vid=v"}, []string{"  a=b"}},
	}
	for _, tt := range tests {
		h := http.Header{"Cookie": slices.Clone(tt.lines), "Accept": {"*/*"}}
		before := h["Cookie"]
		session.StripCookies(h, isOurs)
		got, there := h["Cookie"]
		if !slices.Equal(got, tt.want) || there && tt.want == nil && tt.lines != nil {
			t.Errorf("%s: StripCookies(%q) left %q, want %q", tt.name, tt.lines, got, tt.want)
		}
		// An earlier handler may have kept the slice.
		if !slices.Equal(before, tt.lines) {
			t.Errorf("%s: StripCookies wrote into the slice: %q", tt.name, before)
		}
		if h.Get("Accept") != "*/*" {
			t.Errorf("%s: another header changed", tt.name)
		}
	}
}

func isOurs(name string) bool { return name == ours || name == "__Host-vid-page" }

// net/http's parser is the second opinion. Where a header is written as RFC 6265 says, both must find the same; where it is not,
// ours must neither crash nor touch a cookie that is not ours.
func FuzzCookieHeader(f *testing.F) {
	for _, line := range []string{
		"", "__Host-vid=v", "a=b; __Host-vid=v; c=d", "__Host-vid=v; __Host-vid=w", ";;;", "a", "=", " = ; =", "\u2000__Host-vid=x",
		`$Version=1; a="x; __Host-vid=v; y"`, `__Host-vid="q"`, "__Host-vid=v;", "a=b;__Host-vid;c", "__Host-vid-page=p; z=1",
	} {
		f.Add(line)
	}
	for _, line := range almostOurs {
		f.Add(line)
		f.Add("a=b; " + line + "; __Host-vid=v")
	}
	f.Fuzz(func(t *testing.T, line string) {
		value, ok := session.FindCookie(http.Header{"Cookie": {line}}, ours)
		h := http.Header{"Cookie": {line}}
		session.StripCookies(h, isOurs)
		rest := h.Get("Cookie")

		// Every pair that is not ours is still there, in order and byte for byte; none of ours is.
		var want []string
		for pair := range strings.SplitSeq(line, ";") {
			if name, _, _ := strings.Cut(strings.TrimLeft(pair, " "), "="); !isOurs(name) {
				want = append(want, strings.TrimLeft(pair, " "))
			}
		}
		var got []string
		if _, there := h["Cookie"]; there || len(want) > 0 {
			for pair := range strings.SplitSeq(rest, ";") {
				got = append(got, strings.TrimLeft(pair, " "))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("StripCookies(%q) left %q, want the pairs %q", line, rest, want)
		}

		cookies, err := http.ParseCookie(line)
		if err != nil || render(cookies) != line {
			return
		}
		var values, others []string
		for _, c := range cookies {
			if c.Name == ours {
				values = append(values, strings.TrimPrefix(renderOne(c), ours+"="))
			}
			if !isOurs(c.Name) {
				others = append(others, renderOne(c))
			}
		}
		if ok != (len(values) == 1) || ok && value != values[0] {
			t.Errorf("FindCookie(%q) = %q, %t, but net/http finds %q", line, value, ok, values)
		}
		if want := strings.Join(others, "; "); rest != want {
			t.Errorf("StripCookies(%q) left %q, want %q as net/http sees it", line, rest, want)
		}
	})
}

// render writes cookies as RFC 6265 says.
func render(cookies []*http.Cookie) string {
	pairs := make([]string, len(cookies))
	for i, c := range cookies {
		pairs[i] = renderOne(c)
	}
	return strings.Join(pairs, "; ")
}

func renderOne(c *http.Cookie) string {
	if c.Quoted {
		return c.Name + `="` + c.Value + `"`
	}
	return c.Name + "=" + c.Value
}
