// SPDX-License-Identifier: Apache-2.0

package claimheader_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

// gate stands for the real one: it takes the client's headers away and writes its own, or, if off, only writes.
func gate(off bool, next http.Handler) http.Handler {
	strip := claimheader.NewStrip([]string{"X-Verified-Id-"}, nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A copy, as every server with middleware makes it.
		r = r.WithContext(r.Context())
		if !off {
			claimheader.HopByHop(r)
			strip.From(r.Header)
		}
		r.Header.Set("X-Verified-Id-Subject", "genuine")
		next.ServeHTTP(w, r)
	})
}

// proxied starts an app and a reverse proxy with the gate before it, and returns the proxy.
func proxied(t *testing.T, off bool, app http.Handler) *httptest.Server {
	t.Helper()
	backend := httptest.NewServer(app)
	t.Cleanup(backend.Close)
	target, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(gate(off, &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}))
	t.Cleanup(proxy.Close)
	return proxy
}

// raw sends bytes as they are and returns the response to them.
func raw(t *testing.T, server *httptest.Server, request string) (status int, body string) {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, strings.ReplaceAll(request, "\n", "\r\n")); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp.StatusCode, resp.Header.Get("X-Seen")
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// The whole attack, through a proxy that follows the rules: without HopByHop the app sees no subject, with it the genuine one (F1).
func TestConnectionHeaderCannotDeleteClaimsBehindProxy(t *testing.T) {
	t.Parallel()
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := "other"
		switch values := r.Header["X-Verified-Id-Subject"]; {
		case len(values) == 0:
			seen = "none"
		case slices.Equal(values, []string{"genuine"}):
			seen = "genuine"
		}
		_, _ = io.WriteString(w, seen)
	})
	const attack = "GET / HTTP/1.1\nHost: a\nX-Verified-Id-Subject: forged\nConnection: close, x-verified-id-subject\n\n"
	if _, got := raw(t, proxied(t, true, app), attack); got != "none" {
		t.Errorf("without the gate's care the app sees %s; the attack no longer shows anything", got)
	}
	if _, got := raw(t, proxied(t, false, app), attack); got != "genuine" {
		t.Errorf("the app sees %s, want the genuine subject", got)
	}
}

// WebSocket goes on working, with the claims, whatever else the client writes beside it (TM-004, TM-112).
func TestWebSocketKeepsItsClaims(t *testing.T) {
	t.Parallel()
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" {
			http.Error(w, "no upgrade", http.StatusBadRequest)
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("X-Seen", fmt.Sprintf("%q", r.Header["X-Verified-Id-Subject"]))
		w.WriteHeader(http.StatusSwitchingProtocols)
	})
	proxy := proxied(t, false, app)
	for _, lines := range []string{
		"Connection: Upgrade\nUpgrade: websocket\n",
		"Connection: keep-alive, Upgrade, X-Verified-Id-Subject\nUpgrade: websocket\n",
		"Connection: X-Verified-Id-Subject\nConnection: upgrade\nUpgrade: websocket\n",
	} {
		status, seen := raw(t, proxy, "GET / HTTP/1.1\nHost: a\n"+lines+"\n")
		if status != http.StatusSwitchingProtocols || seen != `["genuine"]` {
			t.Errorf("%q: status %d, the app sees %s, want 101 and the genuine subject", lines, status, seen)
		}
	}
}

// h2c smuggling, whole: an app that speaks h2c would take over the connection.
func TestH2CIsNotOfferedToTheApp(t *testing.T) {
	t.Parallel()
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "h2c") {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "h2c")
			w.WriteHeader(http.StatusSwitchingProtocols)
		}
	})
	const attack = "GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk\n\n"
	if status, _ := raw(t, proxied(t, true, app), attack); status != http.StatusSwitchingProtocols {
		t.Errorf("without the gate's care: status %d; the attack no longer shows anything", status)
	}
	// The body ends with the connection.
	if status, _ := raw(t, proxied(t, false, app), strings.Replace(attack, "Connection: ", "Connection: close, ", 1)); status != http.StatusOK {
		t.Errorf("status %d, want 200", status)
	}
}

// Trailers come after everything has been checked. One harmless announced one lets an unannounced X-Verified-Id-Role in (F5, TM-005).
func TestTrailerCannotAddClaims(t *testing.T) {
	t.Parallel()
	// Reads to the end and then looks, as a proxy that forwards trailers does.
	seen := make(chan http.Header, 1)
	forward := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		trailers := r.Trailer.Clone()
		for _, name := range r.Header["Trailer"] {
			trailers.Add("Trailer", name)
		}
		seen <- trailers
	})
	const attack = "POST / HTTP/1.1\nHost: a\nConnection: close\nTransfer-Encoding: chunked\nTrailer: X-Harmless\n\n" +
		"1\nx\n0\nX-Harmless: a\nX-Verified-Id-Role: admin\n\n"
	for _, off := range []bool{true, false} {
		server := httptest.NewServer(gate(off, forward))
		t.Cleanup(server.Close)
		raw(t, server, attack)
		got := <-seen
		if off && got.Get("X-Verified-Id-Role") != "admin" {
			t.Errorf("without the gate's care: trailers %v; the attack no longer shows anything", got)
		}
		if !off && len(got) != 0 {
			t.Errorf("HTTP/1.1: trailers %v, want none", got)
		}
	}

	server := httptest.NewUnstartedServer(gate(false, forward))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, io.NopCloser(bytes.NewReader([]byte("x"))))
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-Harmless": {"a"}, "X-Verified-Id-Role": {"admin"}}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	if resp.ProtoMajor != 2 {
		t.Errorf("HTTP/%d, want 2", resp.ProtoMajor)
	}
	if got := <-seen; len(got) != 0 {
		t.Errorf("HTTP/2: trailers %v, want none", got)
	}
}
