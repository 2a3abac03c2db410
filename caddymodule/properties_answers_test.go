// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// ownAnswer is one answer of ours, and how it was got.
type ownAnswer struct {
	name string
	*httptest.ResponseRecorder
}

// ownAnswers walks through all our endpoints with and without everything that they want, and through the challenges, with
// further headers and a further query each time. Answers of the app are not among them.
func ownAnswers(t *testing.T, more http.Header, query string) []ownAnswer {
	t.Helper()
	app, g, s := partnerGate(t)
	app.limiter = newLimiter(&Limits{StartsPerClient: 1000, StartsPerSecond: 1000, Streams: 10})
	var out []ownAnswer
	with := func(path string) string {
		if query == "" {
			return path
		}
		if strings.Contains(path, "?") {
			return path + "&" + query
		}
		return path + "?" + query
	}
	send := func(b *browser, name, method, path string, form url.Values, header http.Header) *httptest.ResponseRecorder {
		t.Helper()
		merged := header.Clone()
		maps.Copy(merged, more)
		w, u := b.send(method, with(path), form, merged)
		if u.hits > 0 {
			t.Fatalf("%s reached the app", name)
		}
		out = append(out, ownAnswer{name, w})
		return w
	}
	load := http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"none"}, "Accept": {"text/html"}}
	own := http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}, "Accept": {"text/html"}}
	script := http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}}
	elsewhere := http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}

	b := newBrowser(t, g)
	send(b, "challenge of a page", "GET", "/payroll", nil, load)
	send(b, "challenge of a script", "GET", "/payroll", nil, script)
	send(b, "challenge of a form", "POST", "/payroll", url.Values{"a": {"b"}}, own)
	for _, e := range endpoints {
		for _, method := range e.methods {
			path := basePath + e.path
			send(b, method+" "+e.path+" with nothing", method, path, nil, load)
			send(b, method+" "+e.path+" of a script", method, path, nil, script)
			send(b, method+" "+e.path+" from elsewhere", method, path, url.Values{}, elsewhere)
			send(b, method+" "+e.path+" with an empty form", method, path, url.Values{}, own)
			send(b, method+" "+e.path+" with a broken form", method, path, url.Values{"token": {"x"}, "t": {"y"}, "partner": {"z"}}, own)
		}
		send(b, "PUT "+e.path, "PUT", basePath+e.path, nil, own)
	}
	send(b, "no such endpoint", "GET", basePath+"/nothing", nil, load)
	send(b, "no such asset", "GET", basePath+"/assets/0123456789abcdef/nothing.js", nil, load)

	start := send(b, "start", "GET", basePath+"/start", nil, load)
	token := tokenIn(t, start.Body.String())
	send(b, "idv", "POST", basePath+"/idv", url.Values{"token": {token}, "credential": {"employee"}, "partner": {"vu"}}, own)
	send(b, "return", "GET", basePath+"/return", nil, load)
	send(b, "unknown credential", "POST", basePath+"/request", url.Values{"token": {token}, "credential": {"other"}}, own)
	w := send(b, "request", "POST", basePath+"/request", url.Values{"token": {token}, "credential": {"employee"}}, own)
	at, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusSeeOther {
		t.Fatalf("request: status %d to %q", w.Code, w.Header().Get("Location"))
	}
	id := at.Query().Get("t")
	wait := send(b, "wait", "GET", basePath+"/wait?t="+id, nil, load)
	send(b, "status", "GET", basePath+"/status?t="+id, nil, script)
	form := url.Values{"token": {tokenIn(t, wait.Body.String())}, "t": {id}}
	send(b, "finish too early", "POST", basePath+"/finish", form, own)
	requestID, state, key := s.last(t)
	r := request("POST", testOrigin+with(basePath+"/callback"), http.Header{"Content-Type": {"application/json"}, "Authorization": {key}})
	maps.Copy(r.Header, more)
	r.Body = readCloser{strings.NewReader(verified(requestID, state))}
	called, _ := serve(t, g, r)
	out = append(out, ownAnswer{"callback", called})
	send(b, "wait when verified", "GET", basePath+"/wait?t="+id, nil, load)
	send(b, "events when verified", "GET", basePath+"/events?t="+id, nil, script)
	send(b, "finish", "POST", basePath+"/finish", form, own)
	send(b, "wait when consumed", "GET", basePath+"/wait?t="+id, nil, load)
	send(b, "done", "GET", donePath+"0b1c", nil, load)
	send(b, "session", "GET", basePath+"/session", nil, load)
	send(b, "session as JSON", "GET", basePath+"/session", nil, script)
	logout := send(b, "logout page", "GET", basePath+"/logout", nil, load)
	send(b, "logout", "POST", basePath+"/logout", url.Values{"token": {tokenIn(t, logout.Body.String())}}, own)
	return out
}

// cacheable are the answers of ours that are the same for everybody and that partners and browsers keep: the public keys, and
// the script for single-page apps. Pictures, style and scripts of pages are cacheable too; their tests are in package page.
func cacheable(a ownAnswer) bool { return keptFor(a) != "no-store" }

func keptFor(a ownAnswer) string {
	switch {
	case a.Code == http.StatusOK && strings.Contains(a.name, " /jwks.json"):
		return "public, max-age=3600" // an hour (TM-093)
	case a.Code == http.StatusOK && strings.Contains(a.name, " /"+page.AppScript):
		return "public, max-age=300"
	}
	return "no-store"
}

// A cache between us and the visitor shows one person's page to the next, or an old challenge for ever. TM-104.
func TestOwnAnswersAreNotCached(t *testing.T) {
	for _, a := range ownAnswers(t, nil, "") {
		if got, want := a.Header().Get("Cache-Control"), keptFor(a); got != want {
			t.Errorf("%s: status %d with Cache-Control %q, want %q", a.name, a.Code, got, want)
		}
	}
}

// Whatever the visitor did to get it, no page of ours may be framed under an attacker's button, guessed to be of another
// kind, run a stranger's script, or tell the next site where the visitor comes from; errors are pages too. TM-101.
func TestEveryAnswerIsLockedDown(t *testing.T) {
	pages := 0
	for _, a := range ownAnswers(t, nil, "") {
		want := map[string]string{"X-Content-Type-Options": "nosniff"}
		if strings.HasPrefix(a.Header().Get("Content-Type"), "text/html") {
			pages++
			want["X-Frame-Options"] = "DENY"
			want["Referrer-Policy"] = "no-referrer"
			want["Cross-Origin-Opener-Policy"] = "same-origin"
			want["Cross-Origin-Resource-Policy"] = "same-origin"
			policy := a.Header().Get("Content-Security-Policy")
			for _, directive := range []string{
				"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'", "base-uri 'none'",
				"frame-ancestors 'none'", "form-action 'self' https://idv.example https://vu.example",
			} {
				if !strings.Contains(policy+";", directive+";") {
					t.Errorf("%s: no %s in %q", a.name, directive, policy)
				}
			}
		} else if a.Body.Len() == 0 && a.Code == http.StatusSeeOther {
			want = map[string]string{} // nothing is shown
		} else if !strings.HasPrefix(a.name, "challenge") && !cacheable(a) {
			want["Referrer-Policy"] = "no-referrer"
			want["Cross-Origin-Resource-Policy"] = "same-origin"
		}
		for name, value := range want {
			if got := a.Header().Get(name); got != value {
				t.Errorf("%s: status %d with %s = %q, want %q", a.name, a.Code, name, got, value)
			}
		}
	}
	if pages < 40 {
		t.Errorf("only %d pages were looked at; the walk no longer shows much", pages)
	}
}

// A page opened by a link from the app, or by a script of the app, gives nothing of ours away to it: the app is another
// party, and so is a sibling site. TM-080, TM-101, TM-065.
func TestNoAnswerIsReadableElsewhere(t *testing.T) {
	for _, a := range ownAnswers(t, http.Header{"Origin": {testOrigin}}, "") {
		for name := range a.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("%s: %s: %s", a.name, name, a.Header().Get(name))
			}
		}
	}
}

// Somebody is sent a link to one of our pages with markup, or another person's lie, in every place that a page may repeat:
// path, query, Referer, User-Agent, Host, cookies of others. None of it is on the page, nor in a header. TM-100.
func TestNoAnswerRepeatsTheRequest(t *testing.T) {
	const marker = "MARKER4711"
	more := http.Header{
		"Referer": {"javascript:alert('" + marker + "')"}, "User-Agent": {"<b>" + marker}, "Accept-Language": {marker}, "X-Forwarded-Host": {marker + ".example"},
		"X-Forwarded-Proto": {marker}, "X-Original-Url": {"/" + marker}, "X-Forwarded-Uri": {"/" + marker}, "Forwarded": {"host=" + marker},
	}
	for _, a := range ownAnswers(t, more, "error="+marker+"&x=%3Cscript%3E"+marker+"&RequestId="+marker) {
		if strings.HasPrefix(a.name, "challenge of a page") {
			continue // the address that was asked for, sealed
		}
		if strings.Contains(a.Body.String(), marker) {
			t.Errorf("%s repeats the marker:\n%s", a.name, a.Body)
		}
		for name, values := range a.Header() {
			if strings.Contains(strings.Join(values, " "), marker) {
				t.Errorf("%s: %s: %q", a.name, name, values)
			}
		}
	}
	_, g, _ := partnerGate(t)
	for _, path := range []string{"/" + marker + "/<b>", basePath + "/" + marker, basePath + "/start/" + marker} {
		r := request("GET", testOrigin+"/", http.Header{"Accept": {"text/html"}})
		r.URL = &url.URL{Path: path}
		r.Host = marker + ".example"
		original := *r
		w, _ := serve(t, g, withOriginal(r, original))
		if strings.Contains(w.Body.String(), marker) || strings.Contains(w.Header().Get("Location"), marker) {
			t.Errorf("%s: status %d repeats the path or the host: %v\n%s", path, w.Code, w.Header(), w.Body)
		}
	}
}

// A claim with markup, by a careless issuer, is shown to its holder as the text that it is. TM-099.
func TestClaimWithMarkupIsText(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	const hostile = `<script>alert(1)</script>`
	callback(t, g, key, verified(requestID, state, "ana@contoso.example", hostile))
	b.finish(id)
	w, _ := b.open(basePath + "/session")
	if body := w.Body.String(); strings.Contains(body, hostile) || !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Errorf("the session page has the claim as\n%s", body)
	}
	w, _ = b.send("GET", basePath+"/session", nil, http.Header{"Sec-Fetch-Site": {"same-origin"}})
	if got := w.Header().Get("Content-Type"); got != "application/json" || w.Header().Get("X-Content-Type-Options") != "nosniff" || strings.Contains(w.Body.String(), hostile) {
		t.Errorf("the session as JSON: %s %s", got, w.Body)
	}
}

// The app's answers are the app's: a gate that put its own policy on them would break the app, or hide that it has none.
// TM-101.
func TestAppAnswersKeepTheirOwnPolicy(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	got := answerWith(t, g, http.Header{"Content-Security-Policy": {"default-src https:"}})
	if values := got.Values("Content-Security-Policy"); !slices.Equal(values, []string{"default-src https:"}) {
		t.Errorf("Content-Security-Policy %q, want the app's own", values)
	}
	for _, name := range []string{"X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy", "X-Content-Type-Options"} {
		if got.Get(name) != "" {
			t.Errorf("the app's answer got %s: %s", name, got.Get(name))
		}
	}
}
