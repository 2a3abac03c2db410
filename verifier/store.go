// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"context"
	"time"
)

// Store keeps what must be the same on every node for a few minutes: transactions, one-time marks and revocations. Sessions
// are not kept here.
//
// What every implementation promises, and verifiertest.TestStore checks:
//
//   - All methods are safe for concurrent use, also by several processes if the store is shared.
//   - Every method honours its context and returns its error once it is done.
//   - If the backend does not answer, methods return an error wrapping [ErrStoreUnavailable], never [ErrNotFound]: an outage
//     is not an absence.
//   - Everything expires by itself: a transaction at its [Transaction.KeepUntil], a mark and a revocation at the time given.
//     What has expired is as if it had never been, even if the backend still holds it.
//   - When it is full it refuses what is new. It never drops what lives to make room, or a flood would throw out visitors.
//   - IDs and names are at most a few hundred bytes, but may come from outside. A shared store hashes them into its keys,
//     and seals the values with the key as associated data, so that a reader learns nothing and a writer makes no result. It
//     reads them back with [DecodeTransaction].
//   - Transactions are values: changing one that was given or returned changes nothing in the store. Their slices and
//     pointers may be shared and are never written to.
type Store interface {
	// Create stores a new transaction. It returns [ErrExists] if the ID is taken, [ErrFull] if the store holds as many
	// transactions as it may, and [ErrClientFull] if as many transactions of the same non-empty [Transaction.Client] are
	// pending ([Transaction.Pending]) as one client may have, and [ErrExpired] if it would be forgotten at once. Several processes may overshoot the caps by as many
	// transactions as there are processes.
	Create(ctx context.Context, t Transaction) error

	// Get returns the transaction, or [ErrNotFound].
	Get(ctx context.Context, id string) (Transaction, error)

	// Update changes a transaction atomically: it gives move a copy, stores what move leaves of it, and returns that. Of
	// several concurrent updates, each sees the result of the one before. ID and Client cannot be changed.
	//
	// move may run more than once, because optimistic implementations read, move, and compare-and-swap until nobody came
	// between; it must do nothing but change its argument. If move returns an error, nothing is stored, and Update returns
	// the unchanged transaction with that error as it is. Without a transaction Update returns [ErrNotFound] and does not
	// call move. Once Update has returned nil, the change is as durable as the store can make it.
	Update(ctx context.Context, id string, move func(*Transaction) error) (Transaction, error)

	// Delete removes the transaction. Removing what is not there is no error.
	Delete(ctx context.Context, id string) error

	// Watch returns a channel that gets a value after each change of the transaction. It is buffered with one value, and
	// changes that nobody has fetched yet are one: read the transaction again to learn more. A change made between a Get
	// and a Watch may go unnoticed, one made after Watch has returned does not. The channel is closed when the context is
	// done or the transaction is gone. Watch returns [ErrNotFound] if there is no such transaction.
	Watch(ctx context.Context, id string) (<-chan struct{}, error)

	// Mark sets a one-time mark that lives until the given time, and says whether the caller was the first: of any number
	// of callers exactly one hears true while the mark lives. On any error the caller must act as if it was not the first.
	// A full store returns [ErrFull]; a time that is not in the future is an [ErrExpired].
	Mark(ctx context.Context, name string, until time.Time) (first bool, err error)

	// Revoke makes a revocation known to all nodes within a few seconds. Revoking the same kind and value again moves Since
	// and Until to the later ones. A revocation whose time is over is ignored. A full store returns [ErrFull] for a
	// [RevokeSession], which visitors make; the other kinds are an operator's, and are always taken.
	Revoke(ctx context.Context, r Revocation) error

	// WatchRevocations calls fn for each living revocation and then for each new one, one call at a time, until the context
	// is done, and returns its error. It may call fn twice for one revocation and must not lose one. A store that loses its
	// connection returns an error wrapping [ErrStoreUnavailable]; the caller calls again.
	WatchRevocations(ctx context.Context, fn func(Revocation)) error

	// Close frees what the store holds and closes all watches. Later calls return [ErrStoreClosed].
	Close() error
}

// RevocationKind says what a [Revocation] ends.
type RevocationKind string

// Kinds of revocations, and what their value is.
const (
	RevokeSession    RevocationKind = "session"    // a session ID: logout
	RevokeSubject    RevocationKind = "subject"    // the keyed hash of a holder: logout everywhere
	RevokeIssuer     RevocationKind = "issuer"     // an issuer's DID
	RevokeCredential RevocationKind = "credential" // the operator's name of a credential
	RevokeAll        RevocationKind = "all"        // everybody; the value is empty
)

// Revocation ends what was established before a moment.
type Revocation struct {
	// Kind and Value say what is ended.
	Kind  RevocationKind `json:"k"`
	Value string         `json:"v,omitempty"`

	// Since is the moment: what was established at it or before is ended, what is established later is not.
	Since time.Time `json:"s"`

	// Until is when the revocation may be forgotten, because all it ends has ended by itself.
	Until time.Time `json:"u"`
}

// Ends says whether the revocation ends something of the given kind and value that was established at the given moment.
func (r Revocation) Ends(kind RevocationKind, value string, established time.Time) bool {
	if r.Kind != RevokeAll && (r.Kind != kind || r.Value != value) {
		return false
	}
	return !established.After(r.Since)
}
