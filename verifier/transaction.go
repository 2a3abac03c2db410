// SPDX-License-Identifier: Apache-2.0

package verifier

import "time"

// Status is where a [Transaction] stands. The words are those visitors' browsers are told.
type Status string

// States of a transaction. It moves forward only: created → retrieved → verified → consumed. The others are dead ends.
const (
	StatusCreated   Status = "created"   // started, not seen by a wallet yet
	StatusRetrieved Status = "retrieved" // a wallet has fetched the request
	StatusVerified  Status = "verified"  // passed, waiting for the browser
	StatusConsumed  Status = "consumed"  // the browser has its session
	StatusFailed    Status = "failed"    // the service said no
	StatusRefused   Status = "refused"   // we said no
	StatusExpired   Status = "expired"   // nobody came in time
	StatusCancelled Status = "cancelled" // the visitor gave up
)

// Final says whether no move leads out of the state.
func (s Status) Final() bool {
	switch s {
	case StatusConsumed, StatusFailed, StatusRefused, StatusExpired, StatusCancelled:
		return true
	default:
		return false
	}
}

const (
	// CallbackGrace is how long after the expiry of the code a result still counts if the code was scanned in time: Face
	// Check alone takes up to a minute.
	CallbackGrace = 2 * time.Minute

	// FinishGrace is how long a verified result waits for its browser. The wallet does not go back to the browser by
	// itself, the visitor must.
	FinishGrace = 5 * time.Minute

	// RepeatWindow is how long the same browser may fetch the same session again, should the first answer be lost.
	RepeatWindow = 30 * time.Second

	// retentionMargin keeps a transaction a little longer than anything can happen to it, so that the browser learns the
	// end and late events meet it.
	retentionMargin = time.Minute
)

// Transaction is our record of one attempt, from the visitor's click to the session. A [Store] keeps it; the methods are its
// only legal moves and are meant for [Store.Update]. Its zero value is of no use.
//
// The slices and pointers of a transaction are shared and read-only: replace them, do not write into them. While it is
// pending, its JSON takes less than 2 KiB with an ordinary requirement and return path.
type Transaction struct {
	// ID is our name of it, random with 128 bits or more, in base64url. It opens nothing by itself.
	ID string `json:"id"`

	// State is [CallbackTarget.State]: random, independent of ID.
	State string `json:"st"`

	// Status is where it stands.
	Status Status `json:"s"`

	// RequestID and DeepLink are the service's answer, set by [Transaction.Requested].
	RequestID string `json:"rq,omitempty"`
	DeepLink  string `json:"dl,omitempty"`

	// CallbackKeyHash is the SHA-256 of the callback key, BindingHash that of the browser's binding secret.
	CallbackKeyHash []byte `json:"kh,omitempty"`
	BindingHash     []byte `json:"bh,omitempty"`

	// Requirement is what was asked for.
	Requirement Requirement `json:"r"`

	// Gate says for which gate. Opaque here.
	Gate string `json:"g,omitempty"`

	// ReturnTo is the checked path the visitor wants to go to.
	ReturnTo string `json:"to,omitempty"`

	// Client is who pays for the per-client cap. Opaque here.
	Client string `json:"cl,omitempty"`

	// CorrelationVector follows the attempt through all systems.
	CorrelationVector string `json:"cv,omitempty"`

	// Created is when it began. Expires is when the code ends.
	Created time.Time `json:"ct"`
	Expires time.Time `json:"et"`

	// RetrievedAt, VerifiedAt and ConsumedAt are when it first got there; zero if it has not.
	RetrievedAt time.Time `json:"rt,omitzero"`
	VerifiedAt  time.Time `json:"vt,omitzero"`
	ConsumedAt  time.Time `json:"ot,omitzero"`

	// Retrievals counts how often a wallet has fetched the request. More than once is worth an audit event.
	Retrievals int `json:"n,omitempty"`

	// CrossDevice says that the wallet is on another device than the browser.
	CrossDevice bool `json:"x,omitempty"`

	// Renewals counts the codes this visit has used before this one.
	Renewals int `json:"rn,omitempty"`

	// Presentation is what passed. Only in [StatusVerified] and [StatusConsumed].
	Presentation *Presentation `json:"p,omitempty"`

	// Reason is why it was refused or failed.
	Reason Reason `json:"re,omitempty"`

	// ResultDigest is the [Callback.Digest] of the accepted result.
	ResultDigest []byte `json:"rd,omitempty"`

	// SessionID is the identity of the session it became.
	SessionID string `json:"si,omitempty"`
}

// CallbackDeadline is the last moment at which a result counts: the expiry of the code, and [CallbackGrace] more if a wallet
// fetched the request before.
func (t *Transaction) CallbackDeadline() time.Time {
	if t.RetrievedAt.IsZero() {
		return t.Expires
	}
	return t.Expires.Add(CallbackGrace)
}

// FinishDeadline is the last moment at which a verified result can be taken.
func (t *Transaction) FinishDeadline() time.Time { return t.VerifiedAt.Add(FinishGrace) }

// KeepUntil is when a [Store] may forget the transaction.
func (t *Transaction) KeepUntil() time.Time {
	switch t.Status {
	case StatusVerified:
		return t.FinishDeadline().Add(retentionMargin)
	case StatusConsumed:
		return t.ConsumedAt.Add(RepeatWindow + retentionMargin)
	default:
		return t.Expires.Add(CallbackGrace + retentionMargin)
	}
}

// Pending says whether it counts for [Transaction.Client]'s cap.
func (t *Transaction) Pending() bool { return !t.Status.Final() }
