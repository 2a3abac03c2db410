// SPDX-License-Identifier: Apache-2.0

package partner_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
)

// TestRotatedKey: a relying party publishes a second key and signs with it at once. The
// partner asks again because of the unknown kid, and goes on taking the old one.
func TestRotatedKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.begin(t, minimal())
	f.advance(11 * time.Second)
	f.site.keySet.Store(keySet(map[string]*rsa.PrivateKey{"key-1": orgKey(), "key-2": otherKey()}))
	if p := f.arrive(t, sign(t, otherKey(), map[string]any{"kid": "key-2"}, minimal())); p.status != http.StatusSeeOther {
		t.Errorf("token by the new key = %d, want 303; failed: %v", p.status, failedChecks(p.body))
	}
	f.begin(t, minimal())
	if got := f.site.fetches.Load(); got != 2 {
		t.Errorf("fetches = %d, want 2", got)
	}
}

// TestForgedKeyIDsCauseNoFlood: otherwise a stranger with a list of made-up kids makes the
// partner hammer the relying party.
func TestForgedKeyIDsCauseNoFlood(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	for range 20 {
		f.arrive(t, sign(t, otherKey(), map[string]any{"kid": "made-up"}, minimal()))
	}
	if got := f.site.fetches.Load(); got > 2 {
		t.Errorf("fetches = %d, want at most 2", got)
	}
}

// TestKeySetOutage: known keys go on working while the relying party is down.
func TestKeySetOutage(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.begin(t, minimal())
	f.site.keySet.Store("<html>maintenance</html>")
	f.advance(4 * time.Minute)
	claims := minimal()
	claims["exp"] = f.clock().Add(time.Minute).Unix()
	f.begin(t, claims)
	f.advance(2 * time.Minute)
	claims = minimal()
	claims["exp"] = f.clock().Add(time.Minute).Unix()
	f.begin(t, claims)
}

// TestUnusableKeySets: none of these may verify anything.
func TestUnusableKeySets(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, set string }{
		{"not JSON", "hello"},
		{"empty", `{"keys":[]}`},
		{"private key published", `{"keys":[{"kty":"RSA","kid":"key-1","n":"` + modulus() + `","e":"AQAB","d":"sXch"}]}`},
		{"exponent one", `{"keys":[{"kty":"RSA","kid":"key-1","n":"` + modulus() + `","e":"AQ"}]}`},
		{"for encryption", `{"keys":[{"kty":"RSA","use":"enc","kid":"key-1","n":"` + modulus() + `","e":"AQAB"}]}`},
		{"for another algorithm", `{"keys":[{"kty":"RSA","alg":"PS256","kid":"key-1","n":"` + modulus() + `","e":"AQAB"}]}`},
		{"symmetric", `{"keys":[{"kty":"oct","kid":"key-1","k":"c2VjcmV0"}]}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, nil)
			f.site.keySet.Store(test.set)
			p := f.arrive(t, sign(t, orgKey(), map[string]any{"kid": "key-1"}, minimal()))
			if got := failedChecks(p.body); len(got) != 1 || got[0] != "signature" {
				t.Errorf("failed checks = %v, want [signature]", got)
			}
		})
	}
}

// modulus is the n of the good key.
func modulus() string { return base64.RawURLEncoding.EncodeToString(orgKey().N.Bytes()) }

// TestShortKey: a key of 1024 bits makes good signatures, for whoever can factor it too.
func TestShortKey(t *testing.T) {
	t.Parallel()
	short := newKey(1024)
	f := newFixture(t, nil)
	f.site.keySet.Store(keySet(map[string]*rsa.PrivateKey{"key-1": short}))
	p := f.arrive(t, sign(t, short, map[string]any{"kid": "key-1"}, minimal()))
	if got := failedChecks(p.body); len(got) != 1 || got[0] != "signature" {
		t.Errorf("failed checks = %v, want [signature]", got)
	}
}

// TestKeyHandedOver: the published text also allows a key that changes hands by other means.
func TestKeyHandedOver(t *testing.T) {
	t.Parallel()
	der, err := x509.MarshalPKIXPublicKey(&orgKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, func(c *partner.Config) {
		c.Organisations[0].JWKSURL = ""
		c.Organisations[0].PublicKey = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	})
	f.begin(t, minimal())
	if p := f.arrive(t, sign(t, otherKey(), nil, minimal())); p.status != http.StatusForbidden {
		t.Errorf("token by another key = %d, want 403", p.status)
	}
}

// TestConfigurationsRefused: mistakes show when the partner is made.
func TestConfigurationsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*partner.Config)
	}{
		{"no organisations", func(c *partner.Config) { c.Organisations = nil }},
		{"organisation twice", func(c *partner.Config) { c.Organisations = append(c.Organisations, c.Organisations[0]) }},
		{"organisation with a slash", func(c *partner.Config) { c.Organisations[0].ID = "a/b" }},
		{"organisation that hides our paths", func(c *partner.Config) { c.Organisations[0].ID = "-" }},
		{"unknown mode", func(c *partner.Config) { c.Organisations[0].Mode = "lax" }},
		{"no keys", func(c *partner.Config) { c.Organisations[0].JWKSURL = "" }},
		{"keys twice", func(c *partner.Config) { c.Organisations[0].PublicKey = []byte("x") }},
		{"private key handed over", func(c *partner.Config) {
			c.Organisations[0].JWKSURL = ""
			c.Organisations[0].PublicKey = pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(orgKey())})
		}},
		{"keys without TLS", func(c *partner.Config) { c.Organisations[0].JWKSURL = "http://payroll.contoso.example/jwks.json" }},
		{"no redirect URLs", func(c *partner.Config) { c.Organisations[0].RedirectURLs = nil }},
		{"redirect URL without TLS", func(c *partner.Config) { c.Organisations[0].RedirectURLs = []string{"http://payroll.contoso.example/"} }},
		{"public URL with a path", func(c *partner.Config) { c.PublicURL += "/idv" }},
		{"card the partner does not issue", func(c *partner.Config) { c.Organisations[0].Credentials = []string{"Gold"} }},
		{"no service", func(c *partner.Config) { c.ServiceURL = "" }},
		{"no credentials", func(c *partner.Config) { c.Credentials = nil }},
		{"credential without account", func(c *partner.Config) { c.Credentials[0].Account = partner.Account{} }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			account := partner.Account{TokenURL: "https://localhost:8091/t/oauth2/v2.0/token", ClientID: "c", ClientSecret: "s"}
			cfg := partner.Config{
				PublicURL: "http://localhost:8092", ServiceURL: "http://localhost:8090",
				Credentials: []partner.Credential{partner.VerifiedIdentity("did:web:did.fabrikam-idv.example", "http://localhost:8090/manifest", account)},
				Organisations: []partner.Organisation{{
					ID: "contoso", JWKSURL: "http://localhost:8080/jwks.json", RedirectURLs: []string{"http://localhost:8080/return"},
				}},
			}
			if _, err := partner.New(cfg); err != nil {
				t.Fatalf("New() before the change = %v", err)
			}
			test.change(&cfg)
			if _, err := partner.New(cfg); err == nil {
				t.Error("New() = nil, want an error")
			}
		})
	}
}
