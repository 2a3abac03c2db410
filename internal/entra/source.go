// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

const (
	// renewBefore is how long before its end a token is renewed, and renewJitter how much earlier at most, so that the nodes
	// of a site do not ask all at once. A token with a short life is renewed in the last quarter of it.
	renewBefore = 5 * time.Minute
	renewJitter = time.Minute

	// endMargin is how long before its end a token is not used any more: the call it is for takes time.
	endMargin = 30 * time.Second

	// maxLife is the longest life of a token that is believed.
	maxLife = 24 * time.Hour
)

// Source is a source of access tokens for one scope. It is safe for concurrent use. Make one with [New] and Close it.
type Source struct {
	fetch  func(ctx context.Context) (azcore.AccessToken, error)
	now    func() time.Time
	jitter func(d time.Duration) time.Duration
	logger *slog.Logger

	life    context.Context
	end     context.CancelFunc
	cleanup func()

	mu       sync.Mutex
	token    string
	expires  time.Time
	renewAt  time.Time
	failure  error
	failedAt time.Time
	failures int // in a row
	flight   *flight
}

// flight is one fetch that any number of callers wait for.
type flight struct {
	done  chan struct{}
	token string
	err   error
}

// New returns a source, or an error if the configuration is contradictory or a certificate cannot be read. It makes no network
// call, so it works while Entra is down.
func New(config Config) (*Source, error) {
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("creating token source: %w", err)
	}
	client := config.httpClient()
	if _, err := config.newCredential(client); err != nil {
		return nil, fmt.Errorf("creating token source: %w", oneLine(err))
	}
	source := newSource(func(ctx context.Context) (azcore.AccessToken, error) { return config.fetch(ctx, client) }, config.Now, config.Logger)
	source.cleanup = client.CloseIdleConnections
	return source, nil
}

func newSource(fetch func(context.Context) (azcore.AccessToken, error), now func() time.Time, logger *slog.Logger) *Source {
	s := &Source{fetch: fetch, now: now, logger: logger, jitter: jitter, cleanup: func() {}}
	s.life, s.end = context.WithCancel(context.Background())
	if s.now == nil {
		s.now = time.Now
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	return s
}

// jitter returns something from nothing to d.
func jitter(d time.Duration) time.Duration {
	return rand.N(d) //nolint:gosec // spreads load; nothing depends on its being unknown
}

// fetch asks for a token with a credential of its own: the libraries keep tokens themselves, longer than we want, and cannot be
// told to forget one.
func (c Config) fetch(ctx context.Context, client *http.Client) (azcore.AccessToken, error) {
	credential, err := c.newCredential(client)
	if err != nil {
		return azcore.AccessToken{}, oneLine(err)
	}
	options := policy.TokenRequestOptions{Scopes: []string{c.scope()}}
	if c.ManagedIdentity {
		// The cache for managed identities is shared by the whole process; claims, which go nowhere, bypass it.
		options.Claims = "{}"
	}
	ctx, network := withNetworkError(ctx)
	token, err := credential.GetToken(ctx, options)
	if err != nil {
		return azcore.AccessToken{}, newError(err, network.err, c.scope())
	}
	return token, nil
}

var errClosed = errors.New("token source is closed")

// Token returns an access token. rejected is a token that the service has just refused, or empty: it is not returned again
// but renewed, once for all callers that bring it. All callers that need a fetch wait for the same one; each waits no longer
// than its context. Shortly before the token ends, it is renewed in the background while the old one goes on serving.
func (s *Source) Token(ctx context.Context, rejected string) (string, error) {
	s.mu.Lock()
	now := s.now()
	if rejected != "" && s.token == rejected {
		s.token, s.failure = "", nil
	}
	if s.token != "" && now.Before(s.expires.Add(-endMargin)) {
		if !now.Before(s.renewAt) && now.Sub(s.failedAt).Abs() >= patience.TokenRenewal {
			s.begin()
		}
		token := s.token
		s.mu.Unlock()
		return token, nil
	}
	failure, down := s.failure, s.failures >= patience.TokenFailures
	if failure != nil && now.Sub(s.failedAt).Abs() < s.pause() {
		s.mu.Unlock()
		return "", failure
	}
	f := s.begin()
	s.mu.Unlock()

	var enough <-chan time.Time
	if failure != nil && down { // who waits longer hears the same, later
		timer := time.NewTimer(patience.ShortPause)
		defer timer.Stop()
		enough = timer.C
	}
	select {
	case <-f.done:
	case <-enough:
		return "", failure
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if f.err != nil {
		return "", f.err
	}
	if f.token == rejected {
		return "", errors.New("entra gave the token again that the service has refused")
	}
	return f.token, nil
}

// pause is how long nobody asks after a failure. The lock is held.
func (s *Source) pause() time.Duration {
	pause := min(patience.TokenPause<<min(s.failures-1, patience.TokenFailures), patience.TokenLongestPause)
	if refused, ok := errors.AsType[*Error](s.failure); ok {
		pause = max(pause, min(refused.RetryAfter, patience.LongestPause))
	}
	return pause
}

// Close ends a fetch under way and gives back idle connections.
func (s *Source) Close() {
	s.end()
	s.cleanup()
}

// begin starts a fetch unless one is under way. The lock is held.
func (s *Source) begin() *flight {
	if s.flight != nil {
		return s.flight
	}
	f := &flight{done: make(chan struct{})}
	s.flight = f
	go s.fly(f)
	return f
}

// fly fetches. It does not depend on any caller, who may leave.
func (s *Source) fly(f *flight) {
	defer close(f.done)
	ctx, cancel := context.WithTimeout(s.life, patience.TokenFetch)
	defer cancel()
	s.mu.Lock()
	down := s.failures >= patience.TokenFailures
	s.mu.Unlock()
	if down {
		ctx = policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1, TryTimeout: patience.TokenTry})
	}
	token, err := s.fetch(ctx)
	if s.life.Err() != nil {
		err = errClosed
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.flight = nil
	now := s.now()
	life := token.ExpiresOn.Sub(now)
	if err == nil && (token.Token == "" || life <= 0) {
		err = errors.New("entra gave no token, or one that has ended")
	}
	if err != nil {
		s.failure, s.failedAt, f.err = err, now, err
		s.failures++
		s.logger.Warn("access token could not be renewed", "error", err.Error())
		return
	}
	f.token = token.Token
	s.token, s.failure, s.failedAt, s.failures = token.Token, nil, time.Time{}, 0
	life = min(life, maxLife)
	s.expires = now.Add(life)
	early := min(renewBefore, life/4)
	s.renewAt = s.expires.Add(-early - s.jitter(min(renewJitter, life/8+1)))
	if refresh := token.RefreshOn; !refresh.IsZero() && refresh.After(now) && refresh.Before(s.renewAt) {
		s.renewAt = refresh
	}
}
