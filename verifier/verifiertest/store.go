// SPDX-License-Identifier: Apache-2.0

package verifiertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// NewStore makes an empty store for a test. The store takes now as its clock, if its backend allows, and keeps to the two
// limits; it need not be closed, TestStore does that. If something is missing that the store needs, NewStore fails the test.
type NewStore func(t *testing.T, now func() time.Time, maxPending, maxPerClient int) verifier.Store

// TestStore checks that a store keeps what [verifier.Store] promises: it is the contract in the form of a test. Run it under
// the race detector.
func TestStore(t *testing.T, newStore func(t *testing.T, now func() time.Time, maxPending, maxPerClient int) verifier.Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s *storeTest)
	}{
		{"Create", testCreate},
		{"Get", testGet},
		{"Update", testUpdate},
		{"UpdateAborts", testUpdateAborts},
		{"UpdateIsAtomic", testUpdateIsAtomic},
		{"ResultIsTakenOnce", testResultIsTakenOnce},
		{"Delete", testDelete},
		{"NamesAreOpaque", testNamesAreOpaque},
		{"FullStoreRefusesTheNew", testFullStoreRefusesTheNew},
		{"ClientCap", testClientCap},
		{"TenThousand", testTenThousand},
		{"Expiry", testExpiry},
		{"Watch", testWatch},
		{"WatchEnds", testWatchEnds},
		{"Mark", testMark},
		{"MarkIsFirstOnce", testMarkIsFirstOnce},
		{"Revocations", testRevocations},
		{"RevocationsExpire", testRevocationsExpire},
		{"Context", testContext},
		{"Close", testClose},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, &storeTest{new: newStore, clock: newClock()}) })
	}
}

// storeTest makes the stores of one test and holds their clock.
type storeTest struct {
	new   NewStore
	clock *clock
}

func (s *storeTest) open(t *testing.T, maxPending, maxPerClient int) verifier.Store {
	t.Helper()
	store := s.new(t, s.clock.now, maxPending, maxPerClient)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// transaction is a fresh one that has just begun.
func (s *storeTest) transaction(id string) verifier.Transaction {
	now := s.clock.now()
	return verifier.Transaction{
		ID: id, State: "state of " + id, Status: verifier.StatusCreated,
		CallbackKeyHash: make([]byte, 32), BindingHash: make([]byte, 32),
		Requirement: verifier.Requirement{
			Credential: "employee", Type: "VerifiedEmployee", AcceptedIssuers: []string{"did:web:verifiedid.contoso.example"},
			FaceCheck: &verifier.FaceCheckRequirement{SourcePhotoClaim: "photo", Threshold: 70},
			Keep:      []string{"displayName", "mail"},
		},
		Gate: "gate", ReturnTo: "/", CorrelationVector: "AAAAAAAAAAAAAAAAAAAAAA.0",
		Created: now, Expires: now.Add(5 * time.Minute),
	}
}

// requested is a transaction that waits for its callback.
func (s *storeTest) requested(id string) verifier.Transaction {
	transaction := s.transaction(id)
	transaction.RequestID, transaction.DeepLink = "request of "+id, "openid-vc://?request_uri=https://service.example/"+id
	return transaction
}

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

// newClock starts at the present, for stores whose backend has a clock of its own.
func newClock() *clock {
	return &clock{at: time.Now().UTC().Truncate(time.Second)} //nolint:forbidigo // from here on it stands
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// patience is how long a store may take to tell of a change. It is a limit, not a pause.
const patience = 10 * time.Second

// await receives a value or the end of a channel.
func await[T any](t *testing.T, c <-chan T, what string) (value T, open bool) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case value, open = <-c:
		return value, open
	case <-timer.C:
		t.Fatalf("%s: nothing within %v", what, patience)
		return value, false
	}
}

func create(t *testing.T, store verifier.Store, transactions ...verifier.Transaction) {
	t.Helper()
	for _, transaction := range transactions {
		if err := store.Create(t.Context(), transaction); err != nil {
			t.Fatalf("Create(%q): %v", transaction.ID, err)
		}
	}
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// parallel runs fn n times at once and waits.
func parallel(n int, fn func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	group.Wait()
}

func retrieve(now time.Time) func(*verifier.Transaction) error {
	return func(t *verifier.Transaction) error { return t.Retrieved(now) }
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func name(prefix string, i int) string { return fmt.Sprintf("%s-%d", prefix, i) }
