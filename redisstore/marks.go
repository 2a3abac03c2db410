// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A mark's value is when it ends, in nanoseconds, and random bytes by which a repeated command knows its own.
const (
	markEndSize = 8
	markSize    = markEndSize + 16
)

// Mark implements [verifier.Store]. If the answer of the server is lost nobody is the first.
func (s *Store) Mark(ctx context.Context, name string, until time.Time) (first bool, err error) {
	c, err := s.begin(ctx)
	if err != nil {
		return false, err
	}
	defer c.end()
	life := until.Sub(s.now())
	if life <= 0 {
		return false, verifier.ErrExpired
	}
	plain := make([]byte, markSize)
	binary.BigEndian.PutUint64(plain, uint64(until.UnixNano()))
	_, _ = rand.Read(plain[markEndSize:]) // it never fails
	key := s.names.mark(name)
	mine := s.seal(plain, key)

	other, first, err := c.claim(key, mine, life)
	for round := 0; err == nil && !first; round++ {
		if other != "" {
			if lives, err := s.markLives(other, key); err != nil || lives {
				return false, err
			}
		}
		if round == rounds || !c.pause(round) {
			return false, errContended
		}
		if other == "" { // it ended between our two looks
			other, first, err = c.claim(key, mine, life)
		} else { // it has ended by our clock, which counts, and not yet by the server's
			other, first, err = c.swap(key, other, mine, life, "")
		}
	}
	return first, err
}

func (s *Store) markLives(sealed, key string) (bool, error) {
	plain, err := s.open(sealed, key)
	if err != nil {
		return false, err
	}
	if len(plain) != markSize {
		return false, errUnreadable
	}
	end := time.Unix(0, int64(binary.BigEndian.Uint64(plain)))
	return s.now().Before(end), nil
}
