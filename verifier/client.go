// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"crypto/x509"
	"log/slog"
	"time"
)

// DefaultServiceURL is the Request Service for all regions.
const DefaultServiceURL = "https://verifiedid.did.msidentity.com"

// ClientConfig configures a [Client].
type ClientConfig struct {
	// ServiceURL is the base URL of the Request Service, https, without path. Default: [DefaultServiceURL].
	ServiceURL string

	// Tokens provides access tokens. Required.
	Tokens TokenSource

	// RootCAs are the authorities that vouch for the service. Nil: those of the system.
	RootCAs *x509.CertPool

	// Logger hears about calls that fail. Nil: nobody does.
	Logger *slog.Logger

	// Now is the clock. Nil: [time.Now].
	Now func() time.Time

	// InsecureHTTP allows ServiceURL to be http:// on a loopback host, which is for the emulator.
	InsecureHTTP bool
}

// Client calls the Request Service. It is safe for concurrent use. Make one with [NewClient].
type Client struct {
	config ClientConfig
}

// NewClient returns a client. It makes no call.
func NewClient(config ClientConfig) (*Client, error) {
	return &Client{config: config}, nil
}

// CreatedRequest is the service's checked answer to a [PresentationRequest].
type CreatedRequest struct {
	// RequestID is the service's name of the request; callbacks bring it.
	RequestID string

	// DeepLink opens the wallet, as a link or as a QR code. Its scheme is openid-vc and it leads to the configured service,
	// nowhere else.
	DeepLink string

	// Expires is when the wallet can no longer fetch the request, usually after 5 minutes.
	Expires time.Time
}

// CreatePresentationRequest asks the service for a presentation.
func (c *Client) CreatePresentationRequest(ctx context.Context, request PresentationRequest, correlationVector string) (CreatedRequest, error) {
	return CreatedRequest{}, ErrBadAnswer
}
