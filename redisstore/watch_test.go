// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const channel = redisstore.DefaultPrefix + ":{revoked}:changes"

func watch(t testing.TB, store verifier.Store, id string) <-chan struct{} {
	t.Helper()
	changed, err := store.Watch(t.Context(), id)
	if err != nil {
		t.Fatalf("Watch(%q): %v", id, err)
	}
	return changed
}

// listen collects revocations until the test ends.
func listen(t testing.TB, store verifier.Store) <-chan verifier.Revocation {
	t.Helper()
	heard := make(chan verifier.Revocation, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := store.WatchRevocations(ctx, func(r verifier.Revocation) { heard <- r }); !errors.Is(err, context.Canceled) {
				timer := time.NewTimer(100 * time.Millisecond) // as callers do
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		await(t, done, "end of WatchRevocations")
	})
	return heard
}

// A browser waits at one node for a callback that comes to another. However many wait, a node has one connection for it.
func TestWatchAcrossNodes(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	stores := nodes(t, redisstore.Config{}, server.Addr)
	const pages = 300
	var changes [pages]<-chan struct{}
	for i := range changes {
		create(t, stores[0], requested(name("visit", i)))
		changes[i] = watch(t, stores[1+i%2], name("visit", i))
	}
	if subscribers, _ := server.Do("PUBSUB", "NUMSUB", channel).([]any); len(subscribers) != 2 || subscribers[1] != int64(2) {
		t.Errorf("two nodes that watch have subscribed: %v", subscribers)
	}
	for i := range changes {
		update(t, stores[0], name("visit", i), retrieve)
	}
	for i, changed := range changes {
		if _, open := await(t, changed, "change of "+name("visit", i)); !open {
			t.Fatalf("the watch of visit %d ended", i)
		}
	}
	if err := stores[0].Delete(t.Context(), "visit-0"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	for open := true; open; {
		_, open = await(t, changes[0], "end of what another node deleted")
	}
}

// What happens while the connection is lost is heard of when it is back.
func TestWatchOverLostConnection(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	stores := nodes(t, redisstore.Config{}, server.Addr)
	create(t, stores[0], requested("a"))
	changed, heard := watch(t, stores[1], "a"), listen(t, stores[1])
	for round := range 5 {
		server.Do("CLIENT", "KILL", "TYPE", "pubsub")
		update(t, stores[0], "a", retrieve)
		want := verifier.Revocation{Kind: verifier.RevokeSession, Value: name("session", round), Since: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := stores[0].Revoke(t.Context(), want); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
		for {
			await(t, changed, "the change")
			if got, err := stores[1].Get(t.Context(), "a"); err == nil && got.Retrievals == round+1 {
				break
			}
		}
		for {
			if r, _ := await(t, heard, "the revocation"); r.Value == want.Value {
				break
			}
		}
	}
}

// Who was told of a change and got no answer when he read is told again, though the connection for hints was never lost.
func TestReadingInVainIsMadeGood(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, redisstore.Config{}, server.Addr)
	create(t, store, requested("a"))
	changed := watch(t, store, "a")
	update(t, store, "a", retrieve)
	await(t, changed, "the change")
	server.Freeze()
	_, err := store.Get(t.Context(), "a")
	server.Thaw()
	wantError(t, "Get from a frozen server", err, verifier.ErrStoreUnavailable)
	if _, err := store.Get(t.Context(), "a"); err != nil {
		t.Fatalf("Get: %v", err)
	}
	await(t, changed, "a change that could not be read")
}

// Who may write to the server may say anything on the channel. It costs a look and changes nothing.
func TestForgedHintIsNotBelieved(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, redisstore.Config{}, server.Addr)
	create(t, store, requested("a"), requested("b"))
	changed, heard := watch(t, store, "a"), listen(t, store)
	for _, key := range server.Keys() {
		if _, after, ok := strings.Cut(key, ":t:{"); ok {
			hash := strings.TrimSuffix(after, "}")
			for _, hint := range []string{
				"", "revoked", hash, hash + "0", hash + "-1", hash + "99999999999999999999", hash + "x", strings.Repeat("x", 43) + "0", strings.Repeat("0", 100_000),
			} {
				server.Do("PUBLISH", channel, hint)
			}
		}
	}
	update(t, store, "a", verified())
	for {
		if _, open := await(t, changed, "the true change"); !open {
			t.Fatal("a forged hint ended a watch")
		}
		if got, err := store.Get(t.Context(), "a"); err == nil && got.Status == verifier.StatusVerified {
			break
		}
	}
	if len(heard) != 0 {
		t.Errorf("a revocation came of a forged hint: %v", <-heard)
	}
}

// Keys of sealing are rotated node by node. An entry of a newer key is not readable yet; a revocation that is not is not lost.
func TestSealingKeysAreRotated(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	behind := open(t, redisstore.Config{Sealer: sealer(t, "old")}, server.Addr)
	ahead := open(t, redisstore.Config{Sealer: sealer(t, "new", "old")}, server.Addr)
	create(t, behind, requested("old"))
	create(t, ahead, requested("new"))
	if _, err := ahead.Get(t.Context(), "old"); err != nil {
		t.Errorf("Get of what an older key sealed: %v", err)
	}
	_, err := behind.Get(t.Context(), "new")
	wantError(t, "Get of what a newer key sealed", err, verifier.ErrStoreUnavailable)

	heard := listen(t, behind)
	revoke := func(store verifier.Store, value string) {
		t.Helper()
		r := verifier.Revocation{Kind: verifier.RevokeSession, Value: value, Since: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := store.Revoke(t.Context(), r); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
	}
	revoke(ahead, "unreadable")
	revoke(behind, "readable")
	if r, _ := await(t, heard, "what opens"); r.Value != "readable" {
		t.Errorf("heard of %q", r.Value)
	}
	behind.SetSealer(sealer(t, "old", "new"))
	if _, err := behind.Get(t.Context(), "new"); err != nil {
		t.Errorf("Get after the keys were given: %v", err)
	}
	if r, _ := await(t, heard, "what did not open before"); r.Value != "unreadable" {
		t.Errorf("heard of %q", r.Value)
	}
}

// A server that may throw out marks and logouts is one the operator must hear of.
func TestEvictionIsWarnedOf(t *testing.T) {
	t.Parallel()
	for policy, warned := range map[string]int{"volatile-lru": 1, "allkeys-random": 1, "noeviction": 0} {
		server := redistest.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", policy)
		var log logBuffer
		store := open(t, redisstore.Config{Logger: log.logger()}, server.Addr)
		create(t, store, requested("a"))
		watch(t, store, "a")
		if warned > 0 {
			eventually(t, patience, "a warning of "+policy, func() error {
				if log.count("policy="+policy) == 0 {
					return errors.New("none")
				}
				return nil
			})
		} else if err := store.Close(); err != nil || log.count("noeviction") != 0 { // closing waits for what is under way
			t.Errorf("with %s: %v\n%s", policy, err, log.String())
		}
	}
}
