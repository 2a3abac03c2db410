// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"errors"
	"fmt"
)

// Errors of the [Client].
var (
	// ErrBusy says that no call was made, because the service has asked for a pause that is still running, or that it
	// answered 429 until the attempts were used up. Visitors should be told to try again in a moment.
	ErrBusy = errors.New("request service is busy")

	// ErrBadAnswer says that the service answered with success but with something no visitor may be shown: not JSON, too
	// long, a link of another scheme or host, an expiry outside the possible.
	ErrBadAnswer = errors.New("request service gave a bad answer")

	// ErrToken says that there was no access token to call the service with.
	ErrToken = errors.New("no access token for the request service")
)

// ErrMalformedCallback says that a callback body is not what the Request Service sends. Every error of [ParseCallback]
// that is not the reader's own wraps it.
var ErrMalformedCallback = errors.New("malformed callback")

// ErrInvalidRequirement says that a [Requirement] would ask for something unsafe or meaningless.
var ErrInvalidRequirement = errors.New("invalid requirement")

// Errors of the moves of a [Transaction]. A move that returns one has changed nothing.
var (
	// ErrIllegalMove says that the transaction cannot go there from where it is. Events that arrive late or twice end up
	// here; the service is answered with success all the same.
	ErrIllegalMove = errors.New("illegal move of a transaction")

	// ErrExpired says that the event came after the transaction's deadline and has no effect.
	ErrExpired = errors.New("transaction has expired")

	// ErrReplay says that a second, different verified result came for a transaction that already has one. This deserves
	// an alert: the service does not do that.
	ErrReplay = errors.New("different result for a verified transaction")

	// ErrNotRequested says that a final event came before the service's answer with the request ID was recorded. The event
	// cannot be checked yet; the service should be answered 503.
	ErrNotRequested = errors.New("transaction has no request ID yet")

	// ErrNotOurs says that a callback does not belong to the transaction: its state or request ID is another.
	ErrNotOurs = errors.New("callback belongs to another transaction")
)

// Errors of a [Store].
var (
	// ErrNotFound says that there is no such transaction, or no longer.
	ErrNotFound = errors.New("transaction not found")

	// ErrExists says that the transaction's ID is already taken.
	ErrExists = errors.New("transaction exists already")

	// ErrFull says that the store holds as much as it may. Nothing that lives is ever dropped to make room.
	ErrFull = errors.New("store is full")

	// ErrClientFull says that this client has as many pending transactions as one client may have.
	ErrClientFull = errors.New("too many pending transactions of one client")

	// ErrStoreUnavailable says that the store's backend does not answer. It must never be mistaken for [ErrNotFound]:
	// what needs the store fails, and what does not goes on.
	ErrStoreUnavailable = errors.New("store is unavailable")

	// ErrMalformedTransaction says that what a shared store holds is no transaction as we write it. See [DecodeTransaction].
	ErrMalformedTransaction = fmt.Errorf("malformed transaction: %w", ErrStoreUnavailable)

	// ErrStoreClosed says that the store was closed. It wraps [ErrStoreUnavailable].
	ErrStoreClosed = fmt.Errorf("store is closed: %w", ErrStoreUnavailable)
)
