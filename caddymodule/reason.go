// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"slices"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Reasons of the gate, besides the verifier's. Together they are closed: safe as metric labels, and each has words on the pages.
const (
	// noSession: the request brings no session at all.
	noSession verifier.Reason = "no_session"
	// sessionExpired: its session has ended, by time or by idling.
	sessionExpired verifier.Reason = "session_expired"
	// sessionRevoked: its session was ended on the server.
	sessionRevoked verifier.Reason = "session_revoked"
	// bindMissing: nobody else has said who this is.
	bindMissing verifier.Reason = "bind_missing"
	// bindMismatch: the card is another person's than the one whom another login has named.
	bindMismatch verifier.Reason = "bind_mismatch"
	// outsideNetwork: a verification may not begin where the client is.
	outsideNetwork verifier.Reason = "outside_network"
	// holderLimited: this holder has presented more often than a person does (TM-121).
	holderLimited verifier.Reason = "holder_limited"
	// scannedTwice: the code was opened a second time, and the operator wants no result of such a code (TM-039).
	scannedTwice verifier.Reason = "scanned_twice"
)

// nearest are the refusals that the same card can mend, the easiest first. Of several a visitor is told the nearest one.
var nearest = []verifier.Reason{
	verifier.ReasonPresentationTooOld, verifier.ReasonPresentationFuture, verifier.ReasonPolicyChanged,
	verifier.ReasonFaceCheckLow, verifier.ReasonFaceCheckMissing,
}

// nearer returns which of two refusals the visitor is told. So a gate that takes one of two cards does not ask for another
// card when the one that was shown needs only be shown again.
func nearer(a, b verifier.Reason) verifier.Reason {
	distance := func(reason verifier.Reason) int {
		if reason == verifier.ReasonOtherCredential { // nothing that the gate takes was shown
			return len(nearest) + 1
		}
		if i := slices.Index(nearest, reason); i >= 0 {
			return i
		}
		return len(nearest)
	}
	if distance(b) < distance(a) {
		return b
	}
	return a
}
