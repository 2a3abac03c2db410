// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const (
	// maxAssertions bounds the cache; what comes above it is signed for each request that finds itself pushed out.
	maxAssertions   = 10_000
	assertionShards = 16
	// shardHalf is how many entries make one of the two halves of a shard.
	shardHalf = maxAssertions / assertionShards / 2
)

// assertionCache keeps assertions as long as they are handed out, so that one signature serves all requests that a page makes.
// It decides nothing: who asks it has a session that has just been judged. It belongs to one config and outlives nothing.
type assertionCache struct {
	seed   maphash.Seed
	shards [assertionShards]assertionShard
}

// assertionShard has two halves: when the younger one is full or a lifetime old, it becomes the older one, and what was in
// that is forgotten. So nothing is searched for what has expired, and nothing stays long.
type assertionShard struct {
	mu      sync.Mutex
	younger map[assertionKey]signedAssertion
	older   map[assertionKey]signedAssertion
	turnAt  time.Time
}

// assertionKey names all that an assertion says: what changes the text changes the key, so that a session that has stepped up,
// or was verified anew, never gets what was true before.
type assertionKey struct {
	gate                *Gate
	session, credential string
	began, verified     int64 // Unix seconds
}

// signedAssertion is handed out from its making to its end.
type signedAssertion struct {
	text      string
	from, end time.Time
}

func newAssertionCache() *assertionCache { return &assertionCache{seed: maphash.MakeSeed()} }

func keyOf(g *Gate, id identity) assertionKey {
	return assertionKey{
		gate: g, session: id.session.ID, credential: id.presentation.Credential,
		began: id.session.Created.Unix(), verified: id.presentation.VerifiedAt.Unix(),
	}
}

// get returns what is known for the key, or makes it. Of requests that come at once, one signs and the others wait for it.
func (c *assertionCache) get(key assertionKey, now time.Time, sign func() (string, error)) (string, error) {
	s := &c.shards[maphash.String(c.seed, key.session)%assertionShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	known, ok := s.younger[key]
	if !ok {
		known, ok = s.older[key]
	}
	if ok && !now.Before(known.from) && now.Before(known.end) { // the clock may have been set back
		return known.text, nil
	}
	text, err := sign()
	if err != nil {
		return "", err
	}
	if s.younger == nil || len(s.younger) >= shardHalf || !now.Before(s.turnAt) {
		s.older, s.younger = s.younger, make(map[assertionKey]signedAssertion)
		s.turnAt = now.Add(assertionLifetime)
	}
	// Both are parts of an opened cookie, which would be kept with all that is in it.
	key.session, key.credential = strings.Clone(key.session), strings.Clone(key.credential)
	s.younger[key] = signedAssertion{text: text, from: now, end: now.Add(assertionLifetime - assertionReserve)}
	return text, nil
}
