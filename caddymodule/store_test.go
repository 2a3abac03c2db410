// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"testing"
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
