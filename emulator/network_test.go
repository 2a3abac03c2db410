// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

const adminScope = "6a8b4b39-c021-437c-b060-5a14a3fd65f3/.default"

// adminToken gets a token for the Network API.
func (w *world) adminToken(id, secret string) string {
	w.t.Helper()
	status, body := w.postToken(emulator.DemoTenant, tokenForm(func(form url.Values) {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
		form.Set("scope", adminScope)
	}))
	if status != http.StatusOK {
		w.t.Fatalf("token endpoint answered %d: %v", status, body)
	}
	return text(body, "access_token")
}

func (w *world) network(token, path string) (int, map[string]any) {
	w.t.Helper()
	return w.do(w.client, http.MethodGet, w.service+"/v1.0/"+path, http.Header{"Authorization": {"Bearer " + token}}, nil)
}

// Issuers are found by a part of a domain that verifies, with what they issue; one whose domain does not verify is not there, whatever
// it calls itself.
func TestNetworkTellsIssuersAndTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.adminToken(emulator.DemoClientID, emulator.DemoClientSecret)
	status, answer := w.network(token, "verifiableCredentialsNetwork/authorities?filter=linkeddomainurls%20like%20Fabrikam")
	if status != http.StatusOK || text(answer, "value", 0, "did") != emulator.PartnerAuthority || at(answer, "value", 1) != nil ||
		text(answer, "value", 0, "linkedDomainUrls", 0) != "https://www.fabrikam-idv.example/" {
		t.Fatalf("answer = %d %v, want the partner alone", status, answer)
	}
	for _, end := range []string{"", "/"} {
		path := "tenants/" + text(answer, "value", 0, "tenantId") + "/verifiablecredentialsnetwork/authorities/" + text(answer, "value", 0, "id") + "/contracts" + end
		status, types := w.network(token, path)
		if status != http.StatusOK || text(types, "value", 0, "types", 0) != "VerifiedIdentity" || text(types, "value", 0, "claims", 0) != "firstName" {
			t.Errorf("%s: answer = %d %v, want VerifiedIdentity with its claims", path, status, types)
		}
	}
	if status, answer := w.network(token, "verifiableCredentialsNetwork/authorities?filter=linkeddomainurls%20like%20contoso"); status != http.StatusOK ||
		text(answer, "value", 0, "did") != emulator.DemoAuthority || at(answer, "value", 1) != nil {
		t.Errorf("answer = %d %v, want Contoso without the one that only says so", status, answer)
	}
	if kept := w.e.RequestsTo(emulator.APINetwork); len(kept) != 4 || kept[0].Header.Get("Authorization") != "Bearer [removed]" {
		t.Errorf("recorded %v", kept)
	}
}

// Only a token for the admin service, with the role for it, opens the Network, and opens nothing else.
func TestNetworkNeedsItsOwnRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *emulator.Config) {
		c.Clients = []emulator.Client{
			{ID: "reader", Secret: "s", Roles: []string{emulator.RoleNetworkRead}},
			{ID: "gate", Secret: "s", Roles: []string{emulator.RolePresentRequest}},
		}
	})
	search := "verifiableCredentialsNetwork/authorities?filter=linkeddomainurls%20like%20example"
	if status, answer := w.network(w.adminToken("reader", "s"), search); status != http.StatusOK {
		t.Errorf("the role alone: answer = %d %v", status, answer)
	}
	status, answer := w.network(w.adminToken("gate", "s"), search)
	checkError(t, status, answer, 401, "unauthorized", "tokenError", "access_token")
	status, answer = w.network(w.token(emulator.DemoTenant, "gate", "s"), search)
	checkError(t, status, answer, 401, "unauthorized", "tokenError", "access_token")
	status, answer = w.create("createPresentationRequest", w.adminToken("reader", "s"), w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	checkError(t, status, answer, 401, "unauthorized", "tokenError", "access_token")
	if status, answer := w.postToken(emulator.DemoTenant, tokenForm(func(form url.Values) { form.Set("scope", scope+" "+adminScope) })); status != 400 {
		t.Errorf("a token for both services: answer = %d %v", status, answer)
	}
}

// What is no filter of the documents is an error, so that a client learns of a mistake here.
func TestNetworkRefusesOtherFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.adminToken(emulator.DemoClientID, emulator.DemoClientSecret)
	for _, query := range []string{
		"", "?", "?filter=", "?filter=linkeddomainurls%20like", "?filter=linkeddomainurls%20eq%20contoso", "?filter=name%20like%20contoso",
		"?filter=linkeddomainurls%20like%20contoso%20or%20name%20like%20x", "?filter=linkeddomainurls%20like%20'contoso'",
		"?filter=linkeddomainurls%20like%20%25", "?filter=linkeddomainurls%20like%20a&filter=linkeddomainurls%20like%20b",
		"?filter=linkeddomainurls%20like%20a&$top=100", "?$filter=linkeddomainurls%20like%20a", "?filter=linkeddomainurls%20like%20a%0ab",
	} {
		status, answer := w.network(token, "verifiableCredentialsNetwork/authorities"+query)
		if status != 400 {
			t.Errorf("%s: answer = %d %v, want 400", query, status, answer)
			continue
		}
		checkError(t, status, answer, 400, "badRequest", "badOrMissingField", "filter")
	}
	status, answer := w.network(token, "tenants/"+emulator.DemoTenant+"/verifiableCredentialsNetwork/authorities/"+emulator.DemoTenant+"/contracts")
	checkError(t, status, answer, 404, "notFound", "notFound", "authority")
}

// A list is cut as the service cuts it.
func TestNetworkTellsFifteenIssuersAndAHundredTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *emulator.Config) {
		*c = func(cast emulator.Config) emulator.Config {
			cast.PublicURL, cast.TokenURL, cast.Now = c.PublicURL, c.TokenURL, c.Now
			for i := range 20 {
				cast.Authorities = append(cast.Authorities, emulator.Authority{
					DID: fmt.Sprintf("did:web:bank%d.woodgrove.example", i), DomainVerified: true,
				})
			}
			for i := range 110 {
				cast.Contracts = append(cast.Contracts, emulator.Contract{Type: fmt.Sprintf("Card%d", i), Issuer: emulator.DemoAuthority})
			}
			return cast
		}(emulator.DefaultCast())
	})
	token := w.adminToken(emulator.DemoClientID, emulator.DemoClientSecret)
	_, answer := w.network(token, "verifiableCredentialsNetwork/authorities?filter=linkeddomainurls%20like%20woodgrove")
	if found, _ := at(answer, "value").([]any); len(found) != 15 {
		t.Errorf("%d issuers, want 15", len(found))
	}
	_, answer = w.network(token, "tenants/"+emulator.DemoTenant+"/verifiableCredentialsNetwork/authorities/"+w.e.Authorities()[0].NetworkID()+"/contracts/")
	if found, _ := at(answer, "value").([]any); len(found) != 100 {
		t.Errorf("%d types, want 100", len(found))
	}
}
