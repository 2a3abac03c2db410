// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"net/http"
	"time"
)

// RecordedRequest is one request the emulator answered. Secrets are removed.
type RecordedRequest struct {
	Time   time.Time
	API    API
	Method string
	Path   string
	Header http.Header
	Body   []byte
	// Status is what was answered.
	Status int
}

// RecordedCallback is one callback to a relying party.
type RecordedCallback struct {
	Time time.Time
	URL  string
	// RequestID and RequestStatus are what the callback said.
	RequestID, RequestStatus string
	Header                   http.Header
	Body                     []byte
	// Status is the relying party's answer. 0: none came, then Err says why; or the callback is held or dropped.
	Status int
	Err    string
	// Held says that a fault keeps the callback back, Dropped that it was never sent.
	Held, Dropped bool
}
