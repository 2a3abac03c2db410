// SPDX-License-Identifier: Apache-2.0

package entra_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
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
