// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// hub hears what other nodes, and this one, have changed: on one channel, over one connection, for all who watch in this process. What
// it hears is a hint to read again and no more. A forged one costs a look, and a lost one is made good when the connection is back, or
// the server: then everybody reads again.
type hub struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	look       chan struct{} // something may be gone
	reread     chan struct{} // anything may have changed
	subscribed chan struct{} // the connection is new

	deaf bool // and the operator was told; only run reads and writes it

	mu           sync.Mutex
	started      bool
	subscription *redis.PubSub
	connected    bool
	connections  uint64        // how many there have been
	up           chan struct{} // is closed while there is a connection
	watched      map[string]*watched
	listeners    map[chan struct{}]struct{} // who waits for revocations
}

func newHub(s *Store) *hub {
	ctx, cancel := context.WithCancel(context.Background())
	return &hub{
		store: s, ctx: ctx, cancel: cancel,
		look: make(chan struct{}, 1), reread: make(chan struct{}, 1), subscribed: make(chan struct{}, 1), up: make(chan struct{}),
		watched: make(map[string]*watched), listeners: make(map[chan struct{}]struct{}),
	}
}

// start begins to hear, once somebody wants to.
func (h *hub) start() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.started || h.ctx.Err() != nil {
		return
	}
	h.started = true
	h.done.Go(h.run)
	h.done.Go(h.watchEnds)
	h.done.Go(h.wakeWatchers)
}

// close ends all watches and waits for the hub's goroutines.
func (h *hub) close() {
	h.cancel()
	h.mu.Lock()
	if h.subscription != nil {
		_ = h.subscription.Close() // wakes run
	}
	for hash := range h.watched {
		h.gone(hash)
	}
	h.mu.Unlock()
	h.done.Wait()
}

// ready waits for the connection.
func (h *hub) ready(c *call) error {
	h.mu.Lock()
	up := h.up
	h.mu.Unlock()
	select {
	case <-up:
		return nil
	default:
	}
	if c.breaker.Resting(clock()) {
		return errResting
	}
	select {
	case <-up:
		return nil
	case <-c.ctx.Done():
		return c.late()
	case <-h.ctx.Done():
		return verifier.ErrStoreClosed
	}
}

func (h *hub) run() {
	for h.ctx.Err() == nil {
		h.hear()
		timer := time.NewTimer(patience.RedisReconnect/2 + rand.N(patience.RedisReconnect)) //nolint:gosec // spreads the nodes, hides nothing
		select {
		case <-timer.C:
		case <-h.ctx.Done():
			timer.Stop()
		}
	}
}

// hear makes a connection and hears what comes, until it is lost.
func (h *hub) hear() {
	dialing, cancel := context.WithTimeout(h.ctx, 2*patience.RedisCall)
	subscription := h.store.client.Subscribe(dialing)
	h.mu.Lock()
	h.subscription = subscription
	h.mu.Unlock()
	defer h.lost(subscription)
	err := subscription.Subscribe(dialing, h.store.names.changes)
	cancel()
	if err != nil || h.ctx.Err() != nil {
		h.refused(err)
		return
	}
	asked := false
	for {
		heard, err := subscription.ReceiveTimeout(h.ctx, patience.RedisQuiet)
		var network net.Error
		if errors.As(err, &network) && network.Timeout() && !asked {
			if err := subscription.Ping(h.ctx); err != nil {
				return
			}
			asked = true
			continue
		}
		if err != nil {
			h.refused(err)
			return
		}
		asked = false
		switch heard := heard.(type) {
		case *redis.Subscription:
			h.deaf = false
			h.connect()
		case *redis.Message:
			h.told(heard.Payload)
		}
	}
}

// refused tells the operator, once, if our user may not hear: then nobody can watch, though all else works. The rest is an outage, and the
// calls tell of it.
func (h *hub) refused(err error) {
	if h.deaf || !redis.HasErrorPrefix(err, "NOPERM") {
		return
	}
	h.deaf = true
	h.store.logger.Warn("the store may not hear of changes, so pages do not learn that a wallet has answered; its user needs the channel", "channel", h.store.names.changes)
}

// connect says that from now on everything is heard. What happened before may not have been, so everybody reads again.
func (h *hub) connect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.connections++
	if !h.connected {
		h.connected = true
		close(h.up)
	}
	h.wakeListeners()
	signal(h.reread)
	signal(h.subscribed)
}

func (h *hub) lost(subscription *redis.PubSub) {
	_ = subscription.Close()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.subscription = nil
	if h.connected {
		h.connected = false
		h.up = make(chan struct{})
	}
}

// Messages are either this, or the hash of a transaction that has changed and, in milliseconds, until when it is kept: 0 if it is gone.
const revocationMessage = "revoked"

func message(hash string, until time.Time) string {
	if until.IsZero() {
		return hash + "0"
	}
	return hash + strconv.FormatInt(until.UnixMilli(), 10)
}

// told takes a hint. Whoever may write to the server can send any.
func (h *hub) told(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if text == revocationMessage {
		h.wakeListeners()
		return
	}
	if len(text) <= hashSize {
		return
	}
	entry := h.watched[text[:hashSize]]
	if entry == nil {
		return
	}
	entry.notify()
	// When it ends later than we know, we see when we look. When it ends earlier, we have to look earlier.
	if end, err := strconv.ParseInt(text[hashSize:], 10, 64); err == nil && time.UnixMilli(end).Before(entry.until) {
		entry.until = time.UnixMilli(end)
		if !h.store.now().Before(entry.until) {
			signal(h.look)
		}
	}
}

// wakeListeners has everybody read the revocations. The caller holds the lock.
func (h *hub) wakeListeners() {
	for listener := range h.listeners {
		signal(listener)
	}
}

// listen registers for revocations until forget is called.
func (h *hub) listen() (wake chan struct{}, forget func()) {
	h.start()
	wake = make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listeners[wake] = struct{}{}
	return wake, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.listeners, wake)
	}
}

// connection numbers the connections. What was heard over an older one may lack something.
func (h *hub) connection() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.connections
}
