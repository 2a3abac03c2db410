// SPDX-License-Identifier: Apache-2.0

package walletweb_test

import (
	"bytes"
	"encoding/json"
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/walletweb"
)

// fixture is an emulator with its wallet's pages, a relying party that it calls back, and a
// browser without JavaScript.
type fixture struct {
	e       *emulator.Emulator
	origin  string
	tokens  *http.Client
	browser *http.Client
	party   string // origin of the relying party

	mu       sync.Mutex
	now      time.Time
	statuses []string // requestStatus of the callbacks
	answer   int      // what the relying party answers
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{now: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC), answer: http.StatusNoContent}

	var site, token http.Handler
	siteServer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { site.ServeHTTP(w, r) }))
	t.Cleanup(siteServer.Close)
	tokenServer := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { token.ServeHTTP(w, r) }))
	e, err := emulator.New(emulator.Config{
		PublicURL: siteServer.URL, TokenURL: "https://" + tokenServer.Listener.Addr().String(),
		Now: func() time.Time {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.now
		},
	})
	if err != nil {
		t.Fatalf("emulator.New() = %v", err)
	}
	t.Cleanup(func() { _ = e.Close() })
	pages, err := walletweb.New(walletweb.Config{Emulator: e})
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", e.ServiceHandler())
	mux.Handle("/wallet", pages)
	mux.Handle("/wallet/", pages)
	site, token = mux, e.TokenHandler()
	tokenServer.StartTLS()
	t.Cleanup(tokenServer.Close)

	party := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var got struct{ RequestStatus string }
		_ = json.NewDecoder(r.Body).Decode(&got) // a body that is no JSON shows as an empty status
		f.mu.Lock()
		defer f.mu.Unlock()
		f.statuses = append(f.statuses, got.RequestStatus)
		w.WriteHeader(f.answer)
	}))
	t.Cleanup(party.Close)

	f.e, f.origin, f.tokens, f.party = e, siteServer.URL, tokenServer.Client(), party.URL
	f.browser = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(f.browser.CloseIdleConnections)
	return f
}

func (f *fixture) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

func (f *fixture) seen() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.statuses, " ")
}

// create asks the service for something in Contoso's name and returns the deep link.
func (f *fixture) create(t *testing.T, api string, body map[string]any) string {
	t.Helper()
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {emulator.DemoClientID}, "client_secret": {emulator.DemoClientSecret},
		"scope": {"3db474b9-6a0c-4840-96ac-1fceb342124f/.default"},
	}
	granted := f.call(t, f.tokens, f.e.TokenURL()+"/"+emulator.DemoTenant+"/oauth2/v2.0/token",
		"application/x-www-form-urlencoded", "", []byte(form.Encode()), http.StatusOK)
	token, _ := granted["access_token"].(string)
	body["authority"] = emulator.DemoAuthority
	body["callback"] = map[string]any{"url": f.party + "/callback", "state": "s", "headers": map[string]any{"api-key": "k"}}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	made := f.call(t, f.browser, f.origin+"/v1.0/verifiableCredentials/"+api, "application/json", token, text, http.StatusCreated)
	link, _ := made["url"].(string)
	return link
}

func (f *fixture) call(t *testing.T, client *http.Client, target, contentType, token string, body []byte, want int) map[string]any {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || resp.StatusCode != want {
		t.Fatalf("%s answered %d, %v, want %d; %v", target, resp.StatusCode, answer, want, err)
	}
	return answer
}

// presentation asks for an employee card with a Face Check.
func (f *fixture) presentation(t *testing.T) string {
	t.Helper()
	return f.create(t, "createPresentationRequest", map[string]any{
		"registration": map[string]any{"clientName": "Contoso <Payroll>", "purpose": "To see your \"payslips\""},
		"requestedCredentials": []any{map[string]any{
			"type": "VerifiedEmployee", "acceptedIssuers": []any{emulator.DemoAuthority},
			"configuration": map[string]any{"validation": map[string]any{
				"faceCheck": map[string]any{"sourcePhotoClaimName": "photo", "matchConfidenceThreshold": 70},
			}},
		}},
	})
}

// issuance offers an employee card, with a PIN if there is one.
func (f *fixture) issuance(t *testing.T, pin string) string {
	t.Helper()
	contract, err := f.e.Contract("VerifiedEmployee")
	if err != nil {
		t.Fatal(err)
	}
	body := map[string]any{
		"registration": map[string]any{"clientName": "Contoso HR"},
		"type":         "VerifiedEmployee", "manifest": f.e.ManifestURL(contract) + "?manifestType=claimInjection",
		"claims": map[string]any{"displayName": "Bo <Berg>", "revocationId": "bo@contoso.example", "photo": emulator.Portrait(3)},
	}
	if pin != "" {
		body["pin"] = map[string]any{"value": pin, "length": len(pin), "type": "numeric"}
	}
	return f.create(t, "createIssuanceRequest", body)
}

func (f *fixture) card(t *testing.T, contract string) emulator.Card {
	t.Helper()
	c, err := f.e.IssueTo(f.e.Wallet(), contract, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// page is one answer.
type page struct {
	status   int
	location string
	header   http.Header
	body     string
}

func (p page) says(text string) bool {
	return strings.Contains(html.UnescapeString(tags.ReplaceAllString(p.body, "")), text)
}

var tags = regexp.MustCompile(`<[^>]*>`)

func (f *fixture) get(t *testing.T, path string) page {
	t.Helper()
	return f.do(t, http.MethodGet, path, nil, nil)
}

func (f *fixture) post(t *testing.T, path string, form url.Values) page {
	t.Helper()
	return f.do(t, http.MethodPost, path, form, http.Header{"Sec-Fetch-Site": {"same-origin"}})
}

func (f *fixture) do(t *testing.T, method, path string, form url.Values, header http.Header) page {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(req.Header, header)
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := f.browser.Do(req)
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

// open opens a link as the person does, and returns the path of the request's page.
func (f *fixture) open(t *testing.T, link string) string {
	t.Helper()
	p := f.get(t, "/wallet/open?link="+url.QueryEscape(link))
	if p.status != http.StatusSeeOther {
		t.Fatalf("opening = %d, want 303\n%s", p.status, p.body)
	}
	return p.location
}
