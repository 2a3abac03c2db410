// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bufio"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// spellings are paths that name an endpoint, an open path, a part of the site, or none of them, in the ways in which somebody
// may write them so that two programs read them differently.
var spellings = []string{
	"/", "*", "/.verified-id", "/.verified-id/", "/.verified-id/start", "/.verified-id/callback?x=1", "/.verified-id/../app/x",
	"/.verified-id/start/", "/%2everified-id/start", "/.verified-id%2fstart", "/.verified-id/%73tart", "/.VERIFIED-ID/start", "//.verified-id/start",
	"/.verified-id/start;x", `/.verified-id\start`, "/.verified-id/start%00", "/.verified-id/start%3f", "/.verified-id/./start", "/x/../.verified-id/start",
	"/.verified-identity", "/.verified-id/assets/page.css", "/.verified-id/assets/../start", "/.verified-id/events#x", "/.verified-id/st%zzart",
	"http://payroll.contoso.example/.verified-id/start", "http:///.verified-id/start", "http:/.verified-id/start", "http:.verified-id/start",
	"payroll.contoso.example:443", "payroll.contoso.example:443/.verified-id/start", "http://payroll.contoso.example?/.verified-id/start",
	"/health", "/health?x=/app/x", "/health/", "/Health", "/health;x", "/health%2f..%2fapp", "/%68ealth", "//health", "/health#", "/health%20",
	"/assets", "/assets/", "/assets/app.css", "/assets/a/b.js?v=1", "/assets/../app/x", "/assets/..%2fapp/x", "/assets/%2e%2e/app/x", "/assets//app",
	`/assets/..\app`, "/assets/.hidden", "/assets/%00", "/assets/a%25", "/assets/\u00e9", "/assets/a%c3%a9", "/assets/[a](b)'c'~d|e", "/assets/..;/app/x",
	"/app/x", "//app/x", "/./app/x", "/APP/x", "/a/../app/x", "/a/%2e%2e/app/x", "/%61pp/x", "/a%2f..%2fapp/x", "/a/..;/app/x", "/a/..;v=1/app/x",
	"/app;v=1/x", "/;v=1/app/x", `/a\..\app\x`, `/app\x`, "/app%5cx", "/a/..%5capp%5cx", "/%2561pp/x", "/a/.%252e/app/x", "http:app/x", "foo:%2fapp/x",
	"/app", "/app/../open/x", "/app/%2e%2e/open/x", "/app/./x", "/app/..", "/open", "/open/x", "/open/../app/x", "/open/..;/app/x", "/open/%252e%252e/app/x",
	"/open;v=1/../app/x", "/open/x/..", "/open/..%00/app", "/open/%23/../app", "/open/a%3b/../../app/x", "/open/%c0%ae%c0%ae/app/x", "/open%2f..%2fapp/x",
}

// head is a request of an anonymous visitor as it comes over the wire.
func head(method, target string) []byte {
	return []byte(method + " " + target + " HTTP/1.1\r\nHost: payroll.contoso.example\r\n\r\n")
}

// FuzzRequestLine: what a request is for, from the bytes on the wire. An endpoint and an open path have one spelling, everything
// under our base path is ours, and a gate for a part of the site, or for all but a part, leaves no request alone that some app
// could take for one of the gated. All of that by the readings of a slow reference. TM-106, TM-107, TM-109.
func FuzzRequestLine(f *testing.F) {
	for _, target := range spellings {
		f.Add(head("GET", target))
	}
	for _, method := range []string{"POST", "HEAD", "OPTIONS", "CONNECT", "TRACE", "get", "PROPFIND"} {
		for _, target := range []string{"/.verified-id/callback", "/.verified-id", "/health", "/app/x", "*", "payroll.contoso.example:443/.verified-id/start"} {
			f.Add(head(method, target))
		}
	}
	_, ctx := loadApp(f, testApp(""))
	g := loadGate(f, ctx, "verified_id {\n public /health /assets/*\n}")
	part, rest := loadGate(f, ctx, "verified_id"), loadGate(f, ctx, "verified_id")
	app, open := caddyhttp.MatchPath{"/app/*"}, caddyhttp.MatchPath{"/open", "/open/*"}
	for _, path := range []caddyhttp.MatchPath{app, open} {
		if err := path.Provision(ctx); err != nil {
			f.Fatal(err)
		}
	}
	part.matchers = caddyhttp.MatcherSets{{app}}
	rest.matchers = caddyhttp.MatcherSets{{caddyhttp.MatchNot{MatcherSets: []caddyhttp.MatcherSet{{open}}}}}
	_, cookie := sessionOf(g, presentation(g))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(wire))))
		if err != nil {
			return
		}
		r = asCaddy(r)
		written := writtenPath(r.Method, r.RequestURI)
		path, own := ownPath(r)
		if decoded := decode(written); own != (decoded == basePath || strings.HasPrefix(decoded, basePath+"/")) {
			t.Fatalf("%q is ours: %v", r.RequestURI, own)
		}
		for _, e := range endpoints {
			if (own && e.path == path) != (written == basePath+e.path) {
				t.Fatalf("%q is our endpoint %q: %v", r.RequestURI, e.path, own && e.path == path)
			}
		}
		if public := openPath.MatchString(written); g.isPublic(r) != public {
			t.Fatalf("%q is open: %v", r.RequestURI, !public)
		}
		for _, cookie := range []string{"", cookie} {
			onward := asCaddy(r)
			onward.Header = http.Header{"Cookie": {cookie}}
			_, up := serve(t, g, onward)
			if up.hits > 0 && (own || r.Host == "" || cookie == "" && !openPath.MatchString(written)) {
				t.Fatalf("%s %q reached the app, with the cookie %.10q", r.Method, r.RequestURI, cookie)
			}
		}
		readings := readings(written)
		for name, c := range map[string]struct {
			gate  *Gate
			gated func(string) bool
		}{
			"/app/*":          {part, func(path string) bool { return strings.HasPrefix(path, "/app/") }},
			"all but /open/*": {rest, func(path string) bool { return path != "/open" && !strings.HasPrefix(path, "/open/") }},
		} {
			applies, err := c.gate.applies(r)
			if i := slices.IndexFunc(readings, c.gated); err == nil && !applies && i >= 0 {
				t.Fatalf("the gate for %s leaves %q alone, in which an app may read %q", name, r.RequestURI, readings[i])
			}
		}
	})
}

// asCaddy is the request as Caddy hands it to a handler.
func asCaddy(r *http.Request) *http.Request {
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.7"})
	return r.WithContext(context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, *r))
}

// openPath is what the gate of the test leaves open: /health and /assets/*, where no segment is empty or begins with a dot and
// no character has a second meaning anywhere.
var openPath = regexp.MustCompile(`^(/health|/assets/([!$&'()*+,:=@\[\]_~A-Za-z0-9-][!$&'()*+,.:=@\[\]_~A-Za-z0-9-]*/)*([!$&'()*+,:=@\[\]_~A-Za-z0-9-][!$&'()*+,.:=@\[\]_~A-Za-z0-9-]*)?)$`)

// writtenPath is the path in a request target, as it was written (RFC 9112, section 3.2).
func writtenPath(method, target string) string {
	path, _, _ := strings.Cut(target, "?")
	switch scheme, rest, found := strings.Cut(path, ":"); {
	case strings.HasPrefix(path, "/"):
		return path
	case method == http.MethodConnect: // an authority, with a path if it must be
		path = "//" + path
	case found && strings.Trim(scheme, "/") == scheme:
		path = rest
	}
	if after, absolute := strings.CutPrefix(path, "//"); absolute {
		if i := strings.IndexByte(after, '/'); i >= 0 {
			return after[i:]
		}
		return ""
	}
	if path == "*" || strings.HasPrefix(path, "/") {
		return path
	}
	return ""
}

// decode undoes percent-encoding once, and leaves alone what is none.
func decode(path string) string {
	var out strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if b, err := strconv.ParseUint(path[i+1:i+3], 16, 8); err == nil {
				out.WriteByte(byte(b))
				i += 2
				continue
			}
		}
		out.WriteByte(path[i])
	}
	return out.String()
}

// readings are the paths that some app may read in one that was written: each treatment that apps are known for, in any order
// and as often as it changes something. Doubled slashes and capitals mean nothing in any of them, as in Caddy's matchers.
func readings(written string) []string {
	treatments := []func(string) string{
		decode,
		func(path string) string { return strings.ReplaceAll(path, `\`, "/") },
		func(path string) string { return parameters.ReplaceAllString(path, "") },
		func(path string) string { before, _, _ := strings.Cut(path, "\x00"); return before },
		func(path string) string { before, _, _ := strings.Cut(path, "#"); return before },
		withoutDots,
	}
	plain := func(path string) string { return slashes.ReplaceAllString(strings.ToLower(path), "/") }
	found := []string{plain(written)}
	for i := 0; i < len(found) && len(found) < 200; i++ {
		for _, treat := range treatments {
			if path := plain(treat(found[i])); !slices.Contains(found, path) {
				found = append(found, path)
			}
		}
	}
	return found
}

var (
	parameters = regexp.MustCompile(`;[^/]*`)
	slashes    = regexp.MustCompile(`/+`)
)

// withoutDots resolves dot segments.
func withoutDots(path string) string {
	var kept []string
	for segment := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		switch segment {
		case ".":
		case "..":
			kept = kept[:max(0, len(kept)-1)]
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + strings.Join(kept, "/")
}

// The reference itself: if it read nothing in anything, the fuzzing above would find nothing.
func TestReadingsOfAPath(t *testing.T) {
	for written, want := range map[string]string{
		"/a/..%252fapp/x": "/app/x", `/open/..;v=1\App\x`: "/app/x", "/x/%2e%2e//app/x": "/app/x", "/app/x%00.css": "/app/x", "/a%23/../app/x": "/app/x",
	} {
		if got := readings(written); !slices.Contains(got, want) {
			t.Errorf("readings(%q) = %q, without %q", written, got, want)
		}
	}
}
