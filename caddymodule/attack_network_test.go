// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// networkGate lets verifications begin in the office only, and has a partner.
func networkGate(t *testing.T) (*App, *Gate, *service) {
	t.Helper()
	app, ctx := loadApp(t, strings.Replace(testApp("idv vu {\n url https://vu.example/start\n org_id contoso\n}"),
		"face_check photo 80", "face_check photo 80\n idv vu", 1))
	return app, loadGate(t, ctx, "verified_id {\n start_from 10.0.0.0/8 2001:db8::/32\n}"), newService(t, app)
}

// Mallory opens the site at home, to get a code that she can send to Ana. Where she is she gets no code, no link to a partner
// and no page that offers them, not even with the page of a browser that was inside a minute ago; and she is told why.
// TM-043.
func TestStartFromOutsideIsRefused(t *testing.T) {
	_, g, s := networkGate(t)
	refused := func(where string, status int, body string) {
		t.Helper()
		if status != http.StatusForbidden || !strings.Contains(body, "certain networks") || strings.Contains(body, `name="token"`) {
			t.Errorf("%s: status %d\n%s", where, status, body)
		}
	}
	for _, address := range []string{"192.0.2.7", "::ffff:192.0.2.7", "2001:db9::1", "11.0.0.0", "9.255.255.255", "", "10.0.0.7, 10.0.0.8", "unix"} {
		b := newBrowser(t, g)
		b.client = address
		w, _ := b.open("/payroll")
		w, _ = b.open(w.Header().Get("Location"))
		refused("start from "+address, w.Code, w.Body.String())
		w, _ = b.open(basePath + "/return")
		refused("return to "+address, w.Code, w.Body.String())
	}
	for _, address := range []string{"10.0.0.7", "::ffff:10.0.0.7", "10.255.255.255", "2001:db8:1::1", "2001:db8::1%eth0"} {
		b := newBrowser(t, g)
		b.client = address
		w, _ := b.open("/payroll")
		w, _ = b.open(w.Header().Get("Location"))
		if w.Code != http.StatusOK {
			t.Errorf("start from %s: status %d", address, w.Code)
			continue
		}
		token := tokenIn(t, w.Body.String())
		b.client = "192.0.2.7"
		w = b.post(basePath+"/request", url.Values{"token": {token}, "credential": {"employee"}})
		refused("request", w.Code, w.Body.String())
		w = b.post(basePath+"/idv", url.Values{"token": {token}, "credential": {"employee"}, "partner": {"vu"}})
		refused("idv", w.Code, w.Body.String())
	}
	if s.calls() != 0 {
		t.Errorf("%d requests were made", s.calls())
	}
}

// The answers to scripts and forms name no start that would be refused; nor do those to other proxies. TM-043.
func TestOutsideNothingIsOffered(t *testing.T) {
	_, g, _ := networkGate(t)
	b := newBrowser(t, g)
	p, header := askAPI(t, b, "/api/pay")
	if p.Type != problemPrefix+"other-network" || p.Reason != "outside_network" || p.Start != "" || p.Credentials != nil {
		t.Errorf("outside a script is told %+v", p)
	}
	if got := header.Get("Www-Authenticate"); !strings.Contains(got, "VerifiedID") || strings.Contains(got, "insufficient") {
		t.Errorf("WWW-Authenticate: %s", got)
	}
	w := b.post("/form", url.Values{"a": {"b"}})
	if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), "certain networks") {
		t.Errorf("outside a form is answered %d\n%s", w.Code, w.Body)
	}
	b.client = "10.0.0.7"
	if p, _ := askAPI(t, b, "/api/pay"); p.Reason != string(noSession) || p.Start == "" {
		t.Errorf("inside a script is told %+v", p)
	}
}

// Who has begun inside goes on outside: the tram home ends neither a visit nor a session. TM-043.
func TestSessionsLeaveTheNetwork(t *testing.T) {
	_, g, s := networkGate(t)
	b := newBrowser(t, g)
	b.client = "10.0.0.7"
	id := b.begin("/payroll")
	requestID, state, key := s.last(t)
	callback(t, g, key, verified(requestID, state))
	b.client = "192.0.2.7"
	if w := b.finish(id); w.Code != http.StatusOK {
		t.Fatalf("finish outside: status %d", w.Code)
	}
	if _, u := b.open("/payroll"); u.hits != 1 {
		t.Error("the session opens nothing outside")
	}
}

// Mallory writes an address of the office into every header that some server believes. Only what Caddy takes from proxies that
// it trusts counts, on our own pages and in questions of other proxies. TM-043, TM-108.
func TestForgedAddressStartsNothing(t *testing.T) {
	site := strings.Replace(askedSite, "verified_id employee {", "verified_id employee {\n start_from 10.0.0.0/8", 1)
	page := func(more ...string) string {
		return wireLines(append([]string{"GET /.verified-id/start HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"}, more...)...)
	}
	stranger := attack(t, "", site)
	if got := stranger.one(t, page("X-Forwarded-For: 10.0.0.7", "X-Real-Ip: 10.0.0.7", "Forwarded: for=10.0.0.7", "Client-Ip: 10.0.0.7")); got.status != 403 {
		t.Errorf("the start page believes a stranger: %d", got.status)
	}
	x := attack(t, "forward_auth", trusting+site)
	for address, want := range map[string]string{
		"10.0.0.7": "no_session", "192.0.2.7": "outside_network", "2001:db8::1": "outside_network",
		"office": "outside_network", "::ffff:10.0.0.7": "no_session",
	} {
		var told problem
		got := x.one(t, question("GET", "/payroll", "X-Forwarded-For: "+address))
		if err := json.Unmarshal([]byte(got.body), &told); err != nil || got.status != 401 || told.Reason != want ||
			(told.Start == "") != (want == "outside_network") {
			t.Errorf("asked for %s: %d %s", address, got.status, got.body)
		}
		if got := x.one(t, page("X-Forwarded-For: "+address)); (got.status == 200) != (want == "no_session") {
			t.Errorf("the start page for %s: %d", address, got.status)
		}
	}
}

// Two gates of a site demand the same, and one of them begins in the office only. Its visits must not pass for visits of the
// other, nor be begun by way of its pages. TM-043.
func TestGateNextDoorDoesNotLendItsNetworks(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	office := loadGate(t, ctx, "verified_id {\n start_from 10.0.0.0/8\n}")
	open := loadGate(t, ctx, "verified_id")
	s := newService(t, app)
	if office.id == open.id {
		t.Fatal("the gates have one name")
	}
	b := newBrowser(t, open)
	w, _ := b.open(office.startURL("/", noSession))
	if w.Code != http.StatusForbidden {
		t.Errorf("the open gate shows the office's start: %d", w.Code)
	}
	b.client = "10.0.0.7"
	w, _ = b.open(office.startURL("/", noSession))
	token := tokenIn(t, w.Body.String())
	b.client = "192.0.2.7"
	w = b.post(basePath+"/request", url.Values{"token": {token}, "credential": {"employee"}})
	if w.Code != http.StatusForbidden || s.calls() != 0 {
		t.Errorf("the open gate starts the office's visit: %d", w.Code)
	}
}

// A network that reads like one and matches nothing, or everything, must not load. TM-043, TM-149.
func TestWrongNetworkDoesNotLoad(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	for _, networks := range [][]string{
		{""},
		{"10.0.0.0/33"},
		{"10.0.0"},
		{"private_ranges"},
		{"::ffff:10.0.0.0/104"},
		{"::ffff:10.0.0.1"},
		{"fe80::1%eth0"},
		{"{env.OFFICE}"},
		{"10.0.0.0/8", "10.0.0.0/8"},
		{"!10.0.0.0/8"},
		{"10.0.0.1-10.0.0.9"},
	} {
		g := &Gate{StartFrom: networks}
		if err := g.Provision(ctx); err == nil || !strings.Contains(err.Error(), "start_from") {
			t.Errorf("%q: error %v", networks, err)
		}
	}
}
