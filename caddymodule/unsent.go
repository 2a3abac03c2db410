// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// resendInterval is how often the store is told again what it did not take. Nodes must hear of it within 5 seconds of its return, and
// some take two to ask (TM-156).
const resendInterval = time.Second

// unsent are the revocations that the store has not taken: it did not answer, or was full. What they say is in [revocations]. The
// zero value is empty.
type unsent struct {
	mu   sync.Mutex
	keys map[revocationKey]struct{}
}

func (u *unsent) add(key revocationKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.keys == nil {
		u.keys = map[revocationKey]struct{}{}
	}
	u.keys[key] = struct{}{}
}

// take empties it.
func (u *unsent) take() map[revocationKey]struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	keys := u.keys
	u.keys = nil
	return keys
}

// end makes this process know at once, and then the store. After an error only this process knows, and the store is told again and
// again, until it takes it or the revocation's time is over.
func (s *sharedStore) end(ctx context.Context, r verifier.Revocation) error {
	s.revoked.add(r)
	err := s.Revoke(ctx, r)
	if err != nil {
		s.unsent.add(revocationKey{r.Kind, r.Value})
	}
	return err
}

// resend tells the store again what it did not take. Where one fails the others wait, unless the store is only full of logouts: what an
// operator says has room all the same.
func (s *sharedStore) resend(ctx context.Context) {
	var failed error
	for key := range s.unsent.take() {
		r, lives := s.revoked.get(key)
		if !lives {
			continue
		}
		if failed == nil || errors.Is(failed, verifier.ErrFull) && key.kind != verifier.RevokeSession {
			err := s.Revoke(ctx, r)
			if err == nil {
				continue
			}
			failed = err
		}
		s.unsent.add(key)
	}
}

// keepResending returns when the context ends.
func (s *sharedStore) keepResending(ctx context.Context) {
	ticker := time.NewTicker(resendInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.resend(ctx)
		}
	}
}
