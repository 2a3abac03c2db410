// SPDX-License-Identifier: Apache-2.0

// Package patience is the switchboard for bad days: how long we wait for anybody, how often we ask again, and when we stop
// asking for a while. All of it stands in this file; docs/reliability.md shows the same table to operators.
//
// Two rules hold it together. Every answer to a visitor comes in bounded time, whoever hangs: [Start] is the longest. And who
// is down is left alone by all visitors together, not by each for themselves: [Breaker].
package patience

import "time"

// Connections to Entra and the Request Service.
const (
	// Connect bounds resolving and connecting, and once more the TLS handshake.
	Connect = 5 * time.Second

	// Idle is how long a connection is kept without use, and ConnectionAge how long at all for new calls: a service that
	// has moved to another address is found there by then, whether the old one is silent or still answers.
	Idle          = 30 * time.Second
	ConnectionAge = 30 * time.Second

	// Ping is how long a connection may be silent until it is asked whether it lives, and PingAnswer how long it may take
	// to say so. A connection that a firewall has forgotten is given up in time for a second attempt of the same call.
	Ping       = 3 * time.Second
	PingAnswer = 3 * time.Second
)

// One call to the Request Service, with its attempts.
const (
	// ServiceCall bounds it: a visitor is waiting.
	ServiceCall = 10 * time.Second

	// ServiceAttempts is one call and two retries.
	ServiceAttempts = 3

	// ServiceRetry is the pause before the first retry, before jitter; the next one is three times as long.
	ServiceRetry = 200 * time.Millisecond

	// ShortPause is the longest pause that a visitor is kept waiting for: one the service asks for, or somebody else's
	// probe of a service that was down.
	ShortPause = 2 * time.Second

	// DefaultPause is taken if the service asks for a pause without saying how long. Tenants in quick setup have two
	// requests a second. LongestPause is the longest that is believed.
	DefaultPause = time.Second
	LongestPause = time.Minute

	// ServiceFailures in a row, and the service gets ServicePause without calls: it is down, and visitors get their answer
	// at once instead of after the last retry.
	ServiceFailures = 20
	ServicePause    = 5 * time.Second
)

// One fetch of an access token.
const (
	// TokenFetch bounds it with its tries; it goes on when the visitor who caused it has left.
	TokenFetch = 15 * time.Second

	// TokenTry bounds one try, TokenRetries come after the first. TokenRetry is the pause before the first of them, and
	// TokenLongestRetry the longest.
	TokenTry          = 5 * time.Second
	TokenRetries      = 2
	TokenRetry        = 200 * time.Millisecond
	TokenLongestRetry = 2 * time.Second

	// TokenRenewal is the pause after a failed renewal in the background, while the token still serves.
	TokenRenewal = 30 * time.Second

	// TokenPause is the pause after a failed fetch that somebody waited for; it doubles with each further failure up to
	// TokenLongestPause. Within it everybody gets the same error at once.
	TokenPause        = time.Second
	TokenLongestPause = 5 * time.Second

	// TokenFailures in a row, and Entra is down: a fetch is a single try, and nobody waits for it longer than [ShortPause].
	TokenFailures = 3
)

// Redis, or a server that speaks like it, where several nodes keep their transactions.
const (
	// RedisCall bounds one call of the store in it, however many commands it takes: a visitor hears of an outage before they
	// think of one. It is well within [Store].
	RedisCall = 400 * time.Millisecond

	// RedisConnect bounds one connection, which may be made for a later call than the one that has asked for it, and RedisIdle
	// is how long it is kept without use.
	RedisConnect = time.Second
	RedisIdle    = 5 * time.Minute

	// RedisFailures in a row, and the server gets RedisPause without calls, a fifth more or less on each node: as little as
	// lets it be heard again within a second of its return.
	RedisFailures = 3
	RedisPause    = 600 * time.Millisecond

	// RedisQuiet is how long the connection that hears of changes may be silent until it is asked whether it lives, and once
	// more for its answer. RedisReconnect is the mean pause before the next one.
	RedisQuiet     = time.Second
	RedisReconnect = 200 * time.Millisecond
)

// Visitors, wallets and the store.
const (
	// Start bounds the whole of a start: the manifest, the store, the token, the service with its retries.
	Start = 12 * time.Second

	// Body bounds how long the body of a callback or a form may take to arrive, and waiting for room to read it.
	Body = 10 * time.Second

	// Store bounds one call to the store of transactions, whatever the store itself promises.
	Store = 2 * time.Second

	// StreamBeat is how often a page that waits for its wallet is told that we are still there, and StreamWrite bounds each
	// word to it.
	StreamBeat  = 14 * time.Second
	StreamWrite = 10 * time.Second

	// StreamReturn is how long a page stays away when its stream ends without a last state, and StreamSpread what is added to
	// that at random: after a reload all come back, but not all at once.
	StreamReturn = 500 * time.Millisecond
	StreamSpread = time.Second
)

// Caddy's storage, which keeps keys, revocations and what is pinned of manifests. Logouts wait for it, and visits that need a manifest
// or a partner's key of which this node knows nothing yet.
const (
	// Storage bounds one call to it.
	Storage = 10 * time.Second

	// StorageLock bounds a change that only one node may make at a time, with waiting for the others. A process that was killed
	// in the middle leaves its lock, which is taken for stale after 10 seconds (certmagic.FileStorage).
	StorageLock = 20 * time.Second
)

// Issuers' manifests, and the Network in which issuers are found.
const (
	// Manifest is how long a request waits for what is pinned, and for a manifest that was never read; it is within [Start].
	Manifest = 8 * time.Second

	// ManifestFetch bounds one call for a manifest or a DID document, in the background. The connection has [Connect].
	ManifestFetch = 15 * time.Second

	// ManifestRetry is how soon a manifest that could not be had is asked for again. Each failure doubles it up to
	// ManifestLongestRetry; visitors can have it asked for as soon as the first.
	ManifestRetry        = 10 * time.Second
	ManifestLongestRetry = 10 * time.Minute

	// NetworkCall bounds one call of the command that searches the Network: an operator is waiting.
	NetworkCall = 20 * time.Second
)
