// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"bytes"
	"crypto/subtle"
	"errors"
	"time"
)

// Requested records the service's answer. A wallet may be quicker than the answer, so a retrieved transaction takes it too.
// The same answer again changes nothing; a different one is an [ErrIllegalMove].
func (t *Transaction) Requested(requestID, deepLink string, expires time.Time) error {
	if t.Status != StatusCreated && t.Status != StatusRetrieved || requestID == "" {
		return ErrIllegalMove
	}
	if t.RequestID != "" {
		if t.RequestID == requestID && t.DeepLink == deepLink && t.Expires.Equal(expires) {
			return nil
		}
		return ErrIllegalMove
	}
	t.RequestID, t.DeepLink, t.Expires = requestID, deepLink, expires
	return nil
}

// Retrieved records that a wallet has fetched the request. Later fetches before the code expires are counted and do not
// change the state.
func (t *Transaction) Retrieved(now time.Time) error {
	if t.Status != StatusCreated && t.Status != StatusRetrieved {
		return ErrIllegalMove
	}
	if now.After(t.Expires) {
		return ErrExpired
	}
	if t.Status == StatusCreated {
		t.Status, t.RetrievedAt = StatusRetrieved, now
	}
	t.Retrievals++
	return nil
}

// Verified records what [Evaluate] has accepted, with the digest of its callback. The same result again changes nothing,
// whether the session exists already or not; a different one is an [ErrReplay]. The order of events is not promised by the
// service, so a transaction whose retrieval nobody reported can be verified as well, until the code expires.
func (t *Transaction) Verified(p Presentation, digest [32]byte, now time.Time) error {
	switch t.Status {
	case StatusVerified, StatusConsumed:
		if bytes.Equal(t.ResultDigest, digest[:]) {
			return nil
		}
		return ErrReplay
	case StatusCreated, StatusRetrieved:
	default:
		return ErrIllegalMove
	}
	if t.RequestID == "" {
		return ErrNotRequested
	}
	if now.After(t.CallbackDeadline()) {
		return ErrExpired
	}
	t.Status, t.VerifiedAt = StatusVerified, now
	t.Presentation, t.ResultDigest = &p, digest[:]
	return nil
}

// Refuse ends the transaction because our own check said no. Refusing again changes nothing, whatever the reason. A verified
// transaction can be refused for [ReasonPolicyChanged] alone: no later event from outside undoes what was accepted.
func (t *Transaction) Refuse(reason Reason, now time.Time) error {
	switch t.Status {
	case StatusRefused:
		return nil
	case StatusVerified:
		if reason != ReasonPolicyChanged {
			return ErrIllegalMove
		}
	case StatusCreated, StatusRetrieved:
		if now.After(t.CallbackDeadline()) {
			return ErrExpired
		}
	default:
		return ErrIllegalMove
	}
	t.end(StatusRefused, reason)
	return nil
}

// Fail ends the transaction because the service said no. Failing again changes nothing.
func (t *Transaction) Fail(reason Reason, now time.Time) error {
	switch t.Status {
	case StatusFailed:
		return nil
	case StatusCreated, StatusRetrieved:
		if now.After(t.CallbackDeadline()) {
			return ErrExpired
		}
	default:
		return ErrIllegalMove
	}
	t.end(StatusFailed, reason)
	return nil
}

// Cancel ends the transaction on the visitor's wish, at any time before it is consumed. Cancelling again changes nothing.
func (t *Transaction) Cancel(time.Time) error {
	switch t.Status {
	case StatusCancelled:
		return nil
	case StatusCreated, StatusRetrieved, StatusVerified:
		t.end(StatusCancelled, "")
		return nil
	default:
		return ErrIllegalMove
	}
}

// Expire ends the transaction if its deadline has passed: [Transaction.CallbackDeadline] while it waits for a result,
// [Transaction.FinishDeadline] while the result waits for its browser. Before that it is an [ErrIllegalMove].
func (t *Transaction) Expire(now time.Time) error {
	var deadline time.Time
	switch t.Status {
	case StatusExpired:
		return nil
	case StatusCreated, StatusRetrieved:
		deadline = t.CallbackDeadline()
	case StatusVerified:
		deadline = t.FinishDeadline()
	default:
		return ErrIllegalMove
	}
	if !now.After(deadline) {
		return ErrIllegalMove
	}
	t.end(StatusExpired, "")
	return nil
}

// Consume gives the result to the browser, once, as the session with the given ID, and returns the ID of the session to use.
// For [RepeatWindow] after that, and as long before it, should clocks differ, a repetition returns the first ID again.
func (t *Transaction) Consume(sessionID string, now time.Time) (string, error) {
	if sessionID == "" {
		return "", errors.New("consuming a transaction: empty session ID")
	}
	switch t.Status {
	case StatusVerified:
		if now.After(t.FinishDeadline()) {
			return "", ErrExpired
		}
		t.Status, t.ConsumedAt, t.SessionID = StatusConsumed, now, sessionID
		return sessionID, nil
	case StatusConsumed:
		if now.Sub(t.ConsumedAt).Abs() > RepeatWindow {
			return "", ErrIllegalMove
		}
		return t.SessionID, nil
	default:
		return "", ErrIllegalMove
	}
}

// Owns returns nil if the callback belongs to this transaction: both state and request ID are its own. Otherwise it returns
// [ErrNotOurs], or [ErrNotRequested] if the request ID is not known yet; a retrieval is believed on the state alone then, as it
// proves nothing. The caller has compared the callback key before.
func (t *Transaction) Owns(got Callback) error {
	if t.State == "" || subtle.ConstantTimeCompare([]byte(t.State), []byte(got.State)) != 1 {
		return ErrNotOurs
	}
	if t.RequestID == "" {
		if got.Status == StatusRequestRetrieved {
			return nil
		}
		return ErrNotRequested
	}
	if subtle.ConstantTimeCompare([]byte(t.RequestID), []byte(got.RequestID)) != 1 {
		return ErrNotOurs
	}
	return nil
}

// end goes to a dead end, where nothing of the holder is kept.
func (t *Transaction) end(status Status, reason Reason) {
	t.Status, t.Reason, t.Presentation = status, reason, nil
}
