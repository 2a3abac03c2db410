// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"container/heap"
	"time"
)

// expiring is a map whose entries end at a time of their own. It neither reads a clock nor starts a goroutine nor locks; its
// owner does. Ending costs O(log n) an entry, once, and nothing scans.
type expiring[K comparable, V any] struct {
	entries map[K]*expiringEntry[K, V]
	order   expiringHeap[K, V]
}

type expiringEntry[K comparable, V any] struct {
	key   K
	value V
	until time.Time
	index int
}

func newExpiring[K comparable, V any]() expiring[K, V] {
	return expiring[K, V]{entries: make(map[K]*expiringEntry[K, V])}
}

func (e *expiring[K, V]) len() int { return len(e.order) }

// get returns the value, for change in place, or nil.
func (e *expiring[K, V]) get(key K) *V {
	if entry := e.entries[key]; entry != nil {
		return &entry.value
	}
	return nil
}

// set adds or replaces an entry.
func (e *expiring[K, V]) set(key K, value V, until time.Time) {
	if entry := e.entries[key]; entry != nil {
		entry.value = value
		e.extend(key, until)
		return
	}
	entry := &expiringEntry[K, V]{key: key, value: value, until: until}
	e.entries[key] = entry
	heap.Push(&e.order, entry)
}

// extend gives an entry another end.
func (e *expiring[K, V]) extend(key K, until time.Time) {
	entry := e.entries[key]
	if !entry.until.Equal(until) {
		entry.until = until
		heap.Fix(&e.order, entry.index)
	}
}

// remove takes an entry out and returns its value, or nil.
func (e *expiring[K, V]) remove(key K) *V {
	entry := e.entries[key]
	if entry == nil {
		return nil
	}
	heap.Remove(&e.order, entry.index)
	delete(e.entries, key)
	return &entry.value
}

// ended takes out an entry that is over and returns its value, or nil if none is.
func (e *expiring[K, V]) ended(now time.Time) *V {
	if until, ok := e.next(); ok && !now.Before(until) {
		return e.remove(e.order[0].key)
	}
	return nil
}

// sweep forgets all that is over.
func (e *expiring[K, V]) sweep(now time.Time) {
	for e.ended(now) != nil {
		continue
	}
}

// next returns the earliest end.
func (e *expiring[K, V]) next() (time.Time, bool) {
	if len(e.order) == 0 {
		return time.Time{}, false
	}
	return e.order[0].until, true
}

// expiringHeap is a [heap.Interface] by end.
type expiringHeap[K comparable, V any] []*expiringEntry[K, V]

func (h expiringHeap[K, V]) Len() int           { return len(h) }
func (h expiringHeap[K, V]) Less(i, j int) bool { return h[i].until.Before(h[j].until) }

func (h expiringHeap[K, V]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *expiringHeap[K, V]) Push(x any) {
	entry := x.(*expiringEntry[K, V]) //nolint:forcetypeassert // only set pushes
	entry.index = len(*h)
	*h = append(*h, entry)
}

func (h *expiringHeap[K, V]) Pop() any {
	last := len(*h) - 1
	entry := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return entry
}
