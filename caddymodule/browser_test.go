// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// service stands for the Request Service: it takes a presentation request, remembers it and answers 201. What a wallet
// would cause, the tests send to the callback themselves.
type service struct {
	*httptest.Server
	mu       sync.Mutex
	requests []sentRequest
	during   func(request sentRequest) // runs while the gate waits for the answer
}

// sentRequest is what these tests look at in a presentation request.
type sentRequest struct {
	Callback struct {
		URL     string            `json:"url"`
		State   string            `json:"state"`
		Headers map[string]string `json:"headers"`
	} `json:"callback"`
	Vector               string `json:"-"` // header MS-CV
	IncludeReceipt       bool   `json:"includeReceipt"`
	RequestedCredentials []struct {
		Type            string   `json:"type"`
		AcceptedIssuers []string `json:"acceptedIssuers"`
		Configuration   struct {
			Validation struct {
				AllowRevoked         bool `json:"allowRevoked"`
				ValidateLinkedDomain bool `json:"validateLinkedDomain"`
				FaceCheck            struct {
					Threshold int `json:"matchConfidenceThreshold"`
				} `json:"faceCheck"`
			} `json:"validation"`
		} `json:"configuration"`
	} `json:"requestedCredentials"`
}

func newService(t testing.TB, app *App) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.create))
	t.Cleanup(s.Close)
	client, err := verifier.NewClient(verifier.ClientConfig{
		ServiceURL: s.URL, Tokens: staticToken("token"), InsecureHTTP: true, Now: clockNow,
	})
	if err != nil {
		t.Fatal(err)
	}
	app.client = client
	return s
}

type staticToken string

func (t staticToken) Token(context.Context, string) (string, error) { return string(t), nil }

func (s *service) create(w http.ResponseWriter, r *http.Request) {
	var request sentRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	request.Vector = r.Header.Get("ms-cv")
	s.mu.Lock()
	s.requests = append(s.requests, request)
	id := fmt.Sprintf("request-%d", len(s.requests))
	s.mu.Unlock()
	if s.during != nil {
		s.during(request)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"requestId":%q,"url":"openid-vc://?request_uri=%s/v1.0/t/verifiableCredentials/presentationRequests/%s","expiry":%d}`,
		id, s.URL, id, clockNow().Unix()+300)
}

func (s *service) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// last is the newest request: its id, state and callback key.
func (s *service) last(t testing.TB) (id, state, key string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == 0 {
		t.Fatal("the service was not called")
	}
	callback := s.requests[len(s.requests)-1].Callback
	return fmt.Sprintf("request-%d", len(s.requests)), callback.State, callback.Headers["Authorization"]
}

// browser keeps cookies, follows no redirect, and says where its requests come from as browsers do.
type browser struct {
	t       testing.TB
	gate    *Gate
	cookies map[string]string
	client  string // address, as Caddy found it
}

func newBrowser(t testing.TB, g *Gate) *browser {
	return &browser{t: t, gate: g, cookies: map[string]string{}, client: "192.0.2.7"}
}

func (b *browser) send(method, path string, form url.Values, header http.Header) (*httptest.ResponseRecorder, *upstream) {
	b.t.Helper()
	r := request(method, testOrigin+path, header)
	setClient(r, b.client)
	if form != nil {
		r.Body = readCloser{strings.NewReader(form.Encode())}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	var pairs []string
	for name, value := range b.cookies {
		pairs = append(pairs, name+"="+value)
	}
	if len(pairs) > 0 {
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	w, u := serve(b.t, b.gate, r)
	for _, cookie := range w.Result().Cookies() {
		if cookie.MaxAge < 0 {
			delete(b.cookies, cookie.Name)
			continue
		}
		b.cookies[cookie.Name] = cookie.Value
	}
	return w, u
}

// open loads a page as a person does.
func (b *browser) open(path string) (*httptest.ResponseRecorder, *upstream) {
	b.t.Helper()
	return b.send("GET", path, nil, http.Header{
		"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"none"}, "Accept": {"text/html"},
	})
}

// post submits a form of our own page.
func (b *browser) post(path string, form url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	w, _ := b.send("POST", path, form, http.Header{
		"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}, "Accept": {"text/html"},
		"Origin": {testOrigin},
	})
	return w
}

var supportCode = regexp.MustCompile(`<code>[A-Za-z0-9+/&#;]{22,}\.[0-9]+</code>`)

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

// tokenIn is the page token of the first form.
func tokenIn(t testing.TB, body string) string {
	t.Helper()
	found := tokenField.FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no page token in\n%s", body)
	}
	return found[1]
}

// begin walks from the protected page to the wait page and returns the transaction's id.
func (b *browser) begin(path string) string {
	b.t.Helper()
	w, _ := b.open(path)
	if w.Code != http.StatusSeeOther {
		b.t.Fatalf("%s: status %d, want 303", path, w.Code)
	}
	w, _ = b.open(w.Header().Get("Location"))
	if w.Code != http.StatusOK {
		b.t.Fatalf("start: status %d", w.Code)
	}
	w = b.post("/.verified-id/request", url.Values{"token": {tokenIn(b.t, w.Body.String())}, "credential": {"employee"}})
	location, err := url.Parse(w.Header().Get("Location"))
	if w.Code != http.StatusSeeOther || err != nil || location.Path != "/.verified-id/wait" {
		b.t.Fatalf("request: status %d to %q", w.Code, w.Header().Get("Location"))
	}
	return location.Query().Get("t")
}

var refresh = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]+)"`)

// onward is where a page leads on to by itself, or "".
func onward(w *httptest.ResponseRecorder) string {
	if found := refresh.FindStringSubmatch(w.Body.String()); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

// finish takes the result of a transaction.
func (b *browser) finish(id string) *httptest.ResponseRecorder {
	b.t.Helper()
	w, _ := b.open("/.verified-id/wait?t=" + id)
	return b.post("/.verified-id/finish", url.Values{"token": {tokenIn(b.t, w.Body.String())}, "t": {id}})
}

// callback sends what the Request Service would send.
func callback(t testing.TB, g *Gate, key, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := request("POST", testOrigin+"/.verified-id/callback", http.Header{"Content-Type": {"application/json"}, "Authorization": {key}})
	r.Body = readCloser{strings.NewReader(body)}
	w, u := serve(t, g, r)
	if u.hits != 0 {
		t.Fatal("a callback reached the app")
	}
	return w
}

// verified is a callback for Ana, with changes.
func verified(id, state string, changes ...string) string {
	body := fmt.Sprintf(`{"requestId":%q,"requestStatus":"presentation_verified","state":%q,"subject":"did:ion:ana",
		"verifiedCredentialsData":[{"issuer":%q,"type":["VerifiableCredential","VerifiedEmployee"],
		"claims":{"displayName":"Ana Lima","mail":"ana@contoso.example","jobTitle":"Clerk","photo":"CANARY-PHOTO"},
		"credentialState":{"revocationStatus":"VALID"},"domainValidation":{"url":"https://contoso.example/"},
		"issuanceDate":"2026-01-12T10:00:00Z","expirationDate":"2026-04-12T10:00:00Z",
		"faceCheck":{"matchConfidenceScore":91.5,"sourcePhotoQuality":"HIGH"}}]}`, id, state, testIssuer)
	return strings.NewReplacer(changes...).Replace(body)
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

func setClient(r *http.Request, address string) {
	caddyhttp.SetVar(r.Context(), caddyhttp.ClientIPVarKey, address)
}
