// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/contract"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// What stands for type and issuer where only their form is judged, before they are known.
const (
	unknownType   = "InItsFile"
	unknownIssuer = "did:web:in-its-file.invalid"
)

// buildLearning builds a credential whose issuer, and type unless it is known otherwise, are learned from a manifest at an address. Until they
// are known it has neither, and no card meets it.
func (a *App) buildLearning(name string, c *Credential) (*credential, error) {
	if len(c.Issuers) > 1 {
		return nil, errors.New("manifest: a contract has one issuer, and issuer names several; write the one, or remove the option manifest")
	}
	judged := *c
	kind, err := a.typeOf(c)
	if judged.Type = kind; err != nil {
		if judged.Type, err = unknownType, a.photoKnown(c); err != nil {
			return nil, err
		}
	}
	issuer := ""
	if len(c.Issuers) == 1 {
		issuer = c.Issuers[0]
	} else {
		judged.Issuers = []string{unknownIssuer}
	}
	built, err := a.buildCredential(name, &judged)
	if err != nil {
		return nil, err
	}
	if kind == "" && c.DisplayName == "" {
		built.displayName = ""
	}
	built.base.Type, built.base.AcceptedIssuers = kind, nil
	built.pin = &pinnedManifest{
		credential: name, url: c.Manifest, kind: kind, issuer: issuer, path: manifestPath(name, c.Manifest, kind, issuer),
		now: a.now, logger: a.logger, ctx: a.ctx,
		told: func(changed *manifestChange) {
			a.event(eventManifestChanged, map[string]any{"credential": name, "issuer": changed.Issuer})
		},
		uses: built.claims,
	}
	return built, nil
}

// photoKnown refuses to guess the photo claim where a partner publishes one for its own type, and the type is not known yet.
func (a *App) photoKnown(c *Credential) error {
	presets, _ := a.presetsOf(c)
	if len(presets) == 0 || c.FaceCheck != nil && (c.FaceCheck.Off || c.FaceCheck.PhotoClaim != "") {
		return nil
	}
	return errors.New("face_check needs the photo claim: the partners' presets leave the type open, and it is not known before the manifest is read; " +
		"write face_check <photo claim>, or type <type>")
}

// provisionManifests reads what is pinned, so that no visitor waits for it. Nothing is fetched: an address or a storage that does not answer, and
// a pin that does not open, are no reason not to load, only not to let anybody in (TM-139).
func (a *App) provisionManifests() error {
	var fetcher *contract.Fetcher
	for name, c := range a.credentials {
		if c.pin == nil {
			continue
		}
		if fetcher == nil {
			roots, _, err := a.trustedRoots()
			if err != nil {
				return err
			}
			fetcher = contract.NewFetcher(roots, a.InsecureLoopbackHTTP)
		}
		c.pin.fetcher, c.pin.storage, c.pin.sealer = fetcher, a.ctx.Storage(), a.keys.ring.Sealer(session.PurposeStore)
		if err := c.pin.look(a.ctx); err != nil && c.pin.damaged == nil {
			a.logger.Error("a manifest's pin cannot be read; nobody passes with this credential until it can", zap.String("credential", name), zap.Error(err))
		}
	}
	return nil
}

// followManifests begins to fetch and to check. Only a config that has been started does.
func (a *App) followManifests() {
	for _, c := range a.credentials {
		if c.pin != nil {
			go c.pin.follow(a.ctx)
		}
	}
}

// learned is what the credential has learned from its manifest; nil if it learns nothing, or has not yet.
func (c *credential) learned() *manifestPin {
	if c.pin == nil {
		return nil
	}
	return c.pin.current.Load()
}

// issuers are those whose cards are accepted now.
func (c *credential) issuers() []string {
	if pin := c.learned(); pin != nil {
		return []string{pin.Issuer}
	}
	return c.base.AcceptedIssuers
}

// claims are the names of the claims that the credential and its gates rest on, sorted.
func (c *credential) claims() []string {
	used := maps.Clone(c.keep)
	for _, constraint := range c.base.Constraints {
		used[constraint.ClaimName] = true
	}
	if c.base.FaceCheck != nil {
		used[c.base.FaceCheck.SourcePhotoClaim] = true
	}
	if c.base.SubjectClaim != "" {
		used[c.base.SubjectClaim] = true
	}
	return slices.Sorted(maps.Keys(used))
}

// shownName is what the pages call the credential.
func (c *credential) shownName() string {
	if c.displayName != "" {
		return c.displayName
	}
	if pin := c.learned(); pin != nil {
		return words(pin.Type)
	}
	return c.name
}

// validate judges a requirement of this credential, also while type and issuer are not known.
func (c *credential) validate(r verifier.Requirement) error {
	if c.pin != nil {
		r.AcceptedIssuers = []string{unknownIssuer}
		if r.Type == "" {
			r.Type = unknownType
		}
	}
	return r.Validate()
}

// known says whether the credential can be asked for: what it learns from a manifest is pinned, and the manifest still says the same. If not, the
// operator is told why, and what to do about it.
func (v *visitRequest) known(ctx context.Context, w want) bool {
	if w.credential.pin == nil {
		return true
	}
	_, err := w.credential.pin.ready(ctx)
	if err != nil && v.r.Context().Err() == nil { // who has left waits for nothing
		v.log(zapcore.ErrorLevel, "nobody can begin with a credential whose manifest is not known, or has changed", zap.String("credential", w.credential.name), zap.Error(err))
	}
	return err == nil
}

// learnedDemand is the requirement of a gate with what a manifest says.
type learnedDemand struct {
	pin         *manifestPin
	requirement verifier.Requirement
}

// demand is what the gate demands now. Before a manifest is known that is a requirement without issuers, which nothing meets.
func (w *want) demand() *verifier.Requirement {
	pin := w.credential.learned()
	if pin == nil {
		return &w.requirement
	}
	if made := w.learned.Load(); made != nil && made.pin == pin {
		return &made.requirement
	}
	made := &learnedDemand{pin: pin, requirement: w.requirement}
	made.requirement.Type, made.requirement.AcceptedIssuers = pin.Type, []string{pin.Issuer}
	w.learned.Store(made)
	return &made.requirement
}

// newWant is a credential as a gate demands it. What a manifest says is left out, which lets the gate's name be the same before and after.
func newWant(c *credential, r verifier.Requirement) want {
	if c.pin != nil {
		r.Type, r.AcceptedIssuers = c.base.Type, slices.Clone(c.base.AcceptedIssuers)
	}
	return want{credential: c, requirement: r, learned: new(atomic.Pointer[learnedDemand])}
}
