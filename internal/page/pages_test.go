// SPDX-License-Identifier: Apache-2.0

package page_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
)

// People without the card scanned the code first, were told "Card missing" by the wallet, and were stuck for days (MS Q&A
// 5767304). Where there is a partner, the page asks first, and both answers are in plain sight: neither behind a click.
func TestStartAsksFirst(t *testing.T) {
	t.Parallel()
	p := rendered{"start", httptest.NewRecorder()}
	newRenderer(t, page.Config{}).Start(p, page.Start{
		Meta: page.Meta{Base: "/own"}, Token: "tok",
		Choices: []page.Choice{
			{Credential: "employee", Partners: []page.Partner{{Name: "au10tix", DisplayName: "AU10TIX"}, {Name: "clear"}}},
			{Credential: "identity"},
		},
	})
	checkForm(t, p, "/own/request", map[string]string{"token": "tok", "credential": "employee"})
	checkForm(t, p, "/own/request", map[string]string{"token": "tok", "credential": "identity"})
	checkForm(t, p, "/own/idv", map[string]string{"token": "tok", "credential": "employee", "partner": "au10tix"})
	checkForm(t, p, "/own/idv", map[string]string{"token": "tok", "credential": "employee", "partner": "clear"})
	root := parse(t, p)
	if len(named(root, "details")) > 0 {
		t.Error("one of the answers is behind a click")
	}
	var headings []string
	for _, h3 := range named(root, "h3") {
		headings = append(headings, textOf(h3))
	}
	if got := strings.Join(headings, ", "); got != "I have this card, I need one first" {
		t.Errorf("asks %q", got)
	}
	for _, want := range []string{"Get the card from AU10TIX", "Get the card from clear", "three codes"} {
		if !strings.Contains(p.Body.String(), want) {
			t.Errorf("page does not say %q", want)
		}
	}
}

// The page said 15 minutes and an identity document beside a note that said five minutes and nothing to hand. What a partner's note
// says is said by nobody else.
func TestNoteIsNotContradicted(t *testing.T) {
	t.Parallel()
	for _, language := range page.Languages() {
		r := newRenderer(t, page.Config{Language: language})
		for note, want := range map[string]bool{"": true, "About a minute; nothing to hand": false} {
			p := rendered{"start", httptest.NewRecorder()}
			r.Start(p, page.Start{Token: "tok", Choices: []page.Choice{{Credential: "employee", Partners: []page.Partner{{Name: "idv", Note: note}, {Name: "other"}}}}})
			for _, general := range map[string][]string{"en": {"15 minutes", "identity document"}, "de": {"15 Minuten", "Ausweisdokument"}}[language] {
				if got := strings.Contains(p.Body.String(), general); got != want {
					t.Errorf("%s, note %q: says %q %v, want %v", language, note, general, got, want)
				}
			}
			if !strings.Contains(p.Body.String(), note) {
				t.Errorf("%s: note %q is not said", language, note)
			}
		}
	}
}

// TM-095, TM-096. Whoever comes back from a partner sees the same page, whatever they bring: it knows no more than the start page.
func TestReturnedSaysWhatIsNext(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	choices := []page.Choice{{Credential: "employee", Partners: []page.Partner{{Name: "idv"}}}}
	p := rendered{"returned", httptest.NewRecorder()}
	r.Returned(p, page.Start{Token: "tok", Choices: choices})
	if got := textOf(named(parse(t, p), "h1")[0]); got != "Now show your new card" {
		t.Errorf("h1 = %q", got)
	}
	checkForm(t, p, "/.verified-id/request", map[string]string{"token": "tok", "credential": "employee"})
	checkForm(t, p, "/.verified-id/idv", map[string]string{"token": "tok", "credential": "employee", "partner": "idv"})
}

func TestRefusedLeadsOn(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	view := page.Refused{
		Token: "tok", CanRetry: true,
		Choice: page.Choice{Credential: "employee", Partners: []page.Partner{{Name: "idv", DisplayName: "IDV"}}},
		Others: []page.Choice{{Credential: "identity", Name: "Identity"}},
	}
	tests := []struct{ reason, title, first string }{
		{"face_check_failed", "That did not work yet", "Try again"},
		{"wrong_issuer", "A different card is needed", "Try with another card"},
		{"revoked_by_service", "A newer card is needed", "Get a new card from IDV"},
		{"domain_mismatch", "This card cannot be used here", "Try again"},
		{"a reason of tomorrow", "That did not work yet", "Try again"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			t.Parallel()
			view := view
			view.Reason = test.reason
			p := rendered{"refused", httptest.NewRecorder()}
			r.Refused(p, view)
			root := parse(t, p)
			if got := textOf(named(root, "h1")[0]); got != test.title {
				t.Errorf("h1 = %q, want %q", got, test.title)
			}
			if got := textOf(named(root, "button")[0]); got != test.first {
				t.Errorf("first way on = %q, want %q", got, test.first)
			}
			checkForm(t, p, "/.verified-id/request", map[string]string{"token": "tok", "credential": "employee"})
			checkForm(t, p, "/.verified-id/request", map[string]string{"token": "tok", "credential": "identity"})
			checkForm(t, p, "/.verified-id/idv", map[string]string{"token": "tok", "credential": "employee", "partner": "idv"})
			if strings.Contains(p.Body.String(), "tomorrow") {
				t.Error("the page repeats a word it does not know")
			}
		})
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		kind   string
		status int // given
		after  int
		want   int
		says   string
	}{
		{page.ProblemUnavailable, 0, 0, 503, "does not answer"},
		{page.ProblemBusy, 0, 10, 503, "Please wait a moment"},
		{page.ProblemBusy, 0, 60, 503, "in about a minute"},
		{page.ProblemLimited, 0, 61, 429, "in about 2 minutes"},
		{page.ProblemBudget, 0, 5400, 503, "in about 90 minutes"},
		{page.ProblemBudget, 0, 36001, 503, "in about 11 hours"},
		{page.ProblemStore, 0, 0, 503, "stay signed in"},
		{page.ProblemLogout, 0, 0, 503, "a copy of your session"},
		{page.ProblemNotFound, 0, 0, 404, "nothing here"},
		{page.ProblemBadRequest, 0, 0, 400, "could not be understood"},
		{page.ProblemForbidden, 0, 0, 403, "somewhere else"},
		{page.ProblemExpired, 0, 0, 403, "open too long"},
		{page.ProblemExpired, 410, 0, 410, "open too long"},
		{page.ProblemCookies, 0, 0, 403, "keeps no cookies"},
		{page.ProblemPartner, 0, 0, 503, "cannot be reached"},
		{page.ProblemNotAllowed, 0, 0, 405, "cannot be used like that"},
		{page.ProblemInternal, 0, 0, 500, "on our side"},
		{"", 0, 0, 500, "on our side"},
		{"of tomorrow", 0, 0, 500, "on our side"},
		// A problem is never a success, whatever the caller says.
		{page.ProblemStore, 200, 0, 503, "stay signed in"},
		{page.ProblemStore, 999, 0, 503, "stay signed in"},
	}
	r := newRenderer(t, page.Config{})
	for _, test := range tests {
		w := httptest.NewRecorder()
		r.Problem(w, page.Problem{Meta: page.Meta{SupportCode: "code-1", RetryAfter: test.after}, Kind: test.kind, Status: test.status})
		if w.Code != test.want {
			t.Errorf("problem %q has status %d, want %d", test.kind, w.Code, test.want)
		}
		if body := w.Body.String(); !strings.Contains(body, test.says) || !strings.Contains(body, "code-1") {
			t.Errorf("problem %q says neither %q nor the support code", test.kind, test.says)
		}
		if got := w.Header().Get("Retry-After"); (got != "") != (test.after > 0) {
			t.Errorf("problem %q: Retry-After = %q", test.kind, got)
		}
	}
}

// TM-081, TM-086. A target that is not on this site, in the few places where a page takes one, becomes a harmless one.
func TestTargetsStayOnThisSite(t *testing.T) {
	t.Parallel()
	r := newRenderer(t, page.Config{})
	for _, target := range []string{
		"//evil.example", `/\evil.example`, `\\evil.example`, "https://evil.example/", "javascript:alert(1)", "evil.example", "",
		"/x\n//evil.example", "/\t/evil.example", "/ x", "/x\\..\\..", "?x", "#x",
	} {
		meta := page.Meta{StartPath: target}
		for name, show := range map[string]func(http.ResponseWriter){
			"onward":     func(w http.ResponseWriter) { r.Onward(w, page.Onward{Meta: meta, To: target}) },
			"logout":     func(w http.ResponseWriter) { r.Logout(w, page.Logout{Meta: meta, Back: target}) },
			"signed out": func(w http.ResponseWriter) { r.SignedOut(w, page.SignedOut{Meta: meta, Again: target}) },
			"problem":    func(w http.ResponseWriter) { r.Problem(w, page.Problem{Meta: meta}) },
			"session":    func(w http.ResponseWriter) { r.Session(w, page.Session{Meta: meta}) },
		} {
			p := rendered{name, httptest.NewRecorder()}
			show(p)
			root := parse(t, p)
			checkAddresses(t, name, root)
			for _, a := range named(root, "a") {
				if href, _ := attr(a, "href"); href != "/" && href != "/.verified-id/start" {
					t.Errorf("%s with the target %q leads to %q", name, target, href)
				}
			}
		}
	}
}

// A partner or an app that redirects on by itself cannot be reached by a form from a page with form-action; a page of our own in
// between can. It must not become a redirector for anybody else.
func TestOnwardLeadsToPartnersOnly(t *testing.T) {
	t.Parallel()
	origins := []string{"https://idv.example", "http://localhost:8092", "https://bad.example/path"}
	tests := []struct{ to, want string }{
		{"https://idv.example/start?token=a.b-c_d&x=1", "https://idv.example/start?token=a.b-c_d&x=1"},
		{"http://localhost:8092/", "http://localhost:8092/"},
		{"/payslips?month=8", "/payslips?month=8"},
		{"https://idv.example", "/"},
		{"https://idv.example.evil.example/", "/"},
		{"https://idv.example@evil.example/", "/"},
		{"https://idv.example:443/", "/"},
		{"http://idv.example/", "/"},
		{"http://localhost:80921/", "/"},
		{`https://idv.example\@evil.example/`, "/"},
		{"https://idv.example/\n", "/"},
		{"https://bad.example/path/x", "/"},
		{"https://evil.example/https://idv.example/", "/"},
		{"//idv.example/", "/"},
	}
	r := newRenderer(t, page.Config{})
	for _, test := range tests {
		p := rendered{"onward", httptest.NewRecorder()}
		r.Onward(p, page.Onward{Meta: page.Meta{FormActions: origins}, To: test.to, Partner: "IDV"})
		root := parse(t, p)
		if got, _ := attr(named(root, "a")[0], "href"); got != test.want {
			t.Errorf("onward to %q leads to %q, want %q", test.to, got, test.want)
		}
		refresh := ""
		for _, meta := range named(root, "meta") {
			if equiv, _ := attr(meta, "http-equiv"); equiv == "refresh" {
				refresh, _ = attr(meta, "content")
			}
		}
		if refresh != "0;url="+test.want {
			t.Errorf("onward to %q refreshes to %q", test.to, refresh)
		}
	}
}

func TestDefaultsOfMeta(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		meta page.Meta
		want string // where "start over" leads
	}{
		{"nothing", page.Meta{}, "/.verified-id/start"},
		{"base", page.Meta{Base: "/own/path"}, "/own/path/start"},
		{"start below base", page.Meta{Base: "/own", StartPath: "/own/start?r=1"}, "/own/start?r=1"},
		{"start elsewhere", page.Meta{Base: "/own", StartPath: "/owner/start"}, "/own/start"},
		{"start is base", page.Meta{Base: "/own", StartPath: "/own"}, "/own/start"},
		{"base with slash", page.Meta{Base: "/own/"}, "/.verified-id/start"},
		{"base is a host", page.Meta{Base: "//evil.example"}, "/.verified-id/start"},
		{"base with query", page.Meta{Base: "/own?"}, "/.verified-id/start"},
	}
	r := newRenderer(t, page.Config{})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := rendered{"problem", httptest.NewRecorder()}
			r.Problem(p, page.Problem{Meta: test.meta, Kind: page.ProblemExpired})
			if got, _ := attr(named(parse(t, p), "a")[0], "href"); got != test.want {
				t.Errorf("start over leads to %q, want %q", got, test.want)
			}
		})
	}
}
