// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/contract"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

const (
	// checkManifest is how old the last look at a manifest may get before one of the nodes asks for it again. What comes then is compared and
	// never taken.
	checkManifest = 12 * time.Hour

	// keepManifest is how often a pin that is gone, or sealed with an old key, is stored anew.
	keepManifest = time.Minute
)

// follow keeps what is pinned current until ctx ends: it hears of what other nodes and the command have stored, fetches what was never
// fetched, and looks from time to time whether the manifest has changed. It seals the pin anew when another key seals, so that a sealing key
// can be taken out of use.
func (p *pinnedManifest) follow(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	var warned, kept time.Time
	for {
		if pin := p.current.Load(); pin != nil && pin.Pinned != warned {
			warned = pin.Pinned
			if lacks := pin.lacks(p.uses()); len(lacks) > 0 {
				p.logger.Warn("the config names claims that the manifest does not; if they are misspelled nobody passes",
					zap.String("credential", p.credential), zap.Strings("claims", lacks), zap.Strings("manifest_claims", pin.Claims))
			}
		}
		if p.look(ctx) == nil {
			// Not more often than this: nodes learn of a new sealing key one after the other.
			if now := p.now(); now.Sub(kept) >= keepManifest && p.unkept() {
				kept = now
				if err := p.replace(ctx, again); err != nil && ctx.Err() == nil {
					p.logger.Warn("storing a manifest's pin anew", zap.String("credential", p.credential), zap.Error(err))
				}
			}
			if p.due() {
				p.attempt(true)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// lacks are those of the claims that the manifest does not show. One that shows none says nothing about them.
func (m *manifestPin) lacks(claims []string) []string {
	if len(m.Claims) == 0 {
		return nil
	}
	return slices.DeleteFunc(claims, func(claim string) bool { return slices.Contains(m.Claims, claim) })
}

// again stores what is stored.
func again(stored *manifestPin, err error) (*manifestPin, error) { return stored, err }

// due says whether the manifest should be asked for.
func (p *pinnedManifest) due() bool {
	pin := p.current.Load()
	return pin == nil || p.now().Sub(pin.Checked) >= checkManifest || pin.Checked.After(p.now().Add(clockSkew))
}

// attempt asks for the manifest once. Whoever comes while that is under way waits for the same attempt. The channel is closed when it is over,
// or if it is too early for one; patient is who can wait longer after each failure.
func (p *pinnedManifest) attempt(patient bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.trying != nil {
		return p.trying
	}
	done := make(chan struct{})
	wait := patience.ManifestRetry
	if patient {
		wait = backOff(p.failures)
	}
	if !p.tried.IsZero() && p.now().Before(p.tried.Add(wait)) {
		close(done)
		return done
	}
	p.trying, p.tried = done, p.now()
	go func() {
		err := p.learn(p.ctx)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.trying, p.failed = nil, err
		if p.failures++; err == nil {
			p.failures = 0
		}
		close(done)
	}()
	return done
}

func backOff(failures int) time.Duration {
	return min(patience.ManifestRetry<<min(max(failures-1, 0), 10), patience.ManifestLongestRetry)
}

// learn fetches the manifest: the first is pinned, if it may be; later ones are compared with the pin. What could not be fetched, or is signed by
// somebody else, changes nothing.
func (p *pinnedManifest) learn(ctx context.Context) error {
	said, err := p.fetcher.Get(ctx, p.url)
	if said == nil && ctx.Err() == nil {
		p.logger.Warn("a manifest cannot be had", zap.String("credential", p.credential), zap.String("manifest", p.url), zap.Error(err),
			zap.Bool("pinned", p.current.Load() != nil))
	}
	if said == nil && p.current.Load() == nil {
		return err
	}
	var changed *manifestChange
	failed := p.replace(ctx, func(stored *manifestPin, err error) (*manifestPin, error) {
		if err != nil {
			return nil, err
		}
		pin, err := p.next(stored, said)
		if err != nil {
			return nil, err
		}
		if pin.Changed != nil && (stored.Changed == nil || *stored.Changed != *pin.Changed) {
			changed = pin.Changed
		}
		return pin, nil
	})
	if failed != nil && err != nil {
		failed = fmt.Errorf("%w (%w)", failed, err)
	}
	if failed != nil && ctx.Err() == nil {
		p.logger.Error("a manifest is not pinned", zap.String("credential", p.credential), zap.String("manifest", p.url), zap.Error(failed))
	}
	if failed == nil && changed != nil {
		p.told(changed)
	}
	return failed
}

// next is the pin after the manifest was asked for; said is nil if it could not be had.
func (p *pinnedManifest) next(stored *manifestPin, said *contract.Contract) (*manifestPin, error) {
	now := p.now()
	var pin *manifestPin
	if stored == nil {
		if err := p.meets(p.url, said.Type, said.Issuer, said.Verified); err != nil {
			return nil, err
		}
		pin = newManifestPin(p.url, said, now)
	} else {
		copied := *stored
		pin = &copied
		if said != nil {
			pin.compare(said, now)
		}
	}
	pin.Checked = now.UTC()
	return pin, nil
}

// ready returns what is pinned for somebody who wants to begin, and fetches what was never fetched. An error says why nobody can begin, and what
// the operator does about it. It waits for [patience.Manifest] at most.
func (p *pinnedManifest) ready(ctx context.Context) (*manifestPin, error) {
	ctx, cancel := context.WithTimeout(ctx, patience.Manifest)
	defer cancel()
	if p.current.Load() == nil {
		if err := p.look(ctx); err != nil {
			return nil, err
		}
	}
	if p.current.Load() == nil {
		select {
		case <-p.attempt(false):
		case <-ctx.Done():
		}
	}
	pin := p.current.Load()
	if pin == nil {
		return nil, p.why()
	}
	if pin.Changed != nil {
		return nil, p.changedError(pin)
	}
	return pin, nil
}

func (p *pinnedManifest) why() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return p.failed
	}
	return fmt.Errorf("manifest %s has not been read yet", p.url)
}
