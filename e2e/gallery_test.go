// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
)

// galleryPartners are those of Microsoft's gallery that the gate was made for. LexisNexis is two: what it agrees on with each
// customer, and what it sells as TrueCredential.
var galleryPartners = []string{"au10tix", "lexisnexis", "truecredential", "vu", "onfido", "jumio", "idemia", "clear"}

// Each partner of the gallery gives somebody their card, of the type and with the photo claim that this partner publishes, and
// the card opens the gate whose credential names the partner and, where it is published, neither type nor photo claim. Jumio,
// LexisNexis and Onfido publish nothing: theirs are agreed on. Every second one is strict and refuses all but the four
// published claims of a link. Two of the visitors have a browser, the others need none.
func TestDetourOverEachPartnerOfTheGallery(t *testing.T) {
	t.Parallel()
	var personas []partner.Persona
	site := ""
	for _, name := range galleryPartners {
		persona, ok := partner.FindPersona(name)
		if !ok {
			t.Fatalf("nobody plays %s", name)
		}
		personas = append(personas, persona)
		site += fmt.Sprintf("verified_id /%s/* %[1]s {\n\theader X-Employee-Name {claim.firstName}\n}\n", name)
	}
	w := newWorld(t, plan{
		noCard: true, personas: personas, site: site + "reverse_proxy APP",
		app: "limits {\n\tstarts_per_client 100\n\tstarts_per_second 100\n}",
	})
	for _, persona := range personas {
		t.Run(persona.Name, func(t *testing.T) {
			t.Parallel()
			w := *w
			w.t = t
			path := "/" + persona.Name + "/march?year=2026"
			switch persona.Name {
			case "au10tix", "onfido": // issue in their own tenant, and in the customer's
				w.walkOverPartner(newVisitor(t), path)
			default:
				if err := w.detour(persona.Name, path); err != nil {
					t.Fatal(err)
				}
			}
			if !slices.ContainsFunc(w.wallet.Cards(), func(c emulator.Card) bool {
				return c.Type == persona.Type && c.PhotoClaim == persona.PhotoClaim && c.Issuer == persona.Authority()
			}) {
				t.Errorf("the wallet holds no %s of %s with the photo in %s", persona.Type, persona.Authority(), persona.PhotoClaim)
			}
		})
	}
}

// walkOverPartner takes somebody without a card from the address over the partner to the app.
func (w *world) walkOverPartner(v *visitor, path string) {
	w.t.Helper()
	v.open(w.origin + path)
	v.click(needCard)
	v.click(partnerDocument)
	v.click(partnerSelfie)
	w.take(v.attribute(partnerLink, "href"))
	v.click(partnerBack)
	v.click(haveCard)
	w.accept(w.scan(v))
	w.expectIn(v, path)
}

// take puts an offered card into the wallet.
func (w *world) take(link string) {
	w.t.Helper()
	offer := w.openLink(link)
	if offer.Kind != emulator.Issuance {
		w.t.Fatalf("the partner offers a %s", offer.Kind)
	}
	if _, err := offer.AcceptIssuance(w.t.Context(), ""); err != nil {
		w.t.Fatalf("taking the card: %v", err)
	}
}

var (
	onwardAddress = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]+)"`)
	offerLink     = regexp.MustCompile(`href="(openid-vc:[^"]+)"`)
	wayBack       = regexp.MustCompile(`href="https://[^"/]+(/\.verified-id/return[^"]*)"`)
)

// detour is walkOverPartner without a browser: the same pages, their forms and links.
func (w *world) detour(name, path string) error {
	c := w.newClient("127.0.0.1")
	a, err := c.send("GET", path, nil)
	if err != nil {
		return err
	}
	if _, err = c.send("GET", a.to, nil); err != nil {
		return err
	}
	if a, err = c.send("POST", "/.verified-id/idv", url.Values{"token": {c.token}, "credential": {name}, "partner": {name}}); err != nil {
		return err
	}
	partner, err := firstLink(onwardAddress, a.page)
	if err != nil {
		return fmt.Errorf("leaving for the partner, status %d: %w", a.status, err)
	}
	back, err := w.proveIdentity(partner)
	if err != nil {
		return err
	}
	if _, err = c.send("GET", back, nil); err != nil {
		return err
	}
	if a, err = c.send("POST", "/.verified-id/request", url.Values{"token": {c.token}, "credential": {name}}); err != nil {
		return err
	}
	at, err := url.Parse(a.to)
	if err != nil || at.Query().Get("t") == "" {
		return fmt.Errorf("asking for the card answers %d and leads to %q", a.status, a.to)
	}
	c.transaction = at.Query().Get("t")
	link, err := c.link()
	if err != nil {
		return err
	}
	w.accept(w.openLink(link))
	if a, err = c.finish(); err != nil {
		return err
	}
	if to := strings.TrimPrefix(a.to, w.origin); to != path {
		onward, err := firstLink(onwardAddress, a.page)
		if err != nil || strings.TrimPrefix(onward, w.origin) != path {
			return fmt.Errorf("in the end the visitor is led to %q and %q, want %q", a.to, onward, path)
		}
	}
	if a, err = c.send("GET", path, nil); err != nil {
		return err
	}
	if a.status != http.StatusOK || !strings.Contains(a.page, `<p id="name">Ana</p>`) {
		return fmt.Errorf("the app answers %d: %s", a.status, a.page)
	}
	return nil
}

// proveIdentity goes through the partner's pages, takes the card, and returns the way back.
func (w *world) proveIdentity(kickstart string) (back string, err error) {
	status, visit, page, err := w.browse("GET", kickstart, nil)
	if err != nil {
		return "", err
	}
	if status != http.StatusOK {
		return "", fmt.Errorf("the partner answers %d: %s", status, page)
	}
	kind := regexp.MustCompile(`name="credential" value="([^"]+)"`).FindStringSubmatch(page)
	if kind == nil {
		return "", fmt.Errorf("the partner offers no card: %s", page)
	}
	form := url.Values{
		"credential": {kind[1]}, "first_name": {"Ana"}, "last_name": {"Lima"},
		"date_of_birth": {"1990-04-12"}, "document_number": {"X0000001"},
	}
	if _, _, _, err = w.browse("POST", visit+"/document", form); err != nil {
		return "", err
	}
	if _, _, page, err = w.browse("POST", visit+"/selfie", url.Values{}); err != nil {
		return "", err
	}
	offer, err := firstLink(offerLink, page)
	if err != nil {
		return "", err
	}
	w.take(offer)
	if _, _, page, err = w.browse("GET", visit, nil); err != nil {
		return "", err
	}
	return firstLink(wayBack, page)
}

// browse asks for a page of the partner and follows where it leads.
func (w *world) browse(method, address string, form url.Values) (status int, at, page string, err error) {
	r, err := http.NewRequestWithContext(w.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, "", "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if method == http.MethodPost {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := w.client.Do(r)
	if err != nil {
		return 0, "", "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Request.URL.String(), string(body), err
}

func firstLink(pattern *regexp.Regexp, page string) (string, error) {
	found := pattern.FindStringSubmatch(page)
	if found == nil {
		return "", fmt.Errorf("nothing like %s on the page: %s", pattern, page)
	}
	return html.UnescapeString(found[1]), nil
}
