// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// A link is copied from a log or over a shoulder and opened a second time.
func TestKickstartReplay(t *testing.T) {
	t.Parallel()
	cfg := verifyConfig(t, idvredirect.Hardened)
	token := kickstartToken(t, idvredirect.Hardened)
	if _, err := idvredirect.Verify(t.Context(), token, cfg); err != nil {
		t.Fatal(err)
	}
	again := kickstartToken(t, idvredirect.Hardened) // same RequestId, another jti
	for _, token := range []string{token, again} {
		if claims, err := idvredirect.Verify(t.Context(), token, cfg); claims != (idvredirect.Claims{}) || !errors.Is(err, idvredirect.ErrReplayed) || !errors.Is(err, idvredirect.ErrToken) {
			t.Errorf("Verify = %+v, %v, want ErrReplayed", claims, err)
		}
	}
}

// A hundred servers get the same link in the same moment: one may begin.
func TestKickstartReplayRace(t *testing.T) {
	t.Parallel()
	cfg := verifyConfig(t, idvredirect.Hardened)
	token := kickstartToken(t, idvredirect.Hardened)
	results := make(chan error, 100)
	var group sync.WaitGroup
	for range cap(results) {
		group.Go(func() {
			_, err := idvredirect.Verify(t.Context(), token, cfg)
			results <- err
		})
	}
	group.Wait()
	close(results)
	accepted := 0
	for err := range results {
		switch {
		case err == nil:
			accepted++
		case !errors.Is(err, idvredirect.ErrReplayed):
			t.Errorf("Verify = %v, want ErrReplayed", err)
		}
	}
	if accepted != 1 {
		t.Errorf("the token was accepted %d times, want once", accepted)
	}
}

// TM-129: the store is down. A check that passes then would pass every copy of every link.
func TestOneTimeStoreDown(t *testing.T) {
	t.Parallel()
	down := errors.New("connection refused")
	for _, first := range []bool{true, false} {
		cfg := verifyConfig(t, idvredirect.Hardened)
		cfg.OneTime = storeFunc(func(context.Context, string, time.Time) (bool, error) { return first, down })
		claims, err := idvredirect.Verify(t.Context(), kickstartToken(t, idvredirect.Hardened), cfg)
		if claims != (idvredirect.Claims{}) || !errors.Is(err, idvredirect.ErrOneTimeStore) || !errors.Is(err, down) {
			t.Errorf("Verify = %+v, %v, want ErrOneTimeStore", claims, err)
		}
		if errors.Is(err, idvredirect.ErrToken) {
			t.Error("the token is blamed for the store")
		}
	}
}

// What the store is asked: the caller's context, a key for each pair of organisation and request, a mark that outlives
// the token.
func TestOneTimeStoreIsAsked(t *testing.T) {
	t.Parallel()
	type contextKey struct{}
	ctx := context.WithValue(t.Context(), contextKey{}, "ours")
	var keys []string
	cfg := verifyConfig(t, idvredirect.Minimal)
	cfg.OneTime = storeFunc(func(ctx context.Context, key string, until time.Time) (bool, error) {
		if ctx.Value(contextKey{}) != "ours" {
			t.Error("the store got another context")
		}
		if want := fixtureTime.Add(5*time.Minute + idvredirect.Skew); !until.Equal(want) {
			t.Errorf("until = %v, want %v", until, want)
		}
		keys = append(keys, key)
		return true, nil
	})
	const a, b = "aaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaa"
	cfg.OrgIDs = []string{"org", "orga"}
	for _, pair := range [][2]string{{"org", a}, {"orga", b}, {"org", b}, {"org", a}} {
		p := partner(t, idvredirect.Minimal)
		p.OrgID = pair[0]
		token, err := p.KickstartToken(signingKey(0), pair[1], testRedirectURL, fixtureTime, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := idvredirect.Verify(ctx, token, cfg); err != nil {
			t.Fatal(err)
		}
	}
	if keys[0] == keys[1] || keys[0] == keys[2] || keys[1] == keys[2] || keys[0] != keys[3] {
		t.Errorf("keys = %q, want three different ones and the first again", keys)
	}
	for _, key := range keys {
		if len(key) > 64 || strings.Contains(key, "aaaa") {
			t.Errorf("key = %q, want at most 64 characters without the request ID", key)
		}
	}
}

type storeFunc func(context.Context, string, time.Time) (bool, error)

func (f storeFunc) Use(ctx context.Context, key string, until time.Time) (bool, error) {
	return f(ctx, key, until)
}

func TestMemoryOneTimeStore(t *testing.T) {
	t.Parallel()
	now := fixtureTime
	store := idvredirect.NewMemoryOneTimeStore(2, func() time.Time { return now })
	use := func(key string, until time.Time, first bool, want error) {
		t.Helper()
		if got, err := store.Use(t.Context(), key, until); got != first || !errors.Is(err, want) {
			t.Errorf("at +%v: Use(%q) = %v, %v, want %v, %v", now.Sub(fixtureTime), key, got, err, first, want)
		}
	}
	use("a", fixtureTime.Add(2*time.Minute), true, nil)
	use("a", fixtureTime.Add(2*time.Minute), false, nil)
	use("b", fixtureTime.Add(time.Minute), true, nil)
	use("c", fixtureTime.Add(time.Minute), false, idvredirect.ErrOneTimeFull)
	use("b", fixtureTime.Add(time.Minute), false, nil)

	now = fixtureTime.Add(time.Minute) // the mark lives to the end of its last second
	use("b", now, false, nil)
	now = now.Add(time.Nanosecond)
	use("c", fixtureTime.Add(time.Hour), true, nil)
	use("d", fixtureTime.Add(time.Hour), false, idvredirect.ErrOneTimeFull)
	use("a", fixtureTime.Add(time.Hour), false, nil)

	now = fixtureTime.Add(3 * time.Minute)
	use("d", fixtureTime.Add(time.Hour), true, nil)
	use("e", fixtureTime.Add(time.Hour), false, idvredirect.ErrOneTimeFull)

	now = fixtureTime.Add(2 * time.Hour) // a name whose mark has ended may be used anew, even before it is forgotten
	use("c", fixtureTime.Add(3*time.Hour), true, nil)
	use("c", fixtureTime.Add(3*time.Hour), false, nil)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if first, err := store.Use(ctx, "z", now); first || !errors.Is(err, context.Canceled) {
		t.Errorf("Use with a cancelled context = %v, %v", first, err)
	}
}

// Without a clock it is the clock's time.
func TestMemoryOneTimeStoreDefaultClock(t *testing.T) {
	t.Parallel()
	store := idvredirect.NewMemoryOneTimeStore(1, nil)
	if first, err := store.Use(t.Context(), "a", fixtureTime); !first || err != nil {
		t.Errorf("Use = %v, %v, want true", first, err)
	}
	if first, err := store.Use(t.Context(), "b", time.Now().Add(time.Hour)); !first || err != nil {
		t.Errorf("Use, when the other mark has long ended = %v, %v, want true", first, err)
	}
}

// A flood of tokens must not grow the store without end, nor push a used token out.
func TestFullOneTimeStoreForgetsNoToken(t *testing.T) {
	t.Parallel()
	const limit = 1000
	store := idvredirect.NewMemoryOneTimeStore(limit, func() time.Time { return fixtureTime })
	until := fixtureTime.Add(time.Minute)
	for i := range 2 * limit {
		first, err := store.Use(t.Context(), fmt.Sprint(i), until)
		if full := i >= limit; first == full || errors.Is(err, idvredirect.ErrOneTimeFull) != full {
			t.Fatalf("Use(%d) = %v, %v", i, first, err)
		}
	}
	for i := range limit {
		if first, err := store.Use(t.Context(), fmt.Sprint(i), until); first || err != nil {
			t.Fatalf("Use(%d) again = %v, %v, want false", i, first, err)
		}
	}
}
