// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// maxAnswerBytes bounds what is read of any answer. Tokens take a few kilobytes.
const maxAnswerBytes = 1 << 20

var errAnswerTooLong = errors.New("answer is longer than a megabyte")

// networkError is where the transport leaves what went wrong, for the fetch whose context holds one.
type networkError struct{ err error }

type networkErrorKey struct{}

// withNetworkError returns a context that takes note of the last network error of all requests made with it, one at a time.
func withNetworkError(ctx context.Context) (context.Context, *networkError) {
	n := new(networkError)
	return context.WithValue(ctx, networkErrorKey{}, n), n
}

// limitedTransport bounds the answers, which the libraries behind it read whole.
type limitedTransport struct{ *patience.Transport }

// RoundTrip implements [http.RoundTripper].
func (t *limitedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.Transport.RoundTrip(request)
	if n, ok := request.Context().Value(networkErrorKey{}).(*networkError); ok {
		n.err = nil
		if err != nil {
			n.err = fmt.Errorf("asking entra at %s: %w", request.URL.Host, err)
		}
	}
	if err != nil {
		return nil, err
	}
	response.Body = &limitedBody{ReadCloser: response.Body, left: maxAnswerBytes}
	return response, nil
}

type limitedBody struct {
	io.ReadCloser
	left int
}

// Read implements [io.Reader].
func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errAnswerTooLong
	}
	return n, err
}
