// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

const (
	// keyRotation is how long a key that we made ourselves signs before the next one takes over. Keys from the config are
	// the operator's to rotate.
	keyRotation = 90 * 24 * time.Hour

	// rereadKeys is how old what we know of the storage may get, and followKeys how often that is looked at: together less
	// than the time within which every node must know of a rotation.
	rereadKeys = idvredirect.KeySetSpread / 2
	followKeys = idvredirect.KeySetSpread / 5

	// retryStorage is how soon a storage that failed is asked again: making a key costs much, and anybody may ask for the set.
	retryStorage = time.Minute
)

// signingKeys are the keys that sign links to partners, or assertions: those of the config, or a set that is made once, kept
// in Caddy's storage, shared by all nodes and rotated.
type signingKeys struct {
	configured *idvredirect.KeySet
	storage    certmagic.Storage
	path       string // in the storage; it says what they sign
	generate   func() (*idvredirect.SigningKey, error)

	known  atomic.Pointer[idvredirect.KeySet]
	mu     sync.Mutex
	askAt  time.Time // when the storage is asked again
	failed error     // of the last time
}

// at returns the key set for now. The first call of an installation makes a key, which takes up to a second for RSA. While
// the storage does not answer, what is known goes on serving. Whoever asks first asks for all: on behalf of a visitor, ctx is one
// that outlives them, or hanging up would be taken for a storage that fails.
func (k *signingKeys) at(ctx context.Context, now time.Time) (*idvredirect.KeySet, error) {
	if k.configured != nil {
		return k.configured, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Before(k.askAt) {
		return k.known.Load(), k.failed
	}
	ctx, cancel := context.WithTimeout(ctx, patience.Storage)
	defer cancel()
	set, err := k.load(ctx, now)
	switch {
	case err == nil:
		k.known.Store(set)
		k.failed, k.askAt = nil, now.Add(rereadKeys)
	case k.known.Load() != nil:
		k.askAt = now.Add(retryStorage)
	default:
		k.failed, k.askAt = err, now.Add(retryStorage)
	}
	return k.known.Load(), k.failed
}

// current is the set as it is known, so that a request with a session never waits for the storage; follow keeps it fresh.
func (k *signingKeys) current(ctx context.Context, now time.Time) (*idvredirect.KeySet, error) {
	if set := k.known.Load(); set != nil {
		return set, nil
	}
	return k.at(context.WithoutCancel(ctx), now)
}

// follow reads the stored set again and again, and rotates it where that is due, until ctx ends.
func (k *signingKeys) follow(ctx context.Context, now func() time.Time) {
	ticker := time.NewTicker(followKeys)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_, _ = k.at(ctx, now()) // what is known goes on serving
		case <-ctx.Done():
			return
		}
	}
}

// check reads the stored set while the config is loaded, so that one that cannot be used is no visitor's to find out. It makes none:
// the first RSA key takes up to a second, and may never be needed.
func (k *signingKeys) check(ctx context.Context) error {
	if k.configured != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience.Storage)
	defer cancel()
	_, _, err := k.stored(ctx)
	return err
}

// stored reads the stored set, if there is one, and refuses one of the other kind.
func (k *signingKeys) stored(ctx context.Context) (*idvredirect.KeySet, bool, error) {
	set := new(idvredirect.KeySet)
	found, err := loadStored(ctx, k.storage, k.path, set)
	if err == nil && found && set.ForAssertions() != (k.path == storedAssertionPath) {
		err = fmt.Errorf("%s holds keys of the other kind, as if %s and %s had been mixed up; put the right one back, or remove it to have a new key made",
			k.path, storedKickstartPath, storedAssertionPath)
	}
	return set, found, err
}

// load reads the stored set, and makes or rotates it where that is due.
func (k *signingKeys) load(ctx context.Context, now time.Time) (*idvredirect.KeySet, error) {
	set, found, err := k.stored(ctx)
	if err != nil || (found && !set.RotationDue(now, keyRotation)) {
		return set, err
	}
	return k.renew(ctx, now, func(stored *idvredirect.KeySet) (bool, error) {
		return stored == nil || stored.RotationDue(now, keyRotation), nil
	})
}

// renew makes the stored set, or rotates it, if due says so of what is stored (nil: nothing), under the storage's lock: all nodes end
// up with the same one.
func (k *signingKeys) renew(ctx context.Context, now time.Time, due func(stored *idvredirect.KeySet) (bool, error)) (*idvredirect.KeySet, error) {
	if err := k.storage.Lock(ctx, k.path); err != nil {
		return nil, err
	}
	defer k.storage.Unlock(context.WithoutCancel(ctx), k.path) //nolint:errcheck // a lock that is not given back expires by itself
	set, found, err := k.stored(ctx)
	if err != nil {
		return nil, err
	}
	if !found {
		set = nil
	}
	if renew, err := due(set); err != nil || !renew {
		return set, err
	}
	key, err := k.generate()
	if err != nil {
		return nil, err
	}
	if found {
		set, err = set.Rotate(now, key)
	} else {
		set, err = idvredirect.NewKeySet(now, key)
	}
	if err != nil {
		return nil, err
	}
	return set, saveStored(ctx, k.storage, k.path, set)
}
