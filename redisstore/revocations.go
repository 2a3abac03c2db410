// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const (
	// maxRevocations bounds what an attacker who logs in and out for days can fill: about 50 MB.
	maxRevocations = 100_000

	// pollInterval is how late a revocation is heard of if its hint was lost.
	pollInterval = 2 * time.Second

	// page is how many revocations are read at once.
	page = 500

	// clockMargin is how wrong a node's clock may be without clearing away what lives by the others'.
	clockMargin = time.Hour
)

// Revoke implements [verifier.Store].
func (s *Store) Revoke(ctx context.Context, r verifier.Revocation) error {
	c, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer c.end()
	if !s.now().Before(r.Until) {
		return nil
	}
	field := s.names.hash("revocation", string(r.Kind)+"\x00"+r.Value)
	for round := range rounds {
		var old string
		err := c.do(reading, func(ctx context.Context) (err error) {
			old, err = s.client.HGet(ctx, s.names.revoked, field).Result()
			return err
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		merged := r
		if old != "" {
			// What does not open cannot be merged. The new one is no weaker than no revocation, so it takes the place.
			if known, err := s.openRevocation(old, field); err == nil {
				merged.Since, merged.Until = later(known.Since, r.Since), later(known.Until, r.Until)
			}
		}
		answer, err := c.revoke(field, old, merged)
		switch {
		case err != nil:
			return err
		case answer == "stored":
			return nil
		case answer == "full":
			return verifier.ErrFull
		case answer != "changed":
			return errUnexpected
		case !c.pause(round):
			return errContended
		}
	}
	return errContended
}

func (c *call) revoke(field, old string, r verifier.Revocation) (answer string, err error) {
	plain, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encoding a revocation: %w", err)
	}
	n, now, room := &c.names, c.now(), maxRevocations
	if r.Kind != verifier.RevokeSession { // what an operator says must not depend on how many log out
		room = math.MaxInt32
	}
	sealed := c.seal(plain, n.revoked+"/"+field)
	err = c.do(writing, func(ctx context.Context) (err error) {
		answer, err = revokeScript.Run(ctx, c.client, []string{n.revoked, n.revokedOrder, n.revokedEnds, n.revokedState},
			field, old, sealed, now.Add(-clockMargin).UnixMilli(), r.Until.UnixMilli(), milliseconds(r.Until.Sub(now)),
			room, rand.Text(), n.changes, revocationMessage).Text()
		return err
	})
	return answer, err
}

func (s *Store) openRevocation(sealed, field string) (verifier.Revocation, error) {
	var r verifier.Revocation
	plain, err := s.open(sealed, s.names.revoked+"/"+field)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(plain, &r); err != nil {
		return r, errUnreadable
	}
	return r, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// WatchRevocations implements [verifier.Store]. Over and above the hints it asks every two seconds, and after a lost connection it
// reads all anew.
func (s *Store) WatchRevocations(ctx context.Context, fn func(verifier.Revocation)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	wake, forget := s.hub.listen()
	defer forget()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	reader := revocationReader{store: s, fn: fn, unread: make(map[string]struct{})}
	for {
		if err := reader.poll(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.closed:
			return verifier.ErrStoreClosed
		case <-wake:
		case <-tick.C:
		}
	}
}

// revocationReader is one call of [Store.WatchRevocations]: what it has told already.
type revocationReader struct {
	store      *Store
	fn         func(verifier.Revocation)
	connection uint64
	epoch      string              // changes when the server has lost everything
	last       int64               // number of the last revocation that was told
	unread     map[string]struct{} // what did not open yet: another node has newer keys
}

// poll tells what is new.
func (r *revocationReader) poll(ctx context.Context) error {
	connection := r.store.hub.connection()
	epoch, number, err := r.state(ctx)
	if err != nil {
		return err
	}
	if connection != r.connection || epoch != r.epoch || number < r.last {
		r.connection, r.epoch, r.last = connection, epoch, 0
	}
	if len(r.unread) > 0 {
		fields := make([]string, 0, page)
		for field := range r.unread {
			if fields = append(fields, field); len(fields) == page {
				break
			}
		}
		if err := r.tell(ctx, fields); err != nil {
			return err
		}
	}
	for r.last < number {
		fields, last, err := r.next(ctx)
		if err != nil {
			return err
		}
		if len(fields) == 0 {
			r.last = number // the rest has ended and was cleared away
			break
		}
		if err := r.tell(ctx, fields); err != nil {
			return err
		}
		r.last = last
	}
	return nil
}

// state returns the number of the last revocation.
func (r *revocationReader) state(ctx context.Context) (epoch string, number int64, err error) {
	var values []any
	err = r.do(ctx, func(ctx context.Context) (err error) {
		values, err = r.store.client.HMGet(ctx, r.store.names.revokedState, "epoch", "number").Result()
		return err
	})
	if err != nil {
		return "", 0, err
	}
	if len(values) != 2 {
		return "", 0, errUnexpected
	}
	if values[0] == nil && values[1] == nil {
		return "", 0, nil
	}
	epoch, _ = values[0].(string)
	text, _ := values[1].(string)
	if number, err = strconv.ParseInt(text, 10, 64); err != nil {
		return "", 0, errUnexpected
	}
	return epoch, number, nil
}

// next returns which revocations come after the last, and the number of the last of them.
func (r *revocationReader) next(ctx context.Context) (fields []string, last int64, err error) {
	var found []redis.Z
	err = r.do(ctx, func(ctx context.Context) (err error) {
		found, err = r.store.client.ZRangeByScoreWithScores(ctx, r.store.names.revokedOrder, &redis.ZRangeBy{
			Min: "(" + strconv.FormatInt(r.last, 10), Max: "+inf", Count: page,
		}).Result()
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	for _, z := range found {
		field, ok := z.Member.(string)
		if !ok {
			return nil, 0, errUnexpected
		}
		fields, last = append(fields, field), int64(z.Score)
	}
	return fields, last, nil
}

// tell reads revocations and tells those that live.
func (r *revocationReader) tell(ctx context.Context, fields []string) error {
	var values []any
	err := r.do(ctx, func(ctx context.Context) (err error) {
		values, err = r.store.client.HMGet(ctx, r.store.names.revoked, fields...).Result()
		return err
	})
	if err != nil {
		return err
	}
	if len(values) != len(fields) {
		return errUnexpected
	}
	for i, field := range fields {
		sealed, there := values[i].(string)
		if !there {
			delete(r.unread, field)
			continue
		}
		revocation, err := r.store.openRevocation(sealed, field)
		if err != nil {
			r.unread[field] = struct{}{}
			continue
		}
		delete(r.unread, field)
		if !r.store.now().Before(revocation.Until) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r.fn(revocation)
	}
	return nil
}

// do runs a command as a call of its own: a long list may take longer than a call.
func (r *revocationReader) do(ctx context.Context, command func(context.Context) error) error {
	c, err := r.store.begin(ctx)
	if err != nil {
		return err
	}
	defer c.end()
	return c.do(reading, command)
}
