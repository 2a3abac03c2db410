// SPDX-License-Identifier: Apache-2.0

package verifiertest

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const tokenScope = "3db474b9-6a0c-4840-96ac-1fceb342124f/.default"

// Tokens returns a source of real access tokens of the emulator's token endpoint. It keeps a token until the service
// rejects it, however old it is: tests that move the clock see a renewal.
func (s *Server) Tokens() verifier.TokenSource {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &tokens{
		client:   &http.Client{Transport: transport, Timeout: 10 * time.Second},
		endpoint: s.AuthorityHost + "/" + s.Tenant + "/oauth2/v2.0/token",
		form: url.Values{
			"grant_type": {"client_credentials"}, "scope": {tokenScope},
			"client_id": {s.ClientID}, "client_secret": {s.ClientSecret},
		}.Encode(),
	}
}

type tokens struct {
	client         *http.Client
	endpoint, form string

	mu     sync.Mutex // also makes callers wait for the one request
	latest string
}

func (s *tokens) Token(ctx context.Context, rejected string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest != "" && s.latest != rejected {
		return s.latest, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(s.form))
	if err != nil {
		return "", fmt.Errorf("getting a token: %w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := s.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("getting a token: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // read, or of no interest
	var body struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return "", fmt.Errorf("getting a token: unreadable answer of status %d", answer.StatusCode)
	}
	if answer.StatusCode != http.StatusOK || body.AccessToken == "" {
		return "", fmt.Errorf("getting a token: status %d, %s", answer.StatusCode, body.Error)
	}
	s.latest = body.AccessToken
	return s.latest, nil
}
