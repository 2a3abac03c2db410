// SPDX-License-Identifier: Apache-2.0

//go:build !race

package claimheader_test

import (
	"net/http"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

// Every request pays for these, so ordinary ones pay nothing to the garbage collector. The race detector allocates by itself.
func TestOrdinaryRequestAllocatesNothing(t *testing.T) {
	strip := claimheader.NewStrip([]string{"X-Verified-Id-"}, []string{"X-Employee-Name"})
	r := &http.Request{Header: typicalHeaders()}
	websocket := &http.Request{Header: http.Header{"Connection": {"keep-alive, Upgrade"}, "Upgrade": {"websocket"}, "Te": {"trailers"}}}
	dst := make([]byte, 0, 64)
	for name, do := range map[string]func(){
		"Strip.From":            func() { strip.From(r.Header) },
		"HopByHop":              func() { claimheader.HopByHop(r) },
		"HopByHop of WebSocket": func() { claimheader.HopByHop(websocket) },
		"Encode":                func() { claimheader.Encode("Megan Bowen") },
		"FoldAppend":            func() { dst = claimheader.FoldAppend(dst[:0], "X-Verified-Id-Subject") },
	} {
		if got := testing.AllocsPerRun(100, do); got != 0 {
			t.Errorf("%s allocates %v times, want 0", name, got)
		}
	}
}
