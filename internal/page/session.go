// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"slices"
	"time"
)

// logoutPage is [Logout] with what its template needs besides.
type logoutPage struct {
	Logout
	Action string
}

// Logout writes the confirmation page: 200.
func (r *Renderer) Logout(w http.ResponseWriter, p Logout) { r.write(w, r.logoutView(p)) }

func (r *Renderer) logoutView(p Logout) view {
	p.Meta = r.complete(p.Meta)
	p.Back = localPath(p.Back, "/")
	return view{logoutTemplate, http.StatusOK, p.Meta, logoutPage{p, p.Base + "/logout"}}
}

// SignedOut writes that the session is over: 200.
func (r *Renderer) SignedOut(w http.ResponseWriter, p SignedOut) { r.write(w, r.signedOutView(p)) }

func (r *Renderer) signedOutView(p SignedOut) view {
	p.Meta = r.complete(p.Meta)
	p.Again = localPath(p.Again, "/")
	return view{signedOutTemplate, http.StatusOK, p.Meta, p}
}

// sessionPage is [Session] with what its template needs besides.
type sessionPage struct {
	Session
	Action, Anew string
}

// Session writes who the visitor is here: 200. Times are written in UTC; the script turns them into the visitor's own.
func (r *Renderer) Session(w http.ResponseWriter, p Session) { r.write(w, r.sessionView(p)) }

func (r *Renderer) sessionView(p Session) view {
	p.Meta = r.complete(p.Meta)
	p.Expires, p.IdleExpires = p.Expires.UTC(), p.IdleExpires.UTC()
	p.Cards = slices.Clone(p.Cards)
	for i := range p.Cards {
		card := &p.Cards[i]
		for _, at := range []*time.Time{&card.VerifiedAt, &card.CardExpires} {
			*at = at.UTC()
		}
	}
	return view{sessionTemplate, http.StatusOK, p.Meta, sessionPage{p, p.Base + "/logout", p.StartPath}}
}
