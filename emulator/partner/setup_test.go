// SPDX-License-Identifier: Apache-2.0

package partner_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
)

var start = time.Date(2026, 1, 15, 10, 2, 0, 0, time.UTC)

// Keys are slow to make, so all tests share them.
var (
	orgKey   = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
	otherKey = sync.OnceValue(func() *rsa.PrivateKey { return newKey(2048) })
)

func newKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// site is the relying party: it publishes keys and makes tokens.
type site struct {
	server  *httptest.Server
	fetches atomic.Int32
	keySet  atomic.Value // string
}

func newSite(t *testing.T) *site {
	s := &site{}
	s.keySet.Store(keySet(map[string]*rsa.PrivateKey{"key-1": orgKey()}))
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.fetches.Add(1)
		body, _ := s.keySet.Load().(string)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.server.Close)
	return s
}

func keySet(keys map[string]*rsa.PrivateKey) string {
	var list []map[string]string
	for kid, k := range keys {
		list = append(list, map[string]string{
			"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
			"n": base64.RawURLEncoding.EncodeToString(k.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(k.E)).Bytes()),
		})
	}
	text, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		panic(err)
	}
	return string(text)
}

// fixture is a partner with its surroundings and a clock that tests move.
type fixture struct {
	site    *site
	service *fakeService
	partner *partner.Partner
	server  *httptest.Server
	client  *http.Client

	mu  sync.Mutex
	now time.Time
}

func (f *fixture) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// newFixture starts a partner on a test server. change edits its configuration.
func newFixture(t *testing.T, change func(*partner.Config)) *fixture {
	t.Helper()
	f := &fixture{now: start, site: newSite(t)}
	f.service = newFakeService(t, f)

	// The server's address is part of the partner's configuration, so the server comes first.
	var handler atomic.Pointer[partner.Partner]
	f.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.Load().ServeHTTP(w, r)
	}))
	t.Cleanup(f.server.Close)

	account := partner.Account{TokenURL: f.service.server.URL + "/fabrikam/oauth2/v2.0/token", ClientID: "client", ClientSecret: "secret"}
	cfg := partner.Config{
		PublicURL:  f.server.URL,
		ServiceURL: f.service.server.URL,
		WalletURL:  "http://localhost:8090/wallet/open",
		Now:        f.clock,
		Credentials: []partner.Credential{
			partner.VerifiedIdentity("did:web:did.fabrikam-idv.example", f.service.server.URL+"/contracts/identity/manifest", account),
			partner.VerifiedEmployee("did:web:verifiedid.contoso.example", f.service.server.URL+"/contracts/employee/manifest?manifestType=claimInjection", "contoso.example", account),
		},
		Organisations: []partner.Organisation{{
			ID: "contoso", Name: "Contoso Payroll",
			JWKSURL:      f.site.server.URL,
			RedirectURLs: []string{"https://payroll.contoso.example/.verified-id/return"},
		}},
	}
	if change != nil {
		change(&cfg)
	}
	p, err := partner.New(cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	f.partner = p
	handler.Store(p)
	f.client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(f.client.CloseIdleConnections)
	return f
}

// minimal is a good set of claims; each call has a RequestId of its own.
var requestNumber atomic.Int64

func minimal() jwt.MapClaims {
	return jwt.MapClaims{
		"OrgId":       "contoso",
		"RequestId":   "request-" + big.NewInt(requestNumber.Add(1)).String(),
		"exp":         start.Add(5 * time.Minute).Unix(),
		"redirectUrl": "https://payroll.contoso.example/.verified-id/return",
	}
}

func sign(t *testing.T, key *rsa.PrivateKey, header map[string]any, claims jwt.MapClaims) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	maps.Copy(token.Header, header)
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// page is one answer.
type page struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (f *fixture) get(t *testing.T, path string) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f.do(t, req)
}

func (f *fixture) post(t *testing.T, path string, form url.Values) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	return f.do(t, req)
}

func (f *fixture) do(t *testing.T, req *http.Request) page {
	t.Helper()
	resp, err := f.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Header.Get("Location"), resp.Header, string(body)}
}

func (f *fixture) arrive(t *testing.T, token string) page {
	t.Helper()
	return f.get(t, "/contoso/?token="+url.QueryEscape(token))
}

// begin arrives with a good token and returns the path of the visit.
func (f *fixture) begin(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	p := f.arrive(t, sign(t, orgKey(), map[string]any{"kid": "key-1"}, claims))
	if p.status != http.StatusSeeOther {
		t.Fatalf("arrive = %d, want 303; failed checks: %v", p.status, failedChecks(p.body))
	}
	return p.location
}

var failedLine = regexp.MustCompile(`<li id="check-([a-z-]+)" class="failed">`)

func failedChecks(body string) []string {
	var names []string
	for _, m := range failedLine.FindAllStringSubmatch(body, -1) {
		names = append(names, m[1])
	}
	return names
}
