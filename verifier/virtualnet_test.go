// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// virtualNet leads a client to a service, both in one bubble of virtual time: minutes of an outage take no time, and a bubble
// that is left with a goroutine or an open connection fails.
type virtualNet struct {
	client *verifier.Client
	tokens *tokenSource
	open   atomic.Int64 // connections of the client

	mu     sync.Mutex
	to     *host // where the service's name leads
	failed error // instead, of resolving or connecting
	// connect is what answers in place of the host, which then hears of nothing.
	connect func(conn net.Conn)
	hosts   []*host
	wires   []*wire
}

// host is a machine that may be the service.
type host struct {
	*httptest.Server
	arriving chan net.Conn
	closed   chan struct{}
}

// inVirtualNet runs look in a bubble with a service that answers by the handler.
func inVirtualNet(t *testing.T, serve http.HandlerFunc, look func(t *testing.T, n *virtualNet)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &virtualNet{tokens: &tokenSource{}}
		n.lead(n.host(serve))
		pool := x509.NewCertPool()
		pool.AddCert(n.to.Certificate())
		client, err := verifier.NewClient(verifier.ClientConfig{ServiceURL: "https://example.com", Tokens: n.tokens, RootCAs: pool})
		if err != nil {
			t.Fatal(err)
		}
		client.SetDial(n.dial)
		n.client = client
		look(t, n)
		client.Close()
		<-time.After(30 * time.Second)
		synctest.Wait()
		if left := n.open.Load(); left != 0 {
			t.Errorf("%d connections are still open", left)
		}
		for _, host := range n.hosts {
			host.CloseClientConnections()
			host.Close()
		}
	})
}

// host starts another machine. Nobody is led to it yet.
func (n *virtualNet) host(serve http.HandlerFunc) *host {
	h := &host{arriving: make(chan net.Conn), closed: make(chan struct{})}
	h.Server = httptest.NewUnstartedServer(serve)
	h.Listener = listener{h}
	h.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	h.TLS = &tls.Config{NextProtos: []string{"h2", "http/1.1"}}
	h.StartTLS()
	n.hosts = append(n.hosts, h)
	return h
}

func (n *virtualNet) lead(to *host) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.to, n.failed = to, nil
}

// fail lets no connection come about.
func (n *virtualNet) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = err
}

// forget makes all connections there are go silent, as when a firewall has forgotten them: nothing arrives, and nobody is told.
func (n *virtualNet) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range n.wires {
		w.silent.Store(true)
	}
}

func (n *virtualNet) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	to, failed := n.to, n.failed
	n.mu.Unlock()
	if failed != nil {
		return nil, failed
	}
	here, there := net.Pipe()
	if n.connect != nil {
		go func() {
			defer there.Close()
			n.connect(there)
		}()
	} else {
		select {
		case to.arriving <- there:
		case <-to.closed:
			return nil, io.ErrClosedPipe
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	w := &wire{Conn: here, open: &n.open}
	n.open.Add(1)
	n.mu.Lock()
	n.wires = append(n.wires, w)
	n.mu.Unlock()
	return w, nil
}

func (n *virtualNet) create(ctx context.Context) error {
	_, err := n.client.CreatePresentationRequest(ctx, testRequest(), correlationVector)
	return err
}

// createdNow answers with success, by the recorded answer with the host of the test server and a code that has just begun.
func createdNow(t testing.TB) http.HandlerFunc {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(readFile(t, "presentation-response.json"), &body); err != nil {
		t.Fatal(err)
	}
	link := fmt.Sprint(body["url"])
	return func(w http.ResponseWriter, r *http.Request) {
		text, err := json.Marshal(map[string]any{
			"requestId": body["requestId"], "expiry": time.Now().Add(5 * time.Minute).Unix(),
			"url": strings.ReplaceAll(link, "verifiedid.did.msidentity.com", r.Host),
		})
		if err != nil {
			t.Error(err)
		}
		answer(http.StatusCreated, string(text))(w, r)
	}
}

// wire is the client's end of a connection.
type wire struct {
	net.Conn
	silent atomic.Bool
	closed atomic.Bool
	open   *atomic.Int64
}

func (w *wire) Write(p []byte) (int, error) {
	if w.silent.Load() {
		return len(p), nil
	}
	return w.Conn.Write(p)
}

func (w *wire) Read(p []byte) (int, error) {
	for {
		n, err := w.Conn.Read(p)
		if err != nil || !w.silent.Load() {
			return n, err
		}
	}
}

func (w *wire) Close() error {
	if !w.closed.Swap(true) {
		w.open.Add(-1)
	}
	return w.Conn.Close()
}

// listener is where a host's connections arrive.
type listener struct{ *host }

func (h listener) Accept() (net.Conn, error) {
	select {
	case conn := <-h.arriving:
		return conn, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

func (h listener) Close() error {
	select {
	case <-h.closed:
	default:
		close(h.closed)
	}
	return nil
}

func (h listener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443} }
