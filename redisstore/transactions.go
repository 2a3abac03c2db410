// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// rounds bounds how often a change is tried anew because another node came between.
const rounds = 64

// Create implements [verifier.Store]. It counts the transaction first and stores it then: if this process dies in between, the place
// stays taken until the transaction would have ended.
func (s *Store) Create(ctx context.Context, t verifier.Transaction) error {
	c, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer c.end()
	now := s.now()
	life := t.KeepUntil().Sub(now)
	if life <= 0 {
		return verifier.ErrExpired
	}
	hash, key := s.names.transaction(t.ID)
	sealed, _, err := s.encode(&t, key)
	if err != nil {
		return err
	}
	fresh, err := c.reserve(hash, &t, now)
	if err != nil {
		return err
	}
	other, created, err := c.claim(key, sealed, life)
	for round := 0; err == nil && !created; round++ {
		if round == rounds || !c.pause(round) {
			return errContended
		}
		if other == "" { // it ended between our two looks
			other, created, err = c.claim(key, sealed, life)
			continue
		}
		if _, err = s.decode(other, t.ID, key); !errors.Is(err, verifier.ErrNotFound) {
			if err == nil {
				err = verifier.ErrExists
			}
			break
		}
		// It has ended by our clock, which counts, and not yet by the server's.
		other, created, err = c.swap(key, other, sealed, life, message(hash, t.KeepUntil()))
	}
	switch {
	case err == nil && !fresh:
		c.settle(hash, &t)
	case err != nil && fresh && c.refused:
		c.release(hash, t.Client) // a full server counts and does not store; without this it would be full for long after
	}
	return err
}

// Get implements [verifier.Store].
func (s *Store) Get(ctx context.Context, id string) (verifier.Transaction, error) {
	c, err := s.begin(ctx)
	if err != nil {
		return verifier.Transaction{}, err
	}
	defer c.end()
	hash, key := s.names.transaction(id)
	t, err := c.get(id, key)
	if errors.Is(err, verifier.ErrNotFound) {
		s.hub.suspect(hash)
	}
	return t, err
}

func (c *call) get(id, key string) (verifier.Transaction, error) {
	sealed, err := c.read(key)
	if err != nil {
		return verifier.Transaction{}, err
	}
	return c.decode(sealed, id, key)
}

// Update implements [verifier.Store]. If it returns an error that wraps [verifier.ErrStoreUnavailable], the change may have been stored
// all the same: the answer was lost, or will never come. Moves are made for that: repeated, they change nothing more, but for
// [verifier.Transaction.Retrieved], which counts one retrieval as two then.
func (s *Store) Update(ctx context.Context, id string, move func(*verifier.Transaction) error) (verifier.Transaction, error) {
	c, err := s.begin(ctx)
	if err != nil {
		return verifier.Transaction{}, err
	}
	defer c.end()
	hash, key := s.names.transaction(id)
	done, err := c.takeTurn(hash)
	if err != nil {
		return verifier.Transaction{}, err
	}
	defer done()
	t, err := c.update(hash, id, key, move)
	if errors.Is(err, verifier.ErrNotFound) {
		s.hub.suspect(hash)
	}
	return t, err
}

func (c *call) update(hash, id, key string, move func(*verifier.Transaction) error) (verifier.Transaction, error) {
	sealed, err := c.read(key)
	for round := 0; err == nil; round++ {
		var old verifier.Transaction
		if old, err = c.decode(sealed, id, key); err != nil {
			break
		}
		moved := old
		if err := move(&moved); err != nil {
			return old, err
		}
		moved.ID, moved.Client = old.ID, old.Client
		next, stored, err := c.encode(&moved, key)
		if err != nil {
			return verifier.Transaction{}, err
		}
		until := stored.KeepUntil()
		other, swapped, err := c.swap(key, sealed, next, until.Sub(c.now()), message(hash, until))
		switch {
		case err != nil:
			return verifier.Transaction{}, err
		case swapped:
			if !until.Equal(old.KeepUntil()) || stored.Pending() != old.Pending() {
				c.settle(hash, &stored)
			}
			return stored, nil
		case other == "":
			return verifier.Transaction{}, verifier.ErrNotFound
		case round == rounds || !c.pause(round):
			return verifier.Transaction{}, errContended
		}
		sealed = other
	}
	return verifier.Transaction{}, err
}

// Delete implements [verifier.Store].
func (s *Store) Delete(ctx context.Context, id string) error {
	c, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer c.end()
	hash, key := s.names.transaction(id)
	var sealed string
	err = c.do(removing, func(ctx context.Context) (err error) {
		sealed, err = removeScript.Run(ctx, s.client, []string{key}, s.names.changes, message(hash, time.Time{})).Text()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	// Whose counter it is in, only the entry says. If it does not, the counters forget it when it would have ended.
	if plain, err := s.open(sealed, key); err == nil {
		if t, err := verifier.DecodeTransaction(plain); err == nil {
			c.release(hash, t.Client)
		}
	}
	return nil
}

// encode seals a transaction for its place, and returns what will be read of it. What could not be read is not stored.
func (s *Store) encode(t *verifier.Transaction, key string) (sealed string, read verifier.Transaction, err error) {
	plain, err := json.Marshal(t)
	if err != nil {
		return "", verifier.Transaction{}, fmt.Errorf("encoding a transaction: %w", err)
	}
	if read, err = verifier.DecodeTransaction(plain); err != nil {
		return "", verifier.Transaction{}, err
	}
	return s.seal(plain, key), read, nil
}

// decode opens an entry. What has ended by our clock is not found.
func (s *Store) decode(sealed, id, key string) (verifier.Transaction, error) {
	plain, err := s.open(sealed, key)
	if err != nil {
		return verifier.Transaction{}, err
	}
	t, err := verifier.DecodeTransaction(plain)
	switch {
	case err != nil:
		return verifier.Transaction{}, err
	case t.ID != id:
		return verifier.Transaction{}, errUnreadable
	case !s.now().Before(t.KeepUntil()):
		return verifier.Transaction{}, verifier.ErrNotFound
	}
	return t, nil
}

// takeTurn waits until no other call of this process changes transactions of the same part of all names, so that only nodes compete
// and not visitors. Waiting takes nothing of the call's time while the server answers; once it does not, nobody waits.
func (c *call) takeTurn(hash string) (done func(), err error) {
	turn := c.turns[hash[0]*31+hash[1]] // of a hash, any two characters do
	select {
	case turn <- struct{}{}:
		return func() { <-turn }, nil
	default:
	}
	tick := time.NewTicker(patience.RedisCall / 8)
	defer tick.Stop()
	for !c.breaker.Failing() {
		select {
		case turn <- struct{}{}:
			if c.breaker.Failing() {
				<-turn
				return nil, c.late()
			}
			c.restart()
			return func() { <-turn }, nil
		case <-tick.C:
		case <-c.caller.Done():
			return nil, c.caller.Err()
		}
	}
	return nil, c.late()
}
