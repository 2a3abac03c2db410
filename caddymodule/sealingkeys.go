// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// lookForKeys is how often a node reads the stored sealing keys: how soon it stops opening what a leaked key has sealed. No request
// causes a look, whatever cookie it brings.
const lookForKeys = 30 * time.Second

// The file was removed under a running Caddy, and perhaps another Caddy has made a new one.
var (
	errKeysGone  = fmt.Errorf("%s has gone; put it back from a backup, or restart Caddy to have new keys made, which ends all sessions", storedKeysPath)
	errOtherKeys = fmt.Errorf("%s is of another installation, with other names for the holders; put the right one back, or restart Caddy to take this one up", storedKeysPath)
)

// sealingKeys keep a ring in step with the keys in Caddy's storage, and make the next one in time. Only follow uses them.
type sealingKeys struct {
	ring    *session.KeyRing
	storage certmagic.Storage
	logger  *zap.Logger
	known   storedKeys // of the last look
	failing bool
}

// follow looks again and again until ctx ends.
func (k *sealingKeys) follow(ctx context.Context, now func() time.Time) {
	ticker := time.NewTicker(lookForKeys)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.step(ctx, now())
		case <-ctx.Done():
			return
		}
	}
}

// step looks once. While the storage does not answer, the keys that are known go on, and take over from one another when their
// time has come.
func (k *sealingKeys) step(ctx context.Context, now time.Time) {
	before := sealingID(k.known, now)
	err := k.look(ctx, now)
	if ctx.Err() != nil {
		return
	}
	err = errors.Join(err, k.ring.Replace(k.known.set().ring(now)...))
	switch failed := err != nil; {
	case failed && !k.failing:
		k.logger.Error("the sealing keys in Caddy's storage cannot be followed; those that are known stay in use", zap.Error(err))
	case !failed && k.failing:
		k.logger.Info("the sealing keys in Caddy's storage are followed again")
	}
	k.failing = err != nil
	if after := sealingID(k.known, now); after != before {
		k.logger.Info("another sealing key was taken up", zap.String("key", after))
	}
}

// look reads the stored keys, and turns them where that is due.
func (k *sealingKeys) look(ctx context.Context, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience.Storage)
	defer cancel()
	stored, found, err := loadKeys(ctx, k.storage)
	switch {
	case err != nil:
		return err
	case !found:
		return errKeysGone
	}
	if err := k.take(stored); err != nil {
		return err
	}
	if _, due := stored.set().turned(now); !due {
		return nil
	}
	stored, err = changeKeys(ctx, k.storage, func(stored *storedKeys) (*storedKeys, error) {
		if stored == nil {
			return nil, errKeysGone
		}
		set, due := stored.set().turned(now)
		if !due { // another node was faster
			return nil, nil
		}
		return new(stored.with(set)), nil
	})
	if err != nil {
		return err
	}
	return k.take(stored)
}

// take makes stored keys those that are known, if they can be used and are ours.
func (k *sealingKeys) take(stored storedKeys) error {
	if !bytes.Equal(stored.Subject, k.known.Subject) {
		return errOtherKeys
	}
	if _, err := session.NewKeyRing(stored.Sealing...); err != nil {
		return fmt.Errorf("%s: %w", storedKeysPath, err)
	}
	k.known = stored
	return nil
}

func sealingID(stored storedKeys, now time.Time) string {
	set := stored.set()
	return set[set.sealing(now)].id()
}
