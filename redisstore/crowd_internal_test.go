// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A thousand pages that come back after a reload want more connections at once than there are. Who waits for one in vain is told so, but
// the server has done nothing: it is not called down, and the next who comes is served.
func TestCrowdIsNoOutage(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(oneConnection(redistest.Start(t).Addr))
	s := newStoreOn(t, client, time.Now, 10)
	if err := s.Create(t.Context(), transaction("a", time.Now())); err != nil {
		t.Fatal(err)
	}
	only := client.Conn()
	if err := only.Ping(t.Context()).Err(); err != nil { // it is taken from now on
		t.Fatal(err)
	}

	var crowd sync.WaitGroup
	for range 10 * patience.RedisFailures {
		crowd.Go(func() {
			if _, err := s.Get(t.Context(), "a"); !errors.Is(err, verifier.ErrStoreUnavailable) {
				t.Errorf("Get without a connection: %v, want ErrStoreUnavailable", err)
			}
		})
	}
	crowd.Wait()
	if !s.Available() {
		t.Error("the store calls itself unavailable, and its server has done nothing")
	}
	if err := only.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "a"); err != nil {
		t.Errorf("Get after the crowd: %v", err)
	}
}

func oneConnection(address string) *redis.Options {
	options := &redis.UniversalOptions{Addrs: []string{address}, PoolSize: 1}
	Prepare(options)
	return options.Simple()
}
