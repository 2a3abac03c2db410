// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

const (
	storedKeysPath      = "verified_id/keys.json"
	storedKickstartPath = "verified_id/kickstart.json"
	storedAssertionPath = "verified_id/assertion.json"
	storageTimeout      = 10 * time.Second

	// lockPatience is how long making the keys may wait for another process. One that was killed in the middle leaves its
	// lock, which is taken for stale after 10 seconds (certmagic.FileStorage).
	lockPatience = 20 * time.Second
)

// keys are the secrets of this installation.
type keys struct {
	ring     *session.KeyRing
	sessions *session.Sealer
	visits   *session.Sealer
	journeys *session.Sealer
	subject  []byte // makes the opaque subject; never rotated, or people would change their identity

	kickstart signingKeys
	assertion signingKeys
}

// storedKeys is the content of storedKeysPath.
type storedKeys struct {
	Sealing [][]byte `json:"sealing"`
	Subject []byte   `json:"subject"`
}

// provisionKeys takes the keys from the config, or makes them once and keeps them in Caddy's storage, so that neither a
// reload nor a restart ends a session (TM-025).
func (a *App) provisionKeys() error {
	storage := a.ctx.Storage()
	stored, err := loadOrMakeKeys(a.ctx, storage)
	if err != nil {
		return fmt.Errorf("keys in Caddy's storage: %w", err)
	}
	if len(stored.Subject) < session.MinKeySize || len(stored.Sealing) == 0 {
		return fmt.Errorf("keys in Caddy's storage: %s lacks a key; restore it from a backup, or remove it to have new keys made, which ends all sessions", storedKeysPath)
	}
	ring := stored.Sealing
	if len(a.SealingKeys) > 0 {
		if ring, err = a.configuredSealingKeys(); err != nil {
			return err
		}
	}
	opened, err := session.NewKeyRing(ring...)
	if err != nil {
		return fmt.Errorf("sealing_key: %w", err)
	}
	a.keys = &keys{
		ring: opened, sessions: opened.Sealer(session.PurposeSession), visits: opened.Sealer(session.PurposePage),
		journeys: opened.Sealer(session.PurposeJourney), subject: stored.Subject,
		kickstart: signingKeys{storage: storage, path: storedKickstartPath, generate: generateKickstartKey},
		assertion: signingKeys{storage: storage, path: storedAssertionPath, generate: idvredirect.GenerateAssertionKey},
	}
	if a.keys.kickstart.configured, err = a.configuredKeySet("kickstart_key", a.KickstartKeys, idvredirect.ParseSigningKey); err != nil {
		return err
	}
	a.keys.assertion.configured, err = a.configuredKeySet("assertion_key", a.AssertionKeys, idvredirect.ParseAssertionKey)
	return err
}

func generateKickstartKey() (*idvredirect.SigningKey, error) {
	return idvredirect.GenerateSigningKey(rand.Reader)
}

// configuredKeySet is the set of the operator's own keys; nil where the option is not used.
func (a *App) configuredKeySet(option string, paths []string, parse func([]byte) (*idvredirect.SigningKey, error)) (*idvredirect.KeySet, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	var signing []*idvredirect.SigningKey
	for _, path := range paths {
		key, err := a.readSigningKey(option, path, parse)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", option, err)
		}
		signing = append(signing, key)
	}
	set, err := idvredirect.NewKeySet(a.now(), signing...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	return set, nil
}

func (a *App) readSigningKey(option, path string, parse func([]byte) (*idvredirect.SigningKey, error)) (*idvredirect.SigningKey, error) {
	path, err := resolve(option, path)
	if err != nil {
		return nil, err
	}
	content, err := readKeyFile(path, a.GroupReadableKeys)
	if err != nil {
		return nil, err
	}
	return parse(content)
}

func (a *App) configuredSealingKeys() ([][]byte, error) {
	var ring [][]byte
	for _, value := range a.SealingKeys {
		text, err := resolveSecret("sealing_key", value)
		if err != nil {
			return nil, err
		}
		if inline(value) {
			a.logger.Warn("sealing_key stands in the config itself and shows in its dumps; use {env.NAME} or {file./path}")
		}
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, errors.New("sealing_key is not base64; make one with: openssl rand -base64 32")
		}
		ring = append(ring, key)
	}
	return ring, nil
}

// loadOrMakeKeys makes the keys under the storage's lock, so that several nodes end up with the same ones.
func loadOrMakeKeys(ctx context.Context, storage certmagic.Storage) (storedKeys, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	var out storedKeys
	found, err := loadStored(ctx, storage, storedKeysPath, &out)
	if err != nil || found {
		return out, err
	}
	if err := storage.Lock(ctx, storedKeysPath); err != nil {
		return out, err
	}
	defer storage.Unlock(context.WithoutCancel(ctx), storedKeysPath) //nolint:errcheck // a lock that is not given back expires by itself
	if found, err = loadStored(ctx, storage, storedKeysPath, &out); err != nil || found {
		return out, err
	}
	out = storedKeys{Sealing: [][]byte{randomBytes(32)}, Subject: randomBytes(32)}
	return out, saveStored(ctx, storage, storedKeysPath, out)
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

// subjectOf is the opaque name of a holder: keyed, so that nobody can compute it from a DID or a claim. Without subject_claim
// it lasts as long as the wallet's DID does, which changes when a person reinstalls the wallet.
func (k *keys) subjectOf(holder string) string {
	mac := hmac.New(sha256.New, k.subject)
	mac.Write([]byte(holder))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// storeNames is the key that a shared store makes its names with. They must be found again after the sealing keys have
// changed, so it comes from the key that never does.
func (k *keys) storeNames() []byte {
	key, err := hkdf.Key(sha256.New, k.subject, nil, "caddy-verified-id v1\x00store names", sha256.Size)
	if err != nil {
		panic("caddymodule: internal error: " + err.Error()) // only for impossible sizes
	}
	return key
}

// randomBytes cannot fail: crypto/rand stops the process where the system has no randomness.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func randomText(n int) string { return base64.RawURLEncoding.EncodeToString(randomBytes(n)) }
