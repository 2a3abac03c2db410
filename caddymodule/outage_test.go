// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// downStore is a store that fails while it is down, and notes whether it is asked with a time limit.
type downStore struct {
	verifier.Store
	down      error
	unlimited bool
}

func (s *downStore) err(ctx context.Context) error {
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > 2*time.Second {
		s.unlimited = true
	}
	return s.down
}

// Available implements what the gauge asks.
func (s *downStore) Available() bool { return s.down == nil }

func (s *downStore) Create(ctx context.Context, t verifier.Transaction) error {
	if err := s.err(ctx); err != nil {
		return err
	}
	return s.Store.Create(ctx, t)
}

func (s *downStore) Get(ctx context.Context, id string) (verifier.Transaction, error) {
	if err := s.err(ctx); err != nil {
		return verifier.Transaction{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *downStore) Update(ctx context.Context, id string, move func(*verifier.Transaction) error) (verifier.Transaction, error) {
	if err := s.err(ctx); err != nil {
		return verifier.Transaction{}, err
	}
	return s.Store.Update(ctx, id, move)
}

func (s *downStore) Revoke(ctx context.Context, r verifier.Revocation) error {
	if err := s.err(ctx); err != nil {
		return err
	}
	return s.Store.Revoke(ctx, r)
}

// The store dies in mid-visit. What needs it is refused with a time to come back, the service is told that its result was
// not kept, nobody's cookie is cleared, and everything goes on afterwards. TM-063, TM-129, TM-130.
//
// What a store says of it is its own business: an error that nobody has foreseen, and a call that has not ended in time, are
// outages as well. They were taken for "there is no such transaction", and the service was told to send its result no more.
func TestStoreOutage(t *testing.T) {
	for name, down := range map[string]error{
		"said so": verifier.ErrStoreUnavailable, "not in time": context.DeadlineExceeded, "unforeseen": io.ErrUnexpectedEOF,
	} {
		t.Run(name, func(t *testing.T) { testStoreOutage(t, down) })
	}
}

func testStoreOutage(t *testing.T, down error) {
	app, g, s := journeyGate(t, "", mailGate)
	store := &downStore{Store: app.store.Store}
	app.store.Store = store
	visitor, member, leaver := newBrowser(t, g), newBrowser(t, g), newBrowser(t, g)
	member.cookies[g.site.session.Name] = sealed(g)
	other, _ := sessionOf(g, presentation(g))
	other.ID = "another-session"
	leaver.cookies[g.site.session.Name] = g.site.seal(other)
	id := visitor.begin("/")
	w, _ := visitor.open("/.verified-id/wait?t=" + id)
	form := url.Values{"token": {tokenIn(t, w.Body.String())}, "t": {id}, "credential": {"employee"}}
	logout, _ := leaver.open("/.verified-id/logout")
	request, state, key := s.last(t)

	store.down = down
	if w := callback(t, g, key, verified(request, state)); w.Code != http.StatusServiceUnavailable {
		t.Errorf("callback: status %d, want 503", w.Code)
	}
	for _, path := range []string{"/request", "/finish"} {
		if w := visitor.post("/.verified-id"+path, form); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: status %d with Retry-After %q, want 503 and a time", path, w.Code, w.Header().Get("Retry-After"))
		}
	}
	for _, path := range []string{"/wait?t=", "/status?t=", "/events?t="} {
		if w, _ := visitor.open("/.verified-id" + path + id); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d, want 503", path, w.Code)
		}
	}
	if w := leaver.post("/.verified-id/logout", url.Values{"token": {tokenIn(t, logout.Body.String())}}); w.Code != http.StatusServiceUnavailable {
		t.Errorf("logout: status %d, want 503: a session that may live on elsewhere must not look ended", w.Code)
	}
	if _, u := member.open("/"); u.hits != 1 {
		t.Error("a session ended because the store is down")
	}
	if len(visitor.cookies) == 0 || len(member.cookies) == 0 {
		t.Error("cookies were cleared because the store is down")
	}

	if up := storeUp(t, app); up != 0 {
		t.Errorf("caddy_verified_id_store_up is %v in the outage, want 0", up)
	}

	store.down = nil
	if w := callback(t, g, key, verified(request, state)); w.Code != http.StatusOK {
		t.Errorf("callback afterwards: status %d, want 200", w.Code)
	}
	if w := visitor.finish(id); onward(w) != "/" {
		t.Errorf("finish afterwards: status %d", w.Code)
	}
	if up := storeUp(t, app); up != 1 {
		t.Errorf("caddy_verified_id_store_up is %v afterwards, want 1", up)
	}
	if store.unlimited {
		t.Error("the store was called without a time limit")
	}
}

// storeUp is the gauge that operators are alerted by.
func storeUp(t *testing.T, app *App) float64 {
	t.Helper()
	families, err := app.ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "caddy_verified_id_store_up" {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no gauge caddy_verified_id_store_up")
	return 0
}

func sealed(g *Gate) string {
	held, _ := sessionOf(g, presentation(g))
	return g.site.seal(held)
}

// The Request Service is down, or throttles. Visitors get an honest page, people with a session notice nothing, and nobody
// sees what the service said. TM-052, TM-128.
func TestServiceOutage(t *testing.T) {
	const canary = "CANARY-OF-THE-SERVICE"
	for name, c := range map[string]struct {
		status int
		again  string // Retry-After of the page
	}{
		"down": {http.StatusServiceUnavailable, "7"}, "throttled": {http.StatusTooManyRequests, "7"},
		"misconfigured": {http.StatusBadRequest, ""}, "forbidden": {http.StatusForbidden, ""},
	} {
		t.Run(name, func(t *testing.T) {
			app, ctx := loadApp(t, testApp(""))
			g := loadGate(t, ctx, "verified_id")
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(c.status)
				body := `{"requestId":"r","date":"d","mscv":"m","error":{"code":"x","message":"` + canary + `","innererror":{"code":"badOrMissingField","message":"` + canary + `","target":"authority"}}}`
				if _, err := io.WriteString(w, body); err != nil {
					t.Error(err)
				}
			}))
			defer server.Close()
			var err error
			if app.client, err = verifier.NewClient(verifier.ClientConfig{ServiceURL: server.URL, Tokens: staticToken(canary), InsecureHTTP: true}); err != nil {
				t.Fatal(err)
			}
			b := newBrowser(t, g)
			start, _ := b.open("/.verified-id/start")
			w := b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
			body := w.Body.String()
			if got := w.Header().Get("Retry-After"); got != c.again {
				t.Errorf("Retry-After is %q, want %q", got, c.again)
			}
			if w.Code != http.StatusServiceUnavailable || strings.Contains(body, canary) || !supportCode.MatchString(body) {
				t.Errorf("status %d, want 503 and a page with a support code and without the service's words:\n%s", w.Code, body)
			}
			member := newBrowser(t, g)
			member.cookies[g.site.session.Name] = sealed(g)
			if _, u := member.open("/"); u.hits != 1 {
				t.Error("a session noticed")
			}
		})
	}
}

// A load in the middle of an outage must work: nothing of it calls anybody. TM-139.
func TestLoadCallsNobody(t *testing.T) {
	called := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called <- struct{}{} }))
	defer server.Close()
	began := time.Now()
	_, ctx := loadApp(t, testApp("insecure_loopback_http\n service "+server.URL))
	loadGate(t, ctx, "verified_id")
	select {
	case <-called:
		t.Error("loading called the service")
	default:
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("loading took %s", took)
	}
}
