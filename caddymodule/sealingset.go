// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

const (
	// sealingRotation is how long a key that we made ourselves seals before the next one is made.
	sealingRotation = 30 * 24 * time.Hour

	// announceSealing is the time from making a key to its first use. A node that the storage does not answer for less than
	// that, or whose clock is behind by less, knows the key when the first cookie comes that is sealed by it.
	announceSealing = 24 * time.Hour

	// keepSealing is how long a key still opens when the next one seals: until all that it sealed is over, sessions and the
	// revocations that end minutes later, with a day for a node that hears of the next one late.
	keepSealing = maxSessionLifetime + 24*time.Hour

	// fewestSealing keys stay stored although they open nothing any more, so that a node whose clock is ahead by weeks takes none
	// away that the others seal with.
	fewestSealing = 3
)

// sealingKey is a stored sealing key. Its end follows from the next one's beginning.
type sealingKey struct {
	secret []byte
	sealingTimes
}

func newSealingKey(made, sealsFrom time.Time) sealingKey {
	return sealingKey{randomBytes(32), sealingTimes{made.UTC().Truncate(time.Second), sealsFrom.UTC().Truncate(time.Second)}}
}

func (k sealingKey) id() string { return session.KeyID(k.secret) }

// sealingSet is the timeline of the stored sealing keys, a pure function of the time. The first is one that has sealed, or was
// the first to, when the set was stored.
type sealingSet []sealingKey

// sealing is the key that seals at now: of those whose time has come the latest. A node whose clock is behind follows the
// others as soon as the stored set has the key first.
func (s sealingSet) sealing(now time.Time) int {
	best := 0
	for i, key := range s {
		if key.SealsFrom.After(s[best].SealsFrom) && !now.Before(key.SealsFrom) {
			best = i
		}
	}
	return best
}

// leaves is when a key opens nothing any more; zero if no other follows it.
func (s sealingSet) leaves(i int) time.Time {
	var next time.Time
	for _, key := range s {
		if key.SealsFrom.After(s[i].SealsFrom) && (next.IsZero() || key.SealsFrom.Before(next)) {
			next = key.SealsFrom
		}
	}
	if next.IsZero() {
		return next
	}
	return later(next, s[i].Made).Add(keepSealing)
}

// over says whether a key opens nothing any more.
func (s sealingSet) over(i int, now time.Time) bool {
	end := s.leaves(i)
	return !end.IsZero() && !now.Before(end)
}

// ring are the keys at now, for a [session.KeyRing].
func (s sealingSet) ring(now time.Time) [][]byte {
	first := s.sealing(now)
	keys := [][]byte{s[first].secret}
	for i, key := range s {
		if i != first && !s.over(i, now) {
			keys = append(keys, key.secret)
		}
	}
	return keys
}

// waiting says whether a key has yet to begin.
func (s sealingSet) waiting(now time.Time) bool {
	return slices.ContainsFunc(s[1:], func(key sealingKey) bool { return key.SealsFrom.After(now) })
}

// newest is when the last key begins.
func (s sealingSet) newest() time.Time {
	newest := s[0].SealsFrom
	for _, key := range s {
		newest = later(newest, key.SealsFrom)
	}
	return newest
}

// turned is the set as it should be stored at now, and whether that is another: keys without times are given some, the key that
// seals comes first, and the next one is made where that is due.
func (s sealingSet) turned(now time.Time) (sealingSet, bool) {
	next := slices.Clone(s)
	changed := false
	for i := range next {
		if next[i].Made.IsZero() {
			next[i].Made = now.UTC().Truncate(time.Second)
			if i == 0 { // it has sealed alone until now
				next[i].SealsFrom = next[i].Made
			}
			changed = true
		}
	}
	if first := next.sealing(now); first != 0 {
		key := next[first]
		next = slices.Insert(slices.Delete(next, first, first+1), 0, key)
		changed = true
	}
	if now.Sub(next.newest()) >= sealingRotation {
		return next.rotated(now), true
	}
	return next, changed
}

// rotated is the set with one more key, which seals when every node has it, and without those that nobody needs.
func (s sealingSet) rotated(now time.Time) sealingSet {
	sealsFrom := now.Add(announceSealing)
	if newest := s.newest(); !sealsFrom.After(newest) { // clocks differ; the order of the keys must not change
		sealsFrom = newest.Add(time.Second)
	}
	next := append(slices.Clone(s), newSealingKey(now, sealsFrom))
	for len(next) > fewestSealing {
		oldest := 0
		for i, key := range next {
			if key.SealsFrom.Before(next[oldest].SealsFrom) {
				oldest = i
			}
		}
		if !next.over(oldest, now) {
			break
		}
		next = slices.Delete(next, oldest, oldest+1)
	}
	return next
}
