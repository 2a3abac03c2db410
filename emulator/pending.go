// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"fmt"
	"time"
)

// PendingRequest is a request that a wallet can still open. On a laptop no system hands openid-vc links to a page, so a
// wallet page lists what waits instead of being called.
type PendingRequest struct {
	// ID is the request's id, as the relying party knows it.
	ID string
	// Kind says what opening it will bring.
	Kind Kind
	// Name and Purpose are what the asking party says about itself, not yet checked: [Wallet.Open] does that.
	Name, Purpose string
	// Link is the deep link, as the relying party was given it.
	Link string
	// Created and Expires bound its life.
	Created, Expires time.Time
	// Opened says that a wallet has fetched it already. It can be opened again.
	Opened bool
}

// Pending returns the requests that nobody has answered and whose time has not run out, newest first.
func (e *Emulator) Pending() []PendingRequest {
	now := e.Now()
	e.requests.mu.Lock()
	defer e.requests.mu.Unlock()
	var pending []PendingRequest
	for i := len(e.requests.order) - 1; i >= 0; i-- {
		if p, ok := e.pending(e.requests.order[i], now); ok {
			pending = append(pending, p)
		}
	}
	return pending
}

func (e *Emulator) pending(r *request, now time.Time) (PendingRequest, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done || now.After(r.expires) {
		return PendingRequest{}, false
	}
	p := PendingRequest{ID: r.id, Kind: r.kind, Created: r.created, Expires: r.expires, Opened: r.fetched}
	kind, asked := "presentationRequests", registration{}
	if r.kind == Issuance {
		kind, asked = "issuanceRequests", r.issuance.registration
	} else {
		asked = r.presentation.registration
	}
	p.Name, p.Purpose = asked.clientName, asked.purpose
	p.Link = fmt.Sprintf("openid-vc://?request_uri=%s/v1.0/%s/verifiableCredentials/%s/%s", e.cfg.PublicURL, r.tenant, kind, r.id)
	return p, true
}
