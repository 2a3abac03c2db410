// SPDX-License-Identifier: Apache-2.0

package claimheader_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

// Connection names headers that the next proxy must delete, so a client can name the one that the gate sets, or Cookie. Filters that
// looked at one line, or at one spelling, were CVE-2024-45410 and CVE-2026-29054 (TM-004, TM-005).
func TestConnectionHeaderCannotDeleteClaims(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		give, want http.Header
	}{
		{"nothing", http.Header{"A": {"b"}}, http.Header{"A": {"b"}}},
		{"no header at all", nil, nil},
		{"keep-alive", connection("keep-alive"), connection("keep-alive")},
		{"close", connection("close"), connection("close")},
		{"both", connection("close, Keep-Alive"), connection("close, Keep-Alive")},
		{"claim header", connection("close, x-verified-id-subject"), connection("close")},
		{"claim header alone", connection("X-Verified-Id-Subject"), nil},
		{"claim header first", connection("X-Verified-Id-Subject, close"), connection("close")},
		{"cookie", connection("cookie, keep-alive"), connection("keep-alive")},
		{"two lines", connection("close", "X-Verified-Id-Subject"), connection("close")},
		{"two lines, the other order", connection("X-Verified-Id-Subject", "keep-alive, X"), connection("keep-alive")},
		{"two good lines", connection("close", "keep-alive"), connection("close, keep-alive")},
		{"tabs", connection("close\t,\tX-Verified-Id-Subject\t"), connection("close")},
		{"tabs alone", connection("\t,\t"), nil},
		{"mixed case", connection("cLoSe, x-VERIFIED-id-Subject"), connection("close")},
		{"blank names", connection(",,close,,"), connection("close")},
		{"empty", connection(""), nil},
		{"name with close in it", connection("close-claims, xclose, close;q=1, \"close\""), nil},
		{"other white space", connection("close,\u00a0close\u2003,\vclose"), connection("close")},
		{"semicolons", connection("close; X-Verified-Id-Subject"), nil},
		{"te", connection("TE, close"), connection("close")},
		{"many", connection("close,close, keep-alive, close, X, close"), connection("close, keep-alive")},

		{
			"other names of the same",
			http.Header{"Keep-Alive": {"timeout=5"}, "Proxy-Connection": {"X-Verified-Id-Subject"}, "A": {"b"}},
			http.Header{"A": {"b"}},
		},
		{"announced trailers", http.Header{"Trailer": {"X-Harmless", "X-Verified-Id-Role"}}, nil},

		{"websocket", upgrade("websocket", "Upgrade"), upgrade("websocket", "Upgrade")},
		{"websocket as Firefox asks", upgrade("websocket", "keep-alive, Upgrade"), upgrade("websocket", "keep-alive, Upgrade")},
		{"websocket in lower case", upgrade("WebSocket", "upgrade"), upgrade("WebSocket", "upgrade")},
		{"websocket and a claim header", upgrade("websocket", "Upgrade, X-Verified-Id-Subject"), upgrade("websocket", "Upgrade")},
		{"websocket in two lines", upgrade("websocket", "X-Verified-Id-Subject", "keep-alive, uPgrade"), upgrade("websocket", "keep-alive, Upgrade")},
		{"websocket and close", upgrade("websocket", "X, upgrade, close"), upgrade("websocket", "close, Upgrade")},
		{"another protocol", upgrade("SPDY/3.1", "Upgrade"), upgrade("SPDY/3.1", "Upgrade")},
		{"upgrade to nothing", connection("Upgrade, close"), connection("close")},

		{"te trailers", http.Header{"Te": {"trailers"}}, http.Header{"Te": {"trailers"}}},
		{"te with codings", http.Header{"Te": {"gzip;q=0.5, Trailers"}}, http.Header{"Te": {"trailers"}}},
		{"te in two lines", http.Header{"Te": {"gzip", "trailers"}}, http.Header{"Te": {"trailers"}}},
		{"te chunked", http.Header{"Te": {"chunked"}}, nil},
		{"te empty", http.Header{"Te": {""}}, nil},
	}
	for _, tt := range tests {
		r := &http.Request{Header: tt.give.Clone(), Trailer: http.Header{"X-Harmless": nil}}
		claimheader.HopByHop(r)
		if !maps.EqualFunc(r.Header, tt.want, slices.Equal) {
			t.Errorf("%s: HopByHop(%v) left %v, want %v", tt.name, tt.give, r.Header, tt.want)
		}
		if r.Trailer != nil {
			t.Errorf("%s: HopByHop left trailers %v", tt.name, r.Trailer)
		}
	}
}

// After "101 Switching Protocols" to HTTP/2 the proxy passes bytes on unread. The client then talks to the app past the gate, in
// requests with all the claim headers it likes: h2c smuggling (TM-112, TM-116).
func TestUpgradeToAnotherHTTPIsRefused(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{
		"h2c", "H2C", " h2c", "h2c ", "\th2c\t", "h2c/2", "h2", "h3", "HTTP/2.0", "http/1.1", "HTTP", "TLS/1.0", "tls/1.2, HTTP/1.1",
		"websocket, h2c", "h2c, websocket", "", "/", ",", "websocket,",
	} {
		h := upgrade(protocol, "Upgrade, HTTP2-Settings")
		h["Http2-Settings"] = []string{"AAMAAABkAARAAAAAAAIAAAAA"}
		claimheader.HopByHop(&http.Request{Header: h})
		if len(h) != 0 {
			t.Errorf("Upgrade: %q: HopByHop left %v, want nothing", protocol, h)
		}
	}
	h := http.Header{"Upgrade": {"websocket", "h2c"}, "Connection": {"Upgrade, keep-alive"}}
	claimheader.HopByHop(&http.Request{Header: h})
	if want := connection("keep-alive"); !maps.EqualFunc(h, want, slices.Equal) {
		t.Errorf("two lines of Upgrade: HopByHop left %v, want %v", h, want)
	}
}

func connection(lines ...string) http.Header {
	return http.Header{"Connection": lines}
}

func upgrade(protocol string, lines ...string) http.Header {
	return http.Header{"Connection": lines, "Upgrade": {protocol}}
}
