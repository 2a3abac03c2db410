// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
	"github.com/caddy-verified-id/caddy-verified-id/verifier/verifiertest"
)

var nameKey = bytes.Repeat([]byte("name key"), 4)

// sealer returns the sealer of the nodes that have these keys, the first of which seals.
func sealer(t testing.TB, keys ...string) redisstore.Sealer {
	t.Helper()
	var ring [][]byte
	for _, key := range keys {
		digest := sha256.Sum256([]byte(key))
		ring = append(ring, digest[:])
	}
	k, err := session.NewKeyRing(ring...)
	if err != nil {
		t.Fatalf("NewKeyRing: %v", err)
	}
	return k.Sealer("store")
}

// open returns a node's store over the servers at the addresses.
func open(t testing.TB, config redisstore.Config, addresses ...string) *redisstore.Store {
	t.Helper()
	options := &redis.UniversalOptions{Addrs: addresses}
	redisstore.Prepare(options)
	config.Client = redis.NewUniversalClient(options)
	if config.NameKey == nil {
		config.NameKey = nameKey
	}
	if config.Sealer == nil {
		config.Sealer = sealer(t, "a key")
	}
	store, err := redisstore.New(config)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

var contracts atomic.Int32

// contract runs the contract over one server or cluster; each of its stores has names of its own.
func contract(t *testing.T, addresses ...string) {
	t.Helper()
	verifiertest.TestStore(t, func(t *testing.T, now func() time.Time, maxPending, maxPerClient int) verifier.Store {
		return open(t, redisstore.Config{
			Prefix: fmt.Sprintf("contract-%d", contracts.Add(1)), MaxPending: maxPending, MaxPendingPerClient: maxPerClient, Now: now,
		}, addresses...)
	})
}

func TestStore(t *testing.T) { contract(t, redistest.Start(t).Addr) }

// In a cluster every key of a command must be in one slot, and the nodes hear of each other's changes over its bus.
func TestStoreInCluster(t *testing.T) {
	var addresses []string
	for _, server := range redistest.StartCluster(t, 3) {
		addresses = append(addresses, server.Addr)
	}
	contract(t, addresses...)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := redisstore.Config{
		Client: redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}}), NameKey: nameKey, Sealer: sealer(t, "a key"),
	}
	if store, err := redisstore.New(good); err != nil {
		t.Errorf("New of a good config: %v", err)
	} else if err := store.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for name, spoil := range map[string]func(*redisstore.Config){
		"no client":         func(c *redisstore.Config) { c.Client = nil },
		"no sealer":         func(c *redisstore.Config) { c.Sealer = nil },
		"no name key":       func(c *redisstore.Config) { c.NameKey = nil },
		"short name key":    func(c *redisstore.Config) { c.NameKey = nameKey[:31] },
		"prefix with a tag": func(c *redisstore.Config) { c.Prefix = "a{b}" },
		"prefix that globs": func(c *redisstore.Config) { c.Prefix = "a*" },
	} {
		bad := good
		spoil(&bad)
		if _, err := redisstore.New(bad); err == nil {
			t.Errorf("New with %s: no error", name)
		}
	}
}
