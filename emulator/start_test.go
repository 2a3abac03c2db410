// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a running emulator and a relying party that it calls back.
type world struct {
	t       testing.TB
	e       *emulator.Emulator
	clock   *clock
	service string       // origin of the service
	tokens  *http.Client // trusts the token endpoint
	client  *http.Client
	relying *relyingParty
}

// newWorld starts an emulator; change may alter its configuration.
func newWorld(t testing.TB, change func(*emulator.Config)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)}}
	var service, token http.Handler
	serviceServer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { service.ServeHTTP(rw, r) }))
	t.Cleanup(serviceServer.Close)
	tokenServer := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { token.ServeHTTP(rw, r) }))
	cfg := emulator.Config{
		PublicURL: serviceServer.URL, TokenURL: "https://" + tokenServer.Listener.Addr().String(), Now: w.clock.Now,
	}
	if change != nil {
		change(&cfg)
	}
	e, err := emulator.New(cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	service, token = e.ServiceHandler(), e.TokenHandler()
	if tokenServer.TLS, err = e.CA().TLSConfig(); err != nil {
		t.Fatalf("TLSConfig() = %v", err)
	}
	tokenServer.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes cut short by the end of a test
	tokenServer.StartTLS()
	t.Cleanup(tokenServer.Close)
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	tokenTransport := &http.Transport{TLSClientConfig: tokenServer.Client().Transport.(*http.Transport).TLSClientConfig.Clone()} //nolint:forcetypeassert // httptest's own
	tokenTransport.TLSClientConfig.RootCAs = e.CA().Pool()
	t.Cleanup(tokenTransport.CloseIdleConnections)
	w.e, w.service = e, serviceServer.URL
	w.tokens = &http.Client{Transport: tokenTransport}
	w.client = serviceServer.Client()
	w.relying = newRelyingParty(t)
	return w
}

// relyingParty remembers callbacks and answers them as a test wants.
type relyingParty struct {
	url string

	mu     sync.Mutex
	got    []received
	status int
}

type received struct {
	header http.Header
	raw    []byte
	body   map[string]any
}

func newRelyingParty(t testing.TB) *relyingParty {
	t.Helper()
	p := &relyingParty{status: http.StatusOK}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body) // a broken body shows in the test
		var body map[string]any
		_ = json.Unmarshal(raw, &body) // so does a body that is no JSON
		p.mu.Lock()
		defer p.mu.Unlock()
		p.got = append(p.got, received{header: r.Header.Clone(), raw: raw, body: body})
		w.WriteHeader(p.status)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL + "/callback"
	return p
}

func (p *relyingParty) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *relyingParty) callbacks() []received {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]received(nil), p.got...)
}

// statuses lists requestStatus of what came, in order.
func (p *relyingParty) statuses() string {
	got := p.callbacks()
	all := make([]string, len(got))
	for i, r := range got {
		all[i] = text(r.body, "requestStatus")
	}
	return strings.Join(all, " ")
}

// last returns the newest callback.
func (p *relyingParty) last(t testing.TB) received {
	t.Helper()
	all := p.callbacks()
	if len(all) == 0 {
		t.Fatal("no callback came")
	}
	return all[len(all)-1]
}

// token gets an access token with a secret.
func (w *world) token(tenant, id, secret string) string {
	w.t.Helper()
	status, body := w.postToken(tenant, url.Values{
		"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret},
		"scope": {"3db474b9-6a0c-4840-96ac-1fceb342124f/.default"},
	})
	if status != http.StatusOK {
		w.t.Fatalf("token endpoint answered %d: %v", status, body)
	}
	return text(body, "access_token")
}

func (w *world) demoToken() string {
	w.t.Helper()
	return w.token(emulator.DemoTenant, emulator.DemoClientID, emulator.DemoClientSecret)
}

func (w *world) postToken(tenant string, form url.Values) (int, map[string]any) {
	w.t.Helper()
	return w.do(w.tokens, http.MethodPost, w.e.TokenURL()+"/"+tenant+"/oauth2/v2.0/token",
		http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
}

// do sends a request and reads a JSON answer; bodies that are no JSON come back empty.
func (w *world) do(client *http.Client, method, target string, header http.Header, body []byte) (int, map[string]any) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := client.Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Header.Get(emulator.MarkHeader) != "1" {
		w.t.Errorf("%s %s: no %s header", method, target, emulator.MarkHeader)
	}
	var answer map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&answer) // not every answer is JSON
	return resp.StatusCode, answer
}

// create posts a body to one of the request APIs.
func (w *world) create(api, token string, body map[string]any) (int, map[string]any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.createRaw(api, token, raw)
}

func (w *world) createRaw(api, token string, raw []byte) (int, map[string]any) {
	w.t.Helper()
	return w.do(w.client, http.MethodPost, w.service+"/v1.0/verifiableCredentials/"+api,
		http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}}, raw)
}

// presentation is a createPresentationRequest for one card, as a relying party writes it.
func (w *world) presentation(cardType, issuer string) map[string]any {
	return map[string]any{
		"authority":    emulator.DemoAuthority,
		"registration": map[string]any{"clientName": "Contoso Payroll", "purpose": "Confirm who you are"},
		"callback": map[string]any{
			"url": w.relying.url, "state": "state-1", "headers": map[string]any{"api-key": "key-1"},
		},
		"requestedCredentials": []any{map[string]any{
			"type": cardType, "purpose": "Prove it", "acceptedIssuers": []any{issuer},
			"configuration": map[string]any{"validation": map[string]any{"allowRevoked": false, "validateLinkedDomain": true}},
		}},
	}
}

// link creates the request and returns its deep link.
func (w *world) link(body map[string]any) string {
	w.t.Helper()
	status, answer := w.create("createPresentationRequest", w.demoToken(), body)
	if status != http.StatusCreated {
		w.t.Fatalf("createPresentationRequest answered %d: %v", status, answer)
	}
	return text(answer, "url")
}

// open creates the request and opens it in the default wallet.
func (w *world) open(body map[string]any) *emulator.Offer {
	w.t.Helper()
	return w.openIn(w.e.Wallet(), w.link(body))
}

func (w *world) openIn(wallet *emulator.Wallet, link string) *emulator.Offer {
	w.t.Helper()
	offer, err := wallet.Open(w.t.Context(), link)
	if err != nil {
		w.t.Fatalf("Open() = %v", err)
	}
	return offer
}

func (w *world) share(offer *emulator.Offer, opts emulator.ShareOptions) emulator.Outcome {
	w.t.Helper()
	outcome, err := offer.Share(w.t.Context(), opts)
	if err != nil {
		w.t.Fatalf("Share() = %v", err)
	}
	return outcome
}

// issue puts a card into the default wallet.
func (w *world) issue(opts emulator.IssueOptions) emulator.Card {
	w.t.Helper()
	card, err := w.e.Issue(w.e.Wallet(), opts)
	if err != nil {
		w.t.Fatalf("Issue() = %v", err)
	}
	return card
}

// at walks into decoded JSON: names for objects, numbers for arrays. It returns nil where there is nothing.
func at(node any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := node.(map[string]any)
			node = object[step]
		case int:
			list, _ := node.([]any)
			if step >= len(list) {
				return nil
			}
			node = list[step]
		}
	}
	return node
}

func text(node any, path ...any) string {
	s, _ := at(node, path...).(string)
	return s
}

// put sets a value inside a request body.
func put(body map[string]any, value any, path ...any) {
	last, ok := path[len(path)-1].(string)
	parent, isObject := at(body, path[:len(path)-1]...).(map[string]any)
	if !ok || !isObject {
		panic("put: no such place")
	}
	if value == absent {
		delete(parent, last)
		return
	}
	parent[last] = value
}

// absent makes put take a member out.
var absent = new(int)
