// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Skew is how far the clocks of the relying party and the partner may differ.
const Skew = 60 * time.Second

// VerifyConfig is what a partner knows of one relying party, from onboarding. Make one for each relying party, chosen by
// the path of the start URL it was given: with the keys of two in one config, each could speak for the other.
type VerifyConfig struct {
	// Keys are the relying party's public keys. Required; see [ParseJWKS].
	Keys PublicKeys

	// OrgIDs are the OrgId values this relying party may use, compared byte for byte. Required.
	OrgIDs []string

	// RedirectURLs are the URLs it may have visitors sent back to, compared byte for byte. Required.
	RedirectURLs []string

	// OneTime remembers which tokens were used. Required.
	OneTime OneTimeStore

	// Claims is the claim set agreed on. With Hardened (zero) every claim of it must be there; with Minimal the further
	// claims may be absent, but are checked where they are not. So a relying party moves from Minimal to Hardened after
	// the partner has set Issuer and Audience.
	Claims ClaimSet

	// Issuer is the expected iss. Required with Hardened.
	Issuer string

	// Audience is the expected aud: what the partner is called, by default the origin of its start URL. Required with
	// Hardened.
	Audience string

	// MaxLifetime bounds exp, counted from now and, where there is an iat, from that. Zero, and at most:
	// [MaxLifetime].
	MaxLifetime time.Duration

	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Claims are the claims of a verified token. Times are in UTC; what a minimal token lacks is empty or zero.
type Claims struct {
	// OrgID is the organisation, one of VerifyConfig.OrgIDs.
	OrgID string

	// RequestID names the visit. Give it back to the relying party's support, and nowhere else.
	RequestID string

	// RedirectURL is where the visitor goes after the proofing, one of VerifyConfig.RedirectURLs. Nothing needs to be
	// added to it: what comes back with the visitor proves nothing, the credential does.
	RedirectURL string

	// Expires is the end of the time in which the visit may begin, not of the proofing.
	Expires time.Time

	// Issuer, Audience, IssuedAt, NotBefore and ID are iss, aud, iat, nbf and jti.
	Issuer, Audience    string
	IssuedAt, NotBefore time.Time
	ID                  string

	// KeyID is the kid of the header.
	KeyID string
}

// Verify checks a kickstart token the way a careful partner should, and uses it up: of two calls with the same token one
// succeeds. It fetches nothing and believes nothing in the token before the signature holds.
//
// docs/for-partners.md is the contract with partners, of which this is the check; a partner in another language is in
// examples/partner-node.
//
// Errors are of three kinds. [ErrVerifyConfig]: a mistake in cfg. [ErrOneTimeStore]: the store did not answer, the token is
// refused all the same. [ErrToken]: the token is refused, for the reason given by the errors listed there.
func Verify(ctx context.Context, token string, cfg VerifyConfig) (Claims, error) {
	if err := cfg.check(); err != nil {
		return Claims{}, err
	}
	raw, err := parseToken(token)
	if err != nil {
		return Claims{}, err
	}
	if err := cfg.checkSignature(raw); err != nil {
		return Claims{}, err
	}
	if err := cfg.checkPresence(raw); err != nil {
		return Claims{}, err
	}
	now := time.Now //nolint:forbidigo // the default clock; tests pass their own
	if cfg.Now != nil {
		now = cfg.Now
	}
	if err := cfg.checkTimes(raw.claims, now()); err != nil {
		return Claims{}, err
	}
	claims := raw.public()
	if err := cfg.checkParties(raw.claims, claims); err != nil {
		return Claims{}, err
	}
	// Last, so that a token that is refused for another reason is not used up.
	first, err := cfg.OneTime.Use(ctx, oneTimeKey(claims), claims.Expires.Add(Skew))
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrOneTimeStore, err)
	}
	if !first {
		return Claims{}, ErrReplayed
	}
	return claims, nil
}

func (cfg VerifyConfig) check() error {
	if err := cfg.Keys.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrVerifyConfig, err)
	}
	switch {
	case len(cfg.OrgIDs) == 0 || slices.Contains(cfg.OrgIDs, ""):
		return fmt.Errorf("%w: OrgIDs must list the relying party's organisation IDs", ErrVerifyConfig)
	case len(cfg.RedirectURLs) == 0 || slices.Contains(cfg.RedirectURLs, ""):
		return fmt.Errorf("%w: RedirectURLs must list where its visitors may be sent back to", ErrVerifyConfig)
	case cfg.OneTime == nil:
		return fmt.Errorf("%w: OneTime is nil; without a store a copied link works again and again", ErrVerifyConfig)
	case cfg.Claims != Hardened && cfg.Claims != Minimal:
		return fmt.Errorf("%w: Claims is neither Hardened nor Minimal", ErrVerifyConfig)
	case cfg.Claims == Hardened && (cfg.Issuer == "" || cfg.Audience == ""):
		return fmt.Errorf("%w: Hardened needs Issuer and Audience", ErrVerifyConfig)
	case cfg.MaxLifetime < 0 || cfg.MaxLifetime > MaxLifetime:
		return fmt.Errorf("%w: MaxLifetime must be at most %s", ErrVerifyConfig, MaxLifetime)
	}
	return nil
}

// checkSignature uses the kid to look a key up and for nothing else. A token without one is tried against all keys, of
// which there are few.
func (cfg VerifyConfig) checkSignature(raw rawToken) error {
	candidates := cfg.Keys.sorted()
	if raw.header.hasKeyID {
		key, known := cfg.Keys[raw.header.keyID]
		if !known {
			return ErrUnknownKey
		}
		candidates = []*rsa.PublicKey{key}
	}
	for _, key := range candidates {
		if jwt.SigningMethodRS256.Verify(raw.signed, raw.signature, key) == nil {
			return nil
		}
	}
	return ErrSignature
}

func (cfg VerifyConfig) checkPresence(raw rawToken) error {
	c := raw.claims
	required := []*string{c.OrgID, c.RequestID, c.RedirectURL}
	numbers := []*int64{c.Expires}
	if cfg.Claims == Hardened {
		required = append(required, c.Issuer, c.Audience, c.ID, &raw.header.keyID)
		numbers = append(numbers, c.IssuedAt, c.NotBefore)
	}
	for _, claim := range required {
		if claim == nil || *claim == "" {
			return ErrMissingClaim
		}
	}
	for _, claim := range numbers {
		if claim == nil {
			return ErrMissingClaim
		}
	}
	if !validRequestID(*c.RequestID) {
		return ErrMalformed
	}
	return nil
}

// checkTimes works on seconds: times of year 292277026596 would wrap around in time.Time.
func (cfg VerifyConfig) checkTimes(c tokenClaims, at time.Time) error {
	const skew = int64(Skew / time.Second)
	now := at.Unix()
	longest := int64(MaxLifetime / time.Second)
	if cfg.MaxLifetime != 0 {
		longest = int64(cfg.MaxLifetime / time.Second)
	}
	switch {
	case *c.Expires <= now-skew:
		return ErrExpired
	case *c.Expires > now+skew+longest:
		return ErrLifetime
	case c.NotBefore != nil && *c.NotBefore > now+skew, c.IssuedAt != nil && *c.IssuedAt > now+skew:
		return ErrNotYetValid
	// exp is near now by the checks above, so a subtraction from it cannot wrap around.
	case c.IssuedAt != nil && *c.IssuedAt < *c.Expires-longest:
		return ErrLifetime
	}
	return nil
}

func (cfg VerifyConfig) checkParties(c tokenClaims, claims Claims) error {
	switch {
	case c.Issuer != nil && claims.Issuer != cfg.Issuer:
		return ErrIssuer
	case c.Audience != nil && claims.Audience != cfg.Audience:
		return ErrAudience
	case !slices.Contains(cfg.OrgIDs, claims.OrgID):
		return ErrOrgID
	case !slices.Contains(cfg.RedirectURLs, claims.RedirectURL):
		return ErrRedirectURL
	}
	return nil
}

// oneTimeKey names what may be used once: a RequestId of an organisation. The organisation's length goes before it, so
// that no two pairs run together to one key; hashing bounds the key's length and keeps both out of the store's logs.
func oneTimeKey(claims Claims) string {
	hash := sha256.New()
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(claims.OrgID)))
	hash.Write(length[:])
	hash.Write([]byte(claims.OrgID))
	hash.Write([]byte(claims.RequestID))
	return "kickstart-" + base64.RawURLEncoding.EncodeToString(hash.Sum(nil))
}
