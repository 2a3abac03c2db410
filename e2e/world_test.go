// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
	"github.com/caddy-verified-id/caddy-verified-id/internal/canary"
)

// world is a gated site with everything around it: an app behind the gate, Microsoft's side in front of it, a partner
// that issues cards, and the person's wallet. Only the gate runs in Caddy; all else is played by the test. Everything
// speaks TLS, as in production, with certificates of one authority.
type world struct {
	t *testing.T
	// origin is where visitors find the site.
	origin string
	caddy  *caddyprocess.Process
	// home is where Caddy keeps its keys; caddyfile is what it was started with.
	home, caddyfile string
	app             *legacyApp
	emulator        *emulator.Emulator
	wallet          *emulator.Wallet
	// client trusts the authority.
	client *http.Client
}

// plan is what differs from the usual world. The zero value is an employee site whose visitors have a card.
type plan struct {
	// codeLifetime is how long a code can be scanned. Default: 5 minutes.
	codeLifetime time.Duration
	// personas are partners beside the usual one, each with a credential and a partner of its name.
	personas []partner.Persona
	// noCard leaves the wallet empty.
	noCard bool
	// gate are more options of the gate, one a line; app are more options of the app, with ORIGIN for the site's.
	gate, app string
	// credential are more options of the credential employee, one a line; idv are more of the partner that issues it.
	credential, idv string
	// partner starts the partner and returns its origin. Default: the emulator's.
	partner func(*world) string
	// global are more options of Caddy itself; sites are site blocks that stand in place of the usual one. For a gate that
	// something else stands before; APP is the address of the app.
	global, sites string
	// site is the site block. GATE and APP in it become the gate with its block and the address of the app.
	// Default: the gate, then the app.
	site string
}

// newWorld makes a world and starts its Caddy. All of it ends with the test.
func newWorld(t *testing.T, p plan) *world {
	t.Helper()
	w := &world{
		t: t, home: t.TempDir(), app: startApp(t), origin: fmt.Sprintf("https://localhost:%d", caddyprocess.FreePort(t)),
	}
	w.startMicrosoft(p)
	if p.partner == nil {
		p.partner = (*world).startPartner
	}
	idv := p.partner(w)
	for i, persona := range p.personas {
		p.app += "\n" + w.startPersona(persona, i%2 == 1)
	}

	if p.site == "" {
		p.site = "GATE\nreverse_proxy APP"
	}
	gate := strings.TrimSuffix("verified_id employee {\n\theader X-Employee-Name {claim.displayName}\n\t"+p.gate, "\t") + "\n}"
	site := strings.NewReplacer("GATE", gate, "APP", w.app.address).Replace(p.site)
	certificate, key := w.certificateFiles()
	sites := strings.ReplaceAll(p.sites, "APP", w.app.address)
	if sites == "" {
		sites = fmt.Sprintf("%s {\n\tlog\n\ttls %s %s\n\t%s\n}\n", w.origin, certificate, key, strings.ReplaceAll(site, "\n", "\n\t"))
	}
	w.caddyfile = fmt.Sprintf(`{
	default_bind 127.0.0.1
	auto_https disable_redirects
	%s
	verified_id {
		entra %s {
			client_id %s
			client_secret {file.%s}
			authority_host %s
		}
		service %s
		trusted_ca %s
		authority %s
		client_name "Contoso Payroll"
		%s
		credential employee {
			type VerifiedEmployee
			issuer %s
			face_check photo 80
			idv fabrikam
			%s
		}
		idv fabrikam {
			url %s/contoso/?token={token}
			org_id contoso
			display_name "Fabrikam Identity Check"
			%s
		}
	}
}

%s`, p.global, emulator.DemoTenant, emulator.DemoClientID, w.file("secret", []byte(emulator.DemoClientSecret)),
		w.emulator.TokenURL(), w.emulator.PublicURL(), w.file("ca.pem", w.emulator.CA().PEM()),
		emulator.DemoAuthority, strings.ReplaceAll(p.app, "ORIGIN", w.origin), emulator.DemoAuthority, p.credential, idv, p.idv, sites)
	w.caddy = caddyprocess.Start(t, w.home, w.caddyfile)
	t.Cleanup(w.expectSilence)
	return w
}

// signedToken is a JWT, with a part of its signature at least. The letters that it begins with alone also come up in sealed values,
// by chance.
var signedToken = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)

// expectSilence checks, after the journey, that no log line, access log included, says who the visitor is or tells a
// secret.
func (w *world) expectSilence() {
	w.t.Helper()
	for what, word := range map[string]string{
		"a name": "Ana Lima", "a mail address": "ana.lima@", "the holder": w.wallet.DID(),
		"the client secret": emulator.DemoClientSecret, "a key": "PRIVATE KEY",
	} {
		if w.caddy.Log.Contains(word) {
			w.t.Errorf("Caddy's log tells %s: it contains %q", what, word)
		}
	}
	if token := signedToken.FindString(w.caddy.Log.String()); token != "" {
		w.t.Errorf("Caddy's log tells a token: %.200q", token)
	}
	if what, at := canary.Find(w.caddy.Log.String()); what != "" {
		w.t.Errorf("Caddy's log tells %s: … %.200q", what, w.caddy.Log.String()[max(0, at-100):])
	}
}

// startMicrosoft runs Request Service and token endpoint.
func (w *world) startMicrosoft(p plan) {
	w.t.Helper()
	service, tokens := listen(w.t), listen(w.t)
	authorities := x509.NewCertPool()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}}
	w.t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport, Timeout: patience}

	cfg := emulator.Config{
		PublicURL:       "https://" + localhost(service),
		TokenURL:        "https://" + localhost(tokens),
		RequestLifetime: p.codeLifetime,
		HTTPClient:      w.client,
	}
	for _, persona := range p.personas {
		persona.Join(&cfg)
	}
	e, err := emulator.New(cfg)
	if err != nil {
		w.t.Fatalf("making the emulator: %v", err)
	}
	w.t.Cleanup(func() {
		if err := e.Close(); err != nil {
			w.t.Errorf("closing the emulator: %v", err)
		}
	})
	if !authorities.AppendCertsFromPEM(e.CA().PEM()) {
		w.t.Fatal("the emulator's authority has no certificate")
	}
	w.emulator, w.wallet = e, e.Wallet()
	if !p.noCard {
		w.issue("VerifiedEmployee")
	}
	w.serve(service, e.ServiceHandler())
	w.serve(tokens, e.TokenHandler())
}

// startPartner runs the identity-verification partner, which issues employee cards for Contoso, and returns its origin.
func (w *world) startPartner() (origin string) {
	w.t.Helper()
	contract, err := w.emulator.Contract("VerifiedEmployee")
	if err != nil {
		w.t.Fatalf("finding the contract: %v", err)
	}
	manifest := w.emulator.ManifestURL(contract) + "?manifestType=claimInjection"
	account := partner.Account{
		TokenURL: w.emulator.TokenURL() + "/" + emulator.DemoTenant + "/oauth2/v2.0/token",
		ClientID: emulator.DemoClientID, ClientSecret: emulator.DemoClientSecret,
	}
	return w.servePartner("", partner.VerifiedEmployee(emulator.DemoAuthority, manifest, emulator.DemoTenantDomain, account), partner.Organisation{})
}

// startPersona runs a partner of the gallery and returns the Caddyfile for it: what its preset knows is left out. A strict one
// refuses all but the published claims of a link, another wants all that we send by default.
func (w *world) startPersona(persona partner.Persona, strict bool) string {
	w.t.Helper()
	card, err := persona.Credential(w.emulator)
	if err != nil {
		w.t.Fatalf("making a card: %v", err)
	}
	check, claims, wanted := partner.Organisation{Mode: partner.Hardened}, "hardened", "face_check 80"
	if strict {
		check, claims = partner.Organisation{RefuseExtraClaims: true, PlainReturn: true}, "minimal"
	}
	if persona.PhotoAgreed {
		wanted = "face_check " + persona.PhotoClaim + " 80"
	}
	if persona.TypeAgreed {
		wanted += "\n\ttype " + persona.Type
	}
	origin := w.servePartner(persona.Title(), card, check)
	return fmt.Sprintf(`credential %s {
	issuer %s
	%s
	idv %[1]s
}
idv %[1]s {
	partner %[1]s
	url %[4]s/contoso/?token={token}
	org_id contoso
	claims %[5]s
}`, persona.Name, persona.Authority(), wanted, origin, claims)
}

// servePartner runs a partner with one card and one customer and returns its origin.
func (w *world) servePartner(name string, card partner.Credential, customer partner.Organisation) (origin string) {
	w.t.Helper()
	listener := listen(w.t)
	origin = "https://" + localhost(listener)
	customer.ID, customer.Name = "contoso", "Contoso Payroll"
	customer.JWKSURL, customer.RedirectURLs = w.origin+"/.verified-id/jwks.json", []string{w.origin + "/.verified-id/return"}
	p, err := partner.New(partner.Config{
		Name: name, PublicURL: origin, ServiceURL: w.emulator.PublicURL(), Credentials: []partner.Credential{card},
		Organisations: []partner.Organisation{customer}, HTTPClient: w.client,
	})
	if err != nil {
		w.t.Fatalf("making the partner: %v", err)
	}
	w.serve(listener, p)
	return origin
}

// issue puts a card of the usual person into the wallet.
func (w *world) issue(contract string) emulator.Card {
	w.t.Helper()
	card, err := w.emulator.IssueTo(w.wallet, contract, nil)
	if err != nil {
		w.t.Fatalf("issuing a card: %v", err)
	}
	return card
}

// issueAs puts an employee card of another issuer into the wallet.
func (w *world) issueAs(issuer string) emulator.Card {
	w.t.Helper()
	for _, contract := range w.emulator.Contracts() {
		if contract.Type == "VerifiedEmployee" && contract.Issuer == issuer {
			return w.issue(contract.ID)
		}
	}
	w.t.Fatalf("%s has no contract for employee cards", issuer)
	return emulator.Card{}
}
