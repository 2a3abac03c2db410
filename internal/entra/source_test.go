// SPDX-License-Identifier: Apache-2.0

package entra_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"go.uber.org/goleak"

	"github.com/caddy-verified-id/caddy-verified-id/internal/entra"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

var _ verifier.TokenSource = (*entra.Source)(nil)

// endpoint is a fetch function that counts and takes a second.
type endpoint struct {
	mu      sync.Mutex
	calls   int
	life    time.Duration
	refresh time.Duration
	err     error
	same    bool // always the same token
}

func (e *endpoint) fetch(ctx context.Context) (azcore.AccessToken, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return azcore.AccessToken{}, ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	token := azcore.AccessToken{Token: fmt.Sprint("token ", e.calls), ExpiresOn: time.Now().Add(e.life)}
	if e.same {
		token.Token = "token"
	}
	if e.refresh != 0 {
		token.RefreshOn = time.Now().Add(e.refresh)
	}
	return token, e.err
}

func (e *endpoint) set(change func(e *endpoint)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.calls
}

// inVirtualTime runs a test in a bubble whose clock jumps ahead when all wait.
func inVirtualTime(t *testing.T, test func(t *testing.T, e *endpoint, s *entra.Source)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := &endpoint{life: time.Hour}
		s := entra.NewTestSource(e.fetch, nil, nil)
		defer s.Close()
		test(t, e, s)
	})
}

// pass lets time pass in a bubble.
func pass(d time.Duration) { <-time.After(d) }

func wantToken(t *testing.T, s *entra.Source, rejected, want string) {
	t.Helper()
	if got, err := s.Token(t.Context(), rejected); got != want || err != nil {
		t.Errorf("Token(%q) = %q, %v, want %q", rejected, got, err, want)
	}
}

// A thousand visitors come at once, before there is a token, and after the service has refused it: one request each time.
// TM-127.
func TestStampede(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
		stampede := func(rejected, want string) {
			t.Helper()
			var group sync.WaitGroup
			for range 1000 {
				group.Go(func() { wantToken(t, s, rejected, want) })
			}
			group.Wait()
		}
		stampede("", "token 1")
		stampede("", "token 1")
		stampede("token 1", "token 2")
		stampede("token 1", "token 2") // late news of the old token
		if e.count() != 2 {
			t.Errorf("%d requests, want 2", e.count())
		}
	})
}

// A token that is about to end is renewed while it still serves: nobody waits. TM-127.
func TestRenewalInTheBackground(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
		wantToken(t, s, "", "token 1")
		pass(55*time.Minute - time.Second)
		wantToken(t, s, "", "token 1")
		synctest.Wait()
		if e.count() != 1 {
			t.Fatalf("renewed early, %d requests", e.count())
		}
		pass(time.Second)
		begin := time.Now()
		for range 10 {
			wantToken(t, s, "", "token 1")
		}
		if time.Since(begin) != 0 {
			t.Errorf("callers waited for %v", time.Since(begin))
		}
		pass(2 * time.Second)
		wantToken(t, s, "", "token 2")
		if e.count() != 2 {
			t.Errorf("%d requests, want 2", e.count())
		}
	})
}

// Entra may ask for an earlier renewal, and tokens may live shortly: in tests, or by policy.
func TestWhenToRenew(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ life, refresh, renewed time.Duration }{
		"as usual":                  {time.Hour, 0, 55 * time.Minute},
		"asked to":                  {time.Hour, 30 * time.Minute, 30 * time.Minute},
		"asked to, later":           {time.Hour, 59 * time.Minute, 55 * time.Minute},
		"asked to, before":          {time.Hour, -time.Minute, 55 * time.Minute},
		"short life":                {4 * time.Minute, 0, 3 * time.Minute},
		"absurdly long life":        {1e6 * time.Hour, 0, 24*time.Hour - 5*time.Minute},
		"as long as can be counted": {1<<63 - 1, 0, 24*time.Hour - 5*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
				e.life, e.refresh = test.life, test.refresh
				wantToken(t, s, "", "token 1")
				pass(test.renewed - time.Second)
				wantToken(t, s, "", "token 1")
				pass(2 * time.Second)
				wantToken(t, s, "", "token 1")
				pass(2 * time.Second)
				wantToken(t, s, "", "token 2")
			})
		})
	}
}

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

// The service refuses the token although it has not ended: it is not used any more, even if Entra is down then. TM-127.
func TestRejectedTokenIsNotReturnedAgain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
		wantToken(t, s, "", "token 1")
		e.set(func(e *endpoint) { e.err = errors.New("down") })
		if token, err := s.Token(t.Context(), "token 1"); err == nil {
			t.Errorf("Token = %q", token)
		}
		if token, err := s.Token(t.Context(), ""); err == nil {
			t.Errorf("Token = %q", token)
		}
		e.set(func(e *endpoint) { e.err = nil })
		pass(time.Second)
		wantToken(t, s, "token 1", "token 3")
	})
}

// A managed identity's machine caches tokens and cannot be told to forget one. Then there is none, rather than the same.
func TestRejectedTokenComesAgain(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
		e.same = true
		wantToken(t, s, "", "token")
		if token, err := s.Token(t.Context(), "token"); err == nil {
			t.Errorf("Token = %q", token)
		}
	})
}

// The first visitor leaves; the others still get what he began.
func TestFetchOutlivesItsCaller(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Token(ctx, ""); !errors.Is(err, context.Canceled) {
			t.Errorf("Token = %v", err)
		}
		wantToken(t, s, "", "token 1")
		if e.count() != 1 {
			t.Errorf("%d requests", e.count())
		}
	})
}

func TestTokenWithoutLife(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, e *endpoint, s *entra.Source) {
		for _, life := range []time.Duration{0, -time.Hour} {
			e.set(func(e *endpoint) { e.life = life })
			if token, err := s.Token(t.Context(), ""); err == nil {
				t.Errorf("a token with a life of %v: %q", life, token)
			}
			pass(time.Minute)
		}
	})
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

func TestCloseLeavesNothing(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	started := make(chan struct{})
	s := entra.NewTestSource(func(ctx context.Context) (azcore.AccessToken, error) {
		close(started)
		<-ctx.Done()
		return azcore.AccessToken{}, ctx.Err()
	}, nil, nil)
	result := make(chan error)
	go func() {
		_, err := s.Token(t.Context(), "")
		result <- err
	}()
	<-started
	s.Close()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Token of a closed source: %v", err)
	}
	goleak.VerifyNone(t, ignore)
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

func TestJitterSpreads(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 100 {
		d := entra.Jitter(time.Minute)
		if d < 0 || d >= time.Minute {
			t.Errorf("Jitter = %v", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d different values of 100", len(seen))
	}
}

func BenchmarkToken(b *testing.B) {
	s := entra.NewTestSource(func(context.Context) (azcore.AccessToken, error) {
		return azcore.AccessToken{Token: "token", ExpiresOn: time.Now().Add(time.Hour)}, nil
	}, nil, nil)
	defer s.Close()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Token(b.Context(), ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}
