// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

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
	if got := renewedAfter(t, g, cookie, func(r *http.Request) error {
		held, _ := sessionOf(g, presentation(g))
		return app.store.end(r.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: held.ID, Since: clockNow(), Until: held.Expires})
	}); len(got) != 0 {
		t.Errorf("Set-Cookie %.60q for a session that has ended", got)
	}
}

// renewedAfter is the Set-Cookie of an answer that comes half an hour into the session, so that its renewal is due, and before which
// something happens.
func renewedAfter(t *testing.T, g *Gate, cookie string, happens func(r *http.Request) error) []string {
	t.Helper()
	setNow(testNow.Add(30 * time.Minute))
	w := httptest.NewRecorder()
	slow := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		err := happens(r)
		w.WriteHeader(http.StatusOK)
		return err
	})
	if err := g.ServeHTTP(w, request("GET", testOrigin+"/", withCookie(cookie)), slow); err != nil {
		t.Fatal(err)
	}
	return w.Header().Values("Set-Cookie")
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
	after := &App{ctx: before.ctx, now: before.now, logger: before.logger, keys: before.keys, Limits: &Limits{Pending: 9_999}}
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

// Ana steps up when two minutes are left of her session, and the new one lasts no longer. Whoever has copied her binding cookie and the
// form repeats the finish without the old session, and gets a cookie of the same session with a whole lifetime. After Ana's logout it
// must stay dead for as long as it would last, not only as long as Ana's own. TM-032, TM-155.
func TestRepeatedFinishDoesNotOutliveTheLogout(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	other := presentation(g)
	other.Credential = "guest"
	held, _ := sessionOf(g, other)
	held.Subject = app.keys.subjectOf("did:ion:ana")
	held.Expires = testNow.Add(2 * time.Minute)
	b, thief := newBrowser(t, g), newBrowser(t, g)
	b.cookies[g.site.session.Name] = g.site.seal(held)
	id := b.verifyAt(s, "/")
	for name, value := range b.cookies {
		if name != g.site.session.Name {
			thief.cookies[name] = value
		}
	}
	wait, _ := b.open("/.verified-id/wait?t=" + id)
	form := url.Values{"token": {tokenIn(t, wait.Body.String())}, "t": {id}}
	b.post("/.verified-id/finish", form)
	thief.post("/.verified-id/finish", form)
	setNow(testNow.Add(10 * time.Minute))
	if _, u := thief.open("/"); u.hits != 1 {
		t.Fatal("the copy does not open the app: this test shows nothing")
	}
	setNow(testNow.Add(time.Minute))
	page, _ := b.open("/.verified-id/logout")
	b.post("/.verified-id/logout", url.Values{"token": {tokenIn(t, page.Body.String())}})
	setNow(testNow.Add(10 * time.Minute))
	app.store.revoked.add() // what is over is forgotten
	if _, u := thief.open("/"); u.hits != 0 {
		t.Error("the copy lives again, after the session that was logged out would have ended by itself")
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

// A site has a gate for /admin/* and one for everything; the outer one lets other paths by, and took the inner one's cookies for
// the app's. Whoever never opened /admin was shown out while at work, and a dead cookie stayed for ever. The app behind both
// still sets none. TM-011, TM-034.
func TestOuterGateDropsTheCookiesOfTheInnerOne(t *testing.T) {
	x := attack(t, "forward_auth", trusting+`http://payroll.contoso.example {
	route {
		verified_id /admin/* employee {
			max_age 40m
		}
		verified_id /open employee {
			optional
		}
		verified_id employee
		reverse_proxy {app}
	}
}`)
	x.behind.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Add("Set-Cookie", "__Host-verified-id=the-app; Path=/; Secure")
		w.Header().Add("Set-Cookie", "theme=dark")
	}
	cookie := "Cookie: " + x.cookie(t)
	ask := func(path string) wireAnswer {
		return x.raw(t, wireLines("GET "+path+" HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Accept: text/html", cookie))[0]
	}
	for _, path := range []string{"/payroll", "/admin/x", "/open"} {
		setNow(testNow)
		if got := ask(path).header["Set-Cookie"]; !slices.Equal(got, []string{"theme=dark"}) {
			t.Errorf("%s: nothing is due, and Set-Cookie is %.80q", path, got)
		}
		setNow(testNow.Add(30 * time.Minute))
		got := ask(path).header["Set-Cookie"]
		if len(got) != 2 || got[0] != "theme=dark" || !strings.HasPrefix(got[1], "__Host-verified-id=A") {
			t.Errorf("%s: the cookie is not written anew: %.80q", path, got)
		}
		setNow(testNow.Add(3 * time.Hour))
		if got := ask(path); got.status != http.StatusSeeOther || len(got.header["Set-Cookie"]) != 1 ||
			!strings.HasPrefix(got.header["Set-Cookie"][0], "__Host-verified-id=; ") {
			t.Errorf("%s: %d, and the dead cookie is not cleared: %.80q", path, got.status, got.header["Set-Cookie"])
		}
	}
	x.behind.take()
	setNow(testNow.Add(30 * time.Minute))
	if got := x.one(t, question("GET", "/payroll", cookie)).header["Set-Cookie"]; len(got) != 1 {
		t.Errorf("another proxy is told to set %.80q", got)
	}
}

// A sealing key has leaked, and a session forged with it is under way when the operator takes the key away. The new key must not seal
// what the leaked one had, and a stream that it opened ends. TM-025, TM-155.
func TestLeakedKeyIsNotRenewedByTheNewOne(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	_, cookie := sessionOf(g, presentation(g))
	if got := renewedAfter(t, g, cookie, func(r *http.Request) error {
		held, refused := g.site.openSession(r, clockNow())
		if refused != "" {
			t.Fatalf("refused: %s", refused)
		}
		before := g.site.over(held, clockNow())
		err := app.keys.ring.Replace([]byte("another key of thirty-two letters"))
		if after := g.site.over(held, clockNow()); before != "" || after != sessionExpired {
			t.Errorf("a stream of the leaked key: %q before, %q after its key has gone", before, after)
		}
		return err
	}); len(got) != 0 {
		t.Errorf("Set-Cookie %.60q for a session of a leaked key", got)
	}
}
