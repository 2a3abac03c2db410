// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// tellingStore tells of the revocations that the test sends it.
type tellingStore struct {
	verifier.Store
	told chan verifier.Revocation
	done chan struct{}
}

func (s *tellingStore) WatchRevocations(ctx context.Context, fn func(verifier.Revocation)) error {
	for {
		select {
		case r := <-s.told:
			fn(r)
			s.done <- struct{}{}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *tellingStore) tell(r verifier.Revocation) {
	s.told <- r
	<-s.done
}

// The clock of one node is two hours ahead, and it puts everybody out. Who comes after it spoke must get in at the other nodes, also
// when the store tells them the same again. TM-136.
func TestRevocationOfAFastNodeShutsNobodyOut(t *testing.T) {
	setNow(testNow)
	t.Cleanup(func() { setNow(testNow) })
	store := &tellingStore{verifier.NewMemoryStore(verifier.MemoryConfig{Now: clockNow}), make(chan verifier.Revocation), make(chan struct{})}
	shared := newSharedStore(store, clockNow)
	t.Cleanup(func() { _ = shared.Destruct() })
	all := verifier.Revocation{Kind: verifier.RevokeAll, Since: testNow.Add(2 * time.Hour), Until: testNow.Add(24 * time.Hour)}

	store.tell(all)
	if !shared.revoked.hit(verifier.RevokeAll, "", testNow) {
		t.Error("who was in stays in")
	}
	comes := testNow.Add(clockSkew + time.Second)
	setNow(testNow.Add(10 * time.Minute))
	store.tell(all)
	if shared.revoked.hit(verifier.RevokeAll, "", comes) {
		t.Error("who came a minute later is shut out")
	}
	all.Until = all.Until.Add(time.Hour)
	store.tell(all)
	if !shared.revoked.hit(verifier.RevokeAll, "", testNow.Add(5*time.Minute)) {
		t.Error("a new revocation is taken for a repetition")
	}
}

// silentStore takes no revocation while err is set.
type silentStore struct {
	verifier.Store
	mu  sync.Mutex
	err error
}

func (s *silentStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *silentStore) Revoke(ctx context.Context, r verifier.Revocation) error {
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	if err != nil && (!errors.Is(err, verifier.ErrFull) || r.Kind == verifier.RevokeSession) {
		return err
	}
	return s.Store.Revoke(ctx, r)
}

// Nodes share a store and no storage. The store is away when Ana is put out at one of them: it was never told of it again, and the other
// nodes, which reach it when it is back, let her copied session in to its end. What has been taken is not told again. TM-155, TM-156.
func TestStoreThatWasAwayIsToldOfRevocations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := verifier.NewMemoryStore(verifier.MemoryConfig{})
		store := &silentStore{Store: memory, err: errBroken}
		here := newSharedStore(store, time.Now)
		other := newSharedStore(memory, time.Now)
		for _, value := range []string{"ana", "ben"} {
			r := verifier.Revocation{Kind: verifier.RevokeSubject, Value: value, Since: time.Now(), Until: time.Now().Add(time.Hour)}
			if err := here.end(t.Context(), r); !errors.Is(err, verifier.ErrStoreUnavailable) {
				t.Errorf("while the store is away: %v", err)
			}
		}
		<-time.After(time.Minute)
		synctest.Wait()
		if other.revoked.count() != 0 {
			t.Error("heard of it from a store that is away")
		}
		store.fail(nil)
		<-time.After(5 * time.Second)
		synctest.Wait()
		for _, value := range []string{"ana", "ben"} {
			if !other.revoked.hit(verifier.RevokeSubject, value, time.Time{}) {
				t.Errorf("the other node has not heard of %s 5 seconds after the store was back", value)
			}
		}
		if left := here.unsent.take(); len(left) != 0 {
			t.Errorf("%d are still told again", len(left))
		}
		store.Store = verifier.NewMemoryStore(verifier.MemoryConfig{}) // closed with its node
		for _, s := range []*sharedStore{here, other} {
			if err := s.Destruct(); err != nil {
				t.Error(err)
			}
		}
	})
}

// Somebody logs in and out until the store takes no more logouts. Those that wait hold up nothing of what an operator says. TM-122, TM-156.
func TestStoreFullOfLogoutsHoldsUpNoOperator(t *testing.T) {
	until := time.Now().Add(time.Hour)
	for range 20 { // the order in which they are told again is that of a map
		store := &silentStore{Store: verifier.NewMemoryStore(verifier.MemoryConfig{})}
		s := &sharedStore{Store: store, revoked: revocations{now: time.Now}}
		store.fail(errBroken)
		for _, value := range []string{"one", "two", "three"} {
			_ = s.end(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: value, Until: until})
		}
		_ = s.end(t.Context(), verifier.Revocation{Kind: verifier.RevokeAll, Until: until})
		store.fail(verifier.ErrFull)
		s.resend(t.Context())
		if left := s.unsent.take(); len(left) != 3 {
			t.Fatalf("%d wait, want the three logouts: %v", len(left), left)
		}
		_ = store.Close()
	}
}

// The store hangs when Ana logs out, and the server is killed before it answers: Caddy's storage has the logout by then. TM-155.
func TestLogoutIsKeptWhileTheStoreIsAway(t *testing.T) {
	storage := newStorage(t)
	n := newNode(t, storage, nil)
	_, cookie := sessionOf(n.gate, presentation(n.gate))
	own := n.app.store.Store
	t.Cleanup(func() { n.app.store.Store = own })
	n.app.store.Store = &silentStore{Store: own, err: errBroken}
	if status, page, cleared := n.logOut(t, cookie); status != http.StatusServiceUnavailable || !cleared {
		t.Errorf("logout: status %d, cookie cleared %v, want 503 and a cleared cookie:\n%s", status, cleared, page)
	}
	if restarted := newNode(t, storage, &n); restarted.admits(t, cookie) {
		t.Error("the restart has brought the session back")
	}
}
