// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// SetSleep makes the pauses of a client visible to a test, which need not wait for them: no jitter, and no pause but what
// sleep does.
func (c *Client) SetSleep(sleep func(ctx context.Context, d time.Duration) error) {
	c.sleep, c.jitter = sleep, func(d time.Duration) time.Duration { return d }
}

// SetDial makes a client connect by the function.
func (c *Client) SetDial(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	base := c.http.Transport.(*patience.Transport).Base //nolint:forcetypeassert // NewClient made it
	base.DialContext, base.Proxy = dial, nil
}

// OnlyHTTP1 makes a client speak HTTP/1.1.
func (c *Client) OnlyHTTP1() {
	base := c.http.Transport.(*patience.Transport).Base //nolint:forcetypeassert // NewClient made it
	base.ForceAttemptHTTP2, base.Protocols = false, new(http.Protocols)
	base.Protocols.SetHTTP1(true)
}

// Jitter is the client's own.
func (c *Client) Jitter(d time.Duration) time.Duration { return c.jitter(d) }

// CheckAnswer is the check of a successful answer.
func (c *Client) CheckAnswer(status int, body []byte) (CreatedRequest, error) {
	return c.checkAnswer(status, body)
}

// NewServiceError reads an error answer.
func NewServiceError(response *http.Response, body []byte, now time.Time) *ServiceError {
	return newServiceError(response, body, now)
}

// Shorten returns what a parser gets to read of a body, with strings cut from a length of longest on.
func Shorten(r io.Reader, longest int) ([]byte, error) {
	return io.ReadAll(newShortener(r, MaxCallbackBytes, longest))
}

// Sleep is what a client sleeps with outside tests.
var Sleep = sleep
