// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

func TestSealSessionRoundTrip(t *testing.T) {
	t.Parallel()
	sealer := newRing(t, 1).Sealer(session.PurposeSession)
	value := sealer.SealSession(sampleSession(), "ad")
	got, err := sealer.OpenSession(value, "ad")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleSession(), got, whole); diff != "" {
		t.Errorf("OpenSession() differs (-want +got):\n%s", diff)
	}
}

// A cookie that was copied while its session lived must be worth nothing afterwards. Max-Age is only a wish: the end is sealed
// in, and we look at it (TM-023). Putting the clock back must not lengthen it (TM-136).
func TestSessionEndsWhenSealed(t *testing.T) {
	t.Parallel()
	s := &session.Session{Created: day, Seen: day.Add(time.Hour), Expires: day.Add(8 * time.Hour)}
	tests := []struct {
		name string
		now  time.Time
		idle time.Duration
		want bool
	}{
		{"at once", day.Add(time.Hour), time.Hour, true},
		{"last moment", day.Add(8*time.Hour - 1), 0, true},
		{"end", day.Add(8 * time.Hour), 0, false},
		{"long after", day.AddDate(10, 0, 0), 0, false},
		{"last idle moment", day.Add(2*time.Hour - 1), time.Hour, true},
		{"idle too long", day.Add(2 * time.Hour), time.Hour, false},
		{"may idle", day.Add(7 * time.Hour), 0, true},
		{"other node's clock ahead", day.Add(time.Hour - time.Minute), time.Hour, true},
		{"clock put back", day.Add(time.Hour - time.Minute - 1), time.Hour, false},
		{"clock put back before the beginning", day.Add(-time.Hour), 0, false},
		{"absurd", time.Time{}, 0, false},
	}
	for _, tt := range tests {
		if got := s.Live(tt.now, tt.idle); got != tt.want {
			t.Errorf("%s: Live() = %t, want %t", tt.name, got, tt.want)
		}
	}
	if (&session.Session{}).Live(day, 0) {
		t.Error("a zero session is live")
	}
	// Created alone in the future.
	future := &session.Session{Created: day.Add(time.Hour), Seen: day, Expires: day.Add(2 * time.Hour)}
	if future.Live(day, 0) {
		t.Error("a session from the future is live")
	}
}

// What is no cookie of ours means no session, quietly (TM-028).
func TestForeignCookieIsNoSession(t *testing.T) {
	t.Parallel()
	sealer := newRing(t, 1).Sealer(session.PurposeSession)
	tests := []struct {
		name, value string
		want        error
	}{
		{"empty", "", session.ErrNotOpened},
		{"text", "hello", session.ErrNotOpened},
		{"quoted", `"` + sealer.SealSession(sampleSession(), "ad") + `"`, session.ErrNotOpened},
		{"huge", strings.Repeat("A", 1<<20), session.ErrNotOpened},
		{"genuine but larger than a cookie", sealer.Seal(make([]byte, session.MaxCookie), "ad"), session.ErrNotOpened},
		{"sealed, but no session", sealer.Seal([]byte("page token"), "ad"), session.ErrMalformed},
		{"sealed nothing", sealer.Seal(nil, "ad"), session.ErrMalformed},
	}
	for _, tt := range tests {
		if s, err := sealer.OpenSession(tt.value, "ad"); !errors.Is(err, tt.want) || s != nil {
			t.Errorf("%s: OpenSession() = %v, %v, want %v", tt.name, s, err, tt.want)
		}
	}
}
