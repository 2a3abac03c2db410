// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
)

// X5: the master dies and its replica takes over. Who is under way goes on; the pages that wait hear of it.
func TestFailOver(t *testing.T) {
	t.Parallel()
	master, replica, sentinel := redistest.StartSentinel(t)
	options := &redis.UniversalOptions{Addrs: []string{sentinel.Addr}, MasterName: redistest.MasterName}
	redisstore.Prepare(options)
	store, err := redisstore.New(redisstore.Config{Client: redis.NewUniversalClient(options), NameKey: nameKey, Sealer: sealer(t, "a key")})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	create(t, store, requested("a"))
	changed, heard := watch(t, store, "a"), listen(t, store)
	if got := master.Do("WAIT", 1, 5000); got != int64(1) {
		t.Fatalf("%v replicas have heard, want 1", got)
	}

	master.Stop()
	eventually(t, patience, "fail-over", func() error {
		_, err := store.Mark(t.Context(), "m", time.Now().Add(time.Minute))
		return err
	})
	await(t, changed, "the fail-over")
	update(t, store, "a", retrieve)
	await(t, changed, "a change after the fail-over")
	fill(t, store)
	await(t, heard, "a revocation after the fail-over")
	if keys := replica.Keys(); len(keys) < 5 {
		t.Errorf("the new master has only %q", keys)
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	server := redistest.Start(t)
	before := goleak.IgnoreCurrent()
	store := open(t, redisstore.Config{}, server.Addr)
	create(t, store, requested("a"))
	watch(t, store, "a")
	fill(t, store)
	if err := store.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	goleak.VerifyNone(t, before)
}
