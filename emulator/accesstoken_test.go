// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// TestAccessTokens presents tokens that must not open the request APIs.
func TestAccessTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *emulator.Config) {
		c.Clients = []emulator.Client{
			{ID: "all", Secret: "s"},
			{ID: "present", Secret: "s", Roles: []string{emulator.RolePresentRequest}},
			{ID: "issue", Secret: "s", Roles: []string{emulator.RoleIssueRequest}},
			{ID: "none", Secret: "s", Roles: []string{}},
			{ID: "foreign", Secret: "s", Tenant: emulator.PartnerTenant},
		}
	})
	other := newWorld(t, nil)
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	get := func(client string) string { return w.token(emulator.DemoTenant, client, "s") }
	for _, c := range []struct {
		name, api, token string
		status           int
		says             string
	}{
		{"all roles", "createPresentationRequest", get("all"), 201, ""},
		{"least privilege", "createPresentationRequest", get("present"), 201, ""},
		{"only for issuing", "createPresentationRequest", get("issue"), 403, `No acceptable roles were found in access token, required roles are ["VerifiableCredential.Create.All"`},
		{"only for presenting", "createIssuanceRequest", get("present"), 403, "No acceptable roles"},
		{"no roles", "createPresentationRequest", get("none"), 401, "Provided access token contains no roles"},
		{"another tenant", "createPresentationRequest", w.token(emulator.PartnerTenant, "foreign", "s"), 400, "valid authority DID"},
		{"another emulator", "createPresentationRequest", other.demoToken(), 401, "wrong issuer"},
		{"no token", "createPresentationRequest", "", 401, "missing"},
		{"rubbish", "createPresentationRequest", "a.b.c", 401, "not valid"},
		{"alg none", "createPresentationRequest", "eyJhbGciOiJub25lIn0." + strings.Split(get("all"), ".")[1] + ".", 401, "not valid"},
	} {
		status, answer := w.create(c.api, c.token, body)
		if status != c.status || !strings.Contains(text(answer, "error", "innererror", "message"), c.says) {
			t.Errorf("%s: answer = %d %v, want %d saying %q", c.name, status, answer, c.status, c.says)
		}
		if status == 401 || status == 403 {
			code := map[int]string{401: "unauthorized", 403: "forbidden"}[status]
			checkError(t, status, answer, c.status, code, "tokenError", "access_token")
		}
	}
	token := get("all")
	w.clock.Advance(3599 * time.Second)
	status, answer := w.create("createPresentationRequest", token, body)
	if status != 401 || text(answer, "error", "innererror", "message") != "Provided access token has expired" {
		t.Errorf("expired token: answer = %d %v, want 401", status, answer)
	}
}

func TestShortTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *emulator.Config) { c.TokenLifetime = 20 * time.Second })
	_, answer := w.postToken(emulator.DemoTenant, tokenForm(nil))
	if at(answer, "expires_in") != 20.0 {
		t.Errorf("expires_in = %v, want 20", at(answer, "expires_in"))
	}
}

// TestAzidentity logs in with Microsoft's own library, with nothing changed but the authority host and the trust.
func TestAzidentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *emulator.Config) {
		c.Now = time.Now // the library looks at the real clock
		everyWay(c)
		c.Clients[0].SecretExpires = time.Time{}
	})
	w.clock.Advance(time.Until(w.clock.Now())) // for the assertions made here
	options := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: w.e.TokenURL()},
		Transport: w.tokens,
	}
	certificate, key := testCertificate()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(w.federated(testFederation(), func(c jwt.MapClaims) {
		c["exp"] = time.Now().Add(time.Hour).Unix()
	})), 0o600); err != nil {
		t.Fatal(err)
	}
	secret, err := azidentity.NewClientSecretCredential(emulator.DemoTenant, emulator.DemoClientID, emulator.DemoClientSecret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	withCertificate, err := azidentity.NewClientCertificateCredential(emulator.DemoTenantDomain, emulator.DemoClientID,
		[]*x509.Certificate{certificate}, key,
		&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	workload, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: true,
		ClientID: emulator.DemoClientID, TenantID: emulator.DemoTenant, TokenFilePath: file,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, credential := range map[string]azcore.TokenCredential{"secret": secret, "certificate": withCertificate, "workload": workload} {
		token, err := credential.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{scope}})
		if err != nil {
			t.Errorf("%s: GetToken() = %v", name, err)
			continue
		}
		body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
		if status, answer := w.create("createPresentationRequest", token.Token, body); status != http.StatusCreated {
			t.Errorf("%s: createPresentationRequest = %d %v, want 201", name, status, answer)
		}
	}
}
