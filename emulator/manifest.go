// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"net/http"
	"strings"
)

// selfIssuedHint is the attestation configuration that stands for an id_token_hint.
const selfIssuedHint = "https://self-issued.me"

// manifestPayload is the signed contract: how the card looks, and what its issuer wants before issuing it.
type manifestPayload struct {
	ID      string          `json:"id"`
	Display manifestDisplay `json:"display"`
	Input   manifestInput   `json:"input"`
	Iss     string          `json:"iss"`
	Iat     int64           `json:"iat"`
}

type manifestDisplay struct {
	ID       string                   `json:"id"`
	Locale   string                   `json:"locale"`
	Contract string                   `json:"contract"`
	Card     manifestCard             `json:"card"`
	Consent  manifestConsent          `json:"consent"`
	Claims   map[string]manifestLabel `json:"claims"`
}

type manifestCard struct {
	Title           string        `json:"title"`
	IssuedBy        string        `json:"issuedBy"`
	BackgroundColor string        `json:"backgroundColor"`
	TextColor       string        `json:"textColor"`
	Description     string        `json:"description"`
	Logo            *manifestLogo `json:"logo,omitempty"`
}

type manifestLogo struct {
	URI         string `json:"uri"`
	Description string `json:"description"`
}

type manifestConsent struct {
	Title        string `json:"title"`
	Instructions string `json:"instructions"`
}

type manifestLabel struct {
	Type  string `json:"type"`
	Label string `json:"label"`
}

type manifestInput struct {
	ID               string               `json:"id"`
	CredentialIssuer string               `json:"credentialIssuer"`
	Issuer           string               `json:"issuer"`
	Attestations     manifestAttestations `json:"attestations"`
}

type manifestAttestations struct {
	IDTokens []manifestIDToken `json:"idTokens"`
}

type manifestIDToken struct {
	ID            string          `json:"id"`
	Encrypted     bool            `json:"encrypted"`
	Claims        []manifestClaim `json:"claims"`
	Required      bool            `json:"required"`
	Configuration string          `json:"configuration"`
	ClientID      string          `json:"client_id"`
	RedirectURI   string          `json:"redirect_uri"`
}

type manifestClaim struct {
	Claim    string `json:"claim"`
	Required bool   `json:"required"`
	Indexed  bool   `json:"indexed"`
}

// ManifestURL returns where a contract's manifest can be read. For contracts with ClaimInjectionOnly a caller of
// createIssuanceRequest has to append ?manifestType=claimInjection.
func (e *Emulator) ManifestURL(c Contract) string { return e.contractURL(c) + "/manifest" }

func (e *Emulator) contractURL(c Contract) string {
	tenant := ""
	if a, ok := e.authorities[c.Issuer]; ok {
		tenant = a.Tenant
	}
	return e.cfg.PublicURL + "/v1.0/tenants/" + tenant + "/verifiableCredentials/contracts/" + c.ID
}

// cardIssueURL is where wallets ask for a card of a tenant's contract.
func (e *Emulator) cardIssueURL(tenant string) string {
	return e.cfg.PublicURL + "/v1.0/" + tenant + "/verifiableCredential/card/issue"
}

func (e *Emulator) manifestOf(c *Contract) manifestPayload {
	m := manifestPayload{
		ID: c.Type, Iss: c.Issuer, Iat: e.Now().Unix(),
		Display: manifestDisplay{
			ID: "display", Locale: c.Display.Locale, Contract: e.contractURL(*c),
			Card: manifestCard{
				Title: c.Display.Title, IssuedBy: c.Display.IssuedBy, Description: c.Display.Description,
				BackgroundColor: c.Display.BackgroundColor, TextColor: c.Display.TextColor,
			},
			Consent: manifestConsent{Title: c.Display.ConsentTitle, Instructions: c.Display.ConsentInstructions},
			Claims:  make(map[string]manifestLabel, len(c.Claims)),
		},
		Input: manifestInput{
			ID: "input", CredentialIssuer: e.cardIssueURL(e.authorities[c.Issuer].Tenant), Issuer: c.Issuer,
			Attestations: manifestAttestations{IDTokens: []manifestIDToken{{
				ID: selfIssuedHint, Required: true, Configuration: selfIssuedHint, Claims: make([]manifestClaim, 0, len(c.Claims)),
			}}},
		},
	}
	if c.Display.LogoURL != "" {
		m.Display.Card.Logo = &manifestLogo{URI: c.Display.LogoURL, Description: c.Display.LogoDescription}
	}
	for _, rule := range c.Claims {
		m.Display.Claims["vc.credentialSubject."+rule.Output] = manifestLabel{Type: rule.Type, Label: rule.Label}
		hint := &m.Input.Attestations.IDTokens[0]
		hint.Claims = append(hint.Claims, manifestClaim{Claim: rule.Name, Required: rule.Required, Indexed: rule.Indexed})
	}
	return m
}

// signedManifest is the answer of the manifest endpoint.
type signedManifest struct {
	Token string `json:"token"`
}

func (e *Emulator) serveManifest(w http.ResponseWriter, r *http.Request) error {
	c, ok := e.contracts[strings.ToLower(r.PathValue("contract"))]
	if !ok || e.authorities[c.Issuer].Tenant != r.PathValue("tenant") {
		return notFound("contract", "The contract was not found.")
	}
	token, err := e.authorities[c.Issuer].sign(e.manifestOf(c))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, signedManifest{Token: token})
	return nil
}
