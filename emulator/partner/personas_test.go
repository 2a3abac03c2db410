// SPDX-License-Identifier: Apache-2.0

package partner_test

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
)

var walletLink = regexp.MustCompile(`href="(openid-vc://[^"]+)"`)

// TestPersonas gets a card from each persona, in its own tenant and in the customer's: the emulator must issue it, and the
// wallet must find in it what the partner publishes, or what was agreed on.
func TestPersonas(t *testing.T) {
	t.Parallel()
	var played []partner.Persona
	cfg := emulator.Config{}
	for _, persona := range partner.Personas() {
		for _, inCustomerTenant := range []bool{false, true} {
			persona.InCustomerTenant = inCustomerTenant
			persona.Join(&cfg)
			played = append(played, persona)
		}
	}
	e, tokens := realEmulator(t, cfg)
	for _, persona := range played {
		name := persona.Name + "/own tenant"
		if persona.InCustomerTenant {
			name = persona.Name + "/customer's tenant"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card := cardOf(t, e, tokens, persona)
			if card.Type != persona.Type || card.PhotoClaim != persona.PhotoClaim || card.Claims[persona.PhotoClaim] == "" || card.Claims["firstName"] != "Ana" {
				t.Errorf("the card is a %s with the photo in %q and %d claims, want %s, %q", card.Type, card.PhotoClaim, len(card.Claims), persona.Type, persona.PhotoClaim)
			}
			if card.Issuer != persona.Authority() || (card.Issuer == emulator.DemoAuthority) != persona.InCustomerTenant {
				t.Errorf("the card is issued by %s", card.Issuer)
			}
			if !strings.Contains(card.IssuerName+persona.Title(), "emulator") {
				t.Errorf("the card of %s can be taken for a real one", card.IssuerName)
			}
		})
	}
}

// realEmulator runs an emulator with the cast and returns a client of its token endpoint.
func realEmulator(t *testing.T, cfg emulator.Config) (*emulator.Emulator, *http.Client) {
	t.Helper()
	var service, token http.Handler
	serviceServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { service.ServeHTTP(w, r) }))
	tokenServer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { token.ServeHTTP(w, r) }))
	cfg.PublicURL, cfg.TokenURL = serviceServer.URL, "https://"+tokenServer.Listener.Addr().String()
	e, err := emulator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	service, token = e.ServiceHandler(), e.TokenHandler()
	tokenServer.StartTLS()
	t.Cleanup(func() {
		tokenServer.Close()
		serviceServer.Close()
		_ = e.Close()
	})
	return e, tokenServer.Client()
}

// cardOf sends somebody to the persona and returns the card they come back with.
func cardOf(t *testing.T, e *emulator.Emulator, tokens *http.Client, persona partner.Persona) emulator.Card {
	t.Helper()
	credential, err := persona.Credential(e)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, func(c *partner.Config) {
		c.Name, c.ServiceURL, c.TokenClient, c.Credentials = persona.Title(), e.PublicURL(), tokens, []partner.Credential{credential}
	})
	path := f.begin(t, minimal())
	f.post(t, path+"/document", documentForm(persona.Type))
	f.post(t, path+"/selfie", nil)
	found := walletLink.FindStringSubmatch(f.get(t, path).body)
	if found == nil {
		t.Fatalf("no link to a wallet: %s", f.get(t, path).body)
	}
	wallet, err := e.NewWallet(emulator.WalletConfig{})
	if err != nil {
		t.Fatal(err)
	}
	offer, err := wallet.Open(t.Context(), html.UnescapeString(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	card, err := offer.AcceptIssuance(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if f.wayBack(t, path) == "" {
		t.Error("with the card in the wallet, the page leads nowhere")
	}
	return card
}

func TestFindPersona(t *testing.T) {
	t.Parallel()
	if onfido, ok := partner.FindPersona("entrust"); !ok || onfido.Name != "onfido" {
		t.Errorf("FindPersona(entrust) = %v, %v", onfido.Name, ok)
	}
	if _, ok := partner.FindPersona("fabrikam"); ok {
		t.Error("FindPersona(fabrikam) found somebody")
	}
	for _, persona := range partner.Personas() {
		if found, ok := partner.FindPersona(persona.Name); !ok || found.Type != persona.Type || !strings.Contains(found.Title(), "emulator") {
			t.Errorf("FindPersona(%s) = %v, %v", persona.Name, found.Title(), ok)
		}
	}
}

// TestFaults: what visitors see when a partner refuses them for no fault of the site's, and when it breaks down after the
// card was issued.
func TestFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[partner.Fault]string{
		partner.FaultExpired: "expiry", partner.FaultReplayed: "once", partner.FaultOrganisation: "organisation", partner.FaultKey: "signature",
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c *partner.Config) { c.Organisations[0].Fault = fault })
			p := f.arrive(t, sign(t, orgKey(), map[string]any{"kid": "key-1"}, minimal()))
			if got := failedChecks(p.body); p.status != http.StatusForbidden || !slices.Equal(got, []string{want}) || !strings.Contains(p.body, "was told to") {
				t.Errorf("a good token = %d, failed %v, want 403 and %s", p.status, got, want)
			}
		})
	}
	t.Run("callback", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, func(c *partner.Config) { c.Organisations[0].Fault = partner.FaultCallback })
		path := f.waiting(t)
		if status := f.service.callback(t, "issuance_successful", nil); status != http.StatusInternalServerError {
			t.Errorf("callback = %d, want 500", status)
		}
		if back := f.wayBack(t, path); back != "" {
			t.Errorf("the page leads back to %s, as if the card were known to be issued", back)
		}
		f.post(t, path+"/abandon", url.Values{})
		if f.wayBack(t, path) == "" {
			t.Error("nobody gets away from a partner in trouble")
		}
	})
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		_, err := partner.New(partner.Config{
			PublicURL: "http://localhost:1", ServiceURL: "http://localhost:2",
			Credentials: []partner.Credential{partner.VerifiedIdentity("did:web:did.fabrikam-idv.example", "http://localhost:2/m", partner.Account{
				TokenURL: "http://localhost:3/", ClientID: "a", ClientSecret: "b",
			})},
			Organisations: []partner.Organisation{{
				ID: "contoso", JWKSURL: "http://localhost:4/", RedirectURLs: []string{"http://localhost:4/"}, Fault: "sloth",
			}},
		})
		if err == nil || !strings.Contains(err.Error(), `"sloth"`) {
			t.Errorf("New() with an unknown fault = %v", err)
		}
	})
}
