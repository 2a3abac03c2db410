// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// trusting makes Caddy believe the proxy of these tests.
const trusting = "{\n\tservers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t}\n}\n"

// askedSite has a route for everybody with a card, one for fresh cards only, and one without any.
const askedSite = `http://payroll.contoso.example {
	verified_id employee {
		header X-Employee-Name {claim.displayName}
		public /open
	}
	@admin expression {path}.startsWith("/admin/")
	verified_id @admin employee {
		max_age 30s
	}
	verified_id /boss employee {
		header X-Boss {claim.boss}
		bind mail {http.request.header.X-Login}
	}
	reverse_proxy {app}
}`

// question is what a proxy sends; more lines replace none.
func question(method, target string, more ...string) string {
	return wireLines(append([]string{
		"GET /.verified-id/auth HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "X-Forwarded-Method: " + method,
		"X-Forwarded-Host: payroll.contoso.example", "X-Forwarded-Uri: " + target,
	}, more...)...)
}

func (x *wireTarget) one(t *testing.T, bytes string) wireAnswer {
	t.Helper()
	answers := x.raw(t, bytes)
	if len(answers) != 1 {
		t.Fatalf("%d answers to:\n%s", len(answers), bytes)
	}
	if seen := x.behind.take(); len(seen) != 0 {
		t.Errorf("the question reached the app as %s %s:\n%s", seen[0].method, seen[0].uri, bytes)
	}
	return answers[0]
}

// Another proxy asks about its visitors' requests, and is answered as the gates of the site would have answered them.
func TestForwardAuthDecidesWithTheWholePolicy(t *testing.T) {
	x := attack(t, "forward_auth", trusting+askedSite)
	g := x.gate(t, func(g *Gate) bool { return len(g.Public) > 0 })
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "boss", Value: "yes"},
		verifier.Claim{Name: "displayName", Value: "Zoë\r\nX-Boss: yes"}, verifier.Claim{Name: "mail", Value: "zoe@contoso.example"}))
	cookie = "Cookie: " + cookie
	for name, tt := range map[string]struct {
		question string
		status   int
		name     string // of the employee, in the answer
	}{
		"stranger":           {question("GET", "/payroll"), 401, ""},
		"stranger posts":     {question("POST", "/payroll", "Accept: text/html"), 401, ""},
		"stranger's page":    {question("GET", "/payroll?x=1", "Accept: text/html"), 303, ""},
		"employee":           {question("GET", "/payroll", cookie), 200, "Zo%C3%AB%0D%0AX-Boss: yes"},
		"employee deletes":   {question("DELETE", "/payroll/1?x=%2F&y", cookie), 200, "Zo%C3%AB%0D%0AX-Boss: yes"},
		"open":               {question("GET", "/open"), 200, ""},
		"open to employees":  {question("GET", "/open", cookie), 200, ""},
		"step-up":            {question("GET", "/admin/users", cookie), 401, ""},
		"step-up of a page":  {question("GET", "/admin/users", cookie, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"), 303, ""},
		"admin, but encoded": {question("GET", "/%61dmin/users", cookie), 401, ""},
		"bound to nobody":    {question("GET", "/boss", cookie), 401, ""},
		"bound":              {question("GET", "/boss", cookie, "X-Login: zoe@contoso.example"), 200, "Zo%C3%AB%0D%0AX-Boss: yes"},
		"bound to another":   {question("GET", "/boss", cookie, "X-Login: ben@contoso.example"), 401, ""},
	} {
		got := x.one(t, tt.question)
		if got.status != tt.status || got.header.Get("X-Employee-Name") != tt.name {
			t.Errorf("%s: %d for %q, want %d for %q", name, got.status, got.header.Get("X-Employee-Name"), tt.status, tt.name)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", name, got.header.Get("Cache-Control"))
		}
		if boss := got.header.Get("X-Boss"); boss != "" && !strings.HasPrefix(name, "bound") {
			t.Errorf("%s: X-Boss %q", name, boss)
		}
		if subject := got.header.Get("X-Verified-Id-Subject"); (subject == "subject-of-ana") != (tt.name != "") {
			t.Errorf("%s: subject %q", name, subject)
		}
	}
	if all, _ := x.app.store.passages.count(); all != 0 {
		t.Errorf("%d questions are watched after their answers", all)
	}
}

// A page load leads to the start page of the visited host, with the way back; nginx gets the same address with a 401.
func TestForwardAuthNamesTheStart(t *testing.T) {
	x := attack(t, "forward_auth", trusting+askedSite)
	g := x.gate(t, func(g *Gate) bool { return len(g.Public) > 0 })
	for path, status := range map[string]int{"/.verified-id/auth": 303, "/.verified-id/auth?status=401": 401} {
		got := x.one(t, strings.Replace(question("GET", "/payroll?month=3", "Accept: text/html"), "/.verified-id/auth", path, 1))
		sealed, ok := strings.CutPrefix(got.header.Get("Location"), "/.verified-id/start?v=")
		visit, opened := g.site.openVisit(sealed, testNow)
		if got.status != status || !ok || !opened || visit.ReturnTo != "/payroll?month=3" || visit.Gate != g.id {
			t.Errorf("%s: %d to %.60s, which leads back to %q", path, got.status, got.header.Get("Location"), visit.ReturnTo)
		}
	}
	for _, script := range []string{"Sec-Fetch-Mode: cors", "X-Requested-With: XMLHttpRequest", "Accept: */*", "Upgrade: websocket"} {
		got := x.one(t, strings.Replace(question("GET", "/payroll", script), "/auth ", "/auth?status=401 ", 1))
		if got.status != 401 || got.header.Get("Location") != "" || !strings.Contains(got.body, `"start":"/.verified-id/start?v=`) {
			t.Errorf("%s: %d, Location %q, body %.80s", script, got.status, got.header.Get("Location"), got.body)
		}
	}
}

// Who is not trusted must not choose which request is judged: a policy by path would be decided by its victim. And what no proxy
// sends that is set up right is no question: a header twice, because the client's was not replaced, an address that is none, a
// host of another site, our own pages. All closed, and said in the log. TM-108, TM-118.
func TestForwardAuthBelievesOnlyTrustedProxies(t *testing.T) {
	stranger := attack(t, "forward_auth", askedSite)
	got := stranger.one(t, question("GET", "/open"))
	if got.status != http.StatusForbidden || !strings.Contains(stranger.logged(t), "trusted_proxies") {
		t.Errorf("an untrusted proxy is answered %d", got.status)
	}

	x := attack(t, "forward_auth", trusting+askedSite)
	for name, bad := range map[string]string{
		"no method":            strings.Replace(question("GET", "/open"), "X-Forwarded-Method", "X-Other", 1),
		"no host":              strings.Replace(question("GET", "/open"), "X-Forwarded-Host", "X-Other", 1),
		"two addresses":        question("GET", "/open", "X-Forwarded-Uri: /payroll"),
		"two addresses joined": question("GET", "/open, /payroll"),
		"two methods":          question("GET", "/open", "x-forwarded-method: POST"),
		"two hosts":            question("GET", "/open", "X-Forwarded-Host: payroll.contoso.example"),
		"hosts joined":         strings.Replace(question("GET", "/open"), "X-Forwarded-Host: ", "X-Forwarded-Host: evil.example, ", 1),
		"another host":         strings.Replace(question("GET", "/open"), "X-Forwarded-Host: payroll", "X-Forwarded-Host: evil", 1),
		"absolute address":     question("GET", "http://payroll.contoso.example/open"),
		"authority":            question("CONNECT", "payroll.contoso.example:443"),
		"asterisk":             question("OPTIONS", "*"),
		"broken escape":        question("GET", "/open%zz"),
		"blank":                question("GET", "/open HTTP/1.1"),
		"tab":                  question("GET", "/open\t"+"x"),
		"our pages":            question("POST", "/.verified-id/logout"),
		"ourselves":            question("GET", "/.verified-id/auth"),
		"our pages, hidden":    question("GET", "/.verified-id/../payroll"),
		"our pages, encoded":   question("GET", "/%2everified-id%2fstart"),
	} {
		if got := x.one(t, bad); got.status != http.StatusForbidden {
			t.Errorf("%s: answered %d", name, got.status)
		}
	}
	for _, silent := range []string{ // nobody asks: no such page, and no line in the log
		strings.Replace(question("GET", "/open"), "X-Forwarded-Uri", "X-Original-Url", 1),
		strings.Replace(question("GET", "/open"), "/.verified-id/auth", "/.verified-id/auth/", 1),
		strings.Replace(question("GET", "/open"), "/.verified-id/auth", "/.verified-id/%61uth", 1),
		strings.Replace(question("GET", "/open"), "/.verified-id/auth", "/.verified-id/auth/open", 1),
	} {
		if got := x.one(t, silent); got.status != http.StatusNotFound {
			t.Errorf("answered %d:\n%s", got.status, silent)
		}
	}
}

// Caddy stands behind a CDN, which it trusts, and in front of the app. A visitor asks what only other proxies ask, and gets the
// assertion that is for the app alone: with it they go to the app past the gate, and so past the other gates of the site. Where no
// proxy is expected to ask, nobody is answered. TM-009, TM-108.
func TestVisitorBehindACDNAsksForTheirAssertion(t *testing.T) {
	x := attack(t, "", trusting+strings.Replace(askedSite, "public /open", "public /open\n\t\tassertion", 1))
	cookie := x.cookie(t)
	got := x.one(t, question("GET", "/payroll", "Cookie: "+cookie))
	if got.status != http.StatusForbidden || got.header.Get("X-Verified-Id-Assertion") != "" || got.header.Get("X-Verified-Id-Subject") != "" {
		t.Errorf("answered %d with %v", got.status, got.header)
	}
	if !strings.Contains(x.logged(t), "write forward_auth into") {
		t.Error("the log does not say how to mend it")
	}
}

// The question itself carries what its client wrote: who they want to be, and another address in every header that some server
// reads one from. Only the three headers are read, and nothing comes back as identity. TM-001, TM-002, TM-108.
func TestForwardAuthBelievesNoOtherHeader(t *testing.T) {
	x := attack(t, "forward_auth", trusting+askedSite)
	forged := []string{
		"X-Verified-Id-Subject: FORGED", "X-Employee-Name: FORGED", "x_employee_name: FORGED", "X-Boss: FORGED", "X-Verified-Id-Role: FORGED",
		"X-Original-URL: /open", "X-Rewrite-URL: /open", "X-Original-URI: /open", "X-Original-Method: OPTIONS", "Forwarded: host=evil.example",
		"X-HTTP-Method-Override: OPTIONS", "X-Forwarded-Path: /open", "X-Forwarded-Prefix: /open", "X_Forwarded_Uri: /open",
		"X-Forwarded-Proto: http",
	}
	if got := x.one(t, question("GET", "/payroll", forged...)); got.status != 401 {
		t.Errorf("a stranger is answered %d", got.status)
	}
	got := x.one(t, question("GET", "/open", forged...))
	if got.status != 200 {
		t.Errorf("the open page is answered %d", got.status)
	}
	for name, values := range got.header {
		if strings.Contains(strings.Join(values, " "), "FORGED") {
			t.Errorf("it comes back: %s: %s", name, values)
		}
	}
}

// A gate in a block is found by requests that come by it, and a question does not. It must not be passed over in silence; nor must
// a gate of another site decide, or one of an error route. TM-107, TM-149.
func TestForwardAuthPassesNoGateOver(t *testing.T) {
	for name, tt := range map[string]struct {
		site   string
		status int
	}{
		"handle":        {"http://payroll.contoso.example {\nverified_id {\npublic /open\n}\nhandle /x* {\nverified_id {\nmax_age 30s\n}\n}\n}", 403},
		"handle_path":   {"http://payroll.contoso.example {\nverified_id {\npublic /open\n}\nhandle_path /x* {\nverified_id {\nmax_age 30s\n}\n}\n}", 403},
		"no host":       {":80 {\nverified_id {\npublic /open\n}\nhandle /x* {\nverified_id {\nmax_age 30s\n}\n}\n}", 403},
		"handle in one": {":80 {\nverified_id {\npublic /open\n}\nhandle /other* {\nverified_id {\nmax_age 30s\n}\n}\n}", 200},
		"named route": {"&(named) {\nverified_id {\nmax_age 30s\n}\n}\nhttp://payroll.contoso.example {\nverified_id {\npublic /open\n}\n" +
			"invoke named\n}", 403},
		"route":      {"http://payroll.contoso.example {\nroute {\nverified_id {\npublic /open\n}\n}\n}", 200},
		"two routes": {":80 {\nverified_id {\npublic /open\n}\nroute {\nverified_id {\nmax_age 30s\n}\n}\n}", 401},
		"other site": {"http://payroll.contoso.example {\nverified_id {\npublic /open\n}\n}\nhttp://wiki.contoso.example {\nverified_id\n}", 200},
		"error route": {"http://payroll.contoso.example {\nverified_id {\npublic /open\n}\nhandle_errors {\nverified_id {\nmax_age 30s\n}\n" +
			"respond no\n}\n}", 200},
		"path in the address": {"http://payroll.contoso.example/x* {\nverified_id {\npublic /x\n}\n}\n" +
			"http://payroll.contoso.example {\nverified_id {\npublic /open\n}\n}", 403},
	} {
		t.Run(name, func(t *testing.T) {
			x := attack(t, "forward_auth", trusting+tt.site)
			target := "/open"
			if tt.status == 403 {
				target = "/x"
			}
			if got := x.one(t, question("GET", target)); got.status != tt.status {
				t.Errorf("answered %d, want %d: %.80s", got.status, tt.status, got.body)
			}
		})
	}
}

// Handlers before the gates have worked for the question, not for the request: vars /admin/* has set nothing, and map has looked at
// our own path. A gate that asks them would have been passed over, and the step-up with it. TM-108.
func TestForwardAuthAsksNoHandlerThatSawTheQuestion(t *testing.T) {
	for name, tt := range map[string]struct {
		before string // what stands before the gates
		status int
	}{
		"vars":             {"vars /admin/* zone admin\n@admin vars zone admin", 403},
		"not vars":         {"vars /open zone open\n@admin not vars zone open", 403},
		"vars_regexp":      {"vars /admin/* zone admin\n@admin vars_regexp zone ^admin$", 403},
		"map":              {"map {path} {zone} {\n~^/admin admin\n}\n@admin vars {zone} admin", 403},
		"expression":       {"map {path} {zone} {\n~^/admin admin\n}\n@admin expression {zone} == \"admin\"", 403},
		"CEL function":     {"vars /admin/* zone admin\n@admin expression vars({'zone': 'admin'})", 403},
		"header's value":   {"map {path} {zone} {\n~^/admin GET\n}\n@admin method {zone}", 403},
		"the request":      {"@admin expression {path}.startsWith('/admin/')", 401},
		"regular":          {"@admin path_regexp ^/admin/.{0,9}$", 401},
		"what nobody asks": {"vars /admin/* zone admin\n@admin path /admin/*", 401},
	} {
		t.Run(name, func(t *testing.T) {
			x := attack(t, "forward_auth", trusting+"http://payroll.contoso.example {\n"+tt.before+`
				verified_id employee
				verified_id @admin employee {
					max_age 30s
				}
				reverse_proxy {app}
			}`)
			cookie := "Cookie: " + x.cookie(t)
			if got := x.one(t, question("GET", "/admin/users", cookie)); got.status != tt.status {
				t.Errorf("answered %d, want %d: %.80s", got.status, tt.status, got.body)
			}
			if tt.status == 403 && !strings.Contains(x.logged(t), "match the request itself") {
				t.Error("the log does not say how to mend it")
			}
		})
	}
}

// The cookie is written anew while the visitor is at work, and a dead one is taken away, also by way of another proxy.
func TestForwardAuthRenewsTheCookie(t *testing.T) {
	x := attack(t, "forward_auth", trusting+askedSite)
	cookie := x.cookie(t)
	setNow(testNow.Add(30 * time.Minute))
	got := x.one(t, question("GET", "/payroll", "Cookie: "+cookie))
	if lines := got.header["Set-Cookie"]; got.status != 200 || len(lines) != 1 || !strings.HasPrefix(lines[0], "__Host-verified-id=") {
		t.Errorf("%d with %.60q", got.status, lines)
	}
	setNow(testNow.Add(2 * time.Hour))
	got = x.one(t, question("GET", "/payroll", "Cookie: "+cookie, "Accept: text/html"))
	if lines := got.header["Set-Cookie"]; got.status != 303 || len(lines) != 1 || !strings.Contains(lines[0], "Max-Age=0") {
		t.Errorf("%d with %.60q", got.status, lines)
	}
}

// A site without a host of its own answers for every host. A proxy that leads several there would have one site's sessions and
// start pages decide for another; the question must be about the site's own host. TM-021, TM-118.
func TestForwardAuthJudgesNoOtherHost(t *testing.T) {
	x := attack(t, "forward_auth", trusting+":80 {\nverified_id {\npublic /open\n}\n}")
	for host, status := range map[string]int{
		"payroll.contoso.example": 200, "PAYROLL.contoso.example.": 200, "payroll.contoso.example:443": 200, "evil.example": 403,
		"payroll.contoso.example.evil.example": 403, "payroll.contoso.example@evil.example": 403, ".": 403, "[::1]": 403,
	} {
		got := x.one(t, strings.Replace(question("GET", "/open"), "X-Forwarded-Host: payroll.contoso.example", "X-Forwarded-Host: "+host, 1))
		if got.status != status {
			t.Errorf("%s: answered %d, want %d", host, got.status, status)
		}
	}
}

// The answer to another proxy carries the claims, and Caddy's access log prints the headers of answers. Whoever reads the log
// must find neither claims nor an assertion, and the proxy must still get them. TM-141, TM-142.
func TestForwardAuthAnswerIsNotLogged(t *testing.T) {
	x := attack(t, "forward_auth", trusting+strings.Replace(strings.Replace(askedSite, "{\n", "{\n\tlog\n", 1), "public /open", "public /open\n\t\tassertion", 1))
	g := x.gate(t, func(g *Gate) bool { return len(g.Public) > 0 })
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "displayName", Value: "Canary Person"}))
	answer := x.one(t, question("GET", "/", "Cookie: "+cookie))
	if answer.status != http.StatusOK || answer.header.Get("X-Employee-Name") != "Canary Person" || !strings.HasPrefix(answer.header.Get("X-Verified-Id-Assertion"), "eyJ") {
		t.Fatalf("answer %v", answer)
	}
	if log := x.logged(t); strings.Contains(log, "Canary Person") || strings.Contains(log, "eyJ") || !strings.Contains(log, "handled request") {
		t.Error("the log holds a claim or an assertion, or is not the log of this question")
	}
}
