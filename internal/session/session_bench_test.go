// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// BenchmarkSessionRequest is what the gate pays for the session on every request: find the cookie, open it, decode it, look at
// the time. The cookie has 1 KiB. The figure to guard: 2 µs, 6 allocations.
func BenchmarkSessionRequest(b *testing.B) {
	sealer, value, ad := benchCookie(b)
	h := http.Header{"Cookie": {"theme=dark; __Host-vid=" + value + "; _ga=GA1.2.1234567890.1234567890"}}
	now := day.Add(20 * time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		text, ok := session.FindCookie(h, "__Host-vid")
		if !ok {
			b.Fatal("no cookie")
		}
		s, err := sealer.OpenSession(text, ad)
		if err != nil || !s.Live(now, time.Hour) {
			b.Fatal("no session")
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	sealer, value, ad := benchCookie(b)
	b.SetBytes(int64(len(value)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealer.Open(value, ad); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpenForged is what a stranger can make us spend.
func BenchmarkOpenForged(b *testing.B) {
	sealer, value, ad := benchCookie(b)
	forged := value[:len(value)-4] + "AAAA"
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealer.Open(forged, ad); err == nil {
			b.Fatal("opened")
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	sealer, value, ad := benchCookie(b)
	plain, err := sealer.Open(value, ad)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		sealer.Seal(plain, ad)
	}
}

func BenchmarkDecode(b *testing.B) {
	sealer, value, ad := benchCookie(b)
	plain, err := sealer.Open(value, ad)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := session.Decode(plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendBinary(b *testing.B) {
	s := sampleSession()
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = s.AppendBinary(buf[:0])
	}
}

func BenchmarkStripCookies(b *testing.B) {
	_, value, _ := benchCookie(b)
	line := "theme=dark; __Host-vid=" + value + "; _ga=GA1.2.1234567890.1234567890"
	ours := func(name string) bool { return name == "__Host-vid" }
	b.ReportAllocs()
	for b.Loop() {
		h := http.Header{"Cookie": {line}}
		session.StripCookies(h, ours)
	}
}

// benchCookie returns a sealed session of 1 KiB.
func benchCookie(b *testing.B) (sealer *session.Sealer, value, ad string) {
	b.Helper()
	ring, err := session.NewKeyRing(testKey(1), testKey(2))
	if err != nil {
		b.Fatal(err)
	}
	sealer, ad = ring.Sealer(session.PurposeSession), session.AD("__Host-vid", "app.example")
	s := sampleSession()
	claim := &s.Presentations[0].Claims[0]
	for len(value) < 1024 {
		claim.Value += strings.Repeat("x", 1)
		value = sealer.Seal(s.AppendBinary(nil), ad)
	}
	b.Logf("cookie of %d bytes", len(value))
	return sealer, value, ad
}
