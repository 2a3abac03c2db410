// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/time/rate"
)

// maxTrackedClients bounds the limiter's memory. Where more addresses come within a window, the longest unseen is
// forgotten, which only lets that address start again sooner.
const maxTrackedClients = 50_000

// limiter caps what visitors without a session may cause. It outlives reloads.
type limiter struct {
	starts  *clientRates
	idv     *clientRates
	senders *clientRates // kickstart links by client address; idv counts by browser
	badKeys *clientRates
	returns *clientRates // events for one journey's return
	polls   *clientRates // status polls of one transaction
	clients *clientRates // presentations that cost a Face Check, by client address
	holders *clientRates // the same by holder
	all     *rate.Limiter

	mu         sync.Mutex
	streams    int
	perVisit   map[string]int
	maxStreams int
}

var limiterPool = caddy.NewUsagePool()

// Destruct implements caddy.Destructor.
func (*limiter) Destruct() error { return nil }

func (a *App) provisionLimits() error {
	l := a.Limits
	key := fmt.Sprintf("%d|%g|%d", l.StartsPerClient, l.StartsPerSecond, l.Streams)
	shared, _, err := limiterPool.LoadOrNew(key, func() (caddy.Destructor, error) { return newLimiter(l), nil })
	if err != nil {
		return err
	}
	a.limiter = shared.(*limiter) //nolint:forcetypeassert // we put it there
	a.release(limiterPool, key)
	return nil
}

func newLimiter(l *Limits) *limiter {
	return &limiter{
		starts:     newClientRates(l.StartsPerClient, time.Minute),
		idv:        newClientRates(3, 10*time.Minute),
		senders:    newClientRates(10, 10*time.Minute),
		badKeys:    newClientRates(30, time.Minute),
		returns:    newClientRates(3, 10*time.Minute),
		polls:      newClientRates(60, time.Minute),
		clients:    newClientRates(10, 10*time.Minute),
		holders:    newClientRates(20, time.Hour),
		all:        rate.NewLimiter(rate.Limit(l.StartsPerSecond), max(1, int(l.StartsPerSecond*5))),
		perVisit:   map[string]int{},
		maxStreams: l.Streams,
	}
}

// maxStreamsPerVisit is how many status streams one transaction may hold open: the page and its reload.
const maxStreamsPerVisit = 2

// openStream counts a status stream in, or says that the page must poll.
func (l *limiter) openStream(transaction string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams >= l.maxStreams || l.perVisit[transaction] >= maxStreamsPerVisit {
		return false
	}
	l.streams++
	l.perVisit[transaction]++
	return true
}

func (l *limiter) closeStream(transaction string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.streams--
	if l.perVisit[transaction]--; l.perVisit[transaction] <= 0 {
		delete(l.perVisit, transaction)
	}
}

func (l *limiter) openStreams() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.streams
}

// clientRates is one token bucket a client, bounded in number.
type clientRates struct {
	limit rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
	old     map[string]*rate.Limiter // the previous generation; a client seen again moves over
}

func newClientRates(events int, per time.Duration) *clientRates {
	return &clientRates{limit: rate.Limit(float64(events) / per.Seconds()), burst: events, buckets: map[string]*rate.Limiter{}}
}

// allow takes one event of the client's share, or says after how long there will be one.
func (c *clientRates) allow(client string, now time.Time) (wait time.Duration, ok bool) {
	reservation := c.bucket(client).ReserveN(now, 1)
	if !reservation.OK() {
		return time.Minute, false
	}
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return wait, false
	}
	return 0, true
}

// has says whether the client's share is not used up, without taking from it.
func (c *clientRates) has(client string, now time.Time) (wait time.Duration, ok bool) {
	tokens := c.bucket(client).TokensAt(now)
	if tokens >= 1 {
		return 0, true
	}
	return time.Duration((1 - tokens) / float64(c.limit) * float64(time.Second)), false
}

func (c *clientRates) bucket(client string) *rate.Limiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b, ok := c.buckets[client]; ok {
		return b
	}
	b, ok := c.old[client]
	if !ok {
		b = rate.NewLimiter(c.limit, c.burst)
	}
	if len(c.buckets) >= maxTrackedClients/2 {
		c.old, c.buckets = c.buckets, make(map[string]*rate.Limiter)
	}
	c.buckets[client] = b
	return b
}

// clientOf is the client's address as Caddy determined it (trusted_proxies decide), an IPv6 address by its /64.
func clientOf(r *http.Request) string {
	ip, ok := clientAddress(r)
	if !ok {
		return "unknown"
	}
	if ip.Is6() {
		if prefix, err := ip.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return ip.String()
}

// clientAddress is the whole of it, without a zone, and IPv4 as IPv4.
func clientAddress(r *http.Request) (netip.Addr, bool) {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	address, err := netip.ParseAddr(text)
	return address.Unmap().WithZone(""), err == nil
}
