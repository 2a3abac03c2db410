// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// reserve counts a new transaction. It reports whether it was not counted before.
func (c *call) reserve(hash string, t *verifier.Transaction, now time.Time) (fresh bool, err error) {
	caps, until := c.limits.Load(), t.KeepUntil()
	client := t.Client
	if !t.Pending() {
		client = ""
	}
	var answer string
	err = c.do(removing, func(ctx context.Context) (err error) {
		answer, err = reserveScript.Run(ctx, c.client, c.counters(client), hash, now.UnixMilli(), until.UnixMilli(),
			milliseconds(until.Sub(now)), caps.pending, caps.perClient).Text()
		return err
	})
	if err != nil {
		return false, err
	}
	switch answer {
	case "reserved":
		return true, nil
	case "known":
		return false, nil
	case "full":
		return false, verifier.ErrFull
	case "client":
		return false, verifier.ErrClientFull
	default:
		return false, errUnexpected
	}
}

// settle makes the counters follow a transaction that was stored. That was what mattered: an error here only means that the counters
// are wrong until the transaction ends.
func (c *call) settle(hash string, t *verifier.Transaction) {
	until, counts := t.KeepUntil(), "0"
	if t.Pending() {
		counts = "1"
	}
	c.count(t.Client, hash, strconv.FormatInt(until.UnixMilli(), 10), milliseconds(until.Sub(c.now())), counts)
}

// release takes a transaction out of the counters.
func (c *call) release(hash, client string) { c.count(client, hash, "", 0, "0") }

func (c *call) count(client string, args ...any) {
	_ = c.do(removing, func(ctx context.Context) error {
		return settleScript.Run(ctx, c.client, c.counters(client), args...).Err()
	})
}

// counters are the keys that count a client's transactions.
func (c *call) counters(client string) []string {
	if client == "" {
		return []string{c.names.pending}
	}
	return []string{c.names.pending, c.names.client(client)}
}
