// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const (
	// DefaultPrefix begins every name if [Config.Prefix] is empty.
	DefaultPrefix = "verified-id"

	// minNameKey is the length of a key that is as hard to guess as a hash.
	minNameKey = 32
)

// prefixPattern keeps out what Redis gives a meaning in names, above all braces: they decide the slot of a cluster.
var prefixPattern = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// Sealer seals values, so that a reader of the store learns nothing and a writer makes nothing that opens. The associated data is the
// name of the place, so that a value copied elsewhere does not open. A *session.Sealer of internal/session is one.
type Sealer interface {
	Seal(plain []byte, ad string) string
	Open(sealed, ad string) ([]byte, error)
}

// Config configures a [Store].
type Config struct {
	// Client is the connection. It must have been made with options that went through [Prepare]. The store owns it: Close closes it.
	// Required.
	Client redis.UniversalClient

	// Prefix begins every name, so that several deployments share one server. Up to 64 of A–Z a–z 0–9 . _ : -. Default:
	// [DefaultPrefix].
	Prefix string

	// NameKey hashes the names, with HMAC-SHA256. At least 32 bytes, the same on all nodes, and never changed: with another key the
	// store finds nothing of what it has stored. Required.
	NameKey []byte

	// Sealer seals the values; the same keys on all nodes. Required.
	Sealer Sealer

	// MaxPending and MaxPendingPerClient are what [verifier.MemoryConfig] says, for all nodes together. 0 means the same defaults.
	MaxPending, MaxPendingPerClient int

	// Now is the clock. Default: [time.Now].
	Now func() time.Time

	// Logger is told once when the server fails, and once when it answers again. Default: none.
	Logger *slog.Logger
}

// Store is a [verifier.Store] in a Redis or Valkey server, for any number of nodes. See the package comment for what it keeps there.
type Store struct {
	client redis.UniversalClient
	names  names
	now    func() time.Time
	logger *slog.Logger

	sealer     atomic.Pointer[Sealer]
	unreadable atomic.Bool // and the operator was told
	limits     atomic.Pointer[limits]

	breaker patience.Breaker
	health  health
	turns   [256]chan struct{} // who may change the transactions of a part of all names; an element is a turn
	hub     *hub

	closed chan struct{}
	close  func() error
}

type limits struct{ pending, perClient int }

// New returns a store. It does not use the network: a server that cannot be reached is an error of the calls that need it.
func New(config Config) (*Store, error) {
	switch {
	case config.Client == nil:
		return nil, errors.New("redisstore: Client is required")
	case config.Sealer == nil:
		return nil, errors.New("redisstore: Sealer is required")
	case len(config.NameKey) < minNameKey:
		return nil, fmt.Errorf("redisstore: NameKey has %d bytes, at least %d are needed", len(config.NameKey), minNameKey)
	case config.Prefix != "" && !prefixPattern.MatchString(config.Prefix):
		return nil, errors.New("redisstore: Prefix may have up to 64 of A–Z a–z 0–9 . _ : - only")
	}
	s := &Store{
		client: config.Client,
		names:  newNames(cmp.Or(config.Prefix, DefaultPrefix), config.NameKey),
		now:    config.Now,
		logger: config.Logger,
		closed: make(chan struct{}),
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	for i := range s.turns {
		s.turns[i] = make(chan struct{}, 1)
	}
	s.breaker.Failures = patience.RedisFailures
	s.breaker.Pause = patience.RedisPause*4/5 + rand.N(patience.RedisPause*2/5) //nolint:gosec // spreads the nodes, hides nothing
	s.health.logger = s.logger
	s.hub = newHub(s)
	s.close = sync.OnceValue(func() error {
		close(s.closed)
		s.hub.close()
		return s.client.Close()
	})
	s.SetSealer(config.Sealer)
	s.Resize(config.MaxPending, config.MaxPendingPerClient)
	return s, nil
}

// Available says whether the server answers: false from the first call that has failed until one of its kind works again. It asks
// nobody. The gauge caddy_verified_id_store_up shows it.
func (s *Store) Available() bool { return s.health.ok() }

// Resize changes the limits, as [verifier.MemoryStore.Resize] does.
func (s *Store) Resize(maxPending, maxPendingPerClient int) {
	if maxPending <= 0 {
		maxPending = verifier.DefaultMaxPending
	}
	if maxPendingPerClient <= 0 {
		maxPendingPerClient = verifier.DefaultMaxPendingPerClient
	}
	s.limits.Store(&limits{maxPending, maxPendingPerClient})
}

// SetSealer changes what seals values from now on. What was stored before stays readable as far as the new sealer opens it.
func (s *Store) SetSealer(sealer Sealer) {
	s.sealer.Store(&sealer)
	s.unreadable.Store(false)
}

// Close implements [verifier.Store]. It closes the client too.
func (s *Store) Close() error { return s.close() }

func (s *Store) seal(plain []byte, place string) string { return (*s.sealer.Load()).Seal(plain, place) }

// open opens what was stored at a place. What does not open was put there by another, or by a node with other keys: an outage.
func (s *Store) open(sealed, place string) ([]byte, error) {
	plain, err := (*s.sealer.Load()).Open(sealed, place)
	if err != nil {
		if !s.unreadable.Swap(true) {
			s.logger.Warn("an entry of the store does not open; do all nodes have the same sealing keys?")
		}
		return nil, errUnreadable
	}
	return plain, nil
}

// Interface guard.
var _ verifier.Store = (*Store)(nil)
