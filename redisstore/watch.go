// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// watched is a transaction that somebody watches. The hub's lock guards it.
type watched struct {
	id       string
	until    time.Time // when to look whether it is gone; zero while nobody knows that it is there
	watchers map[*watcher]struct{}
}

// watcher is one channel of [Store.Watch]. The hub's lock guards it.
type watcher struct {
	changed chan struct{}
	stop    func() bool
}

// Watch implements [verifier.Store]. All watches of a process share one connection.
func (s *Store) Watch(ctx context.Context, id string) (<-chan struct{}, error) {
	c, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer c.end()
	hash, key := s.names.transaction(id)
	w := &watcher{changed: make(chan struct{}, 1)}
	s.hub.add(hash, id, w)
	// First we hear, then we look: what happens in between, we hear.
	if err = s.hub.ready(c); err == nil {
		var t verifier.Transaction
		if t, err = c.get(id, key); err == nil {
			s.hub.arm(ctx, hash, w, t.KeepUntil())
			return w.changed, nil
		}
	}
	s.hub.drop(hash, w)
	return nil, err
}

func (h *hub) add(hash, id string, w *watcher) {
	h.start()
	h.mu.Lock()
	defer h.mu.Unlock()
	entry := h.watched[hash]
	if entry == nil {
		entry = &watched{id: id, watchers: make(map[*watcher]struct{})}
		h.watched[hash] = entry
	}
	entry.watchers[w] = struct{}{}
}

// arm lets a watcher end with its context and with its transaction.
func (h *hub) arm(ctx context.Context, hash string, w *watcher, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	entry := h.watched[hash]
	if entry == nil {
		return
	}
	if _, ok := entry.watchers[w]; !ok {
		return // the store was closed meanwhile
	}
	entry.until = until
	w.stop = context.AfterFunc(ctx, func() { h.drop(hash, w) })
}

// drop ends one watcher.
func (h *hub) drop(hash string, w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	entry := h.watched[hash]
	if entry == nil {
		return
	}
	if _, ok := entry.watchers[w]; !ok {
		return
	}
	w.close()
	delete(entry.watchers, w)
	if len(entry.watchers) == 0 {
		delete(h.watched, hash)
	}
}

// gone ends all watchers of a transaction. The caller holds the lock.
func (h *hub) gone(hash string) {
	if entry := h.watched[hash]; entry != nil {
		for w := range entry.watchers {
			w.close()
		}
		delete(h.watched, hash)
	}
}

func (w *watcher) close() {
	if w.stop != nil {
		w.stop()
	}
	close(w.changed)
}

// notify wakes all watchers of a transaction. The caller holds the lock.
func (e *watched) notify() {
	for w := range e.watchers {
		signal(w.changed)
	}
}

// signal leaves a value unless one is waiting already.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

const (
	// Everybody reads again by and by, ten thousand in a second: all at once they would be the next outage.
	crowd      = 100
	crowdPause = 10 * time.Millisecond

	// doubt is how often everybody reads again in a cluster, whose nodes lose hints among themselves without our noticing.
	doubt = 15 * time.Second
)

// wakeWatchers has all watchers read again when hints may have been lost, or an answer.
func (h *hub) wakeWatchers() {
	var doubts <-chan time.Time
	if _, ok := h.store.client.(*redis.ClusterClient); ok {
		tick := time.NewTicker(doubt)
		defer tick.Stop()
		doubts = tick.C
	}
	pause := time.NewTicker(crowdPause)
	defer pause.Stop()
	for {
		select {
		case <-h.reread:
		case <-doubts:
		case <-h.ctx.Done():
			return
		}
		h.mu.Lock()
		hashes := slices.Collect(maps.Keys(h.watched))
		h.mu.Unlock()
		for some := range slices.Chunk(hashes, crowd) {
			h.mu.Lock()
			for _, hash := range some {
				if entry := h.watched[hash]; entry != nil {
					entry.notify()
				}
			}
			h.mu.Unlock()
			select {
			case <-pause.C:
			case <-h.ctx.Done():
				return
			}
		}
	}
}

// suspect has somebody look whether a watched transaction is gone. That anybody says so is no reason to believe it.
func (h *hub) suspect(hash string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if entry := h.watched[hash]; entry != nil && !entry.until.IsZero() {
		entry.until = h.store.now()
		signal(h.look)
	}
}

// lookInterval is how late a watcher may learn that its transaction has ended by itself.
const lookInterval = time.Second

// watchEnds looks after transactions whose time is over, or of which somebody says that they are gone.
func (h *hub) watchEnds() {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.look:
		case <-h.subscribed:
			h.store.warnOfEviction(h.ctx)
		case <-tick.C:
		}
		for hash, id := range h.due() {
			if !h.settle(hash, id) {
				break // the server does not answer; later
			}
		}
	}
}

func (h *hub) due() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	due := map[string]string{}
	now := h.store.now()
	for hash, entry := range h.watched {
		if !entry.until.IsZero() && !now.Before(entry.until) {
			due[hash] = entry.id
		}
	}
	return due
}

// settle finds out until when a transaction lives. It reports false if it could not.
func (h *hub) settle(hash, id string) bool {
	c, err := h.store.begin(h.ctx)
	if err != nil {
		return false
	}
	defer c.end()
	_, key := h.store.names.transaction(id)
	t, err := c.get(id, key)
	h.mu.Lock()
	defer h.mu.Unlock()
	switch entry := h.watched[hash]; {
	case errors.Is(err, verifier.ErrNotFound):
		h.gone(hash)
	case err != nil:
		return false
	case entry != nil:
		entry.until = t.KeepUntil()
	}
	return true
}
