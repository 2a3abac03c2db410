// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const (
	// answerTime is how long a call may take while the server does not answer; half of it is for a slow test machine.
	answerTime = time.Second

	// recoveryTime is from the return of the server until all works.
	recoveryTime = 2 * time.Second
)

// outages are what happens to servers, and what of a store it takes away.
var outages = []struct {
	name         string
	begin, end   func(*redistest.Server)
	reads, loses bool   // while it lasts, reads go on; after it, nothing of before is there
	reason       string // in the log, if it is certain
}{
	{name: "frozen", begin: (*redistest.Server).Freeze, end: (*redistest.Server).Thaw, reason: "it does not answer"},
	{name: "killed", begin: (*redistest.Server).Stop, end: (*redistest.Server).Restart, loses: true},
	{
		name:  "read-only",
		begin: func(s *redistest.Server) { s.Do("REPLICAOF", "127.0.0.1", "1") }, end: func(s *redistest.Server) { s.Do("REPLICAOF", "NO", "ONE") },
		reads: true, reason: "it is a read-only replica",
	},
	{
		name:  "out of memory",
		begin: func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "1") }, end: func(s *redistest.Server) { s.Do("CONFIG", "SET", "maxmemory", "0") },
		reads: true, reason: "it is out of memory",
	},
	{
		name: "password changed",
		begin: func(s *redistest.Server) {
			s.Do("CONFIG", "SET", "requirepass", "canary-password")
			s.Auth("canary-password")
			for _, kind := range []string{"normal", "pubsub"} {
				s.Do("CLIENT", "KILL", "TYPE", kind)
			}
		},
		end:    func(s *redistest.Server) { s.Do("CONFIG", "SET", "requirepass", "") },
		reason: "it demands a password",
	},
}

// TM-129, TM-130, X3–X5: what needs the store is refused at once, as unavailable and never as absent; nothing piles up; and all is as
// before once the server is back, without a hand.
func TestOutages(t *testing.T) {
	t.Parallel()
	for _, outage := range outages {
		t.Run(outage.name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			var log logBuffer
			store := open(t, redisstore.Config{Logger: log.logger()}, server.Addr)
			create(t, store, requested("a"))
			changed, err := store.Watch(t.Context(), "a")
			if err != nil {
				t.Fatalf("Watch: %v", err)
			}
			before := runtime.NumGoroutine()

			outage.begin(server)
			eventually(t, patience, "the outage", func() error { // connections of before may live a little longer
				if _, err := store.Mark(t.Context(), "m", time.Now().Add(time.Minute)); err != nil {
					return nil //nolint:nilerr // it has begun
				}
				return errors.New("the store works")
			})
			for range 2 {
				everyMethodFails(t, store, outage.reads)
			}
			if store.Available() {
				t.Error("the store calls itself available in the outage")
			}
			parallel(100, func(int) { _, _ = store.Mark(t.Context(), "m", time.Now().Add(time.Minute)) })
			if now := runtime.NumGoroutine(); now > before+200 {
				t.Errorf("%d goroutines in the outage, %d before", now, before)
			}

			outage.end(server)
			eventually(t, recoveryTime, "recovery", func() error {
				_, err := store.Mark(t.Context(), "other", time.Now().Add(time.Minute))
				return err
			})
			if _, err := store.Get(t.Context(), "a"); outage.loses {
				wantError(t, "Get of what the server has lost", err, verifier.ErrNotFound)
			} else if err != nil {
				t.Errorf("Get after the outage: %v", err)
			}
			if !outage.reads {
				// Nothing has changed, but who was told to read in the outage has read in vain.
				await(t, changed, "the end of the outage")
			}
			if !outage.loses {
				update(t, store, "a", retrieve)
				await(t, changed, "a change after the outage")
			}
			if !store.Available() {
				t.Error("the store calls itself unavailable after the outage")
			}
			if warned, ended := log.count("level=WARN"), log.count("available again"); warned != 1 || ended != 1 || log.count(outage.reason) == 0 {
				t.Errorf("%d warnings and %d ends of one outage, want one each with %q:\n%s", warned, ended, outage.reason, log.String())
			}
			if log.count("canary") != 0 {
				t.Errorf("a password is in the log:\n%s", log.String())
			}
		})
	}
}

func everyMethodFails(t *testing.T, store verifier.Store, reads bool) {
	t.Helper()
	until := time.Now().Add(time.Minute)
	for method, call := range map[string]func(context.Context) error{
		"Create": func(ctx context.Context) error { return store.Create(ctx, requested("b")) },
		"Update": func(ctx context.Context) error { _, err := store.Update(ctx, "a", retrieve); return err },
		"Mark": func(ctx context.Context) error {
			first, err := store.Mark(ctx, "m", until)
			if first {
				t.Error("in an outage somebody is the first")
			}
			return err
		},
		"Revoke": func(ctx context.Context) error {
			return store.Revoke(ctx, verifier.Revocation{Kind: verifier.RevokeAll, Since: time.Now(), Until: until})
		},
		"Get":    func(ctx context.Context) error { _, err := store.Get(ctx, "a"); return err },
		"Delete": func(ctx context.Context) error { return store.Delete(ctx, "nothing") },
		"Watch":  func(ctx context.Context) error { _, err := store.Watch(ctx, "a"); return err },
		"WatchRevocations": func(ctx context.Context) error {
			return store.WatchRevocations(ctx, func(verifier.Revocation) {})
		},
	} {
		if reads && (method == "Get" || method == "Delete" || method == "Watch" || method == "WatchRevocations") {
			continue
		}
		begun := time.Now()
		err := call(t.Context())
		if took := time.Since(begun); took > answerTime {
			t.Errorf("%s took %v", method, took)
		}
		wantError(t, method, err, verifier.ErrStoreUnavailable)
		if errors.Is(err, verifier.ErrNotFound) {
			t.Errorf("%s takes an outage for an absence: %v", method, err)
		}
	}
}

// The same in a cluster of which one node is frozen or dead: what is not there goes on, and all is back with the node.
func TestOutageOfClusterNode(t *testing.T) {
	servers := redistest.StartCluster(t, 3)
	store := open(t, redisstore.Config{}, servers[0].Addr, servers[1].Addr, servers[2].Addr)
	create(t, store, requested("a"))
	servers[1].Freeze()
	for i := range 30 {
		begun := time.Now()
		_, err := store.Get(t.Context(), name("transaction", i))
		if !errors.Is(err, verifier.ErrNotFound) && !errors.Is(err, verifier.ErrStoreUnavailable) {
			t.Errorf("Get = %v", err)
		}
		if took := time.Since(begun); took > answerTime {
			t.Errorf("Get took %v", took)
		}
	}
	servers[1].Thaw()
	eventually(t, 2*recoveryTime, "recovery", func() error { // the nodes themselves must find each other again
		for i := range 30 {
			if _, err := store.Mark(t.Context(), name("mark", i), time.Now().Add(time.Minute)); err != nil {
				return err
			}
		}
		return nil
	})
}

// A server that is not there when Caddy starts is an outage like any other.
func TestServerComesLater(t *testing.T) {
	server := redistest.Start(t)
	server.Stop()
	store := open(t, redisstore.Config{}, server.Addr)
	_, err := store.Get(t.Context(), "a")
	wantError(t, "Get without a server", err, verifier.ErrStoreUnavailable)
	server.Restart()
	eventually(t, recoveryTime, "the first answer", func() error { return store.Create(t.Context(), requested("a")) })
}

// leastPrivileges is what the package comment says that a user of the server needs.
const leastPrivileges = "~verified-id:* &verified-id:* +get +set +del +eval +evalsha +publish +subscribe +ping +pttl +pexpire " +
	"+hget +hmget +hset +hsetnx +hincrby +hdel +zadd +zrem +zscore +zcard +zrangebyscore +zremrangebyscore"

// A user who may do no more than it takes can do all. One who may not subscribe is found out.
func TestLeastPrivileges(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, rule := range []string{leastPrivileges, strings.Replace(leastPrivileges, "&verified-id:*", "resetchannels", 1)} {
		words := []any{"ACL", "SETUSER", "gate", "reset", "on", ">canary-password"}
		for word := range strings.FieldsSeq(rule) {
			words = append(words, word)
		}
		server.Do("FLUSHALL")
		server.Do(words...)
		options := &redis.UniversalOptions{Addrs: []string{server.Addr}, Username: "gate", Password: "canary-password"}
		redisstore.Prepare(options)
		var log logBuffer
		store, err := redisstore.New(redisstore.Config{
			Client: redis.NewUniversalClient(options), NameKey: nameKey, Sealer: sealer(t, "a key"), Logger: log.logger(),
		})
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		t.Cleanup(func() { _ = store.Close() })
		if rule != leastPrivileges {
			_, err := store.Watch(t.Context(), "a")
			wantError(t, "Watch of who may not subscribe", err, verifier.ErrStoreUnavailable)
			if log.count("may not hear") != 1 || log.count("canary") != 0 {
				t.Errorf("the log of a user who may not subscribe:\n%s", log.String())
			}
			continue
		}
		fill(t, store)
		watch(t, store, "CANARY-id")
		await(t, listen(t, store), "a revocation")
		if err := store.Delete(t.Context(), "CANARY-other"); err != nil {
			t.Errorf("Delete: %v", err)
		}
		if err := store.Close(); err != nil || log.count("WARN") != 0 { // closing waits for what is under way
			t.Errorf("the log of a user with the least privileges, %v:\n%s", err, log.String())
		}
	}
}
