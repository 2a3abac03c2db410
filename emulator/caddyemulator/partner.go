// SPDX-License-Identifier: Apache-2.0

package caddyemulator

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
)

// Partner is an identity-verification partner that checks kickstart tokens, proves a test
// person and issues VerifiedEmployee and VerifiedIdentity, or what a persona issues.
type Partner struct {
	// Origin of its pages. Default: http://localhost:8092
	PublicURL string `json:"public_url,omitempty"`

	// Partner of Microsoft's gallery to play, such as au10tix: the partner then issues a card of that one's type and photo
	// claim, and nothing else. What it does not publish is made up. Default: none, a partner Fabrikam.
	Persona string `json:"persona,omitempty"`

	// Tenant in which a persona issues: own, or customer. Default: what the partner publishes, else own.
	Issuing string `json:"issuing,omitempty"`

	// Name on its pages. Default: Fabrikam Identity Check, or the persona's, which says that it is played.
	Name string `json:"name,omitempty"`

	// Ask the wallet for a PIN that the page shows. Default: false.
	PIN bool `json:"pin,omitempty"`

	// Sites that may send people. At least one.
	Organisations []*Organisation `json:"organisations,omitempty"`
}

// Organisation is a site that may send people to the partner.
type Organisation struct {
	// OrgId in the site's kickstart tokens. Required.
	ID string `json:"id,omitempty"`

	// Name on the pages. Default: the ID.
	Name string `json:"name,omitempty"`

	// Origin of a site with a gate. It fills in JWKSURL and RedirectURLs.
	Site string `json:"site,omitempty"`

	// Where the site publishes its keys. Default: /.verified-id/jwks.json of Site.
	JWKSURL string `json:"jwks_url,omitempty"`

	// PEM file with the site's public key, in place of JWKSURL.
	PublicKey string `json:"public_key,omitempty"`

	// Where people may be sent back to. Default: /.verified-id/return of Site.
	RedirectURLs []string `json:"redirect_urls,omitempty"`

	// Cards its people may choose from, by type; the first is offered first. Default:
	// VerifiedIdentity, VerifiedEmployee.
	Cards []string `json:"cards,omitempty"`

	// How much is demanded of tokens: strict (the four documented claims) or hardened (also iss,
	// aud, iat, nbf, jti and the key id). Default: strict.
	Mode string `json:"mode,omitempty"`

	// Refuse tokens with claims that the mode does not name. Default: false.
	RefuseExtraClaims bool `json:"refuse_extra_claims,omitempty"`

	// Send people back without RequestId in the query. Default: false.
	PlainReturn bool `json:"plain_return,omitempty"`

	// Something the partner does wrong: refuse every token as expired, replayed, of another organisation or of an unknown key
	// (key), or fail the callbacks of the Request Service (callback). Default: nothing.
	Fault string `json:"fault,omitempty"`
}

func (a *App) newPartner(logger *slog.Logger) (*sharedPartner, error) {
	credentials, err := a.credentials()
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate.Leaf)
	tokens := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	}
	name := a.Partner.Name
	if persona, ok, _ := a.persona(); ok && name == "" {
		name = persona.Title()
	}
	cfg := partner.Config{
		Name: name, PublicURL: a.Partner.PublicURL, ServiceURL: a.PublicURL,
		WalletURL: a.PublicURL + "/wallet/open", Credentials: credentials, PIN: a.Partner.PIN,
		AllowNonLoopback: a.InsecureListenAnywhere, Logger: logger, TokenClient: tokens,
	}
	for _, o := range a.Partner.Organisations {
		org, err := o.organisation()
		if err != nil {
			return nil, fmt.Errorf("organisation %s: %w", o.ID, err)
		}
		cfg.Organisations = append(cfg.Organisations, org)
	}
	p, err := partner.New(cfg)
	if err != nil {
		return nil, err
	}
	return &sharedPartner{p, tokens}, nil
}

func (o *Organisation) organisation() (partner.Organisation, error) {
	org := partner.Organisation{
		ID: o.ID, Name: o.Name, JWKSURL: o.JWKSURL, RedirectURLs: o.RedirectURLs, Credentials: o.Cards,
		Mode: partner.Mode(o.Mode), RefuseExtraClaims: o.RefuseExtraClaims, PlainReturn: o.PlainReturn,
		Fault: partner.Fault(o.Fault),
	}
	if o.PublicKey != "" {
		var err error
		if org.PublicKey, err = os.ReadFile(o.PublicKey); err != nil {
			return org, err
		}
	}
	if o.Site == "" {
		return org, nil
	}
	base := strings.TrimSuffix(o.Site, "/") + "/.verified-id"
	if org.JWKSURL == "" && org.PublicKey == nil {
		org.JWKSURL = base + "/jwks.json"
	}
	if len(org.RedirectURLs) == 0 {
		org.RedirectURLs = []string{base + "/return"}
	}
	return org, nil
}

// claimInjection is what callers append to the manifest of VerifiedEmployee to give its claims
// themselves.
const claimInjection = "?manifestType=claimInjection"

// persona is whom the partner plays; ok says that it plays anybody.
func (a *App) persona() (p partner.Persona, ok bool, err error) {
	if a.Partner == nil || a.Partner.Persona == "" {
		if a.Partner != nil && a.Partner.Issuing != "" {
			return p, false, errors.New("issuing is for a persona; add persona <name>, or remove it")
		}
		return p, false, nil
	}
	if p, ok = partner.FindPersona(a.Partner.Persona); !ok {
		return p, false, fmt.Errorf("persona %q is unknown", a.Partner.Persona)
	}
	switch a.Partner.Issuing {
	case "":
	case "own", "customer":
		p.InCustomerTenant = a.Partner.Issuing == "customer"
	default:
		return p, false, fmt.Errorf("issuing %q must be own or customer", a.Partner.Issuing)
	}
	return p, true, nil
}

// credentials are the card of the persona or else those of the emulator's default cast. There the partner issues the identity in
// its own name and the employee card, as some partners do, in the customer's tenant.
func (a *App) credentials() ([]partner.Credential, error) {
	if persona, ok, err := a.persona(); ok || err != nil {
		card, err2 := persona.Credential(a.core.Emulator)
		return []partner.Credential{card}, errors.Join(err, err2)
	}
	employee, err1 := a.core.Contract("VerifiedEmployee")
	identity, err2 := a.core.Contract("VerifiedIdentity")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	token := func(tenant string) string { return a.TokenURL + "/" + tenant + "/oauth2/v2.0/token" }
	return []partner.Credential{
		partner.VerifiedIdentity(emulator.PartnerAuthority, a.core.ManifestURL(identity), partner.Account{
			TokenURL: token(emulator.PartnerTenantDomain), ClientID: emulator.PartnerClientID, ClientSecret: emulator.PartnerClientSecret,
		}),
		partner.VerifiedEmployee(emulator.DemoAuthority, a.core.ManifestURL(employee)+claimInjection, emulator.DemoTenantDomain, partner.Account{
			TokenURL: token(emulator.DemoTenantDomain), ClientID: emulator.DemoClientID, ClientSecret: emulator.DemoClientSecret,
		}),
	}, nil
}
