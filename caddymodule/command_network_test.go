// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// networkWorld runs an emulator whose application has the roles, and returns it with a Caddyfile that signs in there.
func networkWorld(t *testing.T, roles ...string) (*emulator.Emulator, string) {
	t.Helper()
	service, token := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	cast := emulator.DefaultCast()
	cast.PublicURL, cast.TokenURL = "http://"+service.Listener.Addr().String(), "https://"+token.Listener.Addr().String()
	cast.Clients[0].Roles = roles
	e, err := emulator.New(cast)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	service.Config.Handler, token.Config.Handler = e.ServiceHandler(), e.TokenHandler()
	if token.TLS, err = e.CA().TLSConfig(); err != nil {
		t.Fatal(err)
	}
	token.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	service.Start()
	t.Cleanup(service.Close)
	token.StartTLS()
	t.Cleanup(token.Close)
	t.Setenv("VERIFIED_ID_TEST_SECRET", emulator.DemoClientSecret)
	return e, writeFile(t, "Caddyfile", `{
		verified_id {
			entra `+emulator.DemoTenant+` {
				client_id      `+emulator.DemoClientID+`
				client_secret  {env.VERIFIED_ID_TEST_SECRET}
				authority_host `+e.TokenURL()+`
			}
			service    `+e.PublicURL()+`
			trusted_ca `+writeFile(t, "ca.pem", string(e.CA().PEM()))+`
			insecure_loopback_http
			`+whoPart+credentialPart+`
		}
	}
	`+sitePart)
}

func runNetwork(args ...string) (string, error) {
	var out bytes.Buffer
	cmd := networkCommand()
	cmd.SetArgs(append([]string{}, args...)) // nil would mean those of the test binary
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	err := cmd.Execute()
	return out.String(), err
}

// From a part of a domain to the lines for the Caddyfile, with the config's own way of signing in. Whoever only calls itself Contoso
// is not found.
func TestNetworkCommandFindsIssuerAndTypes(t *testing.T) {
	e, config := networkWorld(t, emulator.RolePresentRequest, emulator.RoleNetworkRead)
	out, err := runNetwork("search", "FABRIKAM", "--config", config)
	if err != nil {
		t.Fatal(err)
	}
	partner := e.Authorities()[1]
	place := partner.Tenant + "/" + partner.NetworkID()
	for _, want := range []string{"Fabrikam Identity Check", "https://www.fabrikam-idv.example ", place + "  " + emulator.PartnerAuthority + "\n", "check that the domain"} {
		if !strings.Contains(out, want) {
			t.Errorf("want %q in\n%s", want, out)
		}
	}
	for _, about := range []string{emulator.PartnerAuthority, "www.fabrikam-idv.example", "https://www.fabrikam-idv.example/"} {
		out, err := runNetwork("types", about, "--config", config)
		if err != nil {
			t.Errorf("%s: %v", about, err)
		}
		for _, want := range []string{"credential <name> {\n\ttype VerifiedIdentity\n\tissuer " + emulator.PartnerAuthority + "\n}\n", "claims     firstName lastName", place} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: want %q in\n%s", about, want, out)
			}
		}
	}
	if out, err := runNetwork("types", place, "--config", config); err != nil || !strings.Contains(out, "\tissuer <its DID, from the search>\n") {
		t.Errorf("types %s: %v\n%s", place, err, out)
	}
	out, err = runNetwork("search", "contoso", "--json", "--config", config)
	var found []map[string]any
	if jsonErr := json.Unmarshal([]byte(out), &found); err != nil || jsonErr != nil || len(found) != 1 || found[0]["did"] != emulator.DemoAuthority {
		t.Errorf("search --json: %v, %v\n%s", err, jsonErr, out)
	}
	out, err = runNetwork("types", emulator.DemoAuthority, "--json", "--config", config)
	var told struct {
		DID       string `json:"did"`
		Contracts []struct {
			Types []string `json:"types"`
		} `json:"contracts"`
	}
	if jsonErr := json.Unmarshal([]byte(out), &told); err != nil || jsonErr != nil || told.DID != emulator.DemoAuthority || told.Contracts[0].Types[0] != "VerifiedEmployee" {
		t.Errorf("types --json: %v, %v\n%s", err, jsonErr, out)
	}
}

// Each mistake is said with its mend, and no error shows the secret.
func TestNetworkCommandSaysWhatToMend(t *testing.T) {
	_, config := networkWorld(t, emulator.RoleNetworkRead)
	empty := writeFile(t, "Caddyfile", "localhost\n")
	for name, test := range map[string]struct {
		args []string
		want []string
	}{
		"nothing to do":         {nil, []string{"search or types"}},
		"nobody to search for":  {[]string{"search"}, []string{"caddy verified-id network search contoso"}},
		"two names":             {[]string{"types", "a", "b"}, []string{"caddy verified-id network types"}},
		"a name with a space":   {[]string{"search", "Contoso Bank", "--config", config}, []string{`"Contoso Bank"`, `' '`, "a part of it"}},
		"another filter":        {[]string{"search", "x' or name like '%", "--config", config}, []string{`'\''`}},
		"a control character":   {[]string{"search", "con\x1b[2Jtoso", "--config", config}, []string{`"con\x1b[2Jtoso"`}},
		"nobody of the name":    {[]string{"search", "nobody", "--config", config}, []string{"no issuer", "caddy verified-id manifest"}},
		"nobody of the domain":  {[]string{"types", "www.nobody.example", "--config", config}, []string{"www.nobody.example", "only if they want to be"}},
		"a part of a domain":    {[]string{"types", "fabrikam-idv.example", "--config", config}, []string{"exactly the domain", "https://www.fabrikam-idv.example"}},
		"no whole domain":       {[]string{"types", "fabrikam", "--config", config}, []string{"whole domain"}},
		"a DID without domain":  {[]string{"types", "did:ion:EiA", "--config", config}, []string{"no domain to search for"}},
		"another DID":           {[]string{"types", "did:web:evil.fabrikam-idv.example", "--config", config}, []string{"none has this DID"}},
		"ids of nobody":         {[]string{"types", emulator.DemoTenant + "/" + emulator.DemoTenant, "--config", config}, []string{"does not have this issuer"}},
		"no such config":        {[]string{"search", "contoso", "--config", filepath.Join(t.TempDir(), "Caddyfile")}, []string{"no such file"}},
		"a config without gate": {[]string{"search", "contoso", "--config", empty}, []string{"global option verified_id"}},
	} {
		out, err := runNetwork(test.args...)
		wantError(t, err, nil, test.want...)
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\r") {
			t.Errorf("%s: the error has control characters: %q", name, err)
		}
		if out != "" && test.args != nil && len(test.args) > 1 {
			t.Errorf("%s: printed %s", name, out)
		}
	}
	if err := os.Unsetenv("VERIFIED_ID_TEST_SECRET"); err != nil {
		t.Fatal(err)
	}
	_, err := runNetwork("search", "contoso", "--config", config)
	wantError(t, err, nil, "client_secret", "VERIFIED_ID_TEST_SECRET")
	t.Setenv("VERIFIED_ID_TEST_SECRET", "CANARY-SECRET")
	_, err = runNetwork("search", "contoso", "--config", config)
	wantError(t, err, nil, "the client secret is wrong")
	if strings.Contains(err.Error(), "CANARY") {
		t.Errorf("the error shows the secret: %v", err)
	}
}

// An app that may only do what gates do is told which permission is missing.
func TestNetworkCommandNamesTheMissingRole(t *testing.T) {
	e, config := networkWorld(t, emulator.RolePresentRequest)
	_, err := runNetwork("search", "contoso", "--config", config)
	wantError(t, err, nil, "401", "VerifiableCredential.Network.Read", "Verifiable Credentials Service Admin", "admin consent")
	e.Faults().Inject(emulator.APINetwork, emulator.Fault{Status: 403, Times: 1})
	_, err = runNetwork("types", "www.fabrikam-idv.example", "--config", config)
	wantError(t, err, nil, "403", "VerifiableCredential.Network.Read")
	e.Faults().Inject(emulator.APINetwork, emulator.Fault{Status: 503})
	_, err = runNetwork("search", "contoso", "--config", config)
	wantError(t, err, nil, "503", "try again later")
}
