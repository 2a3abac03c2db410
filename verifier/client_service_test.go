// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// tokenSource counts its tokens.
type tokenSource struct {
	mu       sync.Mutex
	rejected []string
	n        int
	err      error
	check    func(ctx context.Context)
}

func (s *tokenSource) Token(ctx context.Context, rejected string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.check != nil {
		s.check(ctx)
	}
	if rejected != "" {
		s.rejected = append(s.rejected, rejected)
		s.n++
	}
	return fmt.Sprintf("%s-%d", tokenCanary, s.n), s.err
}

// service is a Request Service that answers as told, one answer after the other; the last one again and again.
type service struct {
	*httptest.Server
	client *verifier.Client
	tokens *tokenSource
	log    bytes.Buffer

	mu       sync.Mutex
	now      time.Time
	pauses   []time.Duration
	requests []*http.Request
	bodies   []string
	answers  []http.HandlerFunc
}

func newService(t testing.TB, answers ...http.HandlerFunc) *service {
	t.Helper()
	s := &service{answers: answers, now: time.Unix(1768471200, 0), tokens: &tokenSource{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	client, err := verifier.NewClient(verifier.ClientConfig{
		ServiceURL: s.URL, Tokens: s.tokens, RootCAs: pool, Now: s.clock,
		Logger: slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	client.SetSleep(func(ctx context.Context, d time.Duration) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.pauses = append(s.pauses, d)
		s.now = s.now.Add(d)
		return ctx.Err()
	})
	t.Cleanup(client.Close)
	s.client = client
	return s
}

func (s *service) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *service) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *service) calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func (s *service) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	answer := s.answers[min(len(s.requests), len(s.answers)-1)]
	s.requests = append(s.requests, r)
	s.bodies = append(s.bodies, string(body))
	s.mu.Unlock()
	answer(w, r)
}

func (s *service) create(ctx context.Context) (verifier.CreatedRequest, error) {
	return s.client.CreatePresentationRequest(ctx, testRequest(), correlationVector)
}

func testRequest() verifier.PresentationRequest {
	return verifier.PresentationRequest{
		Authority:    "did:web:verifiedid.contoso.example",
		Registration: verifier.Registration{ClientName: "Contoso Payroll", Purpose: "Open payroll"},
		Callback: verifier.CallbackTarget{
			URL: "https://payroll.contoso.example/.verified-id/callback", State: "state",
			Headers: map[string]string{"Authorization": callbackKeyCanary},
		},
		RequestedCredentials: []verifier.RequestedCredential{employeeRequirement().RequestedCredential()},
	}
}

func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) //nolint:gosec // no browser reads it
	}
}

// created answers with success, by the recorded answer with the host of the test server.
func created(t testing.TB) http.HandlerFunc {
	body := string(readFile(t, "presentation-response.json"))
	return func(w http.ResponseWriter, r *http.Request) {
		answer(http.StatusCreated, strings.ReplaceAll(body, "verifiedid.did.msidentity.com", r.Host))(w, r)
	}
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Whoever configures a service without TLS gives tokens away; only the emulator on this machine may do without. TM-125.
func TestServiceURL(t *testing.T) {
	t.Parallel()
	tests := []struct {
		url      string
		insecure bool
		ok       bool
	}{
		{"", false, true},
		{"https://service.example", false, true},
		{"https://service.example/base/", false, true},
		{"http://localhost:8090", true, true},
		{"http://LOCALHOST:8090", true, true},
		{"http://127.0.0.1:8090", true, true},
		{"http://[::1]:8090", true, true},
		{"http://localhost:8090", false, false},
		{"http://service.example", true, false},
		{"http://localhost.evil.example", true, false},
		{"http://10.0.0.1", true, false},
		{"ftp://localhost", true, false},
		{"//service.example", false, false},
		{"https://", false, false},
		{"https://u:p@service.example", false, false},
		{"https://service.example?x", false, false},
		{"https://service.example#x", false, false},
		{"https://[", false, false},
	}
	for _, test := range tests {
		_, err := verifier.NewClient(verifier.ClientConfig{ServiceURL: test.url, InsecureHTTP: test.insecure, Tokens: &tokenSource{}})
		if (err == nil) != test.ok {
			t.Errorf("NewClient(%q, %v): %v", test.url, test.insecure, err)
		}
		if err != nil && strings.Contains(err.Error(), "u:p") {
			t.Errorf("the error holds a password: %v", err)
		}
	}
	if _, err := verifier.NewClient(verifier.ClientConfig{}); err == nil {
		t.Error("NewClient without a token source")
	}
}

// The emulator on this machine works without TLS when that is allowed, callback included.
func TestInsecureLoopback(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer(201, fmt.Sprintf(`{"requestId":"r","url":"openid-vc://?request_uri=http://%s/r","expiry":%d}`, r.Host, time.Now().Unix()+300))(w, r)
	}))
	defer server.Close()
	client, err := verifier.NewClient(verifier.ClientConfig{ServiceURL: server.URL + "/", InsecureHTTP: true, Tokens: &tokenSource{}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := testRequest()
	request.Callback.URL = "http://localhost:8080/callback"
	if _, err := client.CreatePresentationRequest(t.Context(), request, ""); err != nil {
		t.Error(err)
	}
}
