// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxRecords      = 500
	maxRecordedBody = 256 << 10
)

// RecordedRequest is one request that the emulator answered.
type RecordedRequest struct {
	// Time is when it came in.
	Time time.Time
	// API is what it was for; empty for unknown paths.
	API API
	// Method and Path as received; the query is left out.
	Method, Path string
	// Header as received. Authorization keeps its scheme only.
	Header http.Header
	// Body is at most 256 KiB of the body; at the token endpoint without the secret and the assertion.
	Body []byte
	// Status is what was answered. 0: nothing, by a fault.
	Status int
}

// RecordedCallback is one callback to a relying party, also when it was held or dropped.
type RecordedCallback struct {
	// Time is when it was sent, or kept from being sent.
	Time time.Time
	// URL is where it went.
	URL string
	// RequestID and RequestStatus are what the callback says.
	RequestID, RequestStatus string
	// Header holds the headers sent, the callback's own included: tests have to see the key.
	Header http.Header
	// Body is at most 256 KiB of what was sent.
	Body []byte
	// Status is the relying party's answer. 0: none came, and Err says why; or the callback was held or dropped.
	Status int
	// Err says why there is no answer.
	Err string
	// Held says that a fault keeps the callback for [Emulator.DeliverHeld], Dropped that it is never sent.
	Held, Dropped bool
}

// records keeps the newest entries of what happened.
type records struct {
	mu        sync.Mutex
	requests  []RecordedRequest
	callbacks []RecordedCallback
}

func (r *records) request(entry RecordedRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = keepNewest(r.requests, entry)
}

func (r *records) callback(entry RecordedCallback) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.callbacks = keepNewest(r.callbacks, entry)
}

func keepNewest[T any](list []T, entry T) []T {
	if len(list) >= maxRecords {
		list = slices.Delete(list, 0, maxRecords/10)
	}
	return append(list, entry)
}

// Requests returns what came in, oldest first: the newest 450 to 500 requests.
func (e *Emulator) Requests() []RecordedRequest {
	e.records.mu.Lock()
	defer e.records.mu.Unlock()
	return slices.Clone(e.records.requests)
}

// RequestsTo returns what came in for one API, oldest first.
func (e *Emulator) RequestsTo(api API) []RecordedRequest {
	return slices.DeleteFunc(e.Requests(), func(r RecordedRequest) bool { return r.API != api })
}

// Callbacks returns what was sent to relying parties, oldest first: the newest 450 to 500 callbacks.
func (e *Emulator) Callbacks() []RecordedCallback {
	e.records.mu.Lock()
	defer e.records.mu.Unlock()
	return slices.Clone(e.records.callbacks)
}

// recordable returns header and body without what must not be kept.
func recordable(api API, header http.Header, body []byte) (http.Header, []byte) {
	header = header.Clone()
	if scheme, _, ok := strings.Cut(header.Get("Authorization"), " "); ok {
		header.Set("Authorization", scheme+" [removed]")
	}
	if api == APIToken {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return header, []byte("[unreadable]")
		}
		for _, secret := range []string{"client_secret", "client_assertion"} {
			if form.Has(secret) {
				form.Set(secret, "[removed]")
			}
		}
		body = []byte(form.Encode())
	}
	return header, slices.Clone(body[:min(len(body), maxRecordedBody)])
}
