// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/contract"
	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// storedManifestsPath is the folder of Caddy's storage with what was learned from manifests.
const storedManifestsPath = "verified_id/manifests"

// manifestPin is what a credential has learned from its issuer's manifest, as Caddy's storage keeps it. Who may issue cards for a site
// does not change by itself: it is made once, and after that only the operator replaces it.
type manifestPin struct {
	URL      string    `json:"url"`
	Type     string    `json:"type"`
	Issuer   string    `json:"issuer"`
	Claims   []string  `json:"claims,omitempty"`
	Verified bool      `json:"verified"` // the signature, by the issuer's DID document
	Pinned   time.Time `json:"pinned"`

	// Checked is when a node last asked for the manifest, with whatever outcome.
	Checked time.Time `json:"checked"`

	// Accepted says that the operator has chosen this one. Only such a one takes the place of another that is in force.
	Accepted bool `json:"accepted,omitempty"`

	// Changed is what the manifest says by now if that is another type or issuer.
	Changed *manifestChange `json:"changed,omitempty"`
}

type manifestChange struct {
	Type   string    `json:"type"`
	Issuer string    `json:"issuer"`
	Seen   time.Time `json:"seen"`
}

func newManifestPin(url string, said *contract.Contract, now time.Time) *manifestPin {
	return &manifestPin{URL: url, Type: said.Type, Issuer: said.Issuer, Claims: said.Claims, Verified: said.Verified, Pinned: now.UTC()}
}

// compare notes whether the manifest still says what is pinned.
func (m *manifestPin) compare(said *contract.Contract, now time.Time) {
	switch {
	case said.Type == m.Type && said.Issuer == m.Issuer:
		m.Changed = nil
	case m.Changed == nil || m.Changed.Type != said.Type || m.Changed.Issuer != said.Issuer:
		m.Changed = &manifestChange{Type: said.Type, Issuer: said.Issuer, Seen: now.UTC()}
	}
}

// pinnedManifest is the manifest of one credential: what is pinned, where it is kept and where it comes from. What is written beside the
// option, type or issuer, must be what the manifest says, and is part of the place where the pin is kept: another one is another pin.
type pinnedManifest struct {
	credential string
	url        string
	kind       string // the type that the config or the partners' presets say; empty: any
	issuer     string // the issuer that the config says; empty: any, if the signature is verified
	path       string // in the storage
	storage    certmagic.Storage
	sealer     *session.Sealer
	fetcher    *contract.Fetcher
	now        func() time.Time
	logger     *zap.Logger
	ctx        context.Context // of the config
	told       func(*manifestChange)
	uses       func() []string // the claims that the config names

	current atomic.Pointer[manifestPin]

	reading sync.Mutex // while the storage is asked, which may take its time: no visitor waits for this one
	sealed  []byte     // as it was last read
	damaged error      // it does not open

	mu       sync.Mutex
	looking  *pinLook      // the one under way
	trying   chan struct{} // closed when the attempt under way is over
	tried    time.Time     // when the last one began
	failures int           // in a row
	failed   error         // of the last attempt
}

// manifestPath is where the pin of a credential is kept.
func manifestPath(credential, url, kind, issuer string) string {
	digest := sha256.Sum256([]byte(session.AD(url, kind, issuer)))
	return storedManifestsPath + "/" + credential + "-" + hex.EncodeToString(digest[:12])
}

var errPinDamaged = errors.New("the manifest pinned in Caddy's storage does not open: it was changed there, or sealed with a sealing key that has gone")

// pinLook is a look at the storage that anybody may wait for.
type pinLook struct {
	done chan struct{}
	err  error
}

// look reads what the storage has. While it does not answer, or what it has does not open, what is known stays in force. Whoever comes while
// somebody looks waits for the same look, and no longer than their ctx: a storage that hangs is asked once, and not once for each visitor.
func (p *pinnedManifest) look(ctx context.Context) error {
	p.mu.Lock()
	look := p.looking
	if look == nil {
		look = &pinLook{done: make(chan struct{})}
		p.looking = look
		go p.lookFor(look)
	}
	p.mu.Unlock()
	select {
	case <-look.done:
		return look.err
	case <-ctx.Done():
		return fmt.Errorf("looking for what is pinned in Caddy's storage: %w", ctx.Err())
	}
}

func (p *pinnedManifest) lookFor(look *pinLook) {
	defer close(look.done)
	p.reading.Lock()
	_, look.err = p.read(p.ctx)
	p.reading.Unlock()
	p.mu.Lock()
	p.looking = nil
	p.mu.Unlock()
}

// read returns what the storage has, nil if that is nothing, and takes it for what is pinned. The caller holds reading.
func (p *pinnedManifest) read(ctx context.Context) (*manifestPin, error) {
	ctx, cancel := context.WithTimeout(ctx, patience.Storage)
	defer cancel()
	sealed, err := p.storage.Load(ctx, p.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.sealed, p.damaged = nil, nil
		return nil, nil
	case err != nil:
		return nil, err
	case p.sealed != nil && bytes.Equal(sealed, p.sealed) && p.damaged == nil:
		return p.current.Load(), nil
	}
	pin, err := p.open(sealed, p.current.Load()) // also what did not open before: the key that sealed it may have come since
	said := p.damaged != nil && bytes.Equal(sealed, p.sealed)
	p.sealed, p.damaged = append([]byte{}, sealed...), err
	switch {
	case err != nil && said:
		return nil, err
	case err != nil:
		p.logger.Error("a manifest's pin is refused", zap.String("credential", p.credential), zap.String("stored", p.path), zap.Error(err),
			zap.String("mend", p.acceptBy("<the issuer's DID>")))
		return nil, err
	}
	p.take(pin)
	return pin, nil
}

// open refuses everything that was not sealed by us for this place, and what takes the place of another without the operator.
// inForce is what this process knows; nil if nothing.
func (p *pinnedManifest) open(sealed []byte, inForce *manifestPin) (*manifestPin, error) {
	plain, err := p.sealer.Open(string(sealed), p.path)
	if err != nil {
		return nil, errPinDamaged
	}
	pin := new(manifestPin)
	if err := json.Unmarshal(plain, pin); err != nil {
		return nil, errPinDamaged
	}
	if err := p.meets(pin.URL, pin.Type, pin.Issuer, pin.Verified); err != nil {
		return nil, err
	}
	if inForce == nil || pin.Type == inForce.Type && pin.Issuer == inForce.Issuer {
		return pin, nil
	}
	if pin.Accepted && pin.Pinned.Before(inForce.Pinned) { // whoever can write to the storage may have kept it
		return nil, fmt.Errorf("pinned is %s by %s, and somebody has put back %s by %s, which is older", inForce.Type, inForce.Issuer, pin.Type, pin.Issuer)
	}
	if !pin.Accepted {
		return nil, fmt.Errorf("pinned was %s by %s, and another node that did not find it has pinned %s by %s", inForce.Type, inForce.Issuer, pin.Type, pin.Issuer)
	}
	return pin, nil
}

// unkept says that the storage lacks what is in force, or has it sealed with a key that will be taken away.
func (p *pinnedManifest) unkept() bool {
	p.reading.Lock()
	defer p.reading.Unlock()
	return p.current.Load() != nil && (p.sealed == nil || !p.sealer.First(string(p.sealed)))
}

// meets says whether a manifest is one that this credential may rest on.
func (p *pinnedManifest) meets(url, kind, issuer string, verified bool) error {
	switch {
	case url != p.url:
		return fmt.Errorf("it is the manifest of %s, not of %s", url, p.url)
	case !validDID(issuer):
		return fmt.Errorf("manifest %s is by %q, which is no DID", url, issuer)
	case p.kind != "" && kind != p.kind:
		return fmt.Errorf("manifest %s is of type %s, and type says %s; correct or remove one of them", url, kind, p.kind)
	case p.issuer != "" && issuer != p.issuer:
		return fmt.Errorf("manifest %s is by %s, and issuer says %s; ask the issuer which one is right", url, issuer, p.issuer)
	case p.issuer == "" && !verified:
		return fmt.Errorf("manifest %s says it is by %s, and its signature cannot be verified; ask the issuer for its DID, and write it beside: issuer <did>", url, issuer)
	}
	return checkType(kind)
}

// keep stores a pin and takes it. The caller holds reading, and the storage's lock.
func (p *pinnedManifest) keep(ctx context.Context, pin *manifestPin) error {
	plain, err := json.Marshal(pin)
	if err != nil {
		return err
	}
	sealed := []byte(p.sealer.Seal(plain, p.path))
	if err := p.storage.Store(ctx, p.path, sealed); err != nil {
		return err
	}
	p.sealed, p.damaged = sealed, nil
	p.take(pin)
	return nil
}

// replace stores what becomes of the pin, under the storage's lock: of several nodes that learn at once, all end up with one pin. With nil from
// become nothing is stored. A pin that has gone from the storage is the one that is known here: to remove it replaces nothing.
func (p *pinnedManifest) replace(ctx context.Context, become func(stored *manifestPin, err error) (*manifestPin, error)) error {
	p.reading.Lock()
	defer p.reading.Unlock()
	ctx, cancel := context.WithTimeout(ctx, patience.StorageLock)
	defer cancel()
	if err := p.storage.Lock(ctx, p.path); err != nil {
		return err
	}
	defer p.storage.Unlock(context.WithoutCancel(ctx), p.path) //nolint:errcheck // a lock that is not given back expires by itself
	stored, err := p.read(ctx)
	if err == nil && stored == nil {
		stored = p.current.Load()
	}
	pin, err := become(stored, err)
	if err != nil || pin == nil {
		return err
	}
	return p.keep(ctx, pin)
}

// take makes a pin the one in force, and says what is new about it.
func (p *pinnedManifest) take(pin *manifestPin) {
	before := p.current.Swap(pin)
	about := []zap.Field{
		zap.String("credential", p.credential), zap.String("manifest", p.url), zap.String("type", pin.Type), zap.String("issuer", pin.Issuer),
	}
	if before == nil || before.Type != pin.Type || before.Issuer != pin.Issuer {
		p.logger.Info("type and issuer are those of the manifest", append(about, zap.Bool("verified", pin.Verified), zap.Time("pinned", pin.Pinned))...)
	}
	changed := before != nil && before.Changed != nil
	switch {
	case pin.Changed != nil && (!changed || *before.Changed != *pin.Changed):
		p.logger.Error("a manifest has CHANGED: sessions go on, and nobody can begin one with this credential", append(about, zap.Error(p.changedError(pin)))...)
	case pin.Changed == nil && changed:
		p.logger.Info("a manifest says again what is pinned, or the change was accepted", about...)
	}
}

func (p *pinnedManifest) changedError(pin *manifestPin) error {
	return fmt.Errorf("pinned is %s by %s, and the manifest now says %s by %s; ask the issuer whether that is right, and if so: %s",
		pin.Type, pin.Issuer, pin.Changed.Type, pin.Changed.Issuer, p.acceptBy(pin.Changed.Issuer))
}

// acceptBy is the command by which the operator says that a manifest is right.
func (p *pinnedManifest) acceptBy(issuer string) string {
	return "caddy verified-id pin " + p.credential + " --accept " + issuer
}
