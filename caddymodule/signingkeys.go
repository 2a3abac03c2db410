// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// kickstartRotation is how long a key that we made ourselves signs before the next one takes over. Keys from the config are
// the operator's to rotate.
const kickstartRotation = 90 * 24 * time.Hour

// kickstartKeys are the keys that sign links to partners: those of the config, or a set that is made once, kept in Caddy's
// storage, shared by all nodes and rotated.
type kickstartKeys struct {
	configured *idvredirect.KeySet
	storage    certmagic.Storage

	mu     sync.Mutex
	known  *idvredirect.KeySet
	askAt  time.Time // when the storage is asked again
	failed error     // of the last time
}

// retryStorage is how soon a storage that failed is asked again: making a key costs much, and anybody may ask for the set.
const retryStorage = time.Minute

// at returns the key set for now. The first call of an installation makes a key, which takes up to a second; hence not at
// load. While the storage does not answer, what is known goes on serving.
func (k *kickstartKeys) at(ctx context.Context, now time.Time) (*idvredirect.KeySet, error) {
	if k.configured != nil {
		return k.configured, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if now.Before(k.askAt) {
		return k.known, k.failed
	}
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	set, err := k.load(ctx, now)
	switch {
	case err == nil:
		k.known, k.failed, k.askAt = set, nil, now.Add(idvredirect.KeySetSpread)
	case k.known != nil:
		k.askAt = now.Add(retryStorage)
	default:
		k.failed, k.askAt = err, now.Add(retryStorage)
	}
	return k.known, k.failed
}

// load reads the stored set, and makes or rotates it where that is due, under the storage's lock: all nodes end up with the
// same one.
func (k *kickstartKeys) load(ctx context.Context, now time.Time) (*idvredirect.KeySet, error) {
	set := new(idvredirect.KeySet)
	found, err := loadStored(ctx, k.storage, storedKickstartPath, set)
	if err != nil || (found && !set.RotationDue(now, kickstartRotation)) {
		return set, err
	}
	if err := k.storage.Lock(ctx, storedKickstartPath); err != nil {
		return nil, err
	}
	defer k.storage.Unlock(context.WithoutCancel(ctx), storedKickstartPath) //nolint:errcheck // a lock that is not given back expires by itself
	set = new(idvredirect.KeySet)
	found, err = loadStored(ctx, k.storage, storedKickstartPath, set)
	if err != nil || (found && !set.RotationDue(now, kickstartRotation)) {
		return set, err
	}
	key, err := idvredirect.GenerateSigningKey(rand.Reader)
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
	return set, saveStored(ctx, k.storage, storedKickstartPath, set)
}
