// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A stranger tries every method there is and some there are not; some servers skip their checks for what they take for
// harmless. None reaches the app, and none gets a success. TM-109, and TM-112 for the CONNECT of HTTP/2 and HTTP/3, which
// opens WebSockets there.
func TestEveryMethodIsGated(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for _, method := range []string{
		"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "MKCOL", "SEARCH", "PURGE", "BREW",
		"get", "head", "options", "Get", "X", strings.Repeat("LONG", 20),
	} {
		for name, header := range map[string]http.Header{
			"page":       pageLoad,
			"script":     {"Accept": {"*/*"}},
			"preflight":  {"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"GET"}, "Access-Control-Request-Headers": {"authorization"}},
			"h2 connect": {":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}},
			"upgrade":    {"Connection": {"Upgrade"}, "Upgrade": {"websocket"}},
		} {
			w, u := serve(t, g, request(method, testOrigin+"/payroll", header))
			if u.hits != 0 || w.Code < 300 {
				t.Errorf("%s as %s: status %d with %d hits upstream", method, name, w.Code, u.hits)
			}
		}
	}
}

// CONNECT has no path, and OPTIONS may have a star for one. F10.
func TestOddTargetsAreGated(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n public /health /assets/*\n}")
	for _, path := range []string{"", "*", "health", "//", "/ ", "/\x00", `\health`, "/health\x00", "/assets/\\..\\admin", "/assets/..\\admin"} {
		r := request("OPTIONS", testOrigin+"/", nil)
		target := *r.URL
		target.Path, target.RawPath = path, ""
		r.URL = &target
		original := *r
		if w, u := serve(t, g, withOriginal(r, original)); u.hits != 0 || w.Code < 300 {
			t.Errorf("path %q: status %d with %d hits upstream", path, w.Code, u.hits)
		}
	}
}

// A stranger says of himself that he is a health check, that the real path was another one, or that somebody before us has
// let him in. What a client says of a request decides nothing: only its path, spelled plainly, and its session. TM-108.
func TestNothingTheClientSaysOpensThePath(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n public /health /assets/*\n}")
	for _, path := range []string{"/admin", "/admin?path=/health", "/admin?next=/assets/x.css", "/admin?/health", "/health2", "/ping", "/healthz", "/ready", "/_health"} {
		for _, header := range []http.Header{
			{},
			{"X-Original-Url": {"/health"}, "X-Rewrite-Url": {"/health"}, "X-Original-Uri": {"/health"}, "X-Forwarded-Uri": {"/health"}, "X-Forwarded-Path": {"/health"}},
			{"X-Forwarded-Method": {"OPTIONS"}, "X-Http-Method-Override": {"OPTIONS"}, "X-Method-Override": {"GET"}},
			{"User-Agent": {"kube-probe/1.30"}},
			{"User-Agent": {"GoogleHC/1.0"}},
			{"User-Agent": {"ELB-HealthChecker/2.0"}},
			{"X-Forwarded-For": {"127.0.0.1"}, "X-Real-Ip": {"127.0.0.1"}, "X-Forwarded-Host": {"localhost"}, "Forwarded": {"for=127.0.0.1"}},
			{"Authorization": {"Basic YWRtaW46YWRtaW4="}, "X-Forwarded-User": {"admin"}, "Remote-User": {"admin"}},
			{"X-Verified-Id-Subject": {"subject-of-ana"}, "X-Verified-Id-Stripped": {"true"}},
			{"Purpose": {"prefetch"}, "Sec-Purpose": {"prefetch"}, "X-Moz": {"prefetch"}},
		} {
			if w, u := serve(t, g, request("GET", testOrigin+path, header)); u.hits != 0 || w.Code < 300 {
				t.Errorf("%s with %v: status %d with %d hits upstream", path, header, w.Code, u.hits)
			}
		}
	}
	if _, u := serve(t, g, request("GET", testOrigin+"/health?x=/admin", nil)); u.hits != 1 {
		t.Error("the open path is shut; the test no longer shows anything")
	}
}

// A stranger announces a gigabyte and waits for our go-ahead, or sends it without. Who may not pass gets his answer before
// any of it is read, and none of it is kept for later: others replayed it after the login, as another person. TM-113.
func TestBodyOfAStrangerIsNotRead(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for name, header := range map[string]http.Header{
		"form":   {"Content-Type": {"application/x-www-form-urlencoded"}, "Expect": {"100-continue"}, "Content-Length": {"1073741824"}},
		"upload": {"Content-Type": {"multipart/form-data; boundary=x"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Accept": {"text/html"}},
		"json":   {"Content-Type": {"application/json"}},
	} {
		r := request("POST", testOrigin+"/payroll", header)
		body := &endless{}
		r.Body, r.ContentLength = body, 1<<30
		if w, u := serve(t, g, r); w.Code != http.StatusUnauthorized || u.hits != 0 || body.read != 0 {
			t.Errorf("%s: status %d with %d hits upstream after %d bytes, want 401 before the first", name, w.Code, u.hits, body.read)
		}
		if r.Form != nil || r.PostForm != nil || r.MultipartForm != nil {
			t.Errorf("%s: the body was parsed", name)
		}
	}
}

// finalWriter counts how often an answer is begun.
type finalWriter struct {
	*httptest.ResponseRecorder
	heads int
}

func (f *finalWriter) WriteHeader(status int) {
	f.heads++
	f.ResponseRecorder.WriteHeader(status)
}

func (f *finalWriter) Write(b []byte) (int, error) {
	if f.heads == 0 {
		f.heads++
	}
	return f.ResponseRecorder.Write(b)
}

// A server says no and then goes on to say what was asked for: CVE-2025-31492 appended the protected page to its redirect.
// A refusal is one answer, whole, and the app is not asked. TM-114.
func TestDenialIsFinal(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for name, r := range map[string]*http.Request{
		"page": request("GET", testOrigin+"/", pageLoad), "script": request("GET", testOrigin+"/", nil), "head": request("HEAD", testOrigin+"/", nil),
		"own endpoint": request("GET", testOrigin+basePath+"/nothing", nil), "range": request("GET", testOrigin+"/", http.Header{"Range": {"bytes=0-"}}),
		"conditional": request("GET", testOrigin+"/", http.Header{"If-None-Match": {"*"}, "If-Modified-Since": {"Thu, 15 Jan 2026 10:00:00 GMT"}}),
	} {
		w, u := &finalWriter{ResponseRecorder: httptest.NewRecorder()}, &upstream{}
		err := g.ServeHTTP(w, r, u)
		if err != nil || u.hits != 0 || w.heads != 1 {
			t.Errorf("%s: %d answers, %d hits upstream, error %v; want one, none and none", name, w.heads, u.hits, err)
		}
		if w.Code == http.StatusSeeOther && w.Body.Len() != 0 || r.Method == http.MethodHead && w.Body.Len() != 0 {
			t.Errorf("%s: status %d with a body of %d bytes", name, w.Code, w.Body.Len())
		}
		if w.Code == http.StatusPartialContent || w.Code == http.StatusNotModified {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}

// A browser sends garbage for our cookie, again and again, flipped at every place. That is no error of ours and no line in
// the log above debug; it is no session. TM-028.
func TestBrokenCookieIsQuiet(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	logged := watchLog(g)
	_, cookie := sessionOf(g, presentation(g))
	at := strings.IndexByte(cookie, '=') + 1
	for i := at; i < len(cookie); i += 7 {
		for _, broken := range []string{cookie[:i] + "!" + cookie[i+1:], cookie[:i], cookie + cookie[i:], cookie[:i] + "A" + cookie[i:]} {
			if broken == cookie {
				continue
			}
			w, u := serve(t, g, request("GET", testOrigin+"/", withCookie(broken, "Accept", "text/html")))
			if u.hits != 0 || w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Set-Cookie"), g.site.session.Name+"=;") {
				t.Fatalf("%q: status %d with %d hits upstream and Set-Cookie %q, want 303, none and the cookie cleared", broken, w.Code, u.hits, w.Header().Get("Set-Cookie"))
			}
		}
	}
	if lines := logged.above(); len(lines) != 0 {
		t.Errorf("logged: %q", lines)
	}
}

// The context of a request that its client gave up must not turn a refusal into anything else. TM-114.
func TestDenialOfAClientThatLeft(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	r := request("GET", testOrigin+"/", nil)
	gone, cancel := context.WithCancel(r.Context())
	cancel()
	if w, u := serve(t, g, r.WithContext(gone)); u.hits != 0 || w.Code != http.StatusUnauthorized {
		t.Errorf("status %d with %d hits upstream", w.Code, u.hits)
	}
}
