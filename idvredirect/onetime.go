// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"context"
	"errors"
	"sync"
	"time"
)

// OneTimeStore remembers which tokens were used. A partner with several servers needs one that all of them share, such
// as a SET NX EX in Redis or an INSERT under a unique key.
type OneTimeStore interface {
	// Use marks key as used until the given time and says whether this call was the first to do so. Of any number of
	// calls with one key, on all servers together, exactly one may answer true before until. After until the mark may be
	// forgotten. key has about 60 printable characters and holds nothing secret.
	//
	// When the store cannot tell, it must return an error: [Verify] then refuses the token. It must respect ctx.
	Use(ctx context.Context, key string, until time.Time) (first bool, err error)
}

// ErrOneTimeFull is what a [MemoryOneTimeStore] answers when all the marks it can hold are alive.
var ErrOneTimeFull = errors.New("one-time store is full")

// MemoryOneTimeStore is a [OneTimeStore] for one process. It forgets everything when the process ends, so wait for
// [MaxLifetime] after a restart, or use a store that lasts, where that matters. It is safe for concurrent use and starts
// no goroutine.
type MemoryOneTimeStore struct {
	limit int
	now   func() time.Time

	mu       sync.Mutex
	marks    map[string]time.Time // until when
	earliest time.Time            // no mark ends before; nothing to forget until then
}

// NewMemoryOneTimeStore makes a store for at most limit live marks (0: 100,000, some 20 MB). When it is full it refuses
// new tokens and forgets no used one. now is the clock; nil means time.Now.
func NewMemoryOneTimeStore(limit int, now func() time.Time) *MemoryOneTimeStore {
	if limit <= 0 {
		limit = 100_000
	}
	if now == nil {
		now = time.Now //nolint:forbidigo // the default clock; tests pass their own
	}
	return &MemoryOneTimeStore{limit: limit, now: now, marks: make(map[string]time.Time)}
}

// Use implements [OneTimeStore]. Its errors are that of ctx and [ErrOneTimeFull].
func (s *MemoryOneTimeStore) Use(ctx context.Context, key string, until time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()

	now := s.now()
	if until, used := s.marks[key]; used && !until.Before(now) {
		return false, nil
	}
	if len(s.marks) >= s.limit {
		s.forget(now)
	}
	if len(s.marks) >= s.limit {
		return false, ErrOneTimeFull
	}
	if len(s.marks) == 0 || until.Before(s.earliest) {
		s.earliest = until
	}
	s.marks[key] = until
	return true, nil
}

// forget drops the marks that have ended. It walks over all of them, so only when there is one to drop: a flood of tokens
// at a full store must not make each call that long.
func (s *MemoryOneTimeStore) forget(now time.Time) {
	if !s.earliest.Before(now) {
		return
	}
	s.earliest = time.Time{}
	for key, until := range s.marks {
		switch {
		case until.Before(now):
			delete(s.marks, key)
		case s.earliest.IsZero() || until.Before(s.earliest):
			s.earliest = until
		}
	}
}

// Interface guards.
var _ OneTimeStore = (*MemoryOneTimeStore)(nil)
