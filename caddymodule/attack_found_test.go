// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// One store serves all sites of a config. Somebody verifies for the wiki, brings the wiki's binding secret to payroll, which
// takes any text, and finishes the wiki's transaction there. TM-021, TM-022, TM-029.
func TestTransactionOfAnotherSiteIsFinishedHere(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	wiki := onSite(t, app, g, "https://wiki.contoso.example")
	there, here := newBrowser(t, wiki), newBrowser(t, g)
	id := there.verifyAt(s, "/")
	here.cookies[g.site.binding.Name] = there.cookies[wiki.site.binding.Name]
	page, _ := here.open("/.verified-id/start")
	here.post("/.verified-id/finish", url.Values{"token": {tokenIn(t, page.Body.String())}, "t": {id}})
	if _, u := here.open("/"); u.hits != 0 {
		t.Error("a verification for the wiki opened payroll")
	}
}

// The app streams for a long time and the visitor logs out, or verifies anew, meanwhile: the answer must not put the dead
// session's cookie over what the browser has now. TM-155.
func TestLongAnswerDoesNotRenewAnEndedSession(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	_, cookie := sessionOf(g, presentation(g))
	setNow(testNow.Add(30 * time.Minute))
	w := httptest.NewRecorder()
	slow := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		held, _ := sessionOf(g, presentation(g))
		err := app.store.end(r.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: held.ID, Since: clockNow(), Until: held.Expires})
		w.WriteHeader(http.StatusOK)
		return err
	})
	if err := g.ServeHTTP(w, request("GET", testOrigin+"/", withCookie(cookie)), slow); err != nil {
		t.Fatal(err)
	}
	if got := w.Header().Values("Set-Cookie"); len(got) != 0 {
		t.Errorf("Set-Cookie %.60q for a session that has ended", got)
	}
}

// A second revocation of the same holder, with an end that is no later, still covers what began since the first. TM-156.
func TestSecondRevocationCoversNewerSessions(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	held, _ := sessionOf(g, presentation(g))
	until := testNow.Add(8 * time.Hour)
	first := verifier.Revocation{Kind: verifier.RevokeSubject, Value: held.Subject, Since: testNow.Add(-time.Hour), Until: until}
	again := first
	again.Since = testNow
	for _, r := range []verifier.Revocation{first, again} {
		if err := app.store.end(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	cookie := g.site.session.Name + "=" + g.site.seal(held) // began a minute ago, between the two
	if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 0 {
		t.Error("a session older than the second revocation opens the app")
	}
}

// The operator changes a limit and reloads. The memory store's key is another one then; who was logged out must stay so.
// TM-137, TM-155.
func TestReloadWithOtherLimitsForgetsNoLogout(t *testing.T) {
	before, ctx := loadApp(t, testApp(""))
	own := before.store
	t.Cleanup(func() { before.store = own })
	if err := before.provisionStore(); err != nil {
		t.Fatal(err)
	}
	held, _ := sessionOf(loadGate(t, ctx, "verified_id"), verifier.Presentation{})
	if err := before.store.end(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: held.ID, Since: held.Created, Until: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	after := &App{ctx: before.ctx, now: before.now, logger: before.logger, Limits: &Limits{Pending: 9_999}}
	if err := after.provisionStore(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := after.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	if !after.store.revoked.hit(verifier.RevokeSession, held.ID, held.Created) {
		t.Error("the new config does not know that the session was ended")
	}
}

// bind is made of several placeholders, one of which is empty: nobody has logged in, so nothing is started and nobody passes.
// TM-041.
func TestBindWithOneEmptyPlaceholder(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n bind mail {http.auth.user.id}@contoso.example\n}")
	s := newService(t, app)
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "mail", Value: "@contoso.example"}))
	if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 0 {
		t.Error("nobody passed as @contoso.example")
	}
	b := asUser(t, g, "ana")
	start, _ := b.open("/.verified-id/start")
	b.user = ""
	b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	if s.calls() != 0 {
		t.Errorf("a verification for @contoso.example was started")
	}
}

// The app, or whoever has broken into it, answers on an open path, to an anonymous visitor, or ahead of its answer, and sets
// our cookies. TM-011.
func TestAppSetsOurCookieForAnonymousVisitors(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	for name, c := range map[string]struct{ text, path, cookie string }{
		"optional":    {"verified_id {\n optional\n}", "/", ""},
		"public":      {"verified_id {\n public /open\n}", "/open", ""},
		"report only": {"verified_id {\n report_only\n}", "/", ""},
	} {
		g := loadGate(t, ctx, c.text)
		w := httptest.NewRecorder()
		app := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
			w.Header()["Set-Cookie"] = []string{"theirs=1", g.site.session.Name + "=fixed; Path=/; Secure", g.site.binding.Name + "=" + strings.Repeat("f", 43) + "; Path=/; Secure"}
			w.WriteHeader(http.StatusOK)
			return nil
		})
		if err := g.ServeHTTP(w, request("GET", testOrigin+c.path, nil), app); err != nil {
			t.Fatal(err)
		}
		if got := w.Header().Values("Set-Cookie"); !slices.Equal(got, []string{"theirs=1"}) {
			t.Errorf("%s: Set-Cookie %.80q, want the app's own", name, got)
		}
	}
	g := loadGate(t, ctx, "verified_id")
	_, cookie := sessionOf(g, presentation(g))
	early := &earlyRecorder{ResponseRecorder: httptest.NewRecorder()}
	app := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.Header()["Set-Cookie"] = []string{g.site.session.Name + "=fixed; Path=/; Secure"}
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Set-Cookie")
		w.WriteHeader(http.StatusOK)
		return nil
	})
	if err := g.ServeHTTP(early, request("GET", testOrigin+"/", withCookie(cookie)), app); err != nil {
		t.Fatal(err)
	}
	if got := early.early.Values("Set-Cookie"); len(got) != 0 {
		t.Errorf("early hints with Set-Cookie %q", got)
	}
}

// earlyRecorder remembers the header of an informational answer.
type earlyRecorder struct {
	*httptest.ResponseRecorder
	early http.Header
}

func (w *earlyRecorder) WriteHeader(status int) {
	if status < 200 {
		w.early = w.Header().Clone()
		return
	}
	w.ResponseRecorder.WriteHeader(status)
}

// Browsers send a cookie that was set without a name as its bare value, so "=insecure-verified-id=x" comes back as ours.
// TM-011.
func TestAppSetsOurCookieWithoutAName(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for _, line := range []string{"=insecure-verified-id=fixed", "=insecure-verified-id-binding=fixed; Path=/", " = __Host-verified-id=fixed", "\t=insecure-verified-id=fixed"} {
		got := answerWith(t, g, http.Header{"Set-Cookie": {"theirs=1", line}})
		if lines := got.Values("Set-Cookie"); !slices.Equal(lines, []string{"theirs=1"}) {
			t.Errorf("Set-Cookie %q, want the app's own", lines)
		}
	}
}

// Caches in front of us obey headers of their own before Cache-Control, and private="x" makes only that header private.
// Ana's page must not be kept for Ben. TM-105.
func TestCachesWithTheirOwnHeaders(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for _, name := range []string{"Cdn-Cache-Control", "Surrogate-Control", "Cloudflare-Cdn-Cache-Control", "X-Accel-Expires"} {
		if got := answerWith(t, g, http.Header{name: {"max-age=600"}}).Get(name); got != "" {
			t.Errorf("%s: %s went to the caches", name, got)
		}
	}
	got := answerWith(t, g, http.Header{"Cache-Control": {`private="x-theirs", max-age=600`}}).Get("Cache-Control")
	if !slices.ContainsFunc(strings.Split(got, ","), func(d string) bool { return strings.TrimSpace(d) == "private" }) {
		t.Errorf("Cache-Control %q lets a shared cache keep the answer", got)
	}
}

// A program without a browser throws its cookies away and asks for a link to the partner again and again, each of which costs
// the organisation money and us an RSA signature. TM-090, TM-123.
func TestKickstartFloodOfNewBrowsers(t *testing.T) {
	_, g, _ := partnerGate(t)
	sent := 0
	for range 40 {
		b := newBrowser(t, g)
		page, _ := b.open("/.verified-id/start")
		w := b.post("/.verified-id/idv", url.Values{"token": {tokenIn(t, page.Body.String())}, "credential": {"employee"}, "partner": {"vu"}})
		if _, has := b.cookies[g.site.journey.Name]; has && w.Code == http.StatusOK {
			sent++
		}
	}
	if sent > 20 {
		t.Errorf("one address was given %d links at once", sent)
	}
}

// A gate for a part of the site, in front of an app that cuts path parameters and takes backslashes for slashes, as many do.
// What the app takes for the part must be gated. TM-107.
func TestPartOfTheSiteSpelledOtherwise(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id /admin/*
		reverse_proxy {app}
	}
	http://rest.contoso.example {
		@rest not path /open /open/*
		verified_id @rest
		reverse_proxy {app}
	}`)
	for _, path := range []string{
		"/admin/x", "//admin/x", "/./admin/x", "/ADMIN/x", "/a/../admin/x", "/a/%2e%2e/admin/x", "/%61dmin/x", "/a%2f..%2fadmin/x",
		"/a/..;/admin/x", "/a/..;v=1/admin/x", "/admin;v=1/x", "/;v=1/admin/x", `/a\..\admin/x`, `/admin\x`, "/admin%5cx", "/a/..%5cadmin%5cx",
		"/%2561dmin/x", "/a/.%252e/admin/x", "/admin/../a", "/admin/%2e%2e/a", "/admin/.%2E/a", "/admin/..", "/admin/x/../../a",
	} {
		x.raw(t, wireLines("GET "+path+" HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"))
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%s reached the app ungated", path)
		}
	}
	for _, path := range []string{"/open/..;/admin/x", "/open/..;v=1/admin/x", `/open/..\admin/x`, "/open/..%5cadmin/x", "/open/%252e%252e/admin/x", "/open;v=1/../admin/x"} {
		x.raw(t, wireLines("GET "+path+" HTTP/1.1", "Host: rest.contoso.example", "Connection: close"))
		if seen := x.behind.take(); len(seen) != 0 {
			t.Errorf("%s reached the app as open", path)
		}
	}
}

// The site rewrites what it does not find to a front controller. An open path that becomes it is not open any more: its query
// chooses what the app does. TM-107, TM-108.
func TestOpenPathIsRewritten(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		@missing path /assets/nothing
		rewrite @missing /index.php?{query}&p={path}
		verified_id {
			public /assets/*
		}
		reverse_proxy {app}
	}`)
	x.raw(t, wireLines("GET /assets/nothing?route=/admin HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"))
	for _, r := range x.behind.take() {
		t.Errorf("%s reached the app as open", r.uri)
	}
}

// The address is http://localhost, for trying; the port is open to the network. Nobody but this machine gets cookies without
// TLS. TM-019.
func TestInsecureSiteIsReachedFromElsewhere(t *testing.T) {
	app, ctx := loadApp(t, strings.Replace(testApp("insecure_loopback_http"), testOrigin, "http://localhost:8080", 1))
	g := loadGate(t, ctx, "verified_id")
	newService(t, app)
	for host, want := range map[string]bool{"localhost:8080": true, "127.0.0.1:8080": true, "192.0.2.1:8080": false, "payroll.contoso.example": false, "localhost.evil.example": false} {
		r := request("GET", "http://"+host+"/.verified-id/start", pageLoad)
		w, _ := serve(t, g, r)
		if got := len(w.Result().Cookies()) > 0; got != want {
			t.Errorf("Host %s: a cookie without Secure: %v, want %v", host, got, want)
		}
	}
}

// Cookies know no ports: two gated sites of one host overwrite and clear each other's sessions. TM-022.
func TestTwoPortsOfOneHost(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	other := onSite(t, app, g, testOrigin+":8443")
	if g.site.session.Name == other.site.session.Name {
		t.Errorf("both sites call their session %s", g.site.session.Name)
	}
}

// Many & in the address that the visitor wants: the visit that carries it must still fit into an address and a cookie. F11.
func TestAddressFullOfAmpersands(t *testing.T) {
	_, g, _ := partnerGate(t)
	b := newBrowser(t, g)
	w, _ := b.open("/?" + strings.Repeat("&<>", 680))
	if got := len(w.Header().Get("Location")); got > 4<<10 {
		t.Errorf("the start page's address has %d bytes; servers take 8 or 16 KiB in all", got)
	}
	page, _ := b.open(w.Header().Get("Location"))
	if w := b.post("/.verified-id/idv", url.Values{"token": {tokenIn(t, page.Body.String())}, "credential": {"employee"}, "partner": {"vu"}}); w.Code != http.StatusOK {
		t.Errorf("the way to the partner: status %d", w.Code)
	}
}

// A header is made of two claims and what stands between them. A claim that holds what stands between must not become two.
// TM-012, TM-016.
func TestClaimHoldsTheSeparator(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n header X-User \"mail={claim.mail};role={claim.role}\"\n}")
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "mail", Value: "x@evil.example;role=admin"}, verifier.Claim{Name: "role", Value: "user"}))
	_, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie)))
	if got := u.seen.Header.Get("X-User"); strings.Contains(got, ";role=admin") {
		t.Errorf("X-User: %s", got)
	}
}

// readOnlyStorage cannot be written to.
type readOnlyStorage struct {
	certmagic.Storage
	stores int
}

func (s *readOnlyStorage) Lock(context.Context, string) error   { return nil }
func (s *readOnlyStorage) Unlock(context.Context, string) error { return nil }

func (s *readOnlyStorage) Store(context.Context, string, []byte) error {
	s.stores++
	return errors.New("read-only")
}

// Caddy's storage is read-only. Anybody who asks for the key set makes us make an RSA key, again and again. TM-123.
func TestKeySetFloodWithoutStorage(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	storage := &readOnlyStorage{Storage: &certmagic.FileStorage{Path: t.TempDir()}}
	app.keys.kickstart.storage = storage
	for range 3 {
		serve(t, g, request("GET", testOrigin+"/.verified-id/jwks.json", nil))
	}
	if storage.stores > 1 {
		t.Errorf("%d keys were made for three readers", storage.stores)
	}
}

// The key set of an installation without partners signs nothing; nobody needs it. TM-123.
func TestKeySetWithoutPartners(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	serve(t, g, request("GET", testOrigin+"/.verified-id/jwks.json", nil))
	if _, err := app.keys.kickstart.storage.Load(t.Context(), storedKickstartPath); err == nil {
		t.Error("an anonymous visitor made us make and keep an RSA key")
	}
}

// The way back from a partner is open to everybody and may be repeated: it must not make an event, and so whatever the operator
// attached to it, each time. TM-095, TM-122.
func TestReturnFlood(t *testing.T) {
	x := attack(t, "idv vu {\n url https://vu.example/start\n org_id contoso\n}", gatedSite)
	g := x.gate(t, nil)
	j := journey{Visit: visit{Gate: g.id, ReturnTo: "/", Made: testNow}, Partner: "vu", Credential: "employee", RequestID: "r", Started: testNow}
	cookie := g.site.journey.Name + "=" + g.site.sealJSON(x.app.keys.journeys, j)
	for range 50 {
		x.raw(t, wireLines("GET /.verified-id/return HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Cookie: "+cookie))
	}
	if got := strings.Count(x.logged(t), `"msg":"`+eventIDVReturned+`"`); got > 5 {
		t.Errorf("%d events for one journey", got)
	}
}

// The browser lost the answer and asks again: one session, one event, one count. TM-032, TM-045.
func TestRepeatedFinishIsOneSessionStart(t *testing.T) {
	x := attack(t, "", gatedSite)
	g := x.gate(t, nil)
	s := newService(t, x.app)
	b := newBrowser(t, g)
	id := b.verifyAt(s, "/")
	wait, _ := b.open("/.verified-id/wait?t=" + id)
	form := url.Values{"token": {tokenIn(t, wait.Body.String())}, "t": {id}}
	for range 3 {
		b.post("/.verified-id/finish", form)
	}
	if got := strings.Count(x.logged(t), `"msg":"`+eventSessionStarted+`"`); got != 1 {
		t.Errorf("%d starts of one session", got)
	}
}

// The stored keys lack the one that makes subjects opaque. Without it anybody computes them from a DID. TM-142, TM-149.
func TestStoredKeysWithoutSubjectKey(t *testing.T) {
	app, _ := loadApp(t, testApp("sealing_key "+"3q2+7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs="))
	if err := app.keys.kickstart.storage.Store(t.Context(), storedKeysPath, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if err := app.provisionKeys(); err == nil {
		t.Errorf("loaded; did:ion:ana is %s", app.keys.subjectOf("did:ion:ana"))
	}
}

// Our own answers, JSON and 401 included, tell browsers the same as our pages. TM-101, TM-104.
func TestEveryOwnAnswerIsLockedDown(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	for _, c := range []struct {
		method, path string
		header       http.Header
	}{
		{"GET", "/", nil},
		{"GET", "/", pageLoad},
		{"GET", "/.verified-id/session", nil},
		{"GET", "/.verified-id/status?t=" + id, nil},
		{"GET", "/.verified-id/status?t=x", nil},
		{"POST", "/.verified-id/callback", nil},
		{"GET", "/.verified-id/nothing", nil},
	} {
		w, _ := b.send(c.method, c.path, nil, c.header)
		h := w.Header()
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if h.Get(name) != want {
				t.Errorf("%s %s (%d): %s %q, want %q", c.method, c.path, w.Code, name, h.Get(name), want)
			}
		}
		if h.Get("Content-Security-Policy") == "" {
			t.Errorf("%s %s (%d): no Content-Security-Policy", c.method, c.path, w.Code)
		}
	}
}

// The other login's user name is many kilobytes long: it must not become a transaction of many kilobytes, nor go to the service.
// TM-119.
func TestHugeBoundValue(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n bind mail {http.auth.user.id}\n}")
	s := newService(t, app)
	b := asUser(t, g, "ana@contoso.example")
	start, _ := b.open("/.verified-id/start")
	b.user = strings.Repeat("a", 12<<10)
	b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	if s.calls() != 0 {
		t.Error("a value of 12 KiB was taken into a transaction and sent to the service")
	}
}

// A script still asks with the old cookie while the visitor verifies anew: the refusal must not clear the new cookie. TM-034.
func TestLateRefusalDoesNotClearANewSession(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	held, cookie := sessionOf(g, presentation(g))
	if err := app.store.end(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: held.ID, Since: testNow, Until: held.Expires}); err != nil {
		t.Fatal(err)
	}
	w, _ := serve(t, g, request("GET", testOrigin+"/poll", withCookie(cookie, "Sec-Fetch-Mode", "cors")))
	if got := w.Header().Values("Set-Cookie"); len(got) != 0 {
		t.Errorf("a script's request clears the browser's cookie: %.60q", got)
	}
}

// A request line without a slash has no path that a matcher could judge; the proxy passes it on, and apps that are lenient read
// the part of the site in it. TM-107, TM-109.
func TestRequestLineWithoutPath(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id /admin/*
		reverse_proxy {app}
	}`)
	for _, line := range []string{"GET http:admin/x HTTP/1.1", "GET foo:%2fadmin/x HTTP/1.1", "GET * HTTP/1.1"} {
		for _, a := range x.raw(t, wireLines(line, "Host: payroll.contoso.example", "Connection: close")) {
			if a.status != http.StatusUnauthorized {
				t.Errorf("%s was passed on: status %d", line, a.status)
			}
		}
	}
}

// Error routes and named routes do not know their site. A gate there takes the app's public address for its own, even on another
// site, refuses that site's sessions and has the browser forget them. TM-021, TM-130.
func TestErrorRouteOfAnotherSite(t *testing.T) {
	x := attack(t, "", `https://payroll.contoso.example, https://wiki.contoso.example {
		tls internal
		respond "nothing"
	}
	https://hr.contoso.example {
		tls internal
		verified_id {
			face_check 85
		}
		error /fails 500
		respond "the app"
		handle_errors {
			verified_id {
				face_check 86
			}
			respond "the error page"
		}
	}`)
	site := x.gate(t, func(g *Gate) bool { return g.FaceCheck == 85 })
	failing := x.gate(t, func(g *Gate) bool { return g.FaceCheck == 86 })
	if site.site.origin != failing.site.origin {
		t.Errorf("the site is %s, its error route %s", site.site.origin.url, failing.site.origin.url)
	}
}

// A site has the gate and verified_id_strip, which also takes our cookies away, in whatever order they stand: nobody would ever get
// in. That must not load. TM-149.
func TestStripInFrontOfTheGate(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id
		verified_id_strip
		reverse_proxy {app}
	}`)
	x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Cookie: "+x.cookie(t)))
	if seen := x.behind.take(); len(seen) != 1 {
		t.Error("it loads, and a good session is refused")
	}
}

// Another login asks its own service, with the request's header. That service is not ours to trust with sessions, nor to be told
// who somebody is by the client. TM-001, TM-010.
func TestOtherLoginSeesOurCookies(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id_strip
		forward_auth {app} {
			uri /auth
		}
		verified_id
		respond "the app"
	}`)
	x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "X-Verified-Id-Role: FORGED", "Cookie: "+x.cookie(t)))
	for _, r := range x.behind.take() {
		if strings.Contains(r.header.Get("Cookie"), "verified-id") || r.header.Get("X-Verified-Id-Role") != "" {
			t.Errorf("the login service got %.60s and %s", r.header.Get("Cookie"), r.header.Get("X-Verified-Id-Role"))
		}
	}
}

// An open path carries a header in which some frameworks and servers read the address they serve instead. TM-107, TM-108.
func TestOpenPathNamesAnotherAddress(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id {
			public /open
		}
		reverse_proxy {app}
	}`)
	x.raw(t, wireLines("GET /open HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "X-Original-URL: /admin", "X-Rewrite-URL: /admin"))
	for _, r := range x.behind.take() {
		if r.header.Get("X-Original-Url") != "" || r.header.Get("X-Rewrite-Url") != "" {
			t.Errorf("%s reached the app as open, with %v", r.uri, r.header)
		}
	}
}

// Two claims that the holder may choose are so long that nothing else fits. A header that is left out must be heard of. TM-013.
func TestLongClaimPushesOutAHeader(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		verified_id {
			header X-Fixed `+strings.Repeat("x", 250)+`
			header X-Name {claim.displayName}
			header X-Street {claim.street}
			header X-Restricted {claim.restricted}
		}
		reverse_proxy {app}
	}`)
	g := x.gate(t, nil)
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "displayName", Value: strings.Repeat("é", 675)},
		verifier.Claim{Name: "restricted", Value: "true"}, verifier.Claim{Name: "street", Value: strings.Repeat("é", 610)}))
	x.raw(t, wireLines("GET / HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Cookie: "+cookie))
	seen := x.behind.take()
	if len(seen) != 1 {
		t.Fatalf("%d requests reached the app", len(seen))
	}
	if seen[0].header.Get("X-Restricted") != "true" && !strings.Contains(x.logged(t), "X-Restricted") {
		t.Error("X-Restricted was left out in silence")
	}
}

// A page, or a program with its cookie, asks for the state as fast as it can. TM-078.
func TestStatusPollFlood(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	for range 100 {
		if w, _ := b.send("GET", "/.verified-id/status?t="+id, nil, nil); w.Code == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("100 polls in one instant were answered")
}

// A visitor carries a weak card that says role=admin, and a strong one that says nothing of a role. The route for the strong
// one must not show the role of the weak one, neither as a header nor as a placeholder. TM-003, TM-022.
func TestClaimsOfTwoCardsAreNotMixed(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	outer := loadGate(t, ctx, "verified_id guest {\n header X-Role {claim.role}\n}")
	inner := loadGate(t, ctx, "verified_id employee {\n header X-Role {claim.role}\n}")
	_, cookie := sessionOf(outer, guestOf(outer, verifier.Claim{Name: "role", Value: "admin"}), presentation(inner))
	_, u := chained(t, request("GET", testOrigin+"/", withCookie(cookie)), outer, inner)
	if u.hits != 1 {
		t.Fatalf("%d hits, want one", u.hits)
	}
	if got := u.seen.Header.Get("X-Role"); got != "" || u.seen.Header.Get("X-Verified-Id-Credential") != "employee" {
		t.Errorf("X-Role %q of %q", got, u.seen.Header.Get("X-Verified-Id-Credential"))
	}
	if got := replacerOf(u.seen).ReplaceAll("{http.verified_id.credential} {http.verified_id.claims.role}", ""); got != "employee " {
		t.Errorf("placeholders say %q, want those of the inner gate", got)
	}
}

// A route is open to everybody and shows who is an employee. A guest, whom an outer gate let in, is no employee there: the
// inner gate's answer is "nobody". TM-007.
func TestOuterIdentityEndsAtAnOptionalGate(t *testing.T) {
	_, ctx := loadApp(t, testApp(twoCredentials))
	outer := loadGate(t, ctx, "verified_id guest")
	for name, text := range map[string]string{
		"optional": "verified_id employee {\n optional\n}", "public": "verified_id employee {\n public /open\n}",
	} {
		inner := loadGate(t, ctx, text)
		_, cookie := sessionOf(outer, guestOf(outer))
		_, u := chained(t, request("GET", testOrigin+"/open", withCookie(cookie)), outer, inner)
		if u.hits != 1 || u.seen.Header.Get("X-Verified-Id-Subject") != "" {
			t.Errorf("%s: %d hits with subject %q, want one without", name, u.hits, u.seen.Header.Get("X-Verified-Id-Subject"))
		}
	}
}
