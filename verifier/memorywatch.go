// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"slices"
)

// memoryWatcher is one channel of [MemoryStore.Watch]. The store's lock guards it.
type memoryWatcher struct {
	changed chan struct{}
	stop    func() bool
	closed  bool
}

// Watch implements [Store].
func (s *MemoryStore) Watch(ctx context.Context, id string) (<-chan struct{}, error) {
	_, unlock, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	entry := s.transactions.get(id)
	if entry == nil {
		return nil, ErrNotFound
	}
	w := &memoryWatcher{changed: make(chan struct{}, 1)}
	entry.watchers = append(entry.watchers, w)
	w.stop = context.AfterFunc(ctx, func() { s.unwatch(id, w) })
	return w.changed, nil
}

func (s *MemoryStore) unwatch(id string, w *memoryWatcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if entry := s.transactions.get(id); entry != nil {
		if i := slices.Index(entry.watchers, w); i >= 0 {
			entry.watchers = slices.Delete(entry.watchers, i, i+1)
		}
	}
	w.close()
}

// notify leaves a value unless one is waiting already.
func (w *memoryWatcher) notify() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *memoryWatcher) close() {
	if !w.closed {
		w.closed = true
		w.stop()
		close(w.changed)
	}
}

type revocationKey struct {
	kind  RevocationKind
	value string
}

// revocationListener is one call of [MemoryStore.WatchRevocations]. The store's lock guards it, except wake.
type revocationListener struct {
	queue []Revocation
	wake  chan struct{}
}

func (l *revocationListener) notify() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Revoke implements [Store].
func (s *MemoryStore) Revoke(ctx context.Context, r Revocation) error {
	now, unlock, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if !now.Before(r.Until) {
		return nil
	}
	key := revocationKey{r.Kind, r.Value}
	if known := s.revocations.get(key); known != nil {
		if known.Since.After(r.Since) {
			r.Since = known.Since
		}
		if known.Until.After(r.Until) {
			r.Until = known.Until
		}
	} else if r.Kind == RevokeSession && s.revocations.len() >= maxRevocations {
		return ErrFull
	}
	s.revocations.set(key, r, r.Until)
	for listener := range s.listeners {
		s.tell(listener, r)
	}
	s.wake(now)
	return nil
}

// tell queues a revocation. A listener so slow that its queue would outgrow the set itself is given the set anew.
func (s *MemoryStore) tell(listener *revocationListener, r Revocation) {
	if len(listener.queue) >= maxRevocations {
		listener.queue = s.livingRevocations()
	} else {
		listener.queue = append(listener.queue, r)
	}
	listener.notify()
}

func (s *MemoryStore) livingRevocations() []Revocation {
	living := make([]Revocation, 0, s.revocations.len())
	for _, entry := range s.revocations.order {
		living = append(living, entry.value)
	}
	return living
}

// WatchRevocations implements [Store].
func (s *MemoryStore) WatchRevocations(ctx context.Context, fn func(Revocation)) error {
	_, unlock, err := s.enter(ctx)
	if err != nil {
		return err
	}
	listener := &revocationListener{queue: s.livingRevocations(), wake: make(chan struct{}, 1)}
	s.listeners[listener] = struct{}{}
	unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, listener)
	}()
	for {
		s.mu.Lock()
		queue, closed := listener.queue, s.closed
		listener.queue = nil
		s.mu.Unlock()
		if closed {
			return ErrStoreClosed
		}
		for _, r := range queue {
			if err := ctx.Err(); err != nil {
				return err
			}
			fn(r)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-listener.wake:
		}
	}
}
