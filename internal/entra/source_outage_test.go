// SPDX-License-Identifier: Apache-2.0

package entra_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/entra"
)

// X9: Entra is down for longer than the token lives: it serves to its end, then there is one request every five seconds at most,
// and one on recovery, however many come.
func TestOutage(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
		wantToken(t, s, "", "token 1")
		down := errors.New("down")
		e.set(func(e *endpoint) { e.err = down })
		for range 59 {
			pass(time.Minute)
			wantToken(t, s, "", "token 1")
		}
		synctest.Wait()
		pass(time.Second)
		if n := e.count(); n < 3 || n > 11 {
			t.Errorf("%d requests while the token served", n)
		}
		pass(time.Minute)
		before := e.count()
		for range 100 {
			var group sync.WaitGroup
			for range 10 {
				group.Go(func() {
					if _, err := s.Token(t.Context(), ""); !errors.Is(err, down) {
						t.Errorf("Token: %v, want %v", err, down)
					}
				})
			}
			group.Wait()
			pass(100 * time.Millisecond)
		}
		if n := e.count() - before; n > 4 {
			t.Errorf("%d requests in 12 s of outage", n)
		}

		e.set(func(e *endpoint) { e.err = nil })
		pass(5 * time.Second)
		before = e.count()
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				if _, err := s.Token(t.Context(), ""); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := e.count() - before; n != 1 {
			t.Errorf("%d requests on recovery, want 1", n)
		}
	})
}

// X9: the token endpoint hangs. In the beginning visitors wait for it as long as they can; once it is known to be down they hear
// the same after two seconds, or at once. When it is back, one call brings the token.
func TestEntraThatHangsIsNotWaitedFor(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, _ *endpoint, _ *entra.Source) {
		var hangs atomic.Bool
		hangs.Store(true)
		var calls atomic.Int64
		down := errors.New("down")
		s := entra.NewTestSource(func(context.Context) (azcore.AccessToken, error) {
			calls.Add(1)
			if hangs.Load() {
				pass(15 * time.Second)
				return azcore.AccessToken{}, down
			}
			return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
		}, nil, nil)
		defer s.Close()
		for range 3 {
			if _, err := s.Token(t.Context(), ""); !errors.Is(err, down) {
				t.Fatal(err)
			}
			pass(5 * time.Second)
		}
		for range 100 {
			begin := time.Now()
			if _, err := s.Token(t.Context(), ""); !errors.Is(err, down) || time.Since(begin) > 2*time.Second {
				t.Fatalf("%v after %v", err, time.Since(begin))
			}
			pass(100 * time.Millisecond)
		}
		pass(20 * time.Second)
		hangs.Store(false)
		known := calls.Load()
		wantToken(t, s, "", "token")
		if n := calls.Load() - known; n != 1 {
			t.Errorf("%d requests on recovery, want 1", n)
		}
	})
}

// Entra asks for a pause. Nobody calls before it is over. A minute is the longest that is believed.
func TestEntraAsksForAPause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ asked, pause time.Duration }{
		"20 s": {20 * time.Second, 20 * time.Second}, "a day": {24 * time.Hour, time.Minute}, "none": {0, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
				e.err = &entra.Error{Status: 429, RetryAfter: test.asked}
				if _, err := s.Token(t.Context(), ""); err == nil {
					t.Fatal("a token")
				}
				e.set(func(e *endpoint) { e.err = nil })
				pass(test.pause - time.Millisecond)
				if _, err := s.Token(t.Context(), ""); err == nil || e.count() != 1 {
					t.Errorf("%v after %d requests", err, e.count())
				}
				pass(time.Millisecond)
				wantToken(t, s, "", "token 2")
			})
		})
	}
}

// The clock is set back: the pause after a failure must not grow to an hour. TM-136.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var offset time.Duration
		e := &endpoint{life: 3 * time.Hour, err: errors.New("down")}
		s := entra.NewTestSource(e.fetch, func() time.Time { return time.Now().Add(offset) }, nil)
		defer s.Close()
		if _, err := s.Token(t.Context(), ""); err == nil {
			t.Fatal("no error")
		}
		e.set(func(e *endpoint) { e.err = nil })
		offset = -time.Hour
		wantToken(t, s, "", "token 2")
	})
}

// The operator hears of it before visitors do, and no log holds a token. TM-141.
func TestFailedRenewalIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		e := &endpoint{life: time.Hour}
		s := entra.NewTestSource(e.fetch, nil, slog.New(slog.NewTextHandler(&log, nil)))
		defer s.Close()
		wantToken(t, s, "", "token 1")
		e.set(func(e *endpoint) { e.err = errors.New("secret has expired") })
		pass(56 * time.Minute)
		wantToken(t, s, "", "token 1")
		pass(time.Minute)
		synctest.Wait()
		if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "secret has expired") || strings.Contains(text, "token 1") {
			t.Errorf("logged: %s", text)
		}
	})
}
