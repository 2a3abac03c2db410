// SPDX-License-Identifier: Apache-2.0

//go:build !race

package session_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// The figures that every request with a session pays. The race detector makes pools forget, so they are not counted with it.
func TestSessionRequestAllocates(t *testing.T) {
	sealer := newRing(t, 1).Sealer(session.PurposeSession)
	value := sealer.SealSession(sampleSession(), "ad")
	h := http.Header{"Cookie": {"theme=dark; __Host-vid=" + value + "; a=b"}}
	others := http.Header{"Cookie": {"theme=dark; a=b"}}
	ours := func(name string) bool { return name == "__Host-vid" }
	plain := sampleSession().AppendBinary(nil)
	buf := make([]byte, 0, 4096)
	tests := []struct {
		name string
		want float64
		do   func()
	}{
		{"FindCookie", 0, func() { session.FindCookie(h, "__Host-vid") }},
		{"StripCookies with nothing of ours", 0, func() { session.StripCookies(others, ours) }},
		{"Open", 1, func() { _, _ = sealer.Open(value, "ad") }},
		{"Decode", 4, func() { _, _ = session.Decode(plain) }},
		{"AppendBinary", 0, func() { buf = sampleSessionOnce.AppendBinary(buf[:0]) }},
		{"find, open, decode, check", 4, func() {
			text, _ := session.FindCookie(h, "__Host-vid")
			if s, err := sealer.OpenSession(text, "ad"); err != nil || !s.Live(day.Add(time.Hour), 0) {
				t.Fatal("no session")
			}
		}},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(200, tt.do); got > tt.want {
			t.Errorf("%s allocates %v times, want at most %v", tt.name, got, tt.want)
		}
	}
}

var sampleSessionOnce = sampleSession()
