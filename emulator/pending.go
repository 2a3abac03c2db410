// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"slices"
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
	for _, r := range slices.Backward(e.requests.order) {
		if now.After(r.expires) {
			break // all live equally long, so those before it are older still
		}
		if p, ok := e.pending(r); ok {
			pending = append(pending, p)
		}
	}
	return pending
}

func (e *Emulator) pending(r *request) (PendingRequest, bool) {
	var who registration
	if r.kind == Issuance {
		who = r.issuance.registration
	} else {
		who = r.presentation.registration
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return PendingRequest{
		ID: r.id, Kind: r.kind, Name: who.clientName, Purpose: who.purpose, Link: e.link(r),
		Created: r.created, Expires: r.expires, Opened: r.fetched,
	}, !r.done
}
