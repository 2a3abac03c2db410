// SPDX-License-Identifier: Apache-2.0

package idvredirect

import "errors"

// What can be wrong with the relying party's own configuration. The text around them says what is wrong and what mends
// it; it never holds key material.
var (
	// ErrSigningKey wraps every reason why a private key cannot sign kickstart tokens.
	ErrSigningKey = errors.New("signing key")

	// ErrKeySet wraps every reason why a key set cannot be built, read back or rotated.
	ErrKeySet = errors.New("key set")

	// ErrPublicKeys wraps every reason why a published key set cannot be read.
	ErrPublicKeys = errors.New("public keys")

	// ErrURLTemplate wraps every reason why a partner's start URL cannot be used.
	ErrURLTemplate = errors.New("partner URL")

	// ErrPartner wraps every reason why a [Partner] is not usable.
	ErrPartner = errors.New("partner")

	// ErrKickstart wraps what is wrong with the arguments of one kickstart: its request ID, its redirect URL, its key.
	ErrKickstart = errors.New("kickstart")
)

// ErrCorrelationVector is what [ParseCorrelationVector] says to everything that is no vector. It never repeats the
// input, which came from outside.
var ErrCorrelationVector = errors.New("not a correlation vector of version 2.1 or 3.0")

// Why [Verify] accepts no token at all, whoever sent it.
var (
	// ErrVerifyConfig wraps every mistake in a [VerifyConfig]. Nothing was checked. Answer 500 and mend it.
	ErrVerifyConfig = errors.New("verify config")

	// ErrOneTimeStore wraps an error of the [OneTimeStore]. The token was good, but nobody can say whether it was used
	// before, so it is not accepted. Answer 503; the visitor may try again.
	ErrOneTimeStore = errors.New("one-time check")
)

// ErrToken is wrapped by every error below it: the token itself is refused. Answer 400, offer no retry, and send the
// visitor back to the site they came from by a link of your own, never by the token's redirectUrl.
var ErrToken = errors.New("kickstart token refused")

// Why [Verify] refuses one token. None of the errors repeats a byte of it.
var (
	// ErrTooLarge: more than [MaxTokenBytes].
	ErrTooLarge = refused("it is too large")

	// ErrMalformed: not three strict base64url parts, not JSON, a name twice, a wrong type, a value outside its alphabet.
	ErrMalformed = refused("it is malformed")

	// ErrHeader: the header is not {alg, typ "JWT", and perhaps kid}. This covers crit, jwk, jku, x5u and x5c.
	ErrHeader = refused("its header has a member or a type that is not allowed")

	// ErrAlgorithm: alg is not RS256. This covers none, HMAC with the public key, RS512 and PS256.
	ErrAlgorithm = refused("its algorithm is not RS256")

	// ErrUnknownKey: the kid names no key of the configuration. Fetch the key set once, at most every few minutes, and
	// try again.
	ErrUnknownKey = refused("its key is not known")

	// ErrSignature: no configured key made this signature.
	ErrSignature = refused("its signature does not match")

	// ErrMissingClaim: a claim of the expected [ClaimSet] is absent or empty.
	ErrMissingClaim = refused("a claim is missing")

	// ErrExpired: exp has passed, even with [Skew] allowed.
	ErrExpired = refused("it has expired")

	// ErrNotYetValid: nbf or iat lies in the future by more than [Skew].
	ErrNotYetValid = refused("it is not valid yet")

	// ErrLifetime: it would live longer than the configured maximum.
	ErrLifetime = refused("its lifetime is too long")

	// ErrIssuer: iss is not the configured issuer.
	ErrIssuer = refused("its issuer is not the expected one")

	// ErrAudience: aud is not the configured audience.
	ErrAudience = refused("it is meant for another audience")

	// ErrOrgID: OrgId is not in the registered list.
	ErrOrgID = refused("its organisation is not registered")

	// ErrRedirectURL: redirectUrl is not in the registered list.
	ErrRedirectURL = refused("its redirect URL is not registered")

	// ErrReplayed: the same organisation has used the same RequestId before.
	ErrReplayed = refused("it has been used before")
)

// refusal is a reason of [Verify]; each matches itself and [ErrToken].
type refusal struct{ reason string }

func refused(reason string) error { return &refusal{reason} }

func (r *refusal) Error() string { return "kickstart token refused: " + r.reason }

// Unwrap makes errors.Is(err, ErrToken) true for every reason.
func (r *refusal) Unwrap() error { return ErrToken }
