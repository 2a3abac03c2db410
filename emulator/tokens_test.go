// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

const scope = "3db474b9-6a0c-4840-96ac-1fceb342124f/.default"

// testCertificate is a client certificate with its key, made once for all tests.
var testCertificate = sync.OnceValues(func() (*x509.Certificate, *rsa.PrivateKey) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "gate"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate, key
})

// testFederation is the key of a foreign token issuer, made once for all tests.
var testFederation = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

const clusterIssuer = "https://cluster.example"

// everyWay lets the demo client prove itself in every way.
func everyWay(c *emulator.Config) {
	certificate, _ := testCertificate()
	public, err := x509.MarshalPKIXPublicKey(testFederation().Public())
	if err != nil {
		panic(err)
	}
	c.Clients = []emulator.Client{{
		ID: emulator.DemoClientID, Secret: emulator.DemoClientSecret,
		SecretExpires:  time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
		CertificatePEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}),
		Federated: []emulator.FederatedIdentity{{
			Issuer: clusterIssuer, Subject: "system:serviceaccount:web:gate",
			PublicKeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		}},
	}}
}

func tokenForm(change func(url.Values)) url.Values {
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {emulator.DemoClientID},
		"client_secret": {emulator.DemoClientSecret}, "scope": {scope},
	}
	if change != nil {
		change(form)
	}
	return form
}

func TestTokenEndpointGivesToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everyWay)
	for _, tenant := range []string{emulator.DemoTenant, strings.ToUpper(emulator.DemoTenant), emulator.DemoTenantDomain} {
		status, answer := w.postToken(tenant, tokenForm(nil))
		if status != http.StatusOK || text(answer, "token_type") != "Bearer" || at(answer, "expires_in") != 3599.0 || at(answer, "ext_expires_in") != 3599.0 {
			t.Fatalf("tenant %s: answer = %d %v, want a bearer token for 3599 s", tenant, status, answer)
		}
		claims := jwt.MapClaims{}
		token, _, err := jwt.NewParser().ParseUnverified(text(answer, "access_token"), claims)
		if err != nil {
			t.Fatal(err)
		}
		if claims["aud"] != "3db474b9-6a0c-4840-96ac-1fceb342124f" || claims["tid"] != emulator.DemoTenant ||
			claims["appid"] != emulator.DemoClientID || token.Header["alg"] != "RS256" || text(claims, "roles", 0) != "" {
			t.Errorf("claims = %v, want those of an application token", claims)
		}
		if roles, _ := claims["roles"].([]any); !slices.Equal(roles, []any{"VerifiableCredential.Create.All"}) {
			t.Errorf("roles = %v, want Create.All", claims["roles"])
		}
	}
}

func TestTokenEndpointRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everyWay)
	set := func(name, value string) func(url.Values) { return func(v url.Values) { v.Set(name, value) } }
	for _, c := range []struct {
		name   string
		tenant string
		change func(url.Values)
		status int
		err    string
		code   float64
	}{
		{"unknown tenant", "contoso.onmicrosoft.com", nil, 400, "invalid_request", 90002},
		{"no grant type", "", func(v url.Values) { v.Del("grant_type") }, 400, "invalid_request", 900144},
		{"no client id", "", func(v url.Values) { v.Del("client_id") }, 400, "invalid_request", 900144},
		{"no scope", "", func(v url.Values) { v.Del("scope") }, 400, "invalid_request", 900144},
		{"other grant", "", set("grant_type", "password"), 400, "unsupported_grant_type", 70003},
		{"unknown client", "", set("client_id", "nobody"), 400, "unauthorized_client", 700016},
		{"client of another tenant", "fabrikam-idv.example", nil, 400, "unauthorized_client", 700016},
		{"wrong secret", "", set("client_secret", "guess"), 401, "invalid_client", 7000215},
		{"no secret", "", func(v url.Values) { v.Del("client_secret") }, 401, "invalid_client", 7000218},
		{"scope without default", "", set("scope", "3db474b9-6a0c-4840-96ac-1fceb342124f"), 400, "invalid_scope", 1002012},
		{"scope of another API", "", set("scope", "https://graph.example/.default"), 400, "invalid_resource", 500011},
		{"only an OpenID scope", "", set("scope", "openid"), 400, "invalid_scope", 1002012},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.tenant == "" {
				c.tenant = emulator.DemoTenant
			}
			status, answer := w.postToken(c.tenant, tokenForm(c.change))
			checkTokenError(t, status, answer, c.status, c.err, c.code)
		})
	}
}

func checkTokenError(t *testing.T, status int, answer map[string]any, wantStatus int, name string, code float64) {
	t.Helper()
	if status != wantStatus || text(answer, "error") != name || at(answer, "error_codes", 0) != code {
		t.Errorf("answer = %d %v, want %d %s AADSTS%.0f", status, answer, wantStatus, name, code)
	}
	if text(answer, "timestamp") != "2026-01-15 10:00:00Z" || text(answer, "trace_id") == "" || text(answer, "correlation_id") == "" ||
		!strings.HasPrefix(text(answer, "error_description"), "AADSTS") {
		t.Errorf("answer = %v, want the usual members", answer)
	}
}

func TestExpiredSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everyWay)
	w.clock.Advance(200 * 24 * time.Hour)
	status, answer := w.postToken(emulator.DemoTenant, tokenForm(nil))
	if status != 401 || at(answer, "error_codes", 0) != 7000222.0 {
		t.Errorf("answer = %d %v, want AADSTS7000222", status, answer)
	}
}

// assertion signs a client assertion with the test certificate.
func (w *world) assertion(change func(header map[string]any, claims jwt.MapClaims)) string {
	certificate, key := testCertificate()
	sum := sha256.Sum256(certificate.Raw)
	now := w.clock.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodPS256, jwt.MapClaims{
		"iss": emulator.DemoClientID, "sub": emulator.DemoClientID, "jti": "1",
		"aud": w.e.TokenURL() + "/" + emulator.DemoTenant + "/oauth2/v2.0/token",
		"nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	})
	token.Header["x5t#S256"] = base64.StdEncoding.EncodeToString(sum[:])
	if change != nil {
		change(token.Header, token.Claims.(jwt.MapClaims)) //nolint:forcetypeassert // made above
	}
	signed, err := token.SignedString(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

// federated signs the token of a foreign issuer.
func (w *world) federated(key crypto.Signer, change func(claims jwt.MapClaims)) string {
	now := w.clock.Now()
	claims := jwt.MapClaims{
		"iss": clusterIssuer, "sub": "system:serviceaccount:web:gate", "aud": []string{"api://AzureADTokenExchange"},
		"exp": now.Add(time.Hour).Unix(),
	}
	if change != nil {
		change(claims)
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(key)
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

func withAssertion(assertion string) func(url.Values) {
	return func(v url.Values) {
		v.Del("client_secret")
		v.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		v.Set("client_assertion", assertion)
	}
}

// TestClientAssertions tries to log in with assertions that somebody else made, or made for something else.
func TestClientAssertions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, everyWay)
	otherKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) string {
		return w.assertion(func(_ map[string]any, c jwt.MapClaims) { c[name] = value })
	}
	foreign := func(name string, value any) string {
		return w.federated(testFederation(), func(c jwt.MapClaims) { c[name] = value })
	}
	good := w.assertion(nil)
	for _, c := range []struct {
		name      string
		assertion string
		code      float64 // 0: accepted
	}{
		{"certificate", good, 0},
		{"certificate named by SHA-1", w.assertion(func(h map[string]any, _ jwt.MapClaims) {
			certificate, _ := testCertificate()
			delete(h, "x5t#S256")
			h["x5t"] = sha1Thumbprint(certificate)
		}), 0},
		{"certificate not named", w.assertion(func(h map[string]any, _ jwt.MapClaims) { delete(h, "x5t#S256") }), 700027},
		{"another certificate named", w.assertion(func(h map[string]any, _ jwt.MapClaims) { h["x5t#S256"] = "AAAA" }), 700027},
		{"signature changed", good[:len(good)-6] + "AAAAAA", 700027},
		{"for another tenant", claim("aud", w.e.TokenURL()+"/"+emulator.PartnerTenant+"/oauth2/v2.0/token"), 700023},
		{"for the real Entra", claim("aud", "https://login.microsoftonline.com/"+emulator.DemoTenant+"/oauth2/v2.0/token"), 700023},
		{"for two places", claim("aud", []string{w.e.TokenURL() + "/" + emulator.DemoTenant + "/oauth2/v2.0/token", "https://x.example"}), 700023},
		{"expired", claim("exp", w.clock.Now().Add(-time.Hour).Unix()), 700024},
		{"without expiry", w.assertion(func(_ map[string]any, c jwt.MapClaims) { delete(c, "exp") }), 700024},
		{"another subject", claim("sub", "somebody"), 700021},
		{"another issuer", claim("iss", "https://unknown.example"), 700211},
		{"no JWT", "x.y.z", 50027},
		{"alg none", "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".", 700027},

		{"federated", w.federated(testFederation(), nil), 0},
		{"federated, another subject", foreign("sub", "system:serviceaccount:web:other"), 700213},
		{"federated, another audience", foreign("aud", "api://other"), 700212},
		{"federated, expired", foreign("exp", w.clock.Now().Add(-time.Hour).Unix()), 700024},
		{"federated, another key", w.federated(otherKey, nil), 50013},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, answer := w.postToken(emulator.DemoTenant, tokenForm(withAssertion(c.assertion)))
			if c.code != 0 {
				checkTokenError(t, status, answer, http.StatusUnauthorized, "invalid_client", c.code)
				return
			}
			if status != http.StatusOK {
				t.Fatalf("answer = %d %v, want a token", status, answer)
			}
			body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
			if status, answer := w.create("createPresentationRequest", text(answer, "access_token"), body); status != http.StatusCreated {
				t.Errorf("createPresentationRequest = %d %v, want 201", status, answer)
			}
		})
	}
	status, answer := w.postToken(emulator.DemoTenant, tokenForm(func(v url.Values) {
		withAssertion(good)(v)
		v.Del("client_assertion_type")
	}))
	checkTokenError(t, status, answer, http.StatusBadRequest, "invalid_request", 900144)
}

func TestTokenDiscovery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	base := w.e.TokenURL()
	status, answer := w.do(w.tokens, http.MethodGet, base+"/"+emulator.DemoTenantDomain+"/v2.0/.well-known/openid-configuration", nil, nil)
	if status != http.StatusOK || text(answer, "token_endpoint") != base+"/"+emulator.DemoTenant+"/oauth2/v2.0/token" {
		t.Errorf("openid-configuration = %d %v", status, answer)
	}
	_, keys := w.do(w.tokens, http.MethodGet, text(answer, "jwks_uri"), nil, nil)
	modulus, err := base64.RawURLEncoding.DecodeString(text(keys, "keys", 0, "n"))
	if err != nil {
		t.Fatal(err)
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}
	if _, err := jwt.Parse(w.demoToken(), func(*jwt.Token) (any, error) { return public, nil }, jwt.WithTimeFunc(w.clock.Now)); err != nil {
		t.Errorf("access token does not verify with the published key: %v", err)
	}
	status, answer = w.do(w.tokens, http.MethodGet, base+"/nobody.example/v2.0/.well-known/openid-configuration", nil, nil)
	if status != http.StatusBadRequest || text(answer, "error") != "invalid_tenant" {
		t.Errorf("unknown tenant = %d %v, want invalid_tenant", status, answer)
	}
	status, answer = w.do(w.tokens, http.MethodGet, base+"/common/discovery/instance?api-version=1.1", nil, nil)
	if status != http.StatusOK || text(answer, "metadata", 0, "preferred_network") != strings.TrimPrefix(base, "https://") {
		t.Errorf("instance discovery = %d %v", status, answer)
	}
	if status, _ := w.do(w.tokens, http.MethodGet, base+"/elsewhere", nil, nil); status != http.StatusNotFound {
		t.Errorf("unknown path = %d, want 404", status)
	}
}
