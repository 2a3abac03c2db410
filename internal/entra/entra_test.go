// SPDX-License-Identifier: Apache-2.0

package entra_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/internal/entra"
)

const (
	tenant   = "7c1f6a0e-52d3-4a8b-9f47-1d2c3b4a5e6f"
	clientID = "0d1e2f3a-4b5c-6d7e-8f90-a1b2c3d4e5f6"
	secret   = "CANARY-SECRET"
)

// authority plays Entra for one tenant: discovery and token endpoint.
type authority struct {
	*httptest.Server
	roots *x509.CertPool

	mu    sync.Mutex
	forms []url.Values
	token http.HandlerFunc // instead of success
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+tenant+"/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer":                 a.URL + "/" + tenant + "/v2.0",
			"authorization_endpoint": a.URL + "/" + tenant + "/oauth2/v2.0/authorize",
			"token_endpoint":         a.URL + "/" + tenant + "/oauth2/v2.0/token",
		})
	})
	mux.HandleFunc("POST /"+tenant+"/oauth2/v2.0/token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		a.mu.Lock()
		a.forms = append(a.forms, r.PostForm)
		n, token := len(a.forms), a.token
		a.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if token != nil {
			token(w, r)
			return
		}
		fmt.Fprintf(w, `{"token_type":"Bearer","expires_in":3599,"ext_expires_in":3599,"access_token":"CANARY-TOKEN-%d"}`, n)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("asked for %s %s", r.Method, r.URL)
		http.NotFound(w, r)
	})
	a.Server = httptest.NewUnstartedServer(mux)
	a.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	a.StartTLS()
	t.Cleanup(a.Close)
	a.roots = x509.NewCertPool()
	a.roots.AddCert(a.Certificate())
	return a
}

func (a *authority) calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.forms)
}

func (a *authority) secretConfig() entra.Config {
	return entra.Config{Tenant: tenant, ClientID: clientID, ClientSecret: secret, AuthorityHost: a.URL, RootCAs: a.roots}
}

func newSource(t *testing.T, config entra.Config) *entra.Source {
	t.Helper()
	source, err := entra.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(source.Close)
	return source
}

func wantForm(t *testing.T, form url.Values, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := form[name]; len(got) != 1 || got[0] != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
}

func TestClientSecret(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	source := newSource(t, a.secretConfig())
	for range 3 {
		wantToken(t, source, "", "CANARY-TOKEN-1")
	}
	wantToken(t, source, "CANARY-TOKEN-1", "CANARY-TOKEN-2")
	if a.calls() != 2 {
		t.Errorf("%d requests, want 2", a.calls())
	}
	wantForm(t, a.forms[0], map[string]string{
		"grant_type": "client_credentials", "client_id": clientID, "client_secret": secret,
	})
	if !strings.Contains(" "+a.forms[0].Get("scope")+" ", " "+entra.RequestScope+" ") {
		t.Errorf("scope = %q", a.forms[0].Get("scope"))
	}
}

// A token for the Admin API is asked for as such, and a missing role is that one.
func TestAdminScope(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	config := a.secretConfig()
	config.Scope = entra.AdminScope
	source := newSource(t, config)
	wantToken(t, source, "", "CANARY-TOKEN-1")
	if !strings.Contains(" "+a.forms[0].Get("scope")+" ", " 6a8b4b39-c021-437c-b060-5a14a3fd65f3/.default ") {
		t.Errorf("scope = %q", a.forms[0].Get("scope"))
	}
	a.mu.Lock()
	a.token = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant","error_codes":[501051]}`)
	}
	a.mu.Unlock()
	_, err := source.Token(t.Context(), "CANARY-TOKEN-1")
	if err == nil || !strings.Contains(err.Error(), "grant VerifiableCredential.Network.Read") {
		t.Errorf("Token() = %v", err)
	}
	config.Scope = "https://graph.microsoft.com/.default"
	if _, err := entra.New(config); err == nil {
		t.Error("a token for another API is asked for")
	}
}

// With the whole stack below it. TM-127.
func TestStampedeReachesEntraOnce(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	source := newSource(t, a.secretConfig())
	var group sync.WaitGroup
	for range 1000 {
		group.Go(func() { wantToken(t, source, "", "CANARY-TOKEN-1") })
	}
	group.Wait()
	if a.calls() != 1 {
		t.Errorf("%d requests, want 1", a.calls())
	}
}

// certificate returns a self-signed certificate with its key in PEM, and the public key.
func certificate(t *testing.T) ([]byte, *rsa.PublicKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...), &key.PublicKey
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	bundle, public := certificate(t)
	source := newSource(t, entra.Config{Tenant: tenant, ClientID: clientID, Certificate: bundle, AuthorityHost: a.URL, RootCAs: a.roots})
	wantToken(t, source, "", "CANARY-TOKEN-1")
	wantForm(t, a.forms[0], map[string]string{
		"grant_type": "client_credentials", "client_id": clientID,
		"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
	})
	claims := jwt.RegisteredClaims{}
	_, err := jwt.ParseWithClaims(a.forms[0].Get("client_assertion"), &claims, func(*jwt.Token) (any, error) { return public, nil },
		jwt.WithIssuer(clientID), jwt.WithSubject(clientID), jwt.WithExpirationRequired())
	if err != nil {
		t.Errorf("client assertion: %v", err)
	}
}

func TestWorkloadIdentity(t *testing.T) {
	a := newAuthority(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("federated token"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	t.Setenv("AZURE_TENANT_ID", tenant)
	t.Setenv("AZURE_CLIENT_ID", clientID)
	t.Setenv("AZURE_AUTHORITY_HOST", "https://wrong.invalid")
	source := newSource(t, entra.Config{WorkloadIdentity: true, AuthorityHost: a.URL, RootCAs: a.roots})
	wantToken(t, source, "", "CANARY-TOKEN-1")
	wantForm(t, a.forms[0], map[string]string{"client_id": clientID, "client_assertion": "federated token"})

	// The file is read again for each token, as Kubernetes replaces it.
	if err := os.WriteFile(file, []byte("next token"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantToken(t, source, "CANARY-TOKEN-1", "CANARY-TOKEN-2")
	wantForm(t, a.forms[1], map[string]string{"client_assertion": "next token"})

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Token(t.Context(), "CANARY-TOKEN-2"); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("without the workload's token: %v", err)
	}
}

// App Service's way of managed identity, as it can be played on one machine.
func TestManagedIdentity(t *testing.T) {
	var mu sync.Mutex
	var queries []url.Values
	machine := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("X-Identity-Header") != "header" {
			t.Errorf("headers %v", r.Header)
		}
		queries = append(queries, r.URL.Query())
		fmt.Fprintf(w, `{"access_token":"CANARY-TOKEN-%d","expires_on":"%d","resource":"x","token_type":"Bearer"}`, len(queries), time.Now().Add(time.Hour).Unix())
	}))
	defer machine.Close()
	t.Setenv("IDENTITY_ENDPOINT", machine.URL)
	t.Setenv("IDENTITY_HEADER", "header")
	t.Setenv("HTTP_PROXY", "http://proxy.invalid")
	source := newSource(t, entra.Config{ManagedIdentity: true, ManagedIdentityClientID: clientID})
	wantToken(t, source, "", "CANARY-TOKEN-1")
	wantToken(t, source, "CANARY-TOKEN-1", "CANARY-TOKEN-2")
	for _, query := range queries {
		wantForm(t, query, map[string]string{"resource": "3db474b9-6a0c-4840-96ac-1fceb342124f", "client_id": clientID})
	}
	system := newSource(t, entra.Config{ManagedIdentity: true})
	if _, err := system.Token(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// What is contradictory does not come to life; what is merely unreachable does. TM-139, TM-149.
func TestConfig(t *testing.T) {
	t.Parallel()
	bundle, _ := certificate(t)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKCS8PrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		config entra.Config
		ok     bool
	}{
		{"secret", entra.Config{Tenant: "contoso.onmicrosoft.com", ClientID: clientID, ClientSecret: secret}, true},
		{"certificate", entra.Config{Tenant: tenant, ClientID: clientID, Certificate: bundle}, true},
		{"own authority", entra.Config{Tenant: tenant, ClientID: clientID, ClientSecret: secret, AuthorityHost: "https://login.microsoftonline.us/"}, true},
		{"managed identity", entra.Config{ManagedIdentity: true}, true},
		{"nothing", entra.Config{Tenant: tenant, ClientID: clientID}, false},
		{"two ways", entra.Config{Tenant: tenant, ClientID: clientID, ClientSecret: secret, ManagedIdentity: true}, false},
		{"no tenant", entra.Config{ClientID: clientID, ClientSecret: secret}, false},
		{"no client ID", entra.Config{Tenant: tenant, ClientSecret: secret}, false},
		{"tenant with slash", entra.Config{Tenant: "contoso/evil", ClientID: clientID, ClientSecret: secret}, false},
		{"password without certificate", entra.Config{Tenant: tenant, ClientID: clientID, ClientSecret: secret, Password: "x"}, false},
		{"client ID of no managed identity", entra.Config{Tenant: tenant, ClientID: clientID, ClientSecret: secret, ManagedIdentityClientID: "x"}, false},
		{"managed identity with authority", entra.Config{ManagedIdentity: true, AuthorityHost: "https://login.microsoftonline.us"}, false},
		{"certificate without key", entra.Config{Tenant: tenant, ClientID: clientID, Certificate: bundle[:strings.Index(string(bundle), "-----BEGIN PRIVATE")]}, false},
		{"key of another kind", entra.Config{Tenant: tenant, ClientID: clientID, Certificate: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: ecDER})}, false},
		{"certificate that is none", entra.Config{Tenant: tenant, ClientID: clientID, Certificate: []byte(secret)}, false},
		{"workload identity outside of one", entra.Config{Tenant: tenant, ClientID: clientID, WorkloadIdentity: true}, false},
	}
	for _, host := range []string{"http://login.example", "login.example", "https://", "https://u:p@login.example", "https://login.example/x", "https://login.example?x", "https://login.example#x", "https://["} {
		tests = append(tests, struct {
			name   string
			config entra.Config
			ok     bool
		}{"authority " + host, entra.Config{Tenant: tenant, ClientID: clientID, ClientSecret: secret, AuthorityHost: host}, false})
	}
	for _, test := range tests {
		source, err := entra.New(test.config)
		if (err == nil) != test.ok {
			t.Errorf("%s: New = %v", test.name, err)
		}
		if err == nil {
			source.Close()
		} else if text := err.Error(); strings.Contains(text, "CANARY") || strings.Contains(text, "u:p") || strings.Contains(text, "\n") {
			t.Errorf("%s: error text is %q", test.name, text)
		}
	}
}

// After a reload the cache serves on if nothing changed, and only then. TM-137, TM-151.
func TestKey(t *testing.T) {
	t.Parallel()
	base := entra.Config{Tenant: tenant, ClientID: clientID, ClientSecret: secret}
	seen := map[string]string{}
	for name, config := range map[string]entra.Config{
		"base":                {Tenant: tenant, ClientID: clientID, ClientSecret: secret},
		"scope":               {Scope: entra.AdminScope, Tenant: tenant, ClientID: clientID, ClientSecret: secret},
		"tenant":              {Tenant: "x", ClientID: clientID, ClientSecret: secret},
		"client ID":           {Tenant: tenant, ClientID: "x", ClientSecret: secret},
		"secret":              {Tenant: tenant, ClientID: clientID, ClientSecret: "x"},
		"certificate":         {Tenant: tenant, ClientID: clientID, Certificate: []byte(secret)},
		"password":            {Tenant: tenant, ClientID: clientID, Certificate: []byte(secret), Password: "x"},
		"managed identity":    {Tenant: tenant, ClientID: clientID, ManagedIdentity: true},
		"managed identity's":  {Tenant: tenant, ClientID: clientID, ManagedIdentity: true, ManagedIdentityClientID: "x"},
		"workload identity":   {Tenant: tenant, ClientID: clientID, WorkloadIdentity: true},
		"authority":           {Tenant: tenant, ClientID: clientID, ClientSecret: secret, AuthorityHost: "https://x"},
		"shifted":             {Tenant: tenant + clientID[:1], ClientID: clientID[1:], ClientSecret: secret},
		"secret as something": {Tenant: tenant, ClientID: clientID, AuthorityHost: secret},
	} {
		key := config.Key()
		if other, twice := seen[key]; twice {
			t.Errorf("%s and %s have one key", name, other)
		}
		if len(key) != 64 || strings.Contains(key, secret) {
			t.Errorf("%s: key is %q", name, key)
		}
		seen[key] = name
	}
	base.Scope = entra.RequestScope
	base.Logger, base.Now = slog.New(slog.DiscardHandler), time.Now
	if seen[base.Key()] != "base" {
		t.Error("logger, clock or the default scope change the key")
	}
}
