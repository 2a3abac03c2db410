// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// storedRevocationsPath is the folder of Caddy's storage with one entry for each revocation.
const storedRevocationsPath = "verified_id/revocations"

// lookInterval is how often the storage is asked for what other nodes have revoked. They must hear of it within 5 seconds
// (TM-156).
const lookInterval = 2 * time.Second

// keepLonger is how long an entry stays after its end, so that a node whose clock is fast takes nothing from the others.
const keepLonger = time.Hour

// tidyInterval is how often what is over is removed.
const tidyInterval = time.Minute

// keptRevocations keeps revocations in Caddy's storage, whatever the store: a store in this process forgets them with it, and one
// that nodes share may not answer just when a node starts, or may have lost all it had. They outlive that, and reach every node that
// shares the storage (TM-140, TM-156). Requests never come here; they ask [revocations].
//
// An entry is written once and never changed, so two nodes cannot undo each other's and nothing is locked. Its name tells
// its end and nothing else; its content is sealed with the name, and holds no holder but by the keyed subject.
type keptRevocations struct {
	storage certmagic.Storage
	ring    *session.KeyRing
	sealer  *session.Sealer
	known   *revocations // of this process
	now     func() time.Time

	// What the last look found; only look and tidy use it, one call at a time.
	over    map[string]struct{}
	stored  map[string]verifier.Revocation
	closed  map[string]closedEntry
	written *map[revocationKey]verifier.Revocation // the state of known that the storage has in full
}

// closedEntry is one that did not open. It is read again, since its key may reach this node later than the entry, and since somebody
// may have damaged it until its node writes it anew; ever more seldom, since mostly its key has been taken away for good.
type closedEntry struct {
	again time.Time
	pause time.Duration
}

// longestClosed bounds the pause until an entry that does not open is read again.
const longestClosed = time.Hour

// provisionRevocations reads what was revoked before this process began, before the first request is answered: a node that
// cannot know who was put out lets nobody in.
func (a *App) provisionRevocations() error {
	a.kept = keepRevocations(&a.store.revoked, a.ctx.Storage(), a.keys.ring, a.now)
	unopened, err := a.kept.look(a.ctx)
	if err != nil {
		return fmt.Errorf("revocations in Caddy's storage: %w", err)
	}
	if unopened > 0 {
		a.logger.Warn("stored revocations do not open; they were sealed with a sealing key that has gone, or are damaged",
			zap.Int("entries", unopened), zap.String("folder", storedRevocationsPath))
	}
	ctx, cancel := context.WithCancel(a.ctx)
	done := make(chan struct{})
	go func(kept *keptRevocations, logger *zap.Logger) {
		defer close(done)
		kept.watch(ctx, logger)
	}(a.kept, a.logger)
	a.releases = append(a.releases, func() {
		cancel()
		<-done
	})
	return nil
}

func keepRevocations(known *revocations, in certmagic.Storage, ring *session.KeyRing, now func() time.Time) *keptRevocations {
	return &keptRevocations{
		storage: in, ring: ring, sealer: ring.Sealer(session.PurposeStore), known: known, now: now,
		stored: map[string]verifier.Revocation{}, closed: map[string]closedEntry{},
	}
}

// watch looks again and again until the context ends.
func (k *keptRevocations) watch(ctx context.Context, logger *zap.Logger) {
	looking, tidying := time.NewTicker(lookInterval), time.NewTicker(tidyInterval)
	defer looking.Stop()
	defer tidying.Stop()
	failing, untidy := false, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-looking.C:
			_, err := k.look(ctx)
			if err != nil && !failing && ctx.Err() == nil { // what we know stays in force
				logger.Error("revocations of other nodes are not heard of, and ours not kept, while Caddy's storage does not answer", zap.Error(err))
			}
			failing = err != nil
		case <-tidying.C:
			err := k.tidy(ctx)
			if err != nil && !untidy && ctx.Err() == nil {
				logger.Warn("revocations that are over cannot be removed from Caddy's storage; they end nothing any more, and take up space",
					zap.String("folder", storedRevocationsPath), zap.Error(err))
			}
			untidy = err != nil
		}
	}
}

// look learns what other nodes have revoked, and writes what this process knows and the storage lacks: what could not be written
// when it was due, and what was lost. It says how many new entries did not open; that is no error, for the key of an entry may
// have been taken away, and the sessions with it.
func (k *keptRevocations) look(ctx context.Context) (unopened int, err error) {
	listed, err := k.list(ctx)
	if err != nil {
		return 0, err
	}
	now := k.now()
	k.over = map[string]struct{}{}
	there := make(map[string]verifier.Revocation, len(listed))
	closed := map[string]closedEntry{}
	var fresh []verifier.Revocation
	var unread error
	seen := 0
	for _, key := range listed {
		name := path.Base(key)
		until, ours := endOf(name)
		if !ours {
			continue
		}
		if !now.Before(until) {
			if now.After(until.Add(keepLonger)) {
				k.over[name] = struct{}{}
			}
			continue
		}
		entry, before := k.stored[name]
		if before {
			seen++
			there[name] = entry
			continue
		}
		shut, before := k.closed[name]
		if before && now.Before(shut.again) {
			closed[name] = shut
			continue
		}
		entry, opened, err := k.read(ctx, name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone since it was listed
			continue
		case err != nil: // what the others say counts all the same
			unread = err
			continue
		case !opened:
			if !before {
				unopened++
			}
			pause := min(max(2*shut.pause, lookInterval), longestClosed)
			closed[name] = closedEntry{again: now.Add(pause), pause: pause}
			continue
		default:
			// A node whose clock is ahead must not shut out those who come after it spoke.
			entry.Since = earlier(entry.Since, now.Add(clockSkew))
			fresh = append(fresh, entry)
		}
		there[name] = entry
	}
	if len(fresh) > 0 {
		k.known.add(fresh...)
	}
	if seen < len(k.stored) {
		k.written = nil
	}
	k.stored, k.closed = there, closed
	return unopened, errors.Join(unread, k.writeMissing(ctx, now))
}

// writeMissing writes what this process knows and the storage lacks. When nothing has changed it costs nothing.
func (k *keptRevocations) writeMissing(ctx context.Context, now time.Time) error {
	current := k.known.current.Load()
	if current == nil || current == k.written {
		return nil
	}
	has := revocations{now: k.now}
	has.add(slices.Collect(maps.Values(k.stored))...)
	for _, entry := range *current {
		if now.Before(entry.Until) && !has.covers(entry) {
			if err := k.keep(ctx, entry); err != nil {
				return err
			}
		}
	}
	k.written = current
	return nil
}

// keep writes one revocation. Once it returns nil the revocation outlives this process.
func (k *keptRevocations) keep(ctx context.Context, r verifier.Revocation) error {
	plain, err := json.Marshal(r)
	if err != nil {
		return err
	}
	since := strconv.FormatInt(r.Since.Unix(), 10)
	name := strconv.FormatInt(r.Until.Unix(), 10) + "-" + k.ring.Digest(session.PurposeStore, session.AD(string(r.Kind), r.Value, since))
	ctx, cancel := context.WithTimeout(ctx, patience.Storage)
	defer cancel()
	return k.storage.Store(ctx, storedPath(name), []byte(k.sealer.Seal(plain, storedPath(name))))
}

// read returns an entry, if it opens.
func (k *keptRevocations) read(ctx context.Context, name string) (r verifier.Revocation, opened bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience.Storage)
	defer cancel()
	sealed, err := k.storage.Load(ctx, storedPath(name))
	if err != nil {
		return r, false, err
	}
	plain, err := k.sealer.Open(string(sealed), storedPath(name))
	if err != nil || json.Unmarshal(plain, &r) != nil {
		return verifier.Revocation{}, false, nil
	}
	return r, true, nil
}

// list returns the names in the storage. Storages differ in what they say of a folder that was never written to.
func (k *keptRevocations) list(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience.Storage)
	defer cancel()
	listed, err := k.storage.List(ctx, storedRevocationsPath, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return listed, err
}

// tidy removes what the last look found to be over. One entry that stays keeps no other. All together have the time of one call, for
// the next look must not wait; if that does not suffice, the order of a map lets others come first the next time.
func (k *keptRevocations) tidy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience.Storage)
	defer cancel()
	var failed error
	for name := range k.over {
		switch err := k.storage.Delete(ctx, storedPath(name)); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !errors.Is(err, fs.ErrNotExist): // another node may have been first
			failed = err
		}
	}
	return failed
}

func storedPath(name string) string { return storedRevocationsPath + "/" + name }

// endOf is the end of the entry with this name. Other names are not ours: a storage may keep half-written files there.
func endOf(name string) (time.Time, bool) {
	seconds, digest, ok := strings.Cut(name, "-")
	end, err := strconv.ParseInt(seconds, 10, 64)
	if !ok || digest == "" || err != nil {
		return time.Time{}, false
	}
	return time.Unix(end, 0), true
}
