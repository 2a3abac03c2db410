// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
	"github.com/caddy-verified-id/caddy-verified-id/verifier/verifiertest"
)

func TestMemoryStore(t *testing.T) {
	verifiertest.TestStore(t, func(_ *testing.T, now func() time.Time, maxPending, maxPerClient int) verifier.Store {
		return verifier.NewMemoryStore(verifier.MemoryConfig{MaxPending: maxPending, MaxPendingPerClient: maxPerClient, Now: now})
	})
}

// Nobody asks for what was left behind, and yet it ends: the timer sees to it, and then there is none.
func TestMemoryStoreForgetsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := verifier.NewMemoryStore(verifier.MemoryConfig{})
		defer store.Close()
		transaction := newTransaction()
		transaction.Created, transaction.Expires = time.Now(), time.Now().Add(5*time.Minute)
		if err := store.Create(t.Context(), transaction); err != nil {
			t.Fatal(err)
		}
		changed, err := store.Watch(t.Context(), transaction.ID)
		if err != nil {
			t.Fatal(err)
		}
		// An earlier end than the one the timer is set for.
		if _, err := store.Mark(t.Context(), "m", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if _, open := <-changed; open {
			t.Error("the transaction changed")
		}
		if waited := time.Since(begin); waited != transaction.KeepUntil().Sub(begin) {
			t.Errorf("the watch ended after %v, want %v", waited, transaction.KeepUntil().Sub(begin))
		}
	})
}

// A clock that stands still must not make the timer spin.
func TestMemoryStoreTimerDoesNotSpin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var readings atomic.Int32
		store := verifier.NewMemoryStore(verifier.MemoryConfig{Now: func() time.Time { readings.Add(1); return fixtureNow }})
		defer store.Close()
		if _, err := store.Mark(t.Context(), "m", fixtureNow.Add(time.Nanosecond)); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute) // in the bubble
		if n := readings.Load(); n > 62 {
			t.Errorf("the clock was read %d times in a minute", n)
		}
	})
}

// 5,000 addresses start what they never finish. TM-119, TM-122.
func TestMemoryStoreIsBoundedInAFlood(t *testing.T) {
	const bytesEach = 2 << 10
	store := verifier.NewMemoryStore(verifier.MemoryConfig{Now: func() time.Time { return fixtureNow }})
	defer store.Close()
	requirement := employeeRequirement()
	before := heap()
	refused := 0
	for i := range 5 * 5000 {
		transaction := newTransaction()
		transaction.ID = "transaction " + strconv.Itoa(i)
		transaction.Client = "client " + strconv.Itoa(i%5000)
		transaction.Requirement = requirement
		if err := store.Create(t.Context(), transaction); errors.Is(err, verifier.ErrFull) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused != 5*5000-verifier.DefaultMaxPending {
		t.Errorf("%d refused", refused)
	}
	if grown := heap() - before; grown > verifier.DefaultMaxPending*bytesEach {
		t.Errorf("%d transactions take %d bytes each", verifier.DefaultMaxPending, grown/verifier.DefaultMaxPending)
	} else {
		t.Logf("%d bytes each", grown/verifier.DefaultMaxPending)
	}
	runtime.KeepAlive(store)
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// One-time marks and revocations are bounded as well. When there are too many, a mark is not "first": the one-time check fails,
// and never opens. TM-122, TM-129.
func TestMemoryStoreBoundsMarksAndRevocations(t *testing.T) {
	t.Parallel()
	store := verifier.NewMemoryStore(verifier.MemoryConfig{Now: func() time.Time { return fixtureNow }})
	defer store.Close()
	until := fixtureNow.Add(time.Hour)
	for i := range 100_000 {
		if first, err := store.Mark(t.Context(), strconv.Itoa(i), until); err != nil || !first {
			t.Fatal(first, err)
		}
		if err := store.Revoke(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: strconv.Itoa(i), Until: until}); err != nil {
			t.Fatal(err)
		}
	}
	if first, err := store.Mark(t.Context(), "more", until); first || !errors.Is(err, verifier.ErrFull) {
		t.Errorf("Mark in a full store = %v, %v", first, err)
	}
	if first, err := store.Mark(t.Context(), "1", until); first || err != nil {
		t.Errorf("Mark of a known name in a full store = %v, %v", first, err)
	}
	if err := store.Revoke(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: "more", Until: until}); !errors.Is(err, verifier.ErrFull) {
		t.Errorf("Revoke in a full store = %v", err)
	}
	if err := store.Revoke(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: "1", Until: until}); err != nil {
		t.Errorf("Revoke of a known one in a full store = %v", err)
	}
	for _, kind := range []verifier.RevocationKind{verifier.RevokeSubject, verifier.RevokeIssuer, verifier.RevokeCredential, verifier.RevokeAll} {
		if err := store.Revoke(t.Context(), verifier.Revocation{Kind: kind, Until: until}); err != nil {
			t.Errorf("an operator's Revoke of %s in a store that is full of logouts = %v", kind, err)
		}
	}
}

// A listener that hangs costs no more than the set of revocations itself, and loses none. TM-122.
func TestSlowListenerIsBounded(t *testing.T) {
	t.Parallel()
	store := verifier.NewMemoryStore(verifier.MemoryConfig{Now: func() time.Time { return fixtureNow }})
	defer store.Close()
	until := fixtureNow.Add(time.Hour)
	revoke := func(value string) {
		if err := store.Revoke(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: value, Until: until}); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	blocked, release, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	heard := map[string]bool{}
	calls := 0
	revoke("first")
	go func() {
		defer close(done)
		_ = store.WatchRevocations(ctx, func(r verifier.Revocation) {
			if calls++; calls == 1 {
				close(blocked)
				<-release
			}
			heard[r.Value] = true
			if r.Value == "last" {
				cancel()
			}
		})
	}()
	<-blocked
	for i := range 100_100 {
		revoke(strconv.Itoa(i % 3))
	}
	revoke("last")
	close(release)
	<-done
	if len(heard) != 5 || calls > 1000 {
		t.Errorf("heard %v in %d calls", heard, calls)
	}
}

func TestMemoryStoreLeavesNoGoroutine(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	store := verifier.NewMemoryStore(verifier.MemoryConfig{Now: func() time.Time { return fixtureNow }})
	for i := range 100 {
		transaction := newTransaction()
		transaction.ID, transaction.Client = fmt.Sprint(i), ""
		if err := store.Create(t.Context(), transaction); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Watch(t.Context(), transaction.ID); err != nil {
			t.Fatal(err)
		}
	}
	goleak.VerifyNone(t, ignore) // watching takes none either
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, ignore)
}

func TestCreateOfWhatHasEnded(t *testing.T) {
	t.Parallel()
	store := verifier.NewMemoryStore(verifier.MemoryConfig{Now: func() time.Time { return fixtureNow.Add(time.Hour) }})
	defer store.Close()
	if err := store.Create(t.Context(), newTransaction()); !errors.Is(err, verifier.ErrExpired) {
		t.Errorf("Create = %v, want %v", err, verifier.ErrExpired)
	}
}

func TestRevocationEnds(t *testing.T) {
	t.Parallel()
	before, since, after := fixtureNow.Add(-1), fixtureNow, fixtureNow.Add(1)
	one := verifier.Revocation{Kind: verifier.RevokeIssuer, Value: "did:x:y", Since: since}
	all := verifier.Revocation{Kind: verifier.RevokeAll, Since: since}
	tests := []struct {
		name        string
		revocation  verifier.Revocation
		kind        verifier.RevocationKind
		value       string
		established time.Time
		want        bool
	}{
		{"before", one, verifier.RevokeIssuer, "did:x:y", before, true},
		{"at the moment", one, verifier.RevokeIssuer, "did:x:y", since, true},
		{"after", one, verifier.RevokeIssuer, "did:x:y", after, false},
		{"other value", one, verifier.RevokeIssuer, "did:x:z", before, false},
		{"other kind", one, verifier.RevokeSubject, "did:x:y", before, false},
		{"all", all, verifier.RevokeSubject, "x", before, true},
		{"all, after", all, verifier.RevokeSubject, "x", after, false},
	}
	for _, test := range tests {
		if got := test.revocation.Ends(test.kind, test.value, test.established); got != test.want {
			t.Errorf("%s: Ends = %v, want %v", test.name, got, test.want)
		}
	}
}

func BenchmarkMemoryStore(b *testing.B) {
	store := verifier.NewMemoryStore(verifier.MemoryConfig{MaxPending: 1 << 30, MaxPendingPerClient: 1 << 30})
	defer store.Close()
	base := newTransaction()
	base.Created, base.Expires = time.Now(), time.Now().Add(time.Hour)
	var ids atomic.Int64
	b.Run("create, update, get, delete in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				transaction := base
				transaction.ID = strconv.FormatInt(ids.Add(1), 10)
				now := base.Created
				err := store.Create(b.Context(), transaction)
				_, err2 := store.Update(b.Context(), transaction.ID, func(t *verifier.Transaction) error { return t.Retrieved(now) })
				_, err3 := store.Get(b.Context(), transaction.ID)
				if err := errors.Join(err, err2, err3, store.Delete(b.Context(), transaction.ID)); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	if err := store.Create(b.Context(), base); err != nil {
		b.Fatal(err)
	}
	b.Run("update of one in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := store.Update(b.Context(), base.ID, func(t *verifier.Transaction) error { t.Retrievals++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
	b.Run("get of one in parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := store.Get(b.Context(), base.ID); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
