// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// JWKSMaxAge is the max-age to publish a key set with, and how long a partner may keep it.
	JWKSMaxAge = time.Hour

	// KeySetSpread is how soon every node must know of a rotation: each must read the shared state at least this often.
	// It also covers the difference between the nodes' clocks.
	KeySetSpread = 5 * time.Minute

	// signDelay is the time from publishing a new key to its first use: when it ends, the last copy of the older set has
	// left the last partner's cache, even one fetched from the last node to hear of the rotation.
	signDelay = JWKSMaxAge + KeySetSpread

	// keepAfterUse is the time a key stays published after its last use: until no token by it is valid, and one max-age
	// longer for partners who look the key up late.
	keepAfterUse = MaxLifetime + JWKSMaxAge + KeySetSpread
)

const redactedKeySet = "[key set redacted]"

// KeySet is the timeline of a relying party's signing keys: which key signs at a given time, and which public keys are
// published then. It is a pure function of time, so nodes that hold the same state agree without talking, and it is
// immutable: [KeySet.Rotate] returns a new set. Safe for concurrent use. The zero value has no key; get a set from
// [NewKeySet], or read a stored one with [KeySet.UnmarshalJSON].
//
// A key that [KeySet.Rotate] adds is published at once and signs after [JWKSMaxAge] plus [KeySetSpread]. From that
// moment the key before it signs no more, and stays published for the longest token life plus the same time. The first
// key of all signs at once, since nobody can have cached a set without it.
type KeySet struct {
	entries []keyEntry // at least one that signs; those in the order of their use
}

// keyEntry is one key. Its end is not stored: it follows from the next signing key's beginning.
type keyEntry struct {
	key           *SigningKey
	publishedFrom time.Time
	signsFrom     time.Time // zero: it is only published
}

// signs says whether the key is ever used.
func (e keyEntry) signs() bool { return !e.signsFrom.IsZero() }

// NewKeySet makes a set from keys that an operator manages by hand: the first one signs, from now on, and the others are
// only published. To rotate such keys, append the new key, wait an hour and a half, move it to the front, wait as long
// again, and take the old one away. Errors wrap [ErrKeySet]: no key, the same key twice, more than 16 keys.
//
// With one key it is also the start of a set that [KeySet.Rotate] carries on, and the way out when a key was stolen: a
// new set with a new key forgets the old key at once.
func NewKeySet(now time.Time, keys ...*SigningKey) (*KeySet, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: it needs at least one key", ErrKeySet)
	}
	now = wholeSecond(now)
	set := &KeySet{}
	for i, key := range keys {
		entry := keyEntry{key: key, publishedFrom: now}
		if i == 0 {
			entry.signsFrom = now
		}
		set.entries = append(set.entries, entry)
	}
	if err := set.check(); err != nil {
		return nil, err
	}
	return set, nil
}

// Rotate returns a set in which key takes over from the present signing key, as the type's comment says, and from which
// keys past their time are gone. The receiver is unchanged. The caller stores the new set as JSON, under a lock that
// all nodes share, before any node uses it. Errors wrap [ErrKeySet]: nil key, key already in the set, more than 16
// keys alive.
func (s *KeySet) Rotate(now time.Time, key *SigningKey) (*KeySet, error) {
	now = wholeSecond(now)
	next := &KeySet{}
	for i, entry := range s.entries {
		if end := s.publishedUntil(i); end.IsZero() || now.Before(end) {
			next.entries = append(next.entries, entry)
		}
	}
	signsFrom := now.Add(signDelay)
	if newest := s.newestUse(); !signsFrom.After(newest) {
		// Clocks differ, or were set back: the order of the keys must not change, or a retired key would sign again.
		signsFrom = newest.Add(time.Second)
	}
	next.entries = append(next.entries, keyEntry{key: key, publishedFrom: now, signsFrom: signsFrom})
	if err := next.check(); err != nil {
		return nil, err
	}
	return next, nil
}

// RotationDue says whether the newest key has been in use for at least every, so that it is time for
// [KeySet.Rotate]. A key that waits for its first use counts as new.
func (s *KeySet) RotationDue(now time.Time, every time.Duration) bool {
	return now.Sub(s.newestUse()) >= every
}

// Signing returns the key that signs at now. There always is one: before the first key's time, which only a clock that is
// behind can bring about, it is the first key. The zero set returns nil.
func (s *KeySet) Signing(now time.Time) *SigningKey {
	var signing *SigningKey
	for _, entry := range s.entries {
		if entry.signs() && (signing == nil || !now.Before(entry.signsFrom)) {
			signing = entry.key
		}
	}
	return signing
}

// ForAssertions says whether the set's keys sign assertions, not kickstart tokens. All of a set do the same.
func (s *KeySet) ForAssertions() bool {
	return len(s.entries) > 0 && s.entries[0].key.method == jwt.SigningMethodES256
}

// JWKS returns the key set to publish at now (RFC 7517), public members only, as JSON. Serve it as
// application/jwk-set+json with a max-age of at most [JWKSMaxAge], to GET and HEAD.
func (s *KeySet) JWKS(now time.Time) []byte { return JWKS(now, s) }

// JWKS returns several sets as one, as [KeySet.JWKS] does one: the keys of kickstart tokens and those of assertions are
// published at one address. Each key says by its kty and alg what it is for, and a reader of one kind skips the other.
func JWKS(now time.Time, sets ...*KeySet) []byte {
	keys := []jwk{}
	for _, s := range sets {
		signing := s.Signing(now)
		for i, entry := range s.entries {
			end := s.publishedUntil(i)
			begun := !now.Before(entry.publishedFrom)
			if entry.key == signing || begun && (end.IsZero() || now.Before(end)) {
				keys = append(keys, entry.key.jwk)
			}
		}
	}
	return marshalJWKS(keys)
}

// String is redacted, so that no key gets into a log.
func (*KeySet) String() string { return redactedKeySet }

// Format is redacted for every verb.
func (*KeySet) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, redactedKeySet) }

// LogValue is redacted, or a JSON log would marshal the set.
func (*KeySet) LogValue() slog.Value { return slog.StringValue(redactedKeySet) }

// publishedUntil returns when the entry's key leaves the published set; zero means never.
func (s *KeySet) publishedUntil(i int) time.Time {
	if !s.entries[i].signs() {
		return time.Time{}
	}
	for _, later := range s.entries[i+1:] {
		if later.signs() {
			return later.signsFrom.Add(keepAfterUse)
		}
	}
	return time.Time{}
}

// newestUse returns when the last key begins to sign.
func (s *KeySet) newestUse() time.Time {
	var newest time.Time
	for _, entry := range s.entries {
		if entry.signs() {
			newest = entry.signsFrom
		}
	}
	return newest
}

// check holds for every set that leaves this file.
func (s *KeySet) check() error {
	if len(s.entries) > maxKeys {
		return fmt.Errorf("%w: more than %d keys at once", ErrKeySet, maxKeys)
	}
	seen := make(map[string]bool)
	var last time.Time
	for _, entry := range s.entries {
		switch {
		case entry.key == nil || entry.key.private == nil:
			return fmt.Errorf("%w: a key is missing", ErrKeySet)
		case entry.key.method != s.entries[0].key.method:
			return fmt.Errorf("%w: kickstart keys and assertion keys are in it together", ErrKeySet)
		case seen[entry.key.KeyID()]:
			return fmt.Errorf("%w: the same key is in it twice", ErrKeySet)
		case entry.signs() && !entry.signsFrom.After(last):
			return fmt.Errorf("%w: the keys are not in the order of their use", ErrKeySet)
		}
		seen[entry.key.KeyID()] = true
		if entry.signs() {
			last = entry.signsFrom
		}
	}
	if last.IsZero() {
		return fmt.Errorf("%w: no key in it signs", ErrKeySet)
	}
	return nil
}

// wholeSecond drops what the state does not keep, so that a set and its stored copy agree.
func wholeSecond(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
