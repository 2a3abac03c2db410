// SPDX-License-Identifier: Apache-2.0

package walletweb_test

import (
	"bufio"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// TestNewcomerFindsTheWaitingRequest: the request is on the first page, one click away.
func TestNewcomerFindsTheWaitingRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if p := f.get(t, "/wallet"); p.status != http.StatusOK || !p.says("Nothing waits") || !p.says("Emulator") {
		t.Errorf("empty wallet = %d, lacks its words", p.status)
	}
	link := f.presentation(t)
	p := f.get(t, "/wallet")
	if want := `href="/wallet/open?link=` + url.QueryEscape(link) + `"`; !strings.Contains(p.body, want) {
		t.Errorf("page lacks %s", want)
	}
	if !p.says("Contoso <Payroll> asks for a card: “To see your \"payslips\"”") {
		t.Error("page does not say who asks and why")
	}
}

// TestShare: who asks, what fits, the score, and the relying party's answer.
func TestShare(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.card(t, "VerifiedEmployee")
	f.card(t, "VerifiedIdentity")
	path := f.open(t, f.presentation(t))
	if got := f.seen(); got != "request_retrieved" {
		t.Fatalf("callbacks = %q, want request_retrieved", got)
	}
	p := f.get(t, path)
	for _, want := range []string{
		"Share a card with Contoso <Payroll>?", "To see your \"payslips\"", "✓ Verified domain: https://verifiedid.contoso.example/",
		emulator.DemoAuthority, "Verified employee", "a score of 70 passes",
	} {
		if !p.says(want) {
			t.Errorf("page lacks %q", want)
		}
	}
	if strings.Contains(p.body, "Verified identity") {
		t.Error("page offers a card that does not fit")
	}
	if got := f.post(t, path+"/share", url.Values{"score": {"88.5"}}); got.status != http.StatusSeeOther || got.location != path {
		t.Fatalf("share = %d to %q, want 303 to %q", got.status, got.location, path)
	}
	if got := f.seen(); got != "request_retrieved presentation_verified" {
		t.Errorf("callbacks = %q, want the presentation", got)
	}
	p = f.get(t, path)
	if !p.says("Shared") || !p.says("Contoso <Payroll> answered the callback with") || !p.says("204 No Content") {
		t.Error("result page lacks the outcome")
	}

	// Pressing Share again, or reloading, sends nothing.
	f.post(t, path+"/share", nil)
	if got := f.seen(); got != "request_retrieved presentation_verified" {
		t.Errorf("callbacks = %q after a second press", got)
	}
}

// TestRelyingPartyFails: Authenticator shows an error then, and so does the page.
func TestRelyingPartyFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.card(t, "VerifiedEmployee")
	path := f.open(t, f.presentation(t))
	f.mu.Lock()
	f.answer = http.StatusInternalServerError
	f.mu.Unlock()
	f.post(t, path+"/share", nil)
	if p := f.get(t, path); !p.says("did not take the callback") || !p.says("500 Internal Server Error") {
		t.Error("result page does not say that the relying party failed")
	}
}

// TestTricks: each trick reaches the service as what it is, and the page says how it ended.
func TestTricks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		form url.Values
		seen string // callbacks after request_retrieved
		says string
	}{
		{"low score", url.Values{"trick": {"low-score"}}, " presentation_error", "claimValidationError"},
		{"revoked", url.Values{"trick": {"revoke"}}, " presentation_error", "is revoked"},
		{"expired", url.Values{"trick": {"expired"}}, " presentation_error", "400 Bad Request"},
		{"impostor", url.Values{"trick": {"impostor"}}, " presentation_error", "400 Bad Request"},
		{"no card", url.Values{"trick": {"no-card"}}, "", "You’ll have to add this Verified ID first"},
		{"unknown trick", url.Values{"trick": {"magic"}}, "", "Share a card"},
	}
	for _, m := range emulator.Misbehaviours() {
		tests = append(tests, struct {
			name string
			form url.Values
			seen string
			says string
		}{string(m), url.Values{"trick": {"misbehave"}, "misbehaviour": {string(m)}}, "*", "400 Bad Request"})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.card(t, "VerifiedEmployee")
			path := f.open(t, f.presentation(t))
			f.post(t, path+"/trick", test.form)
			if got := f.seen(); strings.Contains(got, "presentation_verified") || (test.seen != "*" && got != "request_retrieved"+test.seen) {
				t.Errorf("callbacks = %q, want request_retrieved%s", got, test.seen)
			}
			if p := f.get(t, path); !p.says(test.says) {
				t.Errorf("page lacks %q", test.says)
			}
		})
	}
}

// TestNoMatchingCard: there is nothing to press but Decline, and a way to a card.
func TestNoMatchingCard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := f.open(t, f.presentation(t))
	p := f.get(t, path)
	if !p.says("You’ll have to add this Verified ID first") || strings.Contains(p.body, ">Share</button>") {
		t.Error("page without a fitting card offers to share")
	}
	f.post(t, path+"/share", nil)
	if p := f.get(t, path); !p.says("Nothing was sent") {
		t.Error("sharing without a card is not answered as the wallet does")
	}
}

// TestDecline: a declined presentation sends nothing; a declined card is reported.
func TestDecline(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.card(t, "VerifiedEmployee")
	f.post(t, f.open(t, f.presentation(t))+"/decline", nil)
	if got := f.seen(); got != "request_retrieved" {
		t.Errorf("callbacks = %q, want nothing but request_retrieved", got)
	}
	path := f.open(t, f.issuance(t, ""))
	f.post(t, path+"/decline", nil)
	if got := f.seen(); !strings.HasSuffix(got, " issuance_error") {
		t.Errorf("callbacks = %q, want issuance_error at the end", got)
	}
	if p := f.get(t, path); !p.says("Declined") {
		t.Error("page does not say so")
	}
}

// TestScanAgain: opening the same link twice tells the relying party twice, and either page can
// answer, once.
func TestScanAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.card(t, "VerifiedEmployee")
	link := f.presentation(t)
	first, second := f.open(t, link), f.open(t, link)
	if got := f.seen(); got != strings.Repeat(" request_retrieved", 2)[1:] {
		t.Errorf("callbacks = %q, want request_retrieved twice", got)
	}
	f.post(t, second+"/share", nil)
	f.post(t, first+"/share", nil)
	if got := strings.Count(f.seen(), "presentation_verified"); got != 1 {
		t.Errorf("presentations = %d, want 1", got)
	}
}

// TestLinksThatDoNotOpen: each says why, and nothing is fetched from elsewhere.
func TestLinksThatDoNotOpen(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	expired := f.presentation(t)
	f.advance(5*time.Minute + time.Second)
	tests := []struct {
		name, link string
		status     int
		says       string
	}{
		{"expired", expired, http.StatusNotFound, "This request has expired"},
		{"empty", "", http.StatusBadRequest, "That is no link for a wallet"},
		{"web page", "https://www.example.com/", http.StatusBadRequest, "That is no link for a wallet"},
		{"other machine", "openid-vc://?request_uri=https://example.com/r", http.StatusBadRequest, "That is no link for a wallet"},
		{"markup", `openid-vc://<script>alert(1)</script>`, http.StatusBadRequest, "That is no link for a wallet"},
		{"unsigned", "openid-vc://?request=e30.e30.", http.StatusBadRequest, "Authenticator would refuse this request"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := f.get(t, "/wallet/open?link="+url.QueryEscape(test.link))
			if p.status != test.status || !p.says(test.says) {
				t.Errorf("status = %d, want %d and %q", p.status, test.status, test.says)
			}
			if strings.Contains(p.body, "<script>alert") {
				t.Error("the link became markup")
			}
		})
	}
}

// TestAddCard: the offer, a wrong PIN, the right one, the card.
func TestAddCard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	path := f.open(t, f.issuance(t, "4711"))
	if p := f.get(t, path); !p.says("Add your Contoso employee card?") || !p.says("PIN (4 digits") || !p.says("Contoso HR") {
		t.Error("offer lacks its words")
	}
	f.post(t, path+"/accept", url.Values{"pin": {"0000"}})
	if p := f.get(t, path); !p.says("That PIN is wrong") {
		t.Error("page does not say that the PIN is wrong")
	}
	f.post(t, path+"/accept", url.Values{"pin": {"4711"}})
	p := f.get(t, path)
	if !p.says("Card added") || !strings.HasSuffix(f.seen(), " issuance_successful") {
		t.Fatalf("page or callbacks %q lack the success", f.seen())
	}
	cards := f.e.Wallet().Cards()
	if len(cards) != 1 {
		t.Fatalf("cards = %d, want 1", len(cards))
	}
	card := f.get(t, "/wallet/cards/"+url.PathEscape(cards[0].ID))
	if !card.says("Bo <Berg>") || !card.says("bo@contoso.example") {
		t.Error("card page lacks its claims")
	}
	photo := f.get(t, "/wallet/cards/"+url.PathEscape(cards[0].ID)+"/photo.jpg")
	if photo.header.Get("Content-Type") != "image/jpeg" || !strings.HasPrefix(photo.body, "\xff\xd8\xff") {
		t.Errorf("photo is %q", photo.header.Get("Content-Type"))
	}

	// Accepting twice adds nothing.
	f.post(t, path+"/accept", url.Values{"pin": {"4711"}})
	if got := len(f.e.Wallet().Cards()); got != 1 {
		t.Errorf("cards = %d after a second press, want 1", got)
	}
}

// TestCards: take each test card, revoke one, remove all.
func TestCards(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, stock := range []string{"good-0", "expired", "good-1", "good-2"} {
		if p := f.post(t, "/wallet/cards", url.Values{"stock": {stock}}); p.status != http.StatusSeeOther {
			t.Fatalf("taking %s = %d, want 303", stock, p.status)
		}
	}
	if p := f.post(t, "/wallet/cards", url.Values{"stock": {"gold"}}); p.status != http.StatusNotFound {
		t.Errorf("taking a card that does not exist = %d, want 404", p.status)
	}
	home := f.get(t, "/wallet")
	for _, want := range []string{"expired", "issuer’s domain not verified", "Fabrikam Identity Check"} {
		if !home.says(want) {
			t.Errorf("home lacks %q", want)
		}
	}
	cards := f.e.Wallet().Cards()
	path := "/wallet/cards/" + url.PathEscape(cards[0].ID)
	f.post(t, path+"/revoke", nil)
	if p := f.get(t, path); !p.says("revoked") || !f.e.Revoked(cards[0].ID) {
		t.Error("card was not revoked")
	}
	for _, c := range cards {
		f.post(t, "/wallet/cards/"+url.PathEscape(c.ID)+"/remove", nil)
	}
	if got := len(f.e.Wallet().Cards()); got != 0 {
		t.Errorf("cards = %d after removing all", got)
	}
}

// TestScoreOutOfRange: the form comes back, nothing is sent.
func TestScoreOutOfRange(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.card(t, "VerifiedEmployee")
	path := f.open(t, f.presentation(t))
	for _, score := range []string{"0", "101", "-5", "NaN", "Inf", "lots"} {
		f.post(t, path+"/share", url.Values{"score": {score}})
		if p := f.get(t, path); !p.says("a number from 1 to 100") || f.seen() != "request_retrieved" {
			t.Errorf("score %s: not refused", score)
		}
	}
}

// TestStrangersAtTheWallet: a page of another site, another machine, and another name for this
// machine (DNS rebinding) get nothing.
func TestStrangersAtTheWallet(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.card(t, "VerifiedEmployee")
	path := "/wallet/cards/" + url.PathEscape(c.ID) + "/remove"
	for name, header := range map[string]http.Header{
		"cross-site form":   {"Sec-Fetch-Site": {"cross-site"}},
		"same-site form":    {"Sec-Fetch-Site": {"same-site"}},
		"foreign origin":    {"Origin": {"https://mallory.example"}},
		"opaque origin":     {"Origin": {"null"}},
		"name pointed here": {"Sec-Fetch-Site": {"same-origin"}, "Host": {"mallory.example"}},
	} {
		if p := f.do(t, http.MethodPost, path, url.Values{}, header); p.status != http.StatusForbidden {
			t.Errorf("%s = %d, want 403", name, p.status)
		}
	}
	if p := f.do(t, http.MethodGet, "/wallet", nil, http.Header{"Host": {"mallory.example"}}); p.status != http.StatusForbidden {
		t.Errorf("reading under another name = %d, want 403", p.status)
	}
	if len(f.e.Wallet().Cards()) != 1 {
		t.Error("a stranger removed the card")
	}
}

// TestWaitingStream: the stream speaks up as soon as a request waits.
func TestWaitingStream(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.origin+"/wallet/waiting?newest=", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.browser.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	if !lines.Scan() || lines.Text() != ": waiting" {
		t.Fatalf("first line = %q", lines.Text())
	}
	f.presentation(t)
	var seen string
	for lines.Scan() {
		seen += lines.Text() + "\n"
	}
	if !strings.Contains(seen, "event: changed") {
		t.Errorf("stream = %q, want the event changed", seen)
	}
}

// TestSecurityHeaders: every answer carries them, errors too.
func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := f.card(t, "VerifiedEmployee")
	offer := f.open(t, f.presentation(t))
	for _, at := range []string{
		"/wallet", offer, "/wallet/cards/" + url.PathEscape(c.ID), "/wallet/cards/" + url.PathEscape(c.ID) + "/photo.jpg",
		"/wallet/open?link=x", "/wallet/nowhere", "/wallet/offers/guess", "/wallet/assets/style.css", "/wallet/assets/script.js",
	} {
		p := f.get(t, at)
		if csp := p.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy = %q", at, csp)
		}
		if p.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: nosniff missing", at)
		}
		if strings.Contains(p.body, " style=") || strings.Contains(p.body, "<script>") {
			t.Errorf("%s: inline style or script", at)
		}
	}
}
