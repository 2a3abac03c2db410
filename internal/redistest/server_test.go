// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redistest_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
)

func TestServerFaults(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	ping := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return client.Ping(ctx).Err()
	}
	server.Do("SET", "a", "b")
	if keys := server.Keys(); len(keys) != 1 || keys[0] != "a" {
		t.Errorf("Keys() = %q, want a", keys)
	}

	server.Freeze()
	if err := ping(); !os.IsTimeout(err) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a frozen server answers: %v", err)
	}
	server.Thaw()
	if got := server.Do("GET", "a"); got != "b" {
		t.Errorf("after a thaw a = %v, want b", got)
	}

	server.Stop()
	server.Stop()
	if err := ping(); err == nil {
		t.Error("a stopped server answers")
	}
	server.Restart()
	if keys := server.Keys(); len(keys) != 0 {
		t.Errorf("after a restart without persistence there are %q", keys)
	}

	server.Do("CONFIG", "SET", "requirepass", "a password")
	server.Auth("a password")
	server.Do("SET", "a", "b")
	server.Auth("another password")
	if _, err := server.Try("GET", "a"); err == nil {
		t.Error("the server takes any password")
	}
}

func TestClusterIsOne(t *testing.T) {
	t.Parallel()
	servers := redistest.StartCluster(t, 3)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{servers[2].Addr}})
	defer func() { _ = client.Close() }()
	for _, key := range []string{"a", "b", "c", "d"} {
		if err := client.Set(t.Context(), key, key, time.Minute).Err(); err != nil {
			t.Errorf("SET %s: %v", key, err)
		}
	}
	if err := client.MGet(t.Context(), "a", "b").Err(); err == nil {
		t.Error("two keys of two slots are read by one command, so it is no cluster")
	}
}
