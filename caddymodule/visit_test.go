// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// journeyGate is a gate with its service.
func journeyGate(t testing.TB, app, gate string) (*App, *Gate, *service) {
	t.Helper()
	a, ctx := loadApp(t, testApp(app))
	g := loadGate(t, ctx, gate)
	return a, g, newService(t, a)
}

const mailGate = "verified_id {\n header X-Employee-Mail {claim.mail}\n}"

func TestVisit(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/payroll?year=2026")
	request, state, key := s.last(t)
	w, _ := b.open("/.verified-id/wait?t=" + id)
	if body := w.Body.String(); !strings.Contains(body, "openid-vc://?request_uri="+s.URL) || !strings.Contains(body, "<svg") {
		t.Errorf("the wait page has no link or no QR code:\n%s", body)
	}
	if w := callback(t, g, key, `{"requestId":"`+request+`","requestStatus":"request_retrieved","state":"`+state+`"}`); w.Code != http.StatusOK {
		t.Fatalf("retrieved: status %d", w.Code)
	}
	if w := callback(t, g, key, verified(request, state)); w.Code != http.StatusOK {
		t.Fatalf("verified: status %d", w.Code)
	}
	w = b.finish(id)
	if w.Code != http.StatusOK || onward(w) != "/payroll?year=2026" {
		t.Fatalf("finish: status %d to %q, want the page that was asked for", w.Code, onward(w))
	}
	_, u := b.open("/payroll?year=2026")
	if u.hits != 1 || u.seen.Header.Get("X-Employee-Mail") != "ana@contoso.example" {
		t.Errorf("%d hits upstream with mail %q, want one with Ana's", u.hits, u.seen.Header.Get("X-Employee-Mail"))
	}
}

// An attacker starts a transaction and watches another browser's, with everything it shows but the cookie: the id from
// the address, the state and request id from the code. TM-029, TM-076.
func TestResultGoesToNoOtherBrowser(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	victim, attacker := newBrowser(t, g), newBrowser(t, g)
	id := victim.begin("/")
	request, state, key := s.last(t)
	own := attacker.begin("/")
	w, _ := attacker.open("/.verified-id/wait?t=" + own)
	token := tokenIn(t, w.Body.String())
	callback(t, g, key, verified(request, state))
	for _, path := range []string{"/.verified-id/wait?t=", "/.verified-id/status?t=", "/.verified-id/events?t="} {
		foreign, _ := attacker.open(path + id)
		guessed, _ := attacker.open(path + strings.Repeat("A", len(id)))
		if foreign.Code == http.StatusOK || foreign.Code != guessed.Code {
			t.Errorf("%s: status %d for another's transaction and %d for none", path, foreign.Code, guessed.Code)
		}
	}
	if w := attacker.post("/.verified-id/finish", url.Values{"token": {token}, "t": {id}}); onward(w) != "" || len(attacker.cookies) != 1 {
		t.Errorf("another browser took the result: status %d, cookies %v", w.Code, attacker.cookies)
	}
	if w := victim.finish(id); onward(w) != "/" {
		t.Errorf("the rightful browser: status %d to %q, want /", w.Code, onward(w))
	}
}

// One verification makes one session; the browser whose answer was lost gets the same one again for 30 seconds. TM-032.
func TestResultIsTakenOnce(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	w, _ := b.open("/.verified-id/wait?t=" + id)
	form := url.Values{"token": {tokenIn(t, w.Body.String())}, "t": {id}}
	sessionID := func() string {
		held, _ := g.site.openSession(requestWith(b), app.now())
		if held == nil {
			return ""
		}
		return held.ID
	}
	b.post("/.verified-id/finish", form)
	first := sessionID()
	delete(b.cookies, g.site.session.Name)
	b.post("/.verified-id/finish", form)
	if again := sessionID(); first == "" || again != first {
		t.Errorf("the repeat within 30 s gave session %q, want %q again", again, first)
	}
	delete(b.cookies, g.site.session.Name)
	setNow(testNow.Add(31 * time.Second))
	b.post("/.verified-id/finish", form)
	if late := sessionID(); late != "" {
		t.Errorf("a repeat after 31 s gave session %q, want none", late)
	}
}

// requestWith is a request with the browser's cookies.
func requestWith(b *browser) *http.Request {
	r := request("GET", testOrigin+"/", nil)
	for name, value := range b.cookies {
		r.Header.Add("Cookie", name+"="+value)
	}
	return r
}

// Another person verifies in a browser that has a session: it is replaced, not merged, and the old cookie is dead on the
// server. TM-030, TM-033.
func TestSessionOfAnotherHolderEnds(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	verify := func(changes ...string) {
		t.Helper()
		start, _ := b.open("/.verified-id/start")
		w := b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
		location, err := url.Parse(w.Header().Get("Location"))
		if w.Code != http.StatusSeeOther || err != nil {
			t.Fatalf("request: status %d to %q", w.Code, w.Header().Get("Location"))
		}
		request, state, key := s.last(t)
		callback(t, g, key, verified(request, state, changes...))
		b.finish(location.Query().Get("t"))
	}
	verify()
	ana := b.cookies[g.site.session.Name]
	verify("did:ion:ana", "did:ion:ben", "ana@", "ben@")
	if _, u := b.open("/"); u.hits != 1 || u.seen.Header.Get("X-Employee-Mail") != "ben@contoso.example" {
		t.Errorf("%d hits upstream with mail %q, want one with Ben's", u.hits, u.seen.Header.Get("X-Employee-Mail"))
	}
	b.cookies = map[string]string{g.site.session.Name: ana}
	if _, u := b.open("/"); u.hits != 0 {
		t.Error("the replaced session still opens the app")
	}
}

// A logged-out session is dead on the server, not only in the browser; a link cannot log anybody out. TM-155.
func TestLogoutIsReplayed(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	_, cookie := sessionOf(g, presentation(g))
	name, value, _ := strings.Cut(cookie, "=")
	b.cookies[name] = value
	w, _ := b.open("/.verified-id/logout")
	if _, u := b.open("/"); u.hits != 1 {
		t.Fatal("a GET ended the session")
	}
	b.post("/.verified-id/logout", url.Values{"token": {tokenIn(t, w.Body.String())}})
	b.cookies = map[string]string{name: value}
	if _, u := b.open("/"); u.hits != 0 {
		t.Error("a logged-out session still opens the app")
	}
}

// Whatever must come from our own pages is refused from anywhere else. TM-031.
func TestCrossSiteFormIsRefused(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	start, _ := b.open("/.verified-id/start")
	form := url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}}
	for name, header := range map[string]http.Header{
		"cross-site":        {"Sec-Fetch-Site": {"cross-site"}, "Origin": {testOrigin}},
		"sibling":           {"Sec-Fetch-Site": {"same-site"}},
		"typed":             {"Sec-Fetch-Site": {"none"}},
		"origin null":       {"Origin": {"null"}},
		"origin elsewhere":  {"Origin": {"https://evil.example"}},
		"origin look-alike": {"Origin": {testOrigin + ".evil.example"}},
		"neither":           {},
	} {
		for _, path := range []string{"/request", "/finish", "/idv", "/logout"} {
			if w, _ := b.send("POST", "/.verified-id"+path, form, header); w.Code != http.StatusForbidden {
				t.Errorf("%s to %s: status %d, want 403", name, path, w.Code)
			}
		}
	}
	if s.calls() != 0 {
		t.Errorf("the service was called %d times", s.calls())
	}
}

// Only the form of a person's own start page costs anything: no page view, prefetch, preview or script does. TM-053.
func TestNothingButAFormCallsTheService(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	w, _ := b.open("/")
	start := w.Header().Get("Location")
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT"} {
		b.send(method, start, nil, http.Header{"Purpose": {"prefetch"}})
		b.send(method, "/.verified-id/wait", nil, nil)
		b.send(method, "/.verified-id/return", nil, nil)
	}
	page, _ := b.open(start)
	other := newBrowser(t, g)
	other.open(start)
	for name, form := range map[string]url.Values{
		"no token":                {"credential": {"employee"}},
		"token of the address":    {"credential": {"employee"}, "token": {strings.TrimPrefix(start, "/.verified-id/start?v=")}},
		"another browser's token": {"credential": {"employee"}, "token": {tokenIn(t, page.Body.String())}},
	} {
		if w := other.post("/.verified-id/request", form); w.Code == http.StatusSeeOther {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
	if s.calls() != 0 {
		t.Errorf("the service was called %d times, want none", s.calls())
	}
}

// A client may start five times a minute; many addresses share one bucket before the service. TM-119, TM-120.
func TestStartFlood(t *testing.T) {
	_, g, s := journeyGate(t, "limits {\n starts_per_second 2\n}", mailGate)
	start := func(b *browser) int {
		t.Helper()
		page, _ := b.open("/.verified-id/start")
		return b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, page.Body.String())}, "credential": {"employee"}}).Code
	}
	b := newBrowser(t, g)
	for i := range 8 {
		want := http.StatusSeeOther
		if i >= 5 {
			want = http.StatusTooManyRequests
		}
		b.cookies = map[string]string{}
		b.client = "2001:db8::" + string(rune('1'+i)) // one /64 is one client
		if got := start(b); got != want {
			t.Errorf("start %d: status %d, want %d", i+1, got, want)
		}
	}
	before := s.calls()
	for i := range 40 {
		b := newBrowser(t, g)
		b.client = "198.51.100." + string(rune('0'+i%10)) + string(rune('0'+i/10))
		start(b)
	}
	if extra := s.calls() - before; extra > 10 {
		t.Errorf("40 addresses caused %d calls at once, want at most the bucket of 10", extra)
	}
	setNow(testNow.Add(time.Minute))
	if got := start(newBrowser(t, g)); got != http.StatusSeeOther {
		t.Errorf("a minute later: status %d, want 303", got)
	}
}

// The policy becomes stricter between scan and answer, and between answer and session: no result on old terms. TM-074.
func TestReloadWithStricterPolicyInMidFlow(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	request, state, key := s.last(t)
	callback(t, g, key, verified(request, state))
	raise := func(threshold int) {
		base := &app.credentials["employee"].base
		base.FaceCheck = &verifier.FaceCheckRequirement{SourcePhotoClaim: base.FaceCheck.SourcePhotoClaim, Threshold: threshold}
	}
	raise(95)
	w := b.finish(id)
	if _, has := b.cookies[g.site.session.Name]; has {
		t.Errorf("a session on old terms; finish said %d", w.Code)
	}
	id = b.begin("/")
	request, state, key = s.last(t)
	raise(96)
	callback(t, g, key, verified(request, state))
	transaction, err := app.store.Get(t.Context(), id)
	if err != nil || transaction.Status != verifier.StatusRefused || transaction.Reason != verifier.ReasonPolicyChanged {
		t.Errorf("transaction %s for %q (%v), want refused for policy_changed", transaction.Status, transaction.Reason, err)
	}
}
