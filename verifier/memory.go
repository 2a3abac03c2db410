// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"crypto/sha256"
	"sync"
	"time"
)

// Defaults and limits of a [MemoryStore].
const (
	// DefaultMaxPending is how many transactions are held if [MemoryConfig.MaxPending] is not set.
	DefaultMaxPending = 10_000

	// DefaultMaxPendingPerClient is how many are pending for one client if [MemoryConfig.MaxPendingPerClient] is not set.
	DefaultMaxPendingPerClient = 20

	// maxMarks and maxRevocations bound the rest: with some 200 bytes each, 20 MB at worst.
	maxMarks       = 100_000
	maxRevocations = 100_000
)

// MemoryConfig configures a [MemoryStore]. The zero value is ready for use.
type MemoryConfig struct {
	// MaxPending is how many transactions the store holds in all, finished ones that are not forgotten yet included.
	// Default: [DefaultMaxPending].
	MaxPending int

	// MaxPendingPerClient is how many may be pending for one client. Default: [DefaultMaxPendingPerClient].
	MaxPendingPerClient int

	// Now is the clock. Default: [time.Now].
	Now func() time.Time
}

// MemoryStore is the [Store] of a single process. A restart forgets everything in it: visitors under way start again, and
// revocations are lost. Its memory is bounded by its configuration, whatever visitors do. It has no goroutine of its own; a
// timer ends what nobody asks for.
type MemoryStore struct {
	maxPending, maxPerClient int
	now                      func() time.Time

	mu           sync.Mutex
	closed       bool
	transactions expiring[string, memoryEntry]
	perClient    map[string]int
	marks        expiring[[sha256.Size]byte, struct{}]
	revocations  expiring[revocationKey, Revocation]
	listeners    map[*revocationListener]struct{}
	timer        *time.Timer
	wakeAt       time.Time
}

type memoryEntry struct {
	transaction Transaction
	watchers    []*memoryWatcher
}

// NewMemoryStore returns an empty store. Close it when it is no longer needed.
func NewMemoryStore(config MemoryConfig) *MemoryStore {
	s := &MemoryStore{
		maxPending:   config.MaxPending,
		maxPerClient: config.MaxPendingPerClient,
		now:          config.Now,
		transactions: newExpiring[string, memoryEntry](),
		perClient:    make(map[string]int),
		marks:        newExpiring[[sha256.Size]byte, struct{}](),
		revocations:  newExpiring[revocationKey, Revocation](),
		listeners:    make(map[*revocationListener]struct{}),
	}
	if s.maxPending <= 0 {
		s.maxPending = DefaultMaxPending
	}
	if s.maxPerClient <= 0 {
		s.maxPerClient = DefaultMaxPendingPerClient
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s
}

// Resize changes the limits. What is there already stays; only new transactions are refused. 0 means the default.
func (s *MemoryStore) Resize(maxPending, maxPendingPerClient int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maxPending, s.maxPerClient = maxPending, maxPendingPerClient
	if s.maxPending <= 0 {
		s.maxPending = DefaultMaxPending
	}
	if s.maxPerClient <= 0 {
		s.maxPerClient = DefaultMaxPendingPerClient
	}
}

// Create implements [Store].
func (s *MemoryStore) Create(ctx context.Context, t Transaction) error {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	switch {
	case s.transactions.get(t.ID) != nil:
		return ErrExists
	case s.transactions.len() >= s.maxPending:
		return ErrFull
	case t.Client != "" && t.Pending() && s.perClient[t.Client] >= s.maxPerClient:
		return ErrClientFull
	}
	until := t.KeepUntil()
	if !now.Before(until) {
		return ErrExpired
	}
	s.transactions.set(t.ID, memoryEntry{transaction: t}, until)
	s.count(&t, 1)
	s.wake(now)
	return nil
}

// Get implements [Store].
func (s *MemoryStore) Get(ctx context.Context, id string) (Transaction, error) {
	_, unlock, err := s.enter(ctx)
	if err != nil {
		return Transaction{}, err
	}
	defer unlock()
	entry := s.transactions.get(id)
	if entry == nil {
		return Transaction{}, ErrNotFound
	}
	return entry.transaction, nil
}

// Update implements [Store]. It runs move once, while all other calls wait.
func (s *MemoryStore) Update(ctx context.Context, id string, move func(*Transaction) error) (Transaction, error) {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return Transaction{}, err
	}
	defer unlock()
	entry := s.transactions.get(id)
	if entry == nil {
		return Transaction{}, ErrNotFound
	}
	old := entry.transaction
	moved := old
	if err := move(&moved); err != nil {
		return old, err
	}
	moved.ID, moved.Client = old.ID, old.Client
	s.count(&old, -1)
	s.count(&moved, 1)
	entry.transaction = moved
	s.transactions.extend(id, moved.KeepUntil())
	for _, w := range entry.watchers {
		w.notify()
	}
	s.sweep(now)
	s.wake(now)
	return moved, nil
}

// Delete implements [Store].
func (s *MemoryStore) Delete(ctx context.Context, id string) error {
	_, unlock, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s.forget(s.transactions.remove(id))
	return nil
}

// Mark implements [Store].
func (s *MemoryStore) Mark(ctx context.Context, name string, until time.Time) (bool, error) {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	key := sha256.Sum256([]byte(name))
	switch {
	case s.marks.get(key) != nil:
		return false, nil
	case !now.Before(until):
		// A mark that does not live cannot tell the first from the second.
		return false, ErrExpired
	case s.marks.len() >= maxMarks:
		return false, ErrFull
	}
	s.marks.set(key, struct{}{}, until)
	s.wake(now)
	return true, nil
}

// Close implements [Store].
func (s *MemoryStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	for _, entry := range s.transactions.entries {
		s.forget(&entry.value)
	}
	for listener := range s.listeners {
		listener.notify()
	}
	s.transactions = newExpiring[string, memoryEntry]()
	s.marks = newExpiring[[sha256.Size]byte, struct{}]()
	s.revocations = newExpiring[revocationKey, Revocation]()
	return nil
}

// enter locks the store and ends what is over. The caller unlocks.
func (s *MemoryStore) enter(ctx context.Context) (now time.Time, unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, nil, err
	}
	now = s.now()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return time.Time{}, nil, ErrStoreClosed
	}
	s.sweep(now)
	return now, s.mu.Unlock, nil
}

func (s *MemoryStore) sweep(now time.Time) {
	for entry := s.transactions.ended(now); entry != nil; entry = s.transactions.ended(now) {
		s.forget(entry)
	}
	s.marks.sweep(now)
	s.revocations.sweep(now)
}

// forget does what is left to do for a transaction that was taken out.
func (s *MemoryStore) forget(entry *memoryEntry) {
	if entry == nil {
		return
	}
	s.count(&entry.transaction, -1)
	for _, w := range entry.watchers {
		w.close()
	}
	entry.watchers = nil
}

func (s *MemoryStore) count(t *Transaction, by int) {
	if t.Client == "" || !t.Pending() {
		return
	}
	if n := s.perClient[t.Client] + by; n > 0 {
		s.perClient[t.Client] = n
	} else {
		delete(s.perClient, t.Client)
	}
}

// minSweepInterval keeps the timer from spinning should the clock stand still, as it does in tests.
const minSweepInterval = time.Second

// wake sets the timer for the earliest end, unless it fires no later anyway.
func (s *MemoryStore) wake(now time.Time) {
	var earliest time.Time
	for _, next := range []func() (time.Time, bool){s.transactions.next, s.marks.next, s.revocations.next} {
		if until, ok := next(); ok && (earliest.IsZero() || until.Before(earliest)) {
			earliest = until
		}
	}
	if earliest.IsZero() || !s.wakeAt.IsZero() && !earliest.Before(s.wakeAt) {
		return
	}
	s.wakeAt = earliest
	wait := max(earliest.Sub(now), minSweepInterval)
	if s.timer == nil {
		s.timer = time.AfterFunc(wait, s.tick)
	} else {
		s.timer.Reset(wait)
	}
}

func (s *MemoryStore) tick() {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wakeAt = time.Time{}
		s.sweep(now)
		s.wake(now)
	}
}

// Interface guard.
var _ Store = (*MemoryStore)(nil)
