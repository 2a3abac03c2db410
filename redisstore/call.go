// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// call is one call of a method, which may take several commands and has one time for all of them.
type call struct {
	*Store
	caller  context.Context
	ctx     context.Context
	cancel  context.CancelFunc
	refused bool // the server has said that it did not run the last command
}

// begin begins a call. The caller ends it.
func (s *Store) begin(ctx context.Context) (*call, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case <-s.closed:
		return nil, verifier.ErrStoreClosed
	default:
	}
	c := &call{Store: s, caller: ctx}
	c.restart()
	return c, nil
}

// restart gives the call its time anew.
func (c *call) restart() {
	if c.cancel != nil {
		c.cancel()
	}
	c.ctx, c.cancel = context.WithTimeout(c.caller, patience.RedisCall)
}

func (c *call) end() { c.cancel() }

// do runs a command. The error is nil, [redis.Nil], the caller's own, or one that wraps [verifier.ErrStoreUnavailable].
func (c *call) do(u use, command func(context.Context) error) error {
	if pause, _ := c.breaker.Enter(clock()); pause > 0 {
		return errResting
	}
	err := command(c.ctx)
	c.refused = false
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		if c.breaker.Succeeded(clock()) {
			signal(c.hub.reread) // who was told to read may have read in vain
		}
		c.health.worked(u)
		return err
	case c.caller.Err() != nil:
		c.breaker.Left(clock())
		return c.caller.Err()
	}
	select {
	case <-c.closed:
		return verifier.ErrStoreClosed
	default:
	}
	reason, answered := classify(err)
	switch {
	case answered:
		c.breaker.Succeeded(clock())
		c.refused = true
		c.health.failed(u, reason, nil) // the error may quote what is refused
	case errors.Is(err, redis.ErrPoolTimeout): // too many of ours at once, which says nothing about the server
		c.breaker.Left(clock())
	default:
		c.breaker.Failed(clock())
		c.health.failed(u, reason, err)
	}
	return fmt.Errorf("%w: %s", verifier.ErrStoreUnavailable, reason)
}

// clock is what the breaker goes by: how long the server has not answered is not the time of transactions.
func clock() time.Time { return time.Now() } //nolint:forbidigo // as said

// late is the error of a call that waited for something else than a command.
func (c *call) late() error {
	if err := c.caller.Err(); err != nil {
		return err
	}
	return fmt.Errorf("%w: it does not answer", verifier.ErrStoreUnavailable)
}

// read returns the value of a key, or [verifier.ErrNotFound].
func (c *call) read(key string) (value string, err error) {
	err = c.do(reading, func(ctx context.Context) (err error) {
		value, err = c.client.Get(ctx, key).Result()
		return err
	})
	if errors.Is(err, redis.Nil) {
		return "", verifier.ErrNotFound
	}
	return value, err
}

// claim stores a value that occurs once in the world, if there is none. Otherwise it returns the one that there is, or "" if that one
// has ended meanwhile. The client of a cluster repeats commands whose answer was lost; then the value found is ours.
func (c *call) claim(key, value string, life time.Duration) (other string, claimed bool, err error) {
	err = c.do(writing, func(ctx context.Context) error {
		return c.client.SetArgs(ctx, key, value, redis.SetArgs{Mode: "NX", TTL: time.Duration(milliseconds(life)) * time.Millisecond}).Err()
	})
	if err == nil {
		return "", true, nil
	}
	if !errors.Is(err, redis.Nil) {
		return "", false, err
	}
	other, err = c.read(key)
	if errors.Is(err, verifier.ErrNotFound) {
		return "", false, nil
	}
	return other, err == nil && other == value, err
}

// swap replaces the value of a key if it is still the old one. Otherwise it returns the one that there is, "" if there is none.
func (c *call) swap(key, old, value string, life time.Duration, message string) (other string, swapped bool, err error) {
	channel := ""
	if message != "" {
		channel = c.names.changes
	}
	var answer []any
	err = c.do(writing, func(ctx context.Context) (err error) {
		answer, err = swapScript.Run(ctx, c.client, []string{key}, old, value, milliseconds(life), channel, message).Slice()
		return err
	})
	if err != nil {
		return "", false, err
	}
	if len(answer) != 2 {
		return "", false, errUnexpected
	}
	done, ok := answer[0].(int64)
	other, ok2 := answer[1].(string)
	if !ok || !ok2 {
		return "", false, errUnexpected
	}
	return other, done == 1, nil
}

// pause lets the others go on, a little longer each time. It reports false if there is no time left.
func (c *call) pause(round int) bool {
	timer := time.NewTimer(rand.N(time.Millisecond << min(round, 5))) //nolint:gosec // spreads the nodes, hides nothing
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// milliseconds rounds up, so that nothing ends early, and is never 0, which the server refuses.
func milliseconds(d time.Duration) int64 {
	return max(1, int64((d+time.Millisecond-1)/time.Millisecond))
}
