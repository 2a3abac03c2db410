// SPDX-License-Identifier: Apache-2.0

package patience

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// maxHeaderBytes bounds the header of an answer.
const maxHeaderBytes = 64 << 10

// Transport makes requests that do not hang on dead or outdated connections: silent ones are asked whether they live, and none
// is used for new requests beyond [ConnectionAge], or after a request has failed. Make one with [NewTransport].
type Transport struct {
	// Base is what connections are made with. It may be changed before the first request.
	Base *http.Transport

	mu              sync.Mutex
	current, before *http.Transport
	since           time.Time
}

// NewTransport returns a transport that trusts roots; nil: the system's. It goes by the proxy of the environment.
func NewTransport(roots *x509.CertPool) *Transport {
	return &Transport{Base: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: Connect}).DialContext,
		TLSHandshakeTimeout:    Connect,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: Ping, PingTimeout: PingAnswer},
		MaxResponseHeaderBytes: maxHeaderBytes,
		IdleConnTimeout:        Idle,
	}}
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	used := t.young()
	response, err := used.RoundTrip(request)
	if err != nil && !errors.Is(request.Context().Err(), context.Canceled) { // a caller who leaves says nothing about it
		t.retire(used)
	}
	return response, err
}

// young is what new requests are made with. Those under way end where they began.
func (t *Transport) young() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now() //nolint:forbidigo // the age of a connection is no matter of anybody's clock
	if t.current == nil || now.Sub(t.since) >= ConnectionAge {
		t.replace()
		t.current, t.since = t.Base.Clone(), now
	}
	return t.current
}

// retire makes the next request begin with a new connection.
func (t *Transport) retire(used *http.Transport) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == used {
		t.replace()
	}
}

func (t *Transport) replace() {
	for _, old := range []*http.Transport{t.before, t.current} {
		if old != nil {
			old.CloseIdleConnections()
		}
	}
	t.before, t.current = t.current, nil
}

// CloseIdleConnections gives back connections that nobody uses. Those in use follow within [Idle] of their last request.
func (t *Transport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replace()
	if t.before != nil {
		t.before.CloseIdleConnections()
	}
}
