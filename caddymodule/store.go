// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func init() {
	caddy.RegisterModule(MemoryStore{})
}

// StoreModule is what a guest module in the namespace http.verified_id.stores provides. The store is shared by all
// configs with the same key and outlives reloads; it is closed when the last of them ends. One with options that weaken what
// the gate promises names those in use by a method Weakenings() []string, and they are warned about at each load.
//
// A store with a method Available() bool says by it, without asking anybody, whether its backend answers; the gauge
// caddy_verified_id_store_up shows it. Without the method it is taken to be up.
type StoreModule interface {
	// StoreKey names what makes a store another one: its kind, its settings and, if it makes names of it, the name key.
	// Configs with the same key share one store. It holds no secret that can be read out of it.
	StoreKey(cfg StoreConfig) string

	// OpenStore makes the store. It must not need the network to answer: an unreachable store is an error of the
	// calls that need it, not of the load.
	OpenStore(cfg StoreConfig) (verifier.Store, error)

	// Reconfigure hands a store that another config has opened what this one says, once it runs: limits, sealer, logger.
	Reconfigure(store verifier.Store, cfg StoreConfig)
}

// StoreConfig is what the app tells its store.
type StoreConfig struct {
	// Pending and PendingPerClient cap the transactions waiting for a wallet, in all and for one client.
	Pending, PendingPerClient int

	// Sealer seals what a shared store keeps outside this process, and opens it on every node with the same sealing keys.
	// It is safe for concurrent use.
	Sealer StoreSealer

	// NameKey is 32 secret bytes for making names out of ids. It is the same on all nodes and never changes.
	NameKey []byte

	// GroupReadableKeys permits key files that their group may read; see [ReadKeyFile].
	GroupReadableKeys bool

	// Logger is for what an operator should look at. It ends with the config.
	Logger *slog.Logger
}

// StoreSealer seals values and opens them again, with ad as what they may be used for.
type StoreSealer interface {
	Seal(plain []byte, ad string) string
	Open(sealed, ad string) ([]byte, error)
}

// MemoryStore keeps transactions in this process. A restart forgets visits that are half-way; a reload forgets nothing.
// Revocations are kept in Caddy's storage as well, so a restart forgets none, and another Caddy that shares it hears of them.
// For one node: a visit must come back to the process that it began in, and so must its callback.
type MemoryStore struct{}

// CaddyModule returns the Caddy module information.
func (MemoryStore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.verified_id.stores.memory", New: func() caddy.Module { return new(MemoryStore) }}
}

// StoreKey implements StoreModule.
func (MemoryStore) StoreKey(StoreConfig) string { return "memory" }

// OpenStore implements StoreModule.
func (MemoryStore) OpenStore(cfg StoreConfig) (verifier.Store, error) {
	return verifier.NewMemoryStore(verifier.MemoryConfig{MaxPending: cfg.Pending, MaxPendingPerClient: cfg.PendingPerClient}), nil
}

// Reconfigure implements StoreModule.
func (MemoryStore) Reconfigure(store verifier.Store, cfg StoreConfig) {
	if memory, ok := store.(*verifier.MemoryStore); ok {
		memory.Resize(cfg.Pending, cfg.PendingPerClient)
	}
}

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax: store memory
func (MemoryStore) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the store's name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("store memory takes no options; remove %q", d.Val())
	}
	return nil
}

// sharedStore is a store and what this process knows of revocations, kept across reloads.
type sharedStore struct {
	verifier.Store
	revoked  revocations
	passages passages
	unsent   unsent
	// clockWarned is the minute in which it was last said that a clock is wrong.
	clockWarned atomic.Int64
	cancel      context.CancelFunc
	done        sync.WaitGroup
}

var storePool = caddy.NewUsagePool()

func (a *App) provisionStore() error {
	limits := a.Limits
	if limits == nil {
		limits = &Limits{}
	}
	if err := limits.withDefaults(); err != nil {
		return err
	}
	a.Limits = limits
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"store":"memory"}`)
	}
	loaded, err := a.ctx.LoadModule(a, "StoreRaw")
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	module, ok := loaded.(StoreModule)
	if !ok {
		return fmt.Errorf("store: %T is no store", loaded)
	}
	cfg := StoreConfig{
		Pending: limits.Pending, PendingPerClient: limits.PendingPerClient,
		Sealer: a.keys.ring.Sealer(session.PurposeStore), NameKey: a.keys.storeNames(),
		GroupReadableKeys: a.GroupReadableKeys, Logger: a.ctx.Slogger(),
	}
	key := module.StoreKey(cfg)
	shared, _, err := storePool.LoadOrNew(key, func() (caddy.Destructor, error) {
		store, err := module.OpenStore(cfg)
		if err != nil {
			return nil, err
		}
		return newSharedStore(store, a.now), nil
	})
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	a.store = shared.(*sharedStore) //nolint:forcetypeassert // we put it there
	a.storeModule, a.storeConfig = module, cfg
	a.release(storePool, key)
	return nil
}

// reconfigureStore makes the store follow this config. Only a config that runs does that: one that is refused half-way must
// leave the store to the config that goes on (TM-138).
func (a *App) reconfigureStore() { a.storeModule.Reconfigure(a.store.Store, a.storeConfig) }

func newSharedStore(store verifier.Store, now func() time.Time) *sharedStore {
	ctx, cancel := context.WithCancel(context.Background())
	s := &sharedStore{Store: store, revoked: revocations{now: now, heard: make(chan struct{}, 1)}, cancel: cancel}
	go s.passages.watch(ctx, s.revoked.heard)
	s.done.Go(func() { s.keepResending(ctx) })
	hear := s.hear()
	s.done.Go(func() {
		for ctx.Err() == nil {
			if err := store.WatchRevocations(ctx, hear); err != nil {
				select { // the store does not answer: what we know stays in force, and we ask again
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
			}
		}
	})
	return s
}

// hear returns what takes in the revocations that the store tells of, one call at a time. Those of a node whose clock is ahead must
// not shut out who comes after it spoke (TM-136). What is told again, as stores do after each lost connection, is what it was:
// its moment must not move on with our clock, and to copy the map for each would take long.
func (s *sharedStore) hear() func(verifier.Revocation) {
	told := map[revocationKey]verifier.Revocation{}
	return func(r verifier.Revocation) {
		key, now := revocationKey{r.Kind, r.Value}, s.revoked.now()
		if before, ok := told[key]; ok && before.Since.Equal(r.Since) && before.Until.Equal(r.Until) {
			return
		}
		if len(told) > 2*s.revoked.count()+1000 {
			maps.DeleteFunc(told, func(_ revocationKey, r verifier.Revocation) bool { return !now.Before(r.Until) })
		}
		told[key] = r
		r.Since = earlier(r.Since, now.Add(clockSkew))
		s.revoked.add(r)
	}
}

// Destruct implements caddy.Destructor.
func (s *sharedStore) Destruct() error {
	s.cancel()
	s.done.Wait()
	return s.Store.Close()
}

// end ends what a revocation speaks of: for this process at once, then for others and for good. The store and Caddy's storage are told
// at the same time, lest one that hangs keep it from the other. After an error this process knows, and goes on trying to tell both.
func (a *App) end(ctx context.Context, r verifier.Revocation) error {
	// Sealed times are whole seconds, so what is cut off here decides nothing, and one revocation repeated is one entry.
	r.Since, r.Until = r.Since.Truncate(time.Second), r.Until.Truncate(time.Second).Add(time.Second)
	a.metrics.revoked.WithLabelValues(string(r.Kind)).Inc()
	kept := make(chan error, 1)
	go func() {
		err := a.kept.keep(ctx, r)
		if err != nil {
			err = fmt.Errorf("%w: keeping a revocation in Caddy's storage: %w", verifier.ErrStoreUnavailable, err)
		}
		kept <- err
	}()
	return errors.Join(a.store.end(ctx, r), <-kept)
}

// revocations is what a request asks instead of the store: a small copy-on-write map.
type revocations struct {
	now     func() time.Time
	mu      sync.Mutex
	current atomic.Pointer[map[revocationKey]verifier.Revocation]
	heard   chan struct{} // has an element when there is something new
}

type revocationKey struct {
	kind  verifier.RevocationKind
	value string
}

func (r *revocations) add(entries ...verifier.Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := map[revocationKey]verifier.Revocation{}
	now := r.now()
	if old := r.current.Load(); old != nil {
		for key, kept := range *old {
			if kept.Until.After(now) {
				next[key] = kept
			}
		}
	}
	for _, entry := range entries {
		key := revocationKey{entry.Kind, entry.Value}
		if known, ok := next[key]; ok {
			entry.Since, entry.Until = later(known.Since, entry.Since), later(known.Until, entry.Until)
		}
		next[key] = entry
	}
	r.current.Store(&next)
	select {
	case r.heard <- struct{}{}:
	default:
	}
}

// get returns the entry, if its time is not over.
func (r *revocations) get(key revocationKey) (entry verifier.Revocation, lives bool) {
	if entries := r.current.Load(); entries != nil {
		entry = (*entries)[key]
	}
	return entry, r.now().Before(entry.Until)
}

// covers says whether the entries say all that this one does.
func (r *revocations) covers(entry verifier.Revocation) bool {
	entries := r.current.Load()
	if entries == nil {
		return false
	}
	known, ok := (*entries)[revocationKey{entry.Kind, entry.Value}]
	return ok && !entry.Since.After(known.Since) && !entry.Until.After(known.Until)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// empty is the common case: nobody was logged out lately.
func (r *revocations) empty() bool { return r.count() == 0 }

func (r *revocations) count() int {
	if entries := r.current.Load(); entries != nil {
		return len(*entries)
	}
	return 0
}

// hit says whether one of the entries speaks of the value and was made after the session began.
func (r *revocations) hit(kind verifier.RevocationKind, value string, began time.Time) bool {
	if r.empty() {
		return false
	}
	entries := r.current.Load()
	entry, ok := (*entries)[revocationKey{kind, value}]
	return ok && !began.After(entry.Since)
}

// Interface guards.
var (
	_ StoreModule           = (*MemoryStore)(nil)
	_ caddyfile.Unmarshaler = (*MemoryStore)(nil)
)
