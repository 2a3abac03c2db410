// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// sampleApp is written like the public samples for the real service: plain HTTP, JSON maps, a cache by state, a page
// that polls. It knows the real service's hosts only; hosts is the whole difference between the two.
type sampleApp struct {
	t      *testing.T
	http   *http.Client
	hosts  *strings.Replacer
	public string // where it is reached itself
	apiKey string

	mu    sync.Mutex
	cache map[string]map[string]any // by state
}

func newSampleApp(w *world, t *testing.T) *sampleApp {
	t.Helper()
	app := &sampleApp{
		t: t, http: w.tokens, apiKey: "0e8b5c1a-instance-key", cache: map[string]map[string]any{},
		hosts: strings.NewReplacer("https://login.microsoftonline.com", w.e.TokenURL(), "https://verifiedid.did.msidentity.com", w.service),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/verifier/presentationcallback", app.callback)
	mux.HandleFunc("POST /api/issuer/issuancecallback", app.callback)
	mux.HandleFunc("GET /api/request-status", app.requestStatus)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	app.public = server.URL
	return app
}

// accessToken gets a token as MSAL does and makes the check that the node sample makes before it starts.
func (a *sampleApp) accessToken(tenant, client, secret string) string {
	a.t.Helper()
	_, body := a.send(http.MethodPost, "https://login.microsoftonline.com/"+tenant+"/oauth2/v2.0/token", url.Values{
		"client_id": {client}, "client_secret": {secret}, "grant_type": {"client_credentials"},
		"scope": {"3db474b9-6a0c-4840-96ac-1fceb342124f/.default"},
	}.Encode(), http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	token, _ := body["access_token"].(string)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token+"..", ".")[1])
	if err != nil {
		a.t.Fatalf("token = %v, %v", body, err)
	}
	var claims struct {
		Roles []string `json:"roles"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		a.t.Fatal(err)
	}
	if client == emulator.DemoClientID && !slices.Contains(claims.Roles, "VerifiableCredential.Create.All") {
		a.t.Fatalf("roles = %v; the node sample would refuse to start", claims.Roles)
	}
	return token
}

// send speaks to one of the real service's hosts, or so it thinks.
func (a *sampleApp) send(method, target, body string, header http.Header) (int, map[string]any) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), method, a.hosts.Replace(target), strings.NewReader(a.hosts.Replace(body)))
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header = header
	answer, err := a.http.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var decoded map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&decoded); err != nil {
		a.t.Fatal(err)
	}
	return answer.StatusCode, decoded
}

// request sends a template of a sample with its own callback filled in.
func (a *sampleApp) request(api, callbackPath, token string, template map[string]any) (state string, answer map[string]any) {
	a.t.Helper()
	state = fmt.Sprintf("session-%d", len(a.cache)+1)
	template["callback"] = map[string]any{
		"url": a.public + callbackPath, "state": state, "headers": map[string]any{"api-key": a.apiKey},
	}
	body, err := json.Marshal(template)
	if err != nil {
		a.t.Fatal(err)
	}
	status, answer := a.send(http.MethodPost, "https://verifiedid.did.msidentity.com/v1.0/verifiableCredentials/"+api, string(body),
		http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}})
	if status != http.StatusCreated {
		a.t.Fatalf("%s = %d %v", api, status, answer)
	}
	a.store(state, map[string]any{"status": "request_created"})
	return state, answer
}

func (a *sampleApp) store(state string, entry map[string]any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cache[state] = entry
}

func (a *sampleApp) callback(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Api-Key") != a.apiKey {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var event map[string]any
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	state, _ := event["state"].(string)
	a.mu.Lock()
	_, known := a.cache[state]
	a.mu.Unlock()
	if !known {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	a.store(state, map[string]any{"status": event["requestStatus"], "event": event})
}

// requestStatus is what the page polls. That it is not bound to a browser is a weakness of the samples.
func (a *sampleApp) requestStatus(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = json.NewEncoder(w).Encode(a.cache[r.URL.Query().Get("id")]) // the page has gone
}

func (a *sampleApp) poll(state string) map[string]any {
	a.t.Helper()
	_, entry := a.send(http.MethodGet, a.public+"/api/request-status?id="+url.QueryEscape(state), "", nil)
	return entry
}

// TestForeignClient runs a sample application of the real service. If it needed more than other host names, the
// emulator would be of no use to anybody but us.
func TestForeignClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	app := newSampleApp(w, t)

	// The identity-verification partner issues a card.
	token := app.accessToken(emulator.PartnerTenant, emulator.PartnerClientID, emulator.PartnerClientSecret)
	state, answer := app.request("createIssuanceRequest", "/api/issuer/issuancecallback", token, example(t, "issuance-request"))
	link, _ := answer["url"].(string)
	offer := w.openIn(w.e.Wallet(), link)
	if got := app.poll(state)["status"]; got != "request_retrieved" {
		t.Errorf("status after the scan = %v, want request_retrieved", got)
	}
	if _, err := offer.AcceptIssuance(t.Context(), "483920"); err != nil {
		t.Fatal(err)
	}
	if got := app.poll(state)["status"]; got != "issuance_successful" {
		t.Errorf("status after adding the card = %v, want issuance_successful", got)
	}

	// The relying party asks for it, with a Face Check.
	token = app.accessToken(emulator.DemoTenantDomain, emulator.DemoClientID, emulator.DemoClientSecret)
	for _, c := range []struct {
		score float64
		want  string
	}{{40, "presentation_error"}, {95.5, "presentation_verified"}} {
		state, answer = app.request("createPresentationRequest", "/api/verifier/presentationcallback", token, example(t, "presentation-request-facecheck"))
		if got := app.poll(state)["status"]; got != "request_created" {
			t.Errorf("status at first = %v, want request_created", got)
		}
		link = readQRCode(t, text(answer, "qrCode"))
		w.share(w.openIn(w.e.Wallet(), link), emulator.ShareOptions{FaceScore: c.score})
		if got := app.poll(state)["status"]; got != c.want {
			t.Errorf("status at score %v = %v, want %s", c.score, got, c.want)
		}
	}
	event := at(app.poll(state), "event")
	if text(event, "verifiedCredentialsData", 0, "claims", "fullName") != "Ana Lima" ||
		at(event, "verifiedCredentialsData", 0, "faceCheck", "matchConfidenceScore") != 95.5 {
		t.Errorf("event = %v, want Ana Lima with her score", event)
	}
}
