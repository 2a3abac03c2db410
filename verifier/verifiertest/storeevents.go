// SPDX-License-Identifier: Apache-2.0

package verifiertest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func testWatch(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	_, err := store.Watch(t.Context(), "a")
	wantError(t, "Watch of nothing", err, verifier.ErrNotFound)

	create(t, store, s.transaction("a"), s.transaction("b"))
	first, err := store.Watch(t.Context(), "a")
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	second, err := store.Watch(t.Context(), "a")
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	// Nobody reads yet: updates must not wait for it, and are one change.
	for range 5 {
		if _, err := store.Update(t.Context(), "a", retrieve(s.clock.now())); err != nil {
			t.Fatalf("Update: %v", err)
		}
	}
	for _, changed := range []<-chan struct{}{first, second} {
		if _, open := await(t, changed, "a change"); !open {
			t.Error("the channel is closed while the transaction lives")
		}
	}
	if cap(first) != 1 {
		t.Errorf("the channel is buffered with %d values, want 1", cap(first))
	}
}

func testWatchEnds(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	create(t, store, s.transaction("cancelled"), s.transaction("deleted"), s.transaction("expired"), s.transaction("closed"))
	ends := func(changed <-chan struct{}, what string) {
		t.Helper()
		for {
			if _, open := await(t, changed, what); !open {
				return
			}
		}
	}
	watch := func(ctx context.Context, id string) <-chan struct{} {
		t.Helper()
		changed, err := store.Watch(ctx, id)
		if err != nil {
			t.Fatalf("Watch(%q): %v", id, err)
		}
		return changed
	}

	ctx, cancel := context.WithCancel(t.Context())
	changed, other := watch(ctx, "cancelled"), watch(t.Context(), "cancelled")
	cancel()
	ends(changed, "end of a watch whose context is done")
	if _, err := store.Update(t.Context(), "cancelled", retrieve(s.clock.now())); err != nil {
		t.Fatalf("Update: %v", err)
	}
	if _, open := await(t, other, "a change for the watch that goes on"); !open {
		t.Error("the end of one watch ended another")
	}

	changed = watch(t.Context(), "deleted")
	if err := store.Delete(t.Context(), "deleted"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	ends(changed, "end of a watch whose transaction is deleted")

	changed = watch(t.Context(), "expired")
	s.clock.advance(time.Hour)
	_, err := store.Get(t.Context(), "expired")
	wantError(t, "Get after the end", err, verifier.ErrNotFound)
	ends(changed, "end of a watch whose transaction has expired")

	create(t, store, s.transaction("closed"))
	changed = watch(t.Context(), "closed")
	if err := store.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	ends(changed, "end of a watch whose store is closed")
}

func testMark(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	mark := func(name string, life time.Duration) bool {
		t.Helper()
		first, err := store.Mark(t.Context(), name, s.clock.now().Add(life))
		if err != nil {
			t.Errorf("Mark(%q): %v", name, err)
		}
		return first
	}
	if !mark("a", time.Minute) || mark("a", time.Hour) || !mark("b", time.Minute) {
		t.Error("not exactly the first caller of each name is the first")
	}
	s.clock.advance(time.Minute - time.Second)
	if mark("a", time.Minute) {
		t.Error("the mark was forgotten early")
	}
	s.clock.advance(time.Second)
	if !mark("a", time.Minute) {
		t.Error("the mark outlived its time, or a later caller has extended it")
	}
	for _, life := range []time.Duration{0, -time.Hour} {
		if first, err := store.Mark(t.Context(), "c", s.clock.now().Add(life)); first || err == nil {
			t.Errorf("Mark with a life of %v = %v, %v", life, first, err)
		}
	}
}

func testMarkIsFirstOnce(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	var firsts atomic.Int32
	until := s.clock.now().Add(time.Minute)
	parallel(100, func(int) {
		first, err := store.Mark(t.Context(), "a", until)
		if err != nil {
			t.Errorf("Mark: %v", err)
		}
		if first {
			firsts.Add(1)
		}
	})
	if firsts.Load() != 1 {
		t.Errorf("%d of 100 callers were the first", firsts.Load())
	}
}

// listen collects revocations until its context is done.
func listen(t *testing.T, store verifier.Store) <-chan verifier.Revocation {
	heard := make(chan verifier.Revocation, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := store.WatchRevocations(ctx, func(r verifier.Revocation) { heard <- r })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("WatchRevocations = %v, want %v", err, context.Canceled)
		}
	}()
	t.Cleanup(func() {
		cancel()
		await(t, done, "end of WatchRevocations")
	})
	return heard
}

// awaitRevocation waits until a revocation like the given one is heard; others may come before it.
func awaitRevocation(t *testing.T, heard <-chan verifier.Revocation, want verifier.Revocation) {
	t.Helper()
	for {
		got, _ := await(t, heard, "revocation of "+want.Value)
		if got.Kind == want.Kind && got.Value == want.Value && got.Since.Equal(want.Since) && got.Until.Equal(want.Until) {
			return
		}
	}
}

// TM-155, TM-156: what was revoked before a node started to listen it hears as well.
func testRevocations(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	now := s.clock.now()
	of := func(kind verifier.RevocationKind, value string) verifier.Revocation {
		return verifier.Revocation{Kind: kind, Value: value, Since: now, Until: now.Add(time.Hour)}
	}
	revoke := func(r verifier.Revocation) {
		t.Helper()
		if err := store.Revoke(t.Context(), r); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
	}
	before := []verifier.Revocation{of(verifier.RevokeSession, "x"), of(verifier.RevokeSubject, "x"), of(verifier.RevokeAll, "")}
	for _, r := range before {
		revoke(r)
	}
	nodeA, nodeB := listen(t, store), listen(t, store)
	seen := map[verifier.RevocationKind]bool{}
	for len(seen) < len(before) {
		r, _ := await(t, nodeA, "revocations made before")
		seen[r.Kind] = true
	}
	later := of(verifier.RevokeIssuer, "did:web:gone.example")
	revoke(later)
	awaitRevocation(t, nodeA, later)
	awaitRevocation(t, nodeB, later)

	longer := before[0]
	longer.Since, longer.Until = now.Add(time.Minute), now.Add(2*time.Hour)
	revoke(longer)
	awaitRevocation(t, nodeA, longer)
	shorter := before[0]
	revoke(shorter)
	awaitRevocation(t, listen(t, store), longer)
}

func testRevocationsExpire(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	now := s.clock.now()
	short := verifier.Revocation{Kind: verifier.RevokeSession, Value: "short", Since: now, Until: now.Add(time.Minute)}
	long := verifier.Revocation{Kind: verifier.RevokeSession, Value: "long", Since: now, Until: now.Add(time.Hour)}
	over := verifier.Revocation{Kind: verifier.RevokeSession, Value: "over", Since: now, Until: now}
	for _, r := range []verifier.Revocation{short, long, over} {
		if err := store.Revoke(t.Context(), r); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
	}
	s.clock.advance(time.Minute)
	heard := listen(t, store)
	if r, _ := await(t, heard, "the living revocation"); r.Value != "long" {
		t.Errorf("heard of %q, which has ended", r.Value)
	}
}

func testContext(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	create(t, store, s.transaction("a"))
	ctx := cancelled(t)
	for method, call := range map[string]func() error{
		"Create": func() error { return store.Create(ctx, s.transaction("b")) },
		"Get":    func() error { _, err := store.Get(ctx, "a"); return err },
		"Update": func() error { _, err := store.Update(ctx, "a", retrieve(s.clock.now())); return err },
		"Delete": func() error { return store.Delete(ctx, "a") },
		"Watch":  func() error { _, err := store.Watch(ctx, "a"); return err },
		"Mark":   func() error { _, err := store.Mark(ctx, "m", s.clock.now().Add(time.Minute)); return err },
		"Revoke": func() error {
			return store.Revoke(ctx, verifier.Revocation{Kind: verifier.RevokeAll, Until: s.clock.now().Add(time.Minute)})
		},
		"WatchRevocations": func() error { return store.WatchRevocations(ctx, func(verifier.Revocation) {}) },
	} {
		wantError(t, method+" with a context that is done", call(), context.Canceled)
	}
	if got, err := store.Get(t.Context(), "a"); err != nil || got.Retrievals != 0 {
		t.Errorf("something was done all the same: %+v, %v", got, err)
	}
	_, err := store.Get(t.Context(), "b")
	wantError(t, "Get of what was not created", err, verifier.ErrNotFound)
}

func testClose(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	create(t, store, s.transaction("a"))
	listening := make(chan error, 1)
	started := make(chan struct{}, 1)
	if err := store.Revoke(t.Context(), verifier.Revocation{Kind: verifier.RevokeAll, Until: s.clock.now().Add(time.Minute)}); err != nil {
		t.Fatalf("Revoke: %v", err)
	}
	go func() {
		listening <- store.WatchRevocations(t.Context(), func(verifier.Revocation) { started <- struct{}{} })
	}()
	await(t, started, "the first revocation")
	for range 2 {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	err, _ := await(t, listening, "end of WatchRevocations")
	wantError(t, "WatchRevocations of a closed store", err, verifier.ErrStoreClosed)
	// A closed store must not look like an empty one: an outage is not an absence.
	for method, call := range map[string]func() error{
		"Create":           func() error { return store.Create(t.Context(), s.transaction("b")) },
		"Get":              func() error { _, err := store.Get(t.Context(), "a"); return err },
		"Update":           func() error { _, err := store.Update(t.Context(), "a", retrieve(s.clock.now())); return err },
		"Delete":           func() error { return store.Delete(t.Context(), "a") },
		"Watch":            func() error { _, err := store.Watch(t.Context(), "a"); return err },
		"Mark":             func() error { _, err := store.Mark(t.Context(), "m", s.clock.now().Add(time.Minute)); return err },
		"Revoke":           func() error { return store.Revoke(t.Context(), verifier.Revocation{Kind: verifier.RevokeAll}) },
		"WatchRevocations": func() error { return store.WatchRevocations(t.Context(), func(verifier.Revocation) {}) },
	} {
		err := call()
		wantError(t, method+" of a closed store", err, verifier.ErrStoreClosed)
		wantError(t, method+" of a closed store", err, verifier.ErrStoreUnavailable)
	}
}
