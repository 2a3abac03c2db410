// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// ladderGate takes one of two cards, shown within ten minutes, with a good face where the card has one.
const ladderGate = "verified_id employee guest {\n max_age 10m\n face_check 85\n require role admin\n}"

const ladderApp = `credential guest {
	type       VerifiedGuest
	issuer     did:web:anybody.example
	face_check photo 50
}`

// Of all that is wrong with a session the visitor is told what is the least to do about it; and never that nothing was shown,
// when something was.
func TestNearestRefusalIsTold(t *testing.T) {
	_, ctx := loadApp(t, testApp(ladderApp))
	g := loadGate(t, ctx, ladderGate)
	other := loadGate(t, ctx, "verified_id guest {\n face_check 90\n}")
	admin, user := verifier.Claim{Name: "role", Value: "admin"}, verifier.Claim{Name: "role", Value: "user"}
	employee := func(age time.Duration, score float64, role verifier.Claim) verifier.Presentation {
		p := presentation(g, role)
		p.VerifiedAt, p.FaceScore = testNow.Add(-age), score
		return p
	}
	guest := func(role verifier.Claim) verifier.Presentation {
		p := guestOf(g, role)
		p.FaceChecked, p.FaceScore = true, 99
		return p
	}
	for _, c := range []struct {
		name string
		gate *Gate
		held []verifier.Presentation
		want verifier.Reason
	}{
		{"all well", g, []verifier.Presentation{employee(time.Minute, 91, admin)}, ""},
		{"too old", g, []verifier.Presentation{employee(time.Hour, 91, admin)}, verifier.ReasonPresentationTooOld},
		{"face too low", g, []verifier.Presentation{employee(time.Minute, 84.9, admin)}, verifier.ReasonFaceCheckLow},
		{"wrong role", g, []verifier.Presentation{employee(time.Minute, 91, user)}, verifier.ReasonRequiredClaim},
		{"wrong role, whatever else", g, []verifier.Presentation{employee(time.Hour, 60, user)}, verifier.ReasonRequiredClaim},
		{"one too old, one of a wrong role", g, []verifier.Presentation{employee(time.Hour, 91, admin), guest(user)}, verifier.ReasonPresentationTooOld},
		{"the other way round", g, []verifier.Presentation{guest(user), employee(time.Hour, 91, admin)}, verifier.ReasonPresentationTooOld},
		{"another card", other, []verifier.Presentation{employee(time.Minute, 91, admin)}, verifier.ReasonOtherCredential},
		{"another card and the right one", other, []verifier.Presentation{employee(time.Minute, 91, admin), guestWithFace(other, 70)}, verifier.ReasonFaceCheckLow},
	} {
		held, cookie := sessionOf(c.gate, c.held...)
		if _, got := c.gate.decide(request("GET", testOrigin+"/", withCookie(cookie)), held, testNow); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func guestWithFace(g *Gate, score float64) verifier.Presentation {
	p := guestOf(g)
	p.FaceChecked, p.FaceScore = true, score
	return p
}

// The start page says in words why a card is wanted again, for every reason that a gate can have.
func TestEveryChallengeHasWords(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	b := newBrowser(t, g)
	general, _ := b.open(g.startURL("/", "a word that nobody knows"))
	for _, reason := range append(verifier.Reasons(), sessionExpired, sessionRevoked, bindMismatch) {
		start, _ := b.open(g.startURL("/", reason))
		if known := noteIn(t, start.Body.String()) != noteIn(t, general.Body.String()); known != meets(reason) {
			t.Errorf("%s has words of its own: %v, want %v", reason, known, meets(reason))
		}
	}
}

// meets says whether a session can be refused for the reason, and not only a presentation.
func meets(reason verifier.Reason) bool {
	return !slices.Contains([]verifier.Reason{
		verifier.ReasonInvalidRequirement, verifier.ReasonNotVerified, verifier.ReasonMalformed, verifier.ReasonNoCredential,
		verifier.ReasonExtraCredential, verifier.ReasonNoSubject, verifier.ReasonStatusMissing, verifier.ReasonStatusUnknown,
		verifier.ReasonDomainMismatch, verifier.ReasonCredentialFuture, verifier.ReasonCredentialUndated,
		verifier.ReasonFaceCheckFailed, verifier.ReasonCheckFailed, verifier.ReasonRevokedByService, verifier.ReasonServiceRefused,
	}, reason)
}

func noteIn(t testing.TB, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `<p class="note">`)
	note, _, closed := strings.Cut(rest, "</p>")
	if !ok || !closed {
		t.Fatalf("no note in\n%s", body)
	}
	return note
}

// A route wants a fresher presentation. The page says how fresh, and how old the visitor's is, and nothing about the visitor.
func TestStepUpSaysHowOld(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n max_age 10m\n header X-Mail {claim.mail}\n}")
	s := newService(t, app)
	b := newBrowser(t, g)
	b.finish(b.verifyAt(s, "/"))
	setNow(testNow.Add(22*time.Minute + 10*time.Second))
	asked, u := b.open("/payroll?month=3&to=ana@contoso.example")
	if u.hits != 0 {
		t.Fatal("an old presentation opened the route")
	}
	start, _ := b.open(asked.Header().Get("Location"))
	if note := noteIn(t, start.Body.String()); note != "This page asks for a check that is at most 10 minutes old. Yours is 23 minutes old." {
		t.Errorf("the page says %q", note)
	}
	if strings.Contains(start.Body.String(), "ana@") {
		t.Error("the page tells who the visitor is, or the query of the address")
	}
	// The destination survives with its query, and what was shown opens it: no second round.
	id := b.verifyAt(s, "/payroll?month=3&to=ana@contoso.example")
	if onward := b.finish(id); !strings.Contains(onward.Body.String(), "/payroll?month=3&amp;to=ana@contoso.example") {
		t.Errorf("the way leads on by\n%s", onward.Body)
	}
	if _, u := b.open("/payroll?month=3"); u.hits != 1 {
		t.Error("asked again after the step-up")
	}
}

// A session whose end was idleness or an administrator is refused with that reason, not as if nobody had ever been here.
func TestEndedSessionIsNamed(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	held, cookie := sessionOf(g, presentation(g))
	reasonOf := func() string {
		t.Helper()
		w, _ := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie, "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")))
		location, err := url.Parse(w.Header().Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		token, _ := g.site.openVisit(location.Query().Get("v"), app.now())
		return token.Reason
	}
	if err := app.store.end(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: held.ID, Since: testNow, Until: testNow.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if got := reasonOf(); got != string(sessionRevoked) {
		t.Errorf("ended on the server: %q", got)
	}
	setNow(testNow.Add(2 * time.Hour))
	if got := reasonOf(); got != string(sessionExpired) {
		t.Errorf("idle: %q", got)
	}
}

// A person sends a form to a route for which their session is too weak. The form does not arrive, a page says so, and the way
// leads back to the page with the form; it never leads elsewhere, whatever the request says about where it came from. TM-083.
func TestFormIsHeldBackHonestly(t *testing.T) {
	_, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	for referer, want := range map[string]string{
		testOrigin + "/pay?to=ben":                      "/pay?to=ben",
		testOrigin:                                      "/",
		"":                                              "/",
		"https://evil.example/pay":                      "/",
		testOrigin + ".evil.example/pay":                "/",
		testOrigin + "@evil.example/pay":                "/",
		testOrigin + "//evil.example/pay":               "/",
		testOrigin + `/\evil.example`:                   "/",
		testOrigin + "/.verified-id/start?v=x":          "/",
		"http://payroll.contoso.example/pay":            "/",
		testOrigin + "/pay\r\nSet-Cookie: x=1":          "/",
		testOrigin + "/" + strings.Repeat("a", 64<<10):  "/",
		testOrigin + "/%2e%2e/.verified-id/logout":      "/",
		testOrigin + "/pay?next=https://evil.example/x": "/pay?next=https://evil.example/x",
	} {
		header := http.Header{"Referer": {referer}, "Content-Type": {"application/x-www-form-urlencoded"}}
		maps.Copy(header, pageLoad)
		w, u := serve(t, g, request("POST", testOrigin+"/pay", header))
		body := w.Body.String()
		if w.Code != http.StatusUnauthorized || u.hits != 0 || !strings.Contains(body, "not sent yet") ||
			w.Header().Get("Www-Authenticate") == "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("from %q: status %d with %d hits and\n%s", referer, w.Code, u.hits, body)
		}
		_, rest, _ := strings.Cut(body, basePath+"/start?v=")
		sealed, _, _ := strings.Cut(rest, `"`)
		if token, ok := g.site.openVisit(sealed, testNow); !ok || token.ReturnTo != want {
			t.Errorf("from %q: leads to %q, %v; want %q", referer, token.ReturnTo, ok, want)
		}
	}
	// A browser of before 2023 says less about its requests.
	old := http.Header{"Accept": {"text/html,*/*"}, "Content-Type": {"multipart/form-data; boundary=x"}}
	if w, _ := serve(t, g, request("POST", testOrigin+"/pay", old)); !strings.Contains(w.Body.String(), "not sent yet") {
		t.Errorf("an old browser is shown\n%s", w.Body)
	}
}

// One person's employee card and another person's guest card make no session that has both: the first is gone when the second
// is taken. TM-033.
func TestCardsOfTwoHoldersAreNotCombined(t *testing.T) {
	app, ctx := loadApp(t, testApp(ladderApp))
	g := loadGate(t, ctx, "verified_id employee guest")
	take := func(before *verifier.Transaction, holder string, p verifier.Presentation) map[string]bool {
		t.Helper()
		first := g.site.newSession("first", before, nil)
		p.Subject = holder
		second := g.site.newSession("second", &verifier.Transaction{Presentation: &p, ConsumedAt: testNow}, first)
		if second.Subject != app.keys.subjectOf(holder) {
			t.Errorf("the session is of %q", second.Subject)
		}
		has := map[string]bool{}
		for _, p := range second.Presentations {
			has[p.Credential] = true
		}
		return has
	}
	ana := presentation(g)
	ana.Subject = "did:ion:ana"
	started := &verifier.Transaction{Presentation: &ana, ConsumedAt: testNow}
	if has := take(started, "did:ion:ana", guestOf(g)); !has["employee"] || !has["guest"] {
		t.Errorf("Ana's session has %v, want both cards", has)
	}
	for _, holder := range []string{"did:ion:ben", "DID:ION:ANA", "did:ion:ana ", "did:ion:ana#1"} {
		if has := take(started, holder, guestOf(g)); has["employee"] || !has["guest"] {
			t.Errorf("the session of %q has %v, want the guest card only", holder, has)
		}
	}
}

// Somebody passes the high bar, and later shows the card again at a route with a lower one, with another's face or in bad light:
// the high bar is not met any more. A gate's bar cannot lower the credential's either. TM-022.
func TestLowerBarDoesNotKeepTheHigherDoorOpen(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	low, high := loadGate(t, ctx, "verified_id {\n max_age 10m\n}"), loadGate(t, ctx, "verified_id {\n face_check 90\n}")
	if lower := loadGate(t, ctx, "verified_id {\n face_check 50\n}"); lower.wants[0].requirement.FaceCheck.Threshold != 80 {
		t.Errorf("a gate lowers the bar to %d", lower.wants[0].requirement.FaceCheck.Threshold)
	}
	s := newService(t, app)
	b := newBrowser(t, high)
	b.finish(b.verifyAt(s, "/"))
	if _, u := b.open("/"); u.hits != 1 {
		t.Fatal("the high bar is not met")
	}
	setNow(testNow.Add(11 * time.Minute))
	b.gate = low
	b.finish(b.verifyAt(s, "/", "91.5", "80.5"))
	if _, u := b.open("/"); u.hits != 1 {
		t.Error("the low bar is not met")
	}
	b.gate = high
	if _, u := b.open("/"); u.hits != 0 {
		t.Error("the high bar is met by a score of 80.5")
	}
}

// The rules of a gate go to the wallet, so that of several cards it offers the one that will do; exactness stays with us.
// Values that a card may hold as a number or a truth value stay here: a wallet compares texts.
func TestRequireIsAskedFor(t *testing.T) {
	app, ctx := loadApp(t, testApp("credential staff {\n type VerifiedEmployee\n issuer "+testIssuer+"\n constraint city is Berlin\n}"))
	g := loadGate(t, ctx, "verified_id staff {\n require jobTitle Clerk \"Payroll Accountant\"\n require level 3 4\n require adult true\n}")
	c := captureService(t, app)
	b := newBrowser(t, g)
	b.gate = g
	start, _ := b.open("/.verified-id/start")
	b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"staff"}})
	want := `"constraints":[{"claimName":"city","values":["Berlin"]},{"claimName":"jobTitle","values":["Clerk","Payroll Accountant"]}]`
	if body := c.only(t); !strings.Contains(body, want) {
		t.Errorf("want %s in %s", want, body)
	}
	if choice := g.choice(g.wants[0]); !choice.Particular {
		t.Error("the page does not know that not every card will do")
	}
	// A presentation that passed a route without rules serves the route with them, and the other way round.
	plain := loadGate(t, ctx, "verified_id staff")
	if g.wants[0].requirement.Policy() != plain.wants[0].requirement.Policy() {
		t.Error("the rules changed the policy, so that visitors are asked on every change of route")
	}
}

// Who would have been refused, and why, is counted by reason, logged without the visitor, and can be put into the access log.
func TestReportOnlyTellsWhy(t *testing.T) {
	x := attack(t, "", `http://payroll.contoso.example {
		log
		verified_id {
			report_only
			require role admin
		}
		log_append refusal {http.verified_id.refusal}
		reverse_proxy {app}
	}`)
	g := x.gate(t, nil)
	get := []string{"GET /a HTTP/1.1", "Host: payroll.contoso.example", "Connection: close"}
	_, cookie := sessionOf(g, presentation(g, verifier.Claim{Name: "role", Value: "CANARY"}))
	x.raw(t, wireLines(get...))
	x.raw(t, wireLines(append(get, "Cookie: "+cookie, "X-Verified-Id-Subject: FORGED")...))
	if seen := x.behind.take(); len(seen) != 2 || seen[1].header.Get("X-Verified-Id-Subject") != "" {
		t.Fatalf("the app got %+v, want two requests of nobody", seen)
	}
	for _, want := range []string{
		`"would refuse","reason":"no_session"`, `"would refuse","reason":"required_claim"`, `"refusal":"no_session"`, `"refusal":"required_claim"`,
	} {
		if !strings.Contains(x.logged(t), want) {
			t.Errorf("%s is not in the log\n%s", want, x.logged(t))
		}
	}
	if strings.Contains(x.logged(t), "CANARY") {
		t.Error("the log tells the claim")
	}
	for _, reason := range []string{"no_session", "required_claim"} {
		if got := counted(t, x.app, "caddy_verified_id_report_only_total", reason); got != 1 {
			t.Errorf("%s is counted %v times, want once", reason, got)
		}
	}
}

// counted is the value of a counter with one label.
func counted(t testing.TB, app *App, name, label string) float64 {
	t.Helper()
	families, err := app.ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if family.GetName() == name && len(metric.GetLabel()) == 1 && metric.GetLabel()[0].GetValue() == label {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// Every refusal of the verifier and of the gate is a page with what happened, what to do next, a way to do it and a support
// code, in each language; with another card and a partner where the gate has them. What was presented is on none of them.
func TestRefusalPagesHelpAndTellNothing(t *testing.T) {
	const unheardOf verifier.Reason = "a word that nobody knows"
	for _, language := range []string{"en", "de"} {
		app, ctx := loadApp(t, testApp(ladderApp+"\nidv fabrikam {\n url https://idv.example/start?token={token}\n org_id contoso\n}\ncredential member {\n type VerifiedMember\n issuer "+testIssuer+"\n idv fabrikam\n}\npages {\n language "+language+"\n}"))
		g := loadGate(t, ctx, "verified_id member guest {\n require mail CANARY-RULE\n}")
		for _, reason := range append([]verifier.Reason{unheardOf}, append(verifier.Reasons(), bindMismatch, holderLimited)...) {
			b := newBrowser(t, g)
			b.open("/.verified-id/start") // for the binding cookie
			v := &visitRequest{site: g.site, gate: g, logger: g.logger, r: requestWith(b), now: testNow, vector: "support-code.0"}
			binding, _ := v.boundTo(v.r)
			transaction := v.newTransaction(visit{Gate: g.id, ReturnTo: "/", Vector: v.vector}, binding, g.requirement(g.wants[0], ""))
			transaction.RequestID, transaction.Status, transaction.Reason = "request-1", verifier.StatusRefused, reason
			refused := presentation(g, verifier.Claim{Name: "mail", Value: "CANARY-CLAIM"})
			refused.FaceScore = 63.25
			transaction.Presentation = &refused
			if err := app.store.Create(t.Context(), transaction); err != nil {
				t.Fatal(err)
			}
			w, _ := b.open("/.verified-id/wait?t=" + transaction.ID)
			body := w.Body.String()
			for _, want := range []string{"support-code.0", `action="/.verified-id/request"`, `value="guest"`, `action="/.verified-id/idv"`, `value="fabrikam"`} {
				if !strings.Contains(body, want) {
					t.Errorf("%s, %s: %s is missing in\n%s", language, reason, want, body)
				}
			}
			for _, canary := range []string{"CANARY", "63", "80", "91.5", "mail", string(reason)} {
				if main := mainOf(body); strings.Contains(main, canary) {
					t.Errorf("%s, %s: the page tells %q", language, reason, canary)
				}
			}
			if known := slices.Contains(page.RefusalReasons(), string(reason)); known != (reason != unheardOf) {
				t.Errorf("%s: the pages know it: %v", reason, known)
			}
		}
	}
}

// mainOf is what a visitor reads on a page, without addresses and tokens.
func mainOf(body string) string {
	_, rest, _ := strings.Cut(body, "<main")
	main, _, _ := strings.Cut(rest, "</main>")
	var text strings.Builder
	for _, part := range strings.Split(main, "<")[1:] {
		_, words, _ := strings.Cut(part, ">")
		text.WriteString(words)
	}
	return text.String()
}
