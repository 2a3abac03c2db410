// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// crowd are many transactions that wait for a wallet, begun by one browser at as many addresses, and their status streams.
type crowd struct {
	v            *visitor
	transactions []string
	streams      []*stream
	gaps         tally // times between two signs of a stream
}

// stream is one status stream and what it last said.
type stream struct {
	events *events
	told   chan string   // each state
	ended  chan struct{} // closed when the stream has ended
	last   atomic.Int64  // when there was a sign, in nanoseconds
}

// gather begins n transactions.
func (w *world) gather(ctx context.Context, n int) (*crowd, error) {
	c := &crowd{v: w.newVisitor(0), transactions: make([]string, n)}
	if outcome := c.v.begin(ctx); outcome != good {
		return nil, fmt.Errorf("beginning a visit: %s", outcome)
	}
	return c, c.more(ctx, 0, n)
}

// more begins the transactions from one number to another.
func (c *crowd) more(ctx context.Context, from, to int) error {
	form := url.Values{"token": {c.v.token}, "credential": {"employee"}}.Encode()
	defer c.v.wire.close()
	begun := each(ctx, to-from, 32, func(ctx context.Context, i int) string {
		i += from
		one := *c.v // it shares the connections
		one.address = addressOf(i)
		answer, err := c.v.wire.do(ctx, one.bytes(http.MethodPost, "/.verified-id/request", form, "text/html"))
		if err != nil {
			return failure(err)
		}
		at, err := url.Parse(answer.header.Get("Location"))
		if err != nil || at.Query().Get("t") == "" {
			return fmt.Sprint(answer.status)
		}
		c.transactions[i] = at.Query().Get("t")
		return good
	})
	if begun.of(good) != to-from {
		return fmt.Errorf("beginning %d visits: %s", to-from, begun.counts())
	}
	return nil
}

// open opens a status stream for each transaction and reads it until it ends.
func (c *crowd) open(ctx context.Context) *tally {
	c.streams = make([]*stream, len(c.transactions))
	return each(ctx, len(c.transactions), 64, func(ctx context.Context, i int) string {
		e, err := c.v.listenTo(ctx, c.transactions[i])
		if err != nil {
			return "events: " + failure(err)
		}
		s := &stream{events: e, told: make(chan string, 4), ended: make(chan struct{})}
		s.last.Store(time.Now().UnixNano())
		c.streams[i] = s
		go s.read(&c.gaps)
		return good
	})
}

// read notes how long the stream is silent. What it says when it ends counts as well.
func (s *stream) read(gaps *tally) {
	defer close(s.ended)
	defer s.events.close()
	for {
		state, err := s.events.next()
		now := time.Now().UnixNano()
		gaps.add(good, time.Duration(now-s.last.Swap(now)))
		if err != nil {
			return
		}
		if state != "" {
			select {
			case s.told <- state:
			default: // nobody listens any more
			}
		}
	}
}

// silent is how long the quietest stream that is open has been silent, and how many are open.
func (c *crowd) silent() (longest time.Duration, open int) {
	now := time.Now().UnixNano()
	for _, s := range c.streams {
		if s == nil {
			continue
		}
		select {
		case <-s.ended:
		default:
			open++
			longest = max(longest, time.Duration(now-s.last.Load()))
		}
	}
	return longest, open
}

// awaitEnd waits until no stream is open and says how long that took, or false.
func (c *crowd) awaitEnd(ctx context.Context, patience time.Duration) (time.Duration, bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	for _, s := range c.streams {
		if s == nil {
			continue
		}
		select {
		case <-s.ended:
		case <-ctx.Done():
			return time.Since(began), false
		}
	}
	return time.Since(began), true
}

// close ends the streams from this side.
func (c *crowd) close() {
	var all sync.WaitGroup
	for _, s := range c.streams {
		if s != nil {
			all.Go(func() {
				s.events.close()
				<-s.ended
			})
		}
	}
	all.Wait()
}
