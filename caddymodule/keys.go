// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// keys are the secrets of this installation.
type keys struct {
	ring     *session.KeyRing
	sessions *session.Sealer
	visits   *session.Sealer
	journeys *session.Sealer
	subject  []byte       // makes the opaque subject; never rotated, or people would change their identity
	followed *sealingKeys // nil if the sealing keys are the config's

	kickstart signingKeys
	assertion signingKeys
}

// provisionKeys takes the keys from the config, or makes them once and keeps them in Caddy's storage, so that neither a
// reload nor a restart ends a session (TM-025). Where the config has all of them, the storage is not asked.
func (a *App) provisionKeys() error {
	storage := a.ctx.Storage()
	sealing, err := a.configuredSealingKeys()
	if err != nil {
		return err
	}
	subject, err := a.configuredSubjectKey()
	if err != nil {
		return err
	}
	a.keys = &keys{
		subject:   subject,
		kickstart: signingKeys{storage: storage, path: storedKickstartPath, generate: generateKickstartKey},
		assertion: signingKeys{storage: storage, path: storedAssertionPath, generate: idvredirect.GenerateAssertionKey},
	}
	option := "sealing_key"
	if sealing == nil || subject == nil {
		stored, err := loadOrMakeKeys(a.ctx, storage, a.now())
		if err != nil {
			return fmt.Errorf("keys in Caddy's storage: %w", err)
		}
		if subject == nil {
			a.keys.subject = stored.Subject
		}
		if sealing == nil {
			option = "keys in Caddy's storage: " + storedKeysPath
			sealing = stored.set().ring(a.now())
			a.keys.followed = &sealingKeys{storage: storage, logger: a.logger, known: stored}
		}
	}
	ring, err := session.NewKeyRing(sealing...)
	if err != nil {
		return fmt.Errorf("%s: %w", option, err)
	}
	a.keys.use(ring)
	if a.keys.kickstart.configured, err = a.configuredKeySet("kickstart_key", a.KickstartKeys, idvredirect.ParseSigningKey); err != nil {
		return err
	}
	if a.keys.assertion.configured, err = a.configuredKeySet("assertion_key", a.AssertionKeys, idvredirect.ParseAssertionKey); err != nil {
		return err
	}
	if len(a.partners) > 0 {
		if err := a.keys.kickstart.check(a.ctx); err != nil {
			return fmt.Errorf("keys in Caddy's storage: %w", err)
		}
	}
	return nil
}

func (k *keys) use(ring *session.KeyRing) {
	k.ring = ring
	k.sessions, k.visits, k.journeys = ring.Sealer(session.PurposeSession), ring.Sealer(session.PurposePage), ring.Sealer(session.PurposeJourney)
	if k.followed != nil {
		k.followed.ring = ring
	}
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

// configuredSealingKeys are the operator's own keys; nil where the option is not used.
func (a *App) configuredSealingKeys() ([][]byte, error) {
	var ring [][]byte
	for _, value := range a.SealingKeys {
		key, err := a.secretKey("sealing_key", value)
		if err != nil {
			return nil, err
		}
		ring = append(ring, key)
	}
	return ring, nil
}

// configuredSubjectKey is the operator's own key; nil where the option is not used.
func (a *App) configuredSubjectKey() ([]byte, error) {
	if a.SubjectKey == "" {
		return nil, nil
	}
	key, err := a.secretKey("subject_key", a.SubjectKey)
	if err != nil {
		return nil, err
	}
	if err := session.CheckKey(key); err != nil {
		return nil, fmt.Errorf("subject_key: %w", err)
	}
	return key, nil
}

// secretKey reads a key that the config holds or refers to.
func (a *App) secretKey(option, value string) ([]byte, error) {
	text, err := resolveSecret(option, value)
	if err != nil {
		return nil, err
	}
	if inline(value) {
		a.logger.Warn(option + " stands in the config itself and shows in its dumps; use {env.NAME} or {file./path}")
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New(option + " is not base64; make one with: openssl rand -base64 32")
	}
	return key, nil
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
