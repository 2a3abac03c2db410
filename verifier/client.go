// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/serviceurl"
)

// DefaultServiceURL is the Request Service for all regions (Request Service REST API, "Get started").
const DefaultServiceURL = "https://verifiedid.did.msidentity.com"

const createPath = "/v1.0/verifiableCredentials/createPresentationRequest"

// ClientConfig configures a [Client].
type ClientConfig struct {
	// ServiceURL is the base URL of the Request Service. https, see InsecureHTTP for the exception. Default:
	// [DefaultServiceURL].
	ServiceURL string

	// Tokens provides access tokens. Required.
	Tokens TokenSource

	// RootCAs are the authorities that vouch for the service. Nil: those of the system.
	RootCAs *x509.CertPool

	// Logger hears about calls that fail: status, the service's error codes and the names of the call for support, never a
	// message, a request or a token. Nil: nobody hears.
	Logger *slog.Logger

	// Now is the clock. Nil: [time.Now].
	Now func() time.Time

	// InsecureHTTP allows ServiceURL to be http:// if its host is a loopback address or localhost. It is for the emulator.
	InsecureHTTP bool
}

// Client calls the Request Service. It is safe for concurrent use, and all its callers share one back-off: while the service
// is down or wants to be left alone, none of them calls it, and afterwards one goes first. Make one with [NewClient].
type Client struct {
	service *url.URL
	create  string
	tokens  TokenSource
	http    *http.Client
	logger  *slog.Logger
	now     func() time.Time
	breaker patience.Breaker

	// Tests replace them.
	sleep  func(ctx context.Context, d time.Duration) error
	jitter func(d time.Duration) time.Duration
}

// NewClient returns a client. It makes no call, so it works while the service is down.
func NewClient(config ClientConfig) (*Client, error) {
	if config.Tokens == nil {
		return nil, errors.New("creating request service client: token source is missing")
	}
	service, err := serviceurl.Parse(cmp.Or(config.ServiceURL, DefaultServiceURL), config.InsecureHTTP)
	if err != nil {
		return nil, fmt.Errorf("creating request service client: %w", err)
	}
	c := &Client{
		service: service,
		create:  service.JoinPath(createPath).String(),
		tokens:  config.Tokens,
		logger:  config.Logger,
		now:     config.Now,
		sleep:   sleep,
		jitter:  jitter,
		breaker: patience.Breaker{Failures: patience.ServiceFailures, Pause: patience.ServicePause},
		http: &http.Client{
			Transport: patience.NewTransport(config.RootCAs),
			// A redirect would carry the token and the callback key to wherever it points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

// Close gives back idle connections. Calls under way end as they would have.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// jitter returns something from half of d to half more.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d) //nolint:gosec // spreads load; nothing depends on its being unknown
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
