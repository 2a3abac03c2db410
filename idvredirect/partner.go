// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

const (
	// DefaultLifetime is how long a kickstart token is valid when [Partner.Lifetime] is zero.
	DefaultLifetime = 5 * time.Minute

	// MaxLifetime is the longest lifetime a token may have. One-time use and a short life are the partner's only defence
	// against a copied link.
	MaxLifetime = 15 * time.Minute
)

// ClaimSet says which claims a kickstart token carries. The zero value is [Hardened].
type ClaimSet int

const (
	// Hardened adds iss, aud, iat, nbf and jti to the claims of [Minimal], and kid to the header.
	Hardened ClaimSet = iota

	// Minimal is what Microsoft's integration guidance prescribes and no more: OrgId, RequestId, exp and redirectUrl,
	// under a header of alg and typ. For partners whose check refuses anything else.
	Minimal
)

// ParseClaimSet reads the word an operator writes: "hardened" or "minimal".
func ParseClaimSet(word string) (ClaimSet, error) {
	switch word {
	case "hardened":
		return Hardened, nil
	case "minimal":
		return Minimal, nil
	}
	return Hardened, fmt.Errorf("%w: the claims are either hardened or minimal", ErrPartner)
}

// String returns the word for the set, or "unknown".
func (c ClaimSet) String() string {
	switch c {
	case Hardened:
		return "hardened"
	case Minimal:
		return "minimal"
	}
	return "unknown"
}

// Partner is one IDV partner as agreed at onboarding. Its fields are read, never written: one value may serve many
// goroutines.
type Partner struct {
	// Name is the operator's name of the partner. It appears in errors only.
	Name string

	// URL is the partner's start URL. Required.
	URL *URLTemplate

	// OrgID is the OrgId claim: what the partner calls this organisation. Required; 1 to 256 printable characters.
	OrgID string

	// Issuer is the iss claim: our public origin, such as https://payroll.example. Required for Hardened, unused for
	// Minimal.
	Issuer string

	// Audience is the aud claim: what the partner calls itself. Empty: the origin of URL. Unused for Minimal.
	Audience string

	// Lifetime is the time from now to exp, in whole seconds, 1 s to [MaxLifetime]. Zero: [DefaultLifetime].
	Lifetime time.Duration

	// Claims is the claim set the partner accepts. Zero: Hardened.
	Claims ClaimSet
}

// Validate says what is wrong with the partner, or nil. The error wraps [ErrPartner] and names the field.
func (p Partner) Validate() error {
	switch {
	case p.URL == nil:
		return fmt.Errorf("%w %s: it has no start URL", ErrPartner, p.Name)
	case !plainText(p.OrgID, maxOrgIDBytes):
		return fmt.Errorf("%w %s: the organisation ID must have 1 to %d printable characters", ErrPartner, p.Name, maxOrgIDBytes)
	case p.Lifetime < 0 || p.Lifetime > MaxLifetime || p.Lifetime%time.Second != 0:
		return fmt.Errorf("%w %s: the lifetime must be whole seconds, at most %s", ErrPartner, p.Name, MaxLifetime)
	case p.Claims != Hardened && p.Claims != Minimal:
		return fmt.Errorf("%w %s: the claims are either hardened or minimal", ErrPartner, p.Name)
	case p.Claims == Hardened && !plainText(p.Issuer, maxURLBytes):
		return fmt.Errorf("%w %s: hardened claims need an issuer, which is the public origin of this site", ErrPartner, p.Name)
	case p.Audience != "" && !plainText(p.Audience, maxURLBytes):
		return fmt.Errorf("%w %s: the audience has characters that are not printable, or too many", ErrPartner, p.Name)
	}
	return nil
}

// Kickstart signs a token for one visit and returns the URL to redirect the visitor to (303, with Referrer-Policy
// no-referrer and Cache-Control no-store; the token is in the query, so the URL belongs in no log).
//
//   - key signs; take it from [KeySet.Signing].
//   - requestID must be fresh for every call: the partner uses it as its one-time mark. Take it from [NewRequestID].
//   - redirectURL is where the partner sends the visitor afterwards: one fixed https URL of the configuration, never made
//     from a request header. http is allowed only for loopback hosts and only when URL was parsed with
//     [InsecureLoopbackHTTP].
//   - random feeds the jti; nil means crypto/rand.
//
// Errors wrap [ErrPartner] when Validate would refuse the partner, else [ErrKickstart]. Signing costs milliseconds of CPU
// time: bound how many run at once and how often a browser may ask for one.
func (p Partner) Kickstart(key *SigningKey, requestID, redirectURL string, now time.Time, random io.Reader) (string, error) {
	token, err := p.KickstartToken(key, requestID, redirectURL, now, random)
	if err != nil {
		return "", err
	}
	return p.URL.With(token)
}

// NewRequestID draws 16 bytes from random (nil: crypto/rand) and returns them as 22 characters of base64url. Use one
// for one kickstart only, and never a correlation vector in its place: vectors are made to be logged.
func NewRequestID(random io.Reader) (string, error) {
	var id [16]byte
	if err := fill(random, id[:]); err != nil {
		return "", fmt.Errorf("%w: drawing a request ID: %w", ErrKickstart, err)
	}
	return base64.RawURLEncoding.EncodeToString(id[:]), nil
}
