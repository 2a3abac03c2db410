// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"container/heap"
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

	mu      sync.Mutex
	marks   map[string]struct{}
	endings endings
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
	return &MemoryOneTimeStore{limit: limit, now: now, marks: make(map[string]struct{})}
}

// Use implements [OneTimeStore]. Its errors are that of ctx and [ErrOneTimeFull].
func (s *MemoryOneTimeStore) Use(ctx context.Context, key string, until time.Time) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()

	now := s.now()
	for len(s.endings) > 0 && s.endings[0].until.Before(now) {
		delete(s.marks, heap.Pop(&s.endings).(ending).key)
	}
	if _, used := s.marks[key]; used {
		return false, nil
	}
	if len(s.marks) >= s.limit {
		return false, ErrOneTimeFull
	}
	s.marks[key] = struct{}{}
	heap.Push(&s.endings, ending{key, until})
	return true, nil
}

// ending is when a mark may be forgotten.
type ending struct {
	key   string
	until time.Time
}

// endings is a heap with the earliest ending first.
type endings []ending

func (e endings) Len() int           { return len(e) }
func (e endings) Less(i, j int) bool { return e[i].until.Before(e[j].until) }
func (e endings) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *endings) Push(x any)        { *e = append(*e, x.(ending)) }

func (e *endings) Pop() any {
	last := len(*e) - 1
	popped := (*e)[last]
	(*e)[last] = ending{}
	*e = (*e)[:last]
	return popped
}

// Interface guards.
var _ OneTimeStore = (*MemoryOneTimeStore)(nil)
