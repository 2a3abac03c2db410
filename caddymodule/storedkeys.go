// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

const (
	storedKeysPath      = "verified_id/keys.json"
	storedKickstartPath = "verified_id/kickstart.json"
	storedAssertionPath = "verified_id/assertion.json"
)

// storedKeys is the content of storedKeysPath. A version that keeps no times reads the first two fields alone and seals with the
// first key, so that one is always a key that all nodes have.
type storedKeys struct {
	Sealing [][]byte `json:"sealing"`
	Subject []byte   `json:"subject"`

	// Times are those of the sealing keys, by the keys' names. A version that kept none has left some out.
	Times map[string]sealingTimes `json:"times,omitempty"`
}

type sealingTimes struct {
	Made      time.Time `json:"made"`
	SealsFrom time.Time `json:"seals_from"`
}

// set is the timeline of the sealing keys.
func (s storedKeys) set() sealingSet {
	var set sealingSet
	for _, secret := range s.Sealing {
		set = append(set, sealingKey{secret, s.Times[session.KeyID(secret)]})
	}
	return set
}

// with is the same with another timeline.
func (s storedKeys) with(set sealingSet) storedKeys {
	s.Sealing, s.Times = nil, map[string]sealingTimes{}
	for _, key := range set {
		s.Sealing = append(s.Sealing, key.secret)
		s.Times[key.id()] = key.sealingTimes
	}
	return s
}

// loadKeys reads the stored keys, if there are any.
func loadKeys(ctx context.Context, storage certmagic.Storage) (stored storedKeys, found bool, err error) {
	found, err = loadStored(ctx, storage, storedKeysPath, &stored)
	if found && (len(stored.Subject) < session.MinKeySize || len(stored.Sealing) == 0) {
		return stored, false, fmt.Errorf("%s lacks a key; restore it from a backup, or remove it to have new keys made, which ends all sessions", storedKeysPath)
	}
	return stored, found, err
}

// loadOrMakeKeys makes the keys under the storage's lock, so that several nodes end up with the same ones.
func loadOrMakeKeys(ctx context.Context, storage certmagic.Storage, now time.Time) (storedKeys, error) {
	ctx, cancel := context.WithTimeout(ctx, patience.StorageLock)
	defer cancel()
	stored, found, err := loadKeys(ctx, storage)
	if err != nil || found {
		return stored, err
	}
	return changeKeys(ctx, storage, func(stored *storedKeys) (*storedKeys, error) {
		if stored != nil {
			return nil, nil
		}
		return new(storedKeys{Subject: randomBytes(32)}.with(sealingSet{newSealingKey(now, now)})), nil
	})
}

// changeKeys stores what change makes of the stored keys (nil: there are none), under the storage's lock, and returns what is stored
// in the end. A change to nil is none.
func changeKeys(ctx context.Context, storage certmagic.Storage, change func(stored *storedKeys) (*storedKeys, error)) (storedKeys, error) {
	if err := storage.Lock(ctx, storedKeysPath); err != nil {
		return storedKeys{}, err
	}
	defer storage.Unlock(context.WithoutCancel(ctx), storedKeysPath) //nolint:errcheck // a lock that is not given back expires by itself
	stored, found, err := loadKeys(ctx, storage)
	if err != nil {
		return storedKeys{}, err
	}
	known := &stored
	if !found {
		known = nil
	}
	changed, err := change(known)
	if err != nil || changed == nil {
		return stored, err
	}
	return *changed, saveStored(ctx, storage, storedKeysPath, changed)
}

func loadStored(ctx context.Context, storage certmagic.Storage, path string, into any) (bool, error) {
	content, err := storage.Load(ctx, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return false, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return true, nil
}

func saveStored(ctx context.Context, storage certmagic.Storage, path string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return storage.Store(ctx, path, content)
}
