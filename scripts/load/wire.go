// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// patience bounds every request. What takes longer counts as lost.
const patience = 30 * time.Second

// wire sends requests over HTTP/1.1 connections that it keeps. It costs a fraction of what [http.Client] does, which
// matters where client and server share the cores. It is safe for concurrent use.
type wire struct {
	address string
	tls     *tls.Config // nil: plain HTTP
	// slots bounds the connections at one time; further requests wait for one. Nil: no bound.
	slots chan struct{}

	mu     sync.Mutex
	idle   []*connection
	repeat atomic.Int64 // requests repeated on a fresh connection
}

// browserConnections is how many connections a browser opens to one site over HTTP/1.1.
const browserConnections = 6

// connection is one connection; nobody but its user reads it.
type connection struct {
	net.Conn
	reader *bufio.Reader
}

// reply is an answer, read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// dials counts connections, to spread them over source addresses: one has less than 30,000 ports.
var dials atomic.Int64

// dial opens a connection from one of several loopback addresses.
func (w *wire) dial(ctx context.Context) (*connection, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+dials.Add(1)%16))}, Timeout: patience}
	raw, err := dialer.DialContext(ctx, "tcp4", w.address)
	if err != nil {
		return nil, err
	}
	if w.tls != nil {
		secure := tls.Client(raw, w.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = raw.Close()
			return nil, err
		}
		raw = secure
	}
	return &connection{Conn: raw, reader: bufio.NewReaderSize(raw, 4<<10)}, nil
}

// do sends a request and reads its answer. As browsers do, it repeats a GET once on a fresh connection if a kept one turns out
// to be closed.
func (w *wire) do(ctx context.Context, request []byte) (reply, error) {
	if w.slots != nil {
		w.slots <- struct{}{}
		defer func() { <-w.slots }()
	}
	c, kept, err := w.take(ctx)
	if err != nil {
		return reply{}, err
	}
	answer, reusable, err := c.exchange(patience, request)
	if err != nil && kept && strings.HasPrefix(string(request[:4]), "GET ") {
		_ = c.Close()
		w.repeat.Add(1)
		if c, err = w.dial(ctx); err != nil {
			return reply{}, err
		}
		answer, reusable, err = c.exchange(patience, request)
	}
	if err != nil || !reusable {
		_ = c.Close()
		return answer, err
	}
	w.mu.Lock()
	w.idle = append(w.idle, c)
	w.mu.Unlock()
	return answer, nil
}

func (w *wire) take(ctx context.Context) (c *connection, kept bool, err error) {
	w.mu.Lock()
	if n := len(w.idle); n > 0 {
		c = w.idle[n-1]
		w.idle = w.idle[:n-1]
		w.mu.Unlock()
		return c, true, nil
	}
	w.mu.Unlock()
	c, err = w.dial(ctx)
	return c, false, err
}

// close ends the kept connections.
func (w *wire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.idle {
		_ = c.Close()
	}
	w.idle = nil
}

// once sends the pieces of a request over a connection of its own.
func (w *wire) once(ctx context.Context, pieces ...[]byte) (reply, error) {
	c, err := w.dial(ctx)
	if err != nil {
		return reply{}, err
	}
	defer c.Close()
	answer, _, err := c.exchange(patience, pieces...)
	return answer, err
}

// getRequest lets [http.ReadResponse] know that an answer has a body.
var getRequest = &http.Request{Method: http.MethodGet}

// exchange sends the pieces of a request and reads the answer.
func (c *connection) exchange(patience time.Duration, pieces ...[]byte) (answer reply, reusable bool, err error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return reply{}, false, err
	}
	for _, piece := range pieces {
		if _, err := c.Write(piece); err != nil {
			return reply{}, false, err
		}
	}
	response, err := http.ReadResponse(c.reader, getRequest)
	if err != nil {
		return reply{}, false, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, false, err
	}
	return reply{status: response.StatusCode, header: response.Header, body: body}, !response.Close, nil
}

// request writes a request. Headers are whole lines; a body has its length and type said.
func request(method, host, path, body string, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (load)\r\n", method, path, host)
	for _, line := range headers {
		b.WriteString(line)
		b.WriteString("\r\n")
	}
	if method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.WriteString(body)
	return []byte(b.String())
}

// failure says in one word how a request got no answer.
func failure(err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(err.Error(), "reset"), strings.Contains(err.Error(), "broken pipe"):
		return "connection broken"
	case strings.Contains(err.Error(), "refused"):
		return "connection refused"
	case errors.Is(err, context.Canceled):
		return "broken off"
	}
	return "failed: " + strings.ReplaceAll(err.Error(), "|", "/")
}
