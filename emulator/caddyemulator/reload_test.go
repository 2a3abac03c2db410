// SPDX-License-Identifier: Apache-2.0

package caddyemulator_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/caddyemulator"
)

// world is a Caddy in this process with the emulator on free ports. Tests that have one run one
// after the other: Caddy's config is the process's.
type world struct {
	service, token, partner string // ports
	client                  *http.Client
	persona                 string // line of the partner's block
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("VERIFIED_ID_EMULATOR_CA", "")
	if err := caddyemulator.ExportCertificate(); err != nil {
		t.Fatalf("ExportCertificate() = %v", err)
	}
	text := exported(t)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		t.Fatal("the exported file holds no certificate")
	}
	// A connection kept alive over a reload may be closed while the next request is on its way.
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	w := &world{
		service: freePort(t), token: freePort(t), partner: freePort(t),
		client: &http.Client{
			Transport: transport, Timeout: time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	return w
}

// exported reads the file that the environment variable names.
func exported(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("VERIFIED_ID_EMULATOR_CA")) //nolint:gosec // set by the test
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// load makes Caddy run the emulator; options go into the global option, comment changes the
// config and nothing of the emulator.
func (w *world) load(t *testing.T, options, comment string) error {
	t.Helper()
	config, err := adapt(fmt.Sprintf(`{
	admin off
	persist_config off
	log {
		output discard
	}
	auto_https off
	default_bind 127.0.0.1
	storage file_system %s
	verified_id_emulator {
		public_url http://localhost:%s
		token_url https://localhost:%s
		partner {
			public_url http://localhost:%s
			organisation contoso http://localhost:1
			%[7]s
		}
		%[5]s
	}
}

http://localhost:%[2]s {
	header X-Comment %[6]q
	verified_id_emulator
}

http://localhost:%[4]s {
	verified_id_emulator partner
}
`, t.TempDir(), w.service, w.token, w.partner, options, comment, w.persona))
	if err != nil {
		t.Fatalf("adapting: %v", err)
	}
	return caddy.Load([]byte(config), true)
}

func (w *world) mustLoad(t *testing.T, options, comment string) {
	t.Helper()
	if err := w.load(t, options, comment); err != nil {
		t.Fatalf("loading: %v", err)
	}
}

func (w *world) do(t *testing.T, method, target string, form url.Values) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(body)
}

func (w *world) wallet(t *testing.T) (comment, body string) {
	t.Helper()
	status, header, body := w.do(t, http.MethodGet, "http://localhost:"+w.service+"/wallet", nil)
	if status != http.StatusOK {
		t.Fatalf("wallet = %d, want 200", status)
	}
	return header.Get("X-Comment"), body
}

// TestReloadKeepsTheWallet: whoever edits the gate's part of the Caddyfile and reloads still has
// the card that the partner issued, and open requests stay open. Other settings of the emulator
// begin anew.
func TestReloadKeepsTheWallet(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(t, "", "first")
	if _, body := w.wallet(t); !strings.Contains(body, "The wallet is empty") {
		t.Fatal("the wallet is not empty at first")
	}
	if status, _, _ := w.do(t, http.MethodPost, "http://localhost:"+w.service+"/wallet/cards", url.Values{"stock": {"good-0"}}); status != http.StatusSeeOther {
		t.Fatalf("taking a card = %d, want 303", status)
	}
	w.mustLoad(t, "", "second")
	comment, body := w.wallet(t)
	if comment != "second" {
		t.Fatalf("X-Comment = %q: the new config does not serve", comment)
	}
	if !strings.Contains(body, "Ana Lima</span>") || strings.Contains(body, "The wallet is empty") {
		t.Error("the reload emptied the wallet")
	}
	w.mustLoad(t, "card VerifiedIdentity", "third")
	if _, body := w.wallet(t); strings.Count(body, `class="card"`) != 1 || !strings.Contains(body, "Verified identity") {
		t.Error("with other settings the wallet does not begin anew")
	}
}

// TestFailedReloadLeavesTheOldOne: a config that does not load takes nothing away.
func TestFailedReloadLeavesTheOldOne(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(t, "card VerifiedEmployee", "first")
	if err := w.load(t, "card Gold", "second"); err == nil {
		t.Error("a card that nobody issues loads")
	}
	if comment, body := w.wallet(t); comment != "first" || !strings.Contains(body, "Verified employee") {
		t.Error("the failed reload broke the old config")
	}
	w.mustLoad(t, "card VerifiedEmployee", "third")
}

// TestTokenEndpoint: it speaks TLS with the exported certificate, before and after a reload.
func TestTokenEndpoint(t *testing.T) {
	w := newWorld(t)
	for _, comment := range []string{"first", "second"} {
		w.mustLoad(t, "", comment)
		status, _, body := w.do(t, http.MethodPost, "https://localhost:"+w.token+"/"+emulator.DemoTenantDomain+"/oauth2/v2.0/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {emulator.DemoClientID}, "client_secret": {emulator.DemoClientSecret},
			"scope": {"3db474b9-6a0c-4840-96ac-1fceb342124f/.default"},
		})
		if status != http.StatusOK || !strings.Contains(body, "access_token") {
			t.Errorf("%s: token endpoint = %d %s", comment, status, body)
		}
	}
}

// TestParts: each site shows what it was asked to show.
func TestParts(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(t, "", "first")
	service, partner := "http://localhost:"+w.service, "http://localhost:"+w.partner
	for _, test := range []struct {
		target string
		status int
		says   string
	}{
		{service + "/", http.StatusFound, "/wallet"},
		{service + "/wallet", http.StatusOK, "Emulator"},
		{service + "/wallet/nowhere", http.StatusNotFound, "Nothing here"},
		{service + "/v1.0/nowhere", http.StatusNotFound, `"notFound"`},
		{service + "/V1.0/identifiers/" + emulator.DemoAuthority, http.StatusOK, emulator.DemoAuthority},
		{service + "/elsewhere", http.StatusOK, ""}, // Caddy's own empty answer: nobody's path
		{partner + "/", http.StatusOK, "Nobody begins here"},
		{partner + "/contoso/", http.StatusForbidden, "carries no token"},
		{partner + "/wallet", http.StatusTemporaryRedirect, ""}, // looks like an organisation's start page
	} {
		if status, _, body := w.do(t, http.MethodGet, test.target, nil); status != test.status || !strings.Contains(body, test.says) {
			t.Errorf("%s = %d, want %d and %q\n%.300s", test.target, status, test.status, test.says, body)
		}
	}
}

// TestOpenStreamDoesNotHoldUpAReload: a wallet page that waits must not keep the old config
// alive (F12 of the threat model).
func TestOpenStreamDoesNotHoldUpAReload(t *testing.T) {
	w := newWorld(t)
	w.mustLoad(t, "", "first")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:"+w.service+"/wallet/waiting?newest=", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	w.mustLoad(t, "", "second")
	// The stream ends because the config did, long before its own five minutes and the client's one.
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Errorf("the stream broke off: %v", err)
	}
}

// TestConfigsRefused: what is wrong shows when the config loads.
func TestConfigsRefused(t *testing.T) {
	for name, options := range map[string]string{
		"http token endpoint":       "token_url http://localhost:8091",
		"token endpoint with path":  "token_url https://localhost:8091/x",
		"service on other machines": "public_url http://idp.contoso.example",
		"unknown card":              "card Gold",
		"partner without sites":     "partner {\n}",
		"partner with unknown mode": "partner {\norganisation contoso http://localhost:1 {\nmode lax\n}\n}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_DATA_HOME", t.TempDir())
			config, err := adapt("{\nadmin off\npersist_config off\nlog {\noutput discard\n}\nverified_id_emulator {\n" + options + "\n}\n}\n")
			if err != nil {
				t.Fatalf("adapting: %v", err)
			}
			if err := caddy.Load([]byte(config), true); err == nil {
				t.Error("the config loads")
			}
		})
	}
	t.Run("unknown part", func(t *testing.T) {
		t.Setenv("XDG_DATA_HOME", t.TempDir())
		for _, parts := range []string{"phone", "wallet service wallet", "partner", "partner wallet"} {
			config, err := adapt("{\nadmin off\npersist_config off\nlog {\noutput discard\n}\nverified_id_emulator\n}\nhttp://localhost:1 {\nverified_id_emulator " + parts + "\n}\n")
			if err != nil {
				t.Fatalf("adapting: %v", err)
			}
			if err := caddy.Load([]byte(config), true); err == nil {
				t.Errorf("parts %s load", parts)
			}
		}
	})
}

// TestCertificateStays: a second process, such as `caddy reload`, finds the certificate of the
// first; the key is readable by its owner only.
func TestCertificateStays(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("VERIFIED_ID_EMULATOR_CA", "")
	read := func() string {
		if err := caddyemulator.ExportCertificate(); err != nil {
			t.Fatalf("ExportCertificate() = %v", err)
		}
		return string(exported(t))
	}
	first := read()
	if second := read(); second != first {
		t.Error("the certificate changed")
	}
	if strings.Contains(first, "PRIVATE KEY") {
		t.Error("the file for those who trust the certificate holds its key")
	}
	key := filepath.Join(filepath.Dir(os.Getenv("VERIFIED_ID_EMULATOR_CA")), "token-endpoint.pem")
	info, err := os.Stat(key) //nolint:gosec // set by the test
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		t.Errorf("key file has mode %04o", mode)
	}

	// A spoilt file is replaced instead of stopping everything.
	if err := os.WriteFile(key, []byte("spoilt"), 0o600); err != nil { //nolint:gosec // set by the test
		t.Fatal(err)
	}
	if again := read(); again == first || !strings.Contains(again, "BEGIN CERTIFICATE") {
		t.Error("a spoilt certificate was not replaced")
	}
}
