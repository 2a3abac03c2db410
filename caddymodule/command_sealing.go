// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// listSealing prints the sealing keys by their names, which tell nothing of them.
func (a *App) listSealing(out io.Writer) error {
	configured, err := a.configuredSealingKeys()
	if err != nil {
		return err
	}
	for i, key := range configured {
		state := "opens"
		if i == 0 {
			state = "seals"
		}
		fmt.Fprintf(out, "%s\t%s\tfrom the config\n", session.KeyID(key), state)
	}
	if configured != nil {
		return nil
	}
	stored, found, err := loadKeys(a.ctx, a.ctx.Storage())
	if err == nil && !found {
		err = noStoredKeys(a.ctx.Storage())
	}
	if err != nil {
		return err
	}
	printSealing(out, stored.set(), a.now())
	return nil
}

func printSealing(out io.Writer, set sealingSet, now time.Time) {
	sealing := set.sealing(now)
	for i, key := range set {
		state := "opens"
		switch {
		case i == sealing:
			state = "seals"
		case key.SealsFrom.After(now):
			state = "next"
		case set.over(i, now):
			state = "over"
		}
		made := "made by an earlier version"
		if !key.Made.IsZero() {
			made = fmt.Sprintf("made %s (%d days ago), seals from %s", shortTime(key.Made), now.Sub(key.Made)/(24*time.Hour), shortTime(key.SealsFrom))
		}
		fmt.Fprintf(out, "%s\t%s\t%s, leaves %s\n", key.id(), state, made, shortTime(set.leaves(i)))
	}
}

var errSealingWaits = errors.New("a key that does not seal yet waits for its time; rotate again when it seals (keys list --kind sealing), or, if a key has leaked, with --end-sessions")

// rotateSealing makes the next sealing key, or, with end, replaces all by a new one.
func (a *App) rotateSealing(out io.Writer, end bool) error {
	switch {
	case len(a.SealingKeys) > 0 && end:
		return errors.New("these keys come from the config: write a new one alone into sealing_key and reload, on every node; all sessions end")
	case len(a.SealingKeys) > 0:
		return errors.New("these keys come from the config: add the new key behind the others and reload every node, move it to the front and reload, " +
			"and take the old one away after the lifetime of a session")
	}
	ctx, cancel := context.WithTimeout(a.ctx, patience.StorageLock)
	defer cancel()
	now := a.now()
	stored, err := changeKeys(ctx, a.ctx.Storage(), func(stored *storedKeys) (*storedKeys, error) {
		if stored == nil {
			return nil, noStoredKeys(a.ctx.Storage())
		}
		if end {
			return new(stored.with(sealingSet{newSealingKey(now, now)})), nil
		}
		if stored.set().waiting(now) {
			return nil, errSealingWaits
		}
		set, _ := stored.set().turned(now)
		if !set.waiting(now) { // the schedule has made none
			set = set.rotated(now)
		}
		return new(stored.with(set)), nil
	})
	if err != nil {
		return err
	}
	printSealing(out, stored.set(), now)
	if end {
		fmt.Fprintf(out, "within %d seconds every node that shares this storage seals and opens with this key alone: all sessions end, everybody has to present again, and visits under way begin anew\n",
			lookForKeys/time.Second)
	}
	return nil
}
