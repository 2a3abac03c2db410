// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
)

// startPartner runs the identity-verification partner, which issues employee cards to those who come by a link of a node.
func (w *world) startPartner() {
	w.t.Helper()
	listener := w.listen()
	w.partnerAt = "https://" + listener.name
	contract, err := w.emulator.Contract("VerifiedEmployee")
	if err != nil {
		w.t.Fatalf("finding the contract: %v", err)
	}
	account := partner.Account{
		TokenURL: w.emulator.TokenURL() + "/" + emulator.DemoTenant + "/oauth2/v2.0/token",
		ClientID: emulator.DemoClientID, ClientSecret: emulator.DemoClientSecret,
	}
	manifest := w.emulator.ManifestURL(contract) + "?manifestType=claimInjection"
	p, err := partner.New(partner.Config{
		PublicURL: w.partnerAt, ServiceURL: w.emulator.PublicURL(),
		Credentials: []partner.Credential{partner.VerifiedEmployee(emulator.DemoAuthority, manifest, emulator.DemoTenantDomain, account)},
		Organisations: []partner.Organisation{{
			ID: "contoso", JWKSURL: w.origin + "/.verified-id/jwks.json", RedirectURLs: []string{w.origin + "/.verified-id/return"},
			Mode: partner.Hardened,
		}},
		HTTPClient: &http.Client{Transport: network{w, w.transport()}, Timeout: 10 * time.Second},
	})
	if err != nil {
		w.t.Fatalf("making the partner: %v", err)
	}
	w.serve(listener.Listener, p)
}

var (
	returnLink  = regexp.MustCompile(`href="(https://[^"]*/\.verified-id/return[^"]*)"`)
	failedCheck = regexp.MustCompile(`id="check-([^"]*)" class="failed"`)
)

// detour is the way of somebody without a card: to the partner by a link that a node has signed, and with the card back to any
// node. It says whether they have come back to a page that asks for the card.
func (p *person) detour(ctx context.Context, v *Visit) bool {
	v.Detour = true
	a := p.press(ctx, request{
		step: StepAway, path: "/.verified-id/idv", form: url.Values{"token": {p.token}, "credential": {"employee"}, "partner": {"fabrikam"}},
	})
	if a.Status != http.StatusOK || !strings.HasPrefix(a.to, p.w.partnerAt+"/") {
		v.end(a)
		return false
	}
	at := p.arrive(ctx, a.to, false)
	if p.random.IntN(4) == 0 { // somebody has looked over the shoulder
		p.arrive(ctx, a.to, true)
	}
	if at == "" {
		v.Outcome, v.Why = StartAgain, "the partner does not take the link"
		return false
	}
	back := p.getCard(ctx, v, at)
	if back == "" {
		return false
	}
	if p.random.IntN(4) == 0 {
		p.send(ctx, request{step: StepForeign, path: back, browser: p.w.newBrowser()})
	}
	if a = p.press(ctx, request{step: StepReturn, path: back}); a.Status != http.StatusOK {
		v.end(a)
		return false
	}
	return true
}

// arrive follows a link to the partner, and returns the address of the visit there; empty if the partner does not take the link.
func (p *person) arrive(ctx context.Context, link string, again bool) string {
	one := Arrival{Visitor: p.name, Kickstart: kickstartOf(link), Again: again, Span: Span{Began: time.Now()}}
	status, to, body := p.atPartner(context.WithoutCancel(ctx), link, nil)
	one.Ended, one.Taken = time.Now(), status == http.StatusSeeOther
	for _, check := range failedCheck.FindAllStringSubmatch(body, -1) {
		one.Why += check[1] + " "
	}
	p.w.recorder.keep(func(h *History) { h.Arrivals = append(h.Arrivals, one) })
	if !one.Taken {
		return ""
	}
	return p.w.partnerAt + to
}

// kickstartOf is the RequestId in a link to the partner.
func kickstartOf(link string) string {
	at, err := url.Parse(link)
	if err != nil {
		return ""
	}
	parts := strings.Split(at.Query().Get("token"), ".")
	if len(parts) != 3 {
		return ""
	}
	content, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		RequestID string `json:"RequestId"`
	}
	if err != nil || json.Unmarshal(content, &claims) != nil {
		return ""
	}
	return claims.RequestID
}

// getCard is the visit at the partner. It returns the address of the site that leads back, or an empty one where there is no card.
func (p *person) getCard(ctx context.Context, v *Visit, at string) (back string) {
	first, last, _ := strings.Cut(p.name, " ")
	p.atPartner(ctx, at+"/document", url.Values{
		"first_name": {first}, "last_name": {last}, "date_of_birth": {"1990-04-12"}, "document_number": {"X0000001"},
		"credential": {"VerifiedEmployee"},
	})
	p.atPartner(ctx, at+"/selfie", url.Values{})
	_, _, body := p.atPartner(ctx, at, nil)
	link := walletLink.FindStringSubmatch(body)
	if link == nil {
		v.Outcome, v.Why = StartAgain, "the partner has no card"
		return ""
	}
	offer, err := p.wallet.Open(ctx, html.UnescapeString(link[1]))
	if err == nil {
		_, err = offer.AcceptIssuance(ctx, "")
	}
	if len(p.wallet.Cards()) == 0 {
		v.Outcome, v.Why = StartAgain, "the wallet could not take the card: "+err.Error()
		return ""
	}
	for range 5 {
		if _, _, body = p.atPartner(ctx, at, nil); returnLink.MatchString(body) {
			break
		}
		if !pause(ctx, 300*time.Millisecond) {
			return ""
		}
	}
	if found := returnLink.FindStringSubmatch(body); found != nil {
		return strings.TrimPrefix(html.UnescapeString(found[1]), p.w.origin)
	}
	return "/.verified-id/return" // the partner has not heard of the card, and its visitor goes back without its button
}

// atPartner asks for a page of the partner, or sends a form there.
func (p *person) atPartner(ctx context.Context, address string, form url.Values) (status int, to, body string) {
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	q, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form.Encode()))
	if err != nil {
		p.w.t.Errorf("asking the partner: %v", err)
		return 0, "", ""
	}
	if form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := p.w.newBrowser().Do(q) // it needs no cookies
	if err != nil {
		return 0, "", ""
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, "", ""
	}
	return response.StatusCode, response.Header.Get("Location"), string(content)
}
