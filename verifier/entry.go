// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
)

// DecodeTransaction reads the JSON that a shared [Store] has kept of a transaction. It takes only what json.Marshal writes of one,
// byte for byte (no other order, case, repetition or addition), and only a transaction that its own moves can have left: none is
// verified without a presentation, none consumed without a session. Anything else is an error wrapping [ErrMalformedTransaction],
// which a store returns as it is: an entry that cannot be read is an outage of the store, not an absence.
func DecodeTransaction(entry []byte) (Transaction, error) {
	var t Transaction
	if err := json.Unmarshal(entry, &t); err != nil {
		return Transaction{}, fmt.Errorf("%w: no JSON of one", ErrMalformedTransaction) // the cause may quote claims
	}
	if again, err := json.Marshal(t); err != nil || !bytes.Equal(again, entry) {
		return Transaction{}, fmt.Errorf("%w: not as it was written", ErrMalformedTransaction)
	}
	if wrong := t.inconsistency(); wrong != "" {
		return Transaction{}, fmt.Errorf("%w: %s", ErrMalformedTransaction, wrong)
	}
	return t, nil
}

// statuses are all there are.
var statuses = []Status{
	StatusCreated, StatusRetrieved, StatusVerified, StatusConsumed, StatusFailed, StatusRefused, StatusExpired, StatusCancelled,
}

// inconsistency says what in the transaction no sequence of moves leaves behind; "" if it holds together.
func (t *Transaction) inconsistency() string {
	proven := t.Status == StatusVerified || t.Status == StatusConsumed
	consumed := t.Status == StatusConsumed
	switch {
	case !slices.Contains(statuses, t.Status):
		return "unknown status"
	case t.ID == "" || t.State == "":
		return "no ID or no state"
	case t.Status == StatusRetrieved && t.RetrievedAt.IsZero():
		return "retrieved at no time"
	case proven != (t.Presentation != nil):
		return "the presentation does not fit the status"
	case proven && (t.RequestID == "" || t.VerifiedAt.IsZero() || len(t.ResultDigest) != sha256.Size):
		return "verified without request, time or digest"
	case consumed != (t.SessionID != "") || consumed != !t.ConsumedAt.IsZero():
		return "the session does not fit the status"
	}
	return ""
}
