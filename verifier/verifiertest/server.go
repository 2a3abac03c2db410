// SPDX-License-Identifier: Apache-2.0

package verifiertest

import (
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Server is a running emulator of Verified ID. Its wallet holds the two usual cards of Ana Lima: VerifiedEmployee of
// [emulator.DemoAuthority] and VerifiedIdentity of [emulator.PartnerAuthority]. It ends with the test.
//
//	server := verifiertest.NewServer(t)
//	created, err := server.Client().CreatePresentationRequest(t.Context(), request, correlationVector)
//	outcome := server.Share(created.DeepLink, emulator.ShareOptions{FaceScore: 62})
//
// The callbacks go where request says; [Receiver] opens a place for them.
type Server struct {
	*emulator.Emulator

	// ServiceURL is the base URL of the Request Service, http on a loopback address.
	ServiceURL string
	// AuthorityHost is the base URL of the token endpoint, https.
	AuthorityHost string
	// RootCAs vouch for AuthorityHost, and CAFile holds the same as PEM.
	RootCAs *x509.CertPool
	CAFile  string
	// Authority is the DID in whose name Client may ask.
	Authority string
	// Tenant, ClientID and ClientSecret log in at AuthorityHost.
	Tenant, ClientID, ClientSecret string

	t testing.TB
}

// NewServer starts an emulator: the service over http, the token endpoint over TLS. Each change may alter the
// configuration, for example its clock, its cast or the lifetime of its tokens; nil is valid. With an own cast,
// the fields from Authority to ClientSecret are those of its first authority and first client, and the wallet holds
// only those usual cards that there is a contract for.
func NewServer(t testing.TB, changes ...func(*emulator.Config)) *Server {
	t.Helper()
	service, token := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	for _, server := range []*httptest.Server{service, token} {
		// What a client does to a connection as its test ends is not worth a line.
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		t.Cleanup(server.Close)
	}
	config := emulator.Config{
		PublicURL: "http://" + service.Listener.Addr().String(),
		TokenURL:  "https://" + token.Listener.Addr().String(),
	}
	for _, change := range changes {
		if change != nil {
			change(&config)
		}
	}
	e, err := emulator.New(config)
	if err != nil {
		t.Fatalf("starting the emulator: %v", err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("ending the emulator: %v", err)
		}
	})
	service.Config.Handler, token.Config.Handler = e.ServiceHandler(), e.TokenHandler()
	if token.TLS, err = e.CA().TLSConfig(); err != nil {
		t.Fatalf("starting the emulator: %v", err)
	}
	service.Start()
	token.StartTLS()
	if err := e.IssueDemoCards(e.Wallet()); err != nil {
		t.Fatalf("starting the emulator: %v", err)
	}
	s := &Server{
		Emulator: e, ServiceURL: e.PublicURL(), AuthorityHost: e.TokenURL(), RootCAs: e.CA().Pool(),
		CAFile: filepath.Join(t.TempDir(), "emulator-ca.pem"), Authority: e.Authorities()[0].DID, t: t,
	}
	if clients := e.Clients(); len(clients) > 0 {
		s.Tenant, s.ClientID, s.ClientSecret = clients[0].Tenant, clients[0].ID, clients[0].Secret
	}
	if err := os.WriteFile(s.CAFile, e.CA().PEM(), 0o600); err != nil {
		t.Fatalf("starting the emulator: %v", err)
	}
	return s
}

// Client returns a client of the Request Service that logs in at the emulator's token endpoint. Its clock is the
// emulator's.
func (s *Server) Client() *verifier.Client {
	s.t.Helper()
	client, err := verifier.NewClient(verifier.ClientConfig{
		ServiceURL: s.ServiceURL, Tokens: s.Tokens(), InsecureHTTP: true, Now: s.Now,
	})
	if err != nil {
		s.t.Fatalf("making a client of the emulator: %v", err)
	}
	s.t.Cleanup(client.Close)
	return client
}

// Share opens a deep link in the default wallet and answers it, as Ana Lima would on her phone. The zero value of
// options shares the first cards that match and passes the Face Check. The test fails if the wallet cannot open the
// request or has nothing to answer with; that the service or the relying party refuses is an outcome.
func (s *Server) Share(deepLink string, options emulator.ShareOptions) emulator.Outcome {
	s.t.Helper()
	offer, err := s.Wallet().Open(s.t.Context(), deepLink)
	if err != nil {
		s.t.Fatalf("opening the request: %v", err)
	}
	outcome, err := offer.Share(s.t.Context(), options)
	if err != nil {
		s.t.Fatalf("sharing: %v", err)
	}
	return outcome
}

// Receiver starts a plain http server for callbacks on a loopback address and returns its URL. It ends with the test,
// after the emulator.
func Receiver(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
