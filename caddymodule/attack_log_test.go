// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// wireClient is a browser on the wire.
type wireClient struct {
	x       *wireTarget
	t       testing.TB
	cookies map[string]string
}

func (c *wireClient) send(method, path, body string, header ...string) wireAnswer {
	c.t.Helper()
	head := append([]string{method + " " + path + " HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"}, header...)
	if body != "" {
		head = append(head, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	if len(c.cookies) > 0 {
		var pairs []string
		for _, name := range slices.Sorted(maps.Keys(c.cookies)) {
			pairs = append(pairs, name+"="+c.cookies[name])
		}
		head = append(head, "Cookie: "+strings.Join(pairs, "; "))
	}
	answers := c.x.raw(c.t, wireLines(head...)+body)
	if len(answers) != 1 {
		c.t.Fatalf("%s %s: %d answers", method, path, len(answers))
	}
	for _, cookie := range (&http.Response{Header: answers[0].header}).Cookies() {
		c.cookies[cookie.Name] = cookie.Value
		if cookie.MaxAge < 0 {
			delete(c.cookies, cookie.Name)
		}
	}
	return answers[0]
}

func (c *wireClient) open(path string) wireAnswer {
	c.t.Helper()
	return c.send("GET", path, "", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html")
}

func (c *wireClient) post(path string, form url.Values) wireAnswer {
	c.t.Helper()
	return c.send("POST", "/.verified-id"+path, form.Encode(), "Sec-Fetch-Site: same-origin", "Content-Type: application/x-www-form-urlencoded")
}

// The whole way of a visitor, with Caddy's access log on and everything logged at DEBUG, the app's failure included. What is
// secret or says who somebody is does not stand in the log. (What reverse_proxy itself logs at DEBUG is F14: the site has
// another app.) TM-141 to TM-144, TM-146.
func TestNothingSecretIsLogged(t *testing.T) {
	text := "idv vu {\n url https://vu.example/start\n org_id contoso\n}\n"
	x := attack(t, text, `http://payroll.contoso.example {
		log
		verified_id {
			header X-Employee-Mail {claim.mail}
		}
		@fails path /fails
		error @fails "{http.verified_id.credential}" 500
		respond "the app"
		handle_errors {
			respond "{err.message}"
		}
	}`)
	x.app.credentials["employee"].partners = []string{"vu"}
	s := newService(t, x.app)
	c := &wireClient{x: x, t: t, cookies: map[string]string{}}
	canaries := map[string]string{"client secret": "a secret for tests only", "mail": "ana@contoso.example", "name": "Ana Lima", "photo": "CANARY-PHOTO", "holder": "did:ion:ana"}
	remember := func(when string) {
		for name, value := range c.cookies {
			canaries[name+" "+when] = value
		}
	}
	start := c.open(c.open("/payroll?year=2026").header.Get("Location"))
	form := url.Values{"token": {tokenIn(t, start.body)}, "credential": {"employee"}, "partner": {"vu"}}
	remember("at the start")
	detour := c.post("/idv", form)
	_, kickstart, _ := strings.Cut(detour.body, "https://vu.example/start?token=")
	kickstart, _, _ = strings.Cut(kickstart, `"`)
	if len(kickstart) < 100 {
		t.Fatalf("no link to the partner: %d %s", detour.status, detour.body)
	}
	canaries["kickstart token"] = kickstart
	remember("on the way")
	back := c.open("/.verified-id/return?RequestId=x")
	form.Set("token", tokenIn(t, back.body))
	at := c.post("/request", form).header.Get("Location")
	request, state, key := s.last(t)
	_, canaries["callback key"], _ = strings.Cut(key, ".")
	canaries["state"] = state
	wait := c.open(at)
	canaries["page token"] = tokenIn(t, wait.body)
	machine := &wireClient{x: x, t: t, cookies: map[string]string{}}
	for _, body := range []string{"{", verified(request, state, "ana@", "an\\u0000a@"), verified(request, state)} {
		machine.send("POST", "/.verified-id/callback", body, "Content-Type: application/json", "Authorization: "+key)
	}
	machine.send("POST", "/.verified-id/callback", "{}", "Content-Type: application/json", "Authorization: Bearer "+strings.TrimPrefix(key, "Bearer ")[:22]+".CANARY-WRONG-KEY")
	canaries["wrong key"] = "CANARY-WRONG-KEY"
	_, id, _ := strings.Cut(at, "t=")
	c.post("/finish", url.Values{"token": {tokenIn(t, wait.body)}, "t": {id}})
	remember("in the end")
	if a := c.open("/"); a.body != "the app" {
		t.Fatalf("the visit failed: %d %s", a.status, a.body)
	}
	c.open("/fails")
	c.open("/.verified-id/session")
	c.post("/logout", url.Values{})
	log := x.logged(t)
	for name, canary := range canaries {
		if canary == "" || strings.Contains(log, canary) {
			at := strings.Index(log, canary)
			t.Errorf("%s is in the log: …%s", name, log[max(0, at-200):min(len(log), at+80)])
		}
	}
	if !strings.Contains(log, "handled request") || !strings.Contains(log, eventSessionStarted) || !strings.Contains(log, `"user_id":"`) {
		t.Error("the log is not the log of this visit")
	}
}

// The log shows what a client wrote only where Caddy itself does, encoded. TM-143.
func TestClientTextInTheLog(t *testing.T) {
	x := attack(t, "", gatedSite)
	for _, head := range []string{
		"GET /.verified-id/start?v=a%0d%0aMARKER%1b[31m HTTP/1.1", "GET /.verified-id/return?RequestId=MARKER%0a HTTP/1.1", "GET /.verified-id/wait?t=MARKER%0a HTTP/1.1",
	} {
		x.raw(t, wireLines(head, "Host: payroll.contoso.example", "Connection: close", "User-Agent: MARKER\x1b[31m", "Referer: javascript:MARKER", "Cookie: MARKER=1"))
	}
	for line := range strings.Lines(x.logged(t)) {
		if strings.Contains(line, "verified_id") && strings.Contains(line, "MARKER") {
			t.Errorf("we logged %s", line)
		}
	}
}

// Every label of our metrics comes from a closed set, whatever strangers send. TM-145.
func TestMetricLabelsAreClosed(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	newBrowser(t, g).begin("/")
	request, state, key := s.last(t)
	for i := range 50 {
		callback(t, g, key, fmt.Sprintf(`{"requestId":%q,"requestStatus":"status_%d","state":%q}`, request, i, state))
		callback(t, g, key, fmt.Sprintf(`{"requestId":%q,"requestStatus":"presentation_error","state":%q,"error":{"code":"code_%d","message":"m"}}`, request, state, i))
		serve(t, g, pathed(fmt.Sprintf("METHOD%d", i), fmt.Sprintf("/.verified-id/x%d", i)))
	}
	families, err := app.ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "caddy_verified_id") && len(family.GetMetric()) > 20 {
			t.Errorf("%s has %d series", family.GetName(), len(family.GetMetric()))
		}
	}
}

func pathed(method, path string) *http.Request { return request(method, testOrigin+path, nil) }

// What our errors hand to {err.message} are words of ours. TM-146.
func TestErrorsHoldNoClientText(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	r := request("GET", testOrigin+"/MARKER", http.Header{"X-Marker": {"MARKER"}})
	r.Host = ""
	err := g.ServeHTTP(nil, r, nil)
	if err == nil || strings.Contains(err.Error(), "MARKER") {
		t.Errorf("empty host: %v", err)
	}
	public := &Callback{app: app, logger: g.logger}
	err = public.ServeHTTP(nil, request("MARKER", testOrigin+"/.verified-id/callback?MARKER", nil), nil)
	if err == nil || strings.Contains(err.Error(), "MARKER") {
		t.Errorf("callback: %v", err)
	}
}
