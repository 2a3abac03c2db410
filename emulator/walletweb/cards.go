// SPDX-License-Identifier: Apache-2.0

package walletweb

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

// cardView is a card as the pages show it.
type cardView struct {
	ID, Path   string
	Title      string
	Type       string
	IssuedBy   string // the issuer's own name for itself
	Issuer     string // the DID, which a name cannot forge
	Subject    string // whose card it is
	Photo      string // path of the picture; empty when there is none
	State      string // "valid", "revoked", "expired"
	Expires    string
	Trusted    bool // the issuer's domain link holds
	ClaimRows  []claimRow
	PhotoClaim string
}

type claimRow struct{ Name, Label, Value string }

func (w *Wallet) view(c emulator.Card) cardView {
	v := cardView{
		ID: c.ID, Path: cardPath + url.PathEscape(c.ID), Title: c.Display.Title, Type: c.Type,
		IssuedBy: c.Display.IssuedBy, Issuer: c.Issuer, State: "valid", PhotoClaim: c.PhotoClaim,
		Expires: c.ExpiresAt.UTC().Format("2 January 2006"),
		Trusted: slices.ContainsFunc(w.e.Authorities(), func(a emulator.Authority) bool { return a.DID == c.Issuer && a.DomainVerified }),
	}
	if v.IssuedBy == "" {
		v.IssuedBy = c.IssuerName
	}
	for _, name := range []string{"displayName", "fullName"} {
		if v.Subject == "" {
			v.Subject = c.Claims[name]
		}
	}
	switch {
	case w.e.Revoked(c.ID):
		v.State = "revoked"
	case !w.e.Now().Before(c.ExpiresAt):
		v.State = "expired"
	}
	for _, name := range c.ClaimOrder {
		if name == c.PhotoClaim {
			v.Photo = v.Path + "/photo.jpg"
			continue
		}
		v.ClaimRows = append(v.ClaimRows, claimRow{name, c.Labels[name], c.Claims[name]})
	}
	return v
}

func (w *Wallet) views(cards []emulator.Card) []cardView {
	var list []cardView
	for _, c := range slices.Backward(cards) { // the newest is the one people look for
		list = append(list, w.view(c))
	}
	return list
}

// withCard finds the card named in the path.
func (w *Wallet) withCard(next func(http.ResponseWriter, *http.Request, emulator.Card)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		c, ok := w.wallet.Card(r.PathValue("id"))
		if !ok {
			w.notFound(rw, r)
			return
		}
		next(rw, r, c)
	}
}

func (w *Wallet) card(rw http.ResponseWriter, _ *http.Request, c emulator.Card) {
	v := w.view(c)
	w.pages.Write(rw, http.StatusOK, "card", frame.Head{Title: v.Title}, struct {
		cardView

		HolderDID string
		Token     string
	}{v, w.wallet.DID(), c.Token})
}

func (w *Wallet) photo(rw http.ResponseWriter, r *http.Request, c emulator.Card) {
	picture, err := emulator.DecodePhoto(c.Claims[c.PhotoClaim])
	if c.PhotoClaim == "" || err != nil {
		w.notFound(rw, r)
		return
	}
	rw.Header().Set("Content-Type", "image/jpeg")
	_, _ = rw.Write(picture) // the visitor left: nobody to tell
}

// revoke does what the issuer would do when a card is reported lost.
func (w *Wallet) revoke(rw http.ResponseWriter, r *http.Request, c emulator.Card) {
	if err := w.e.Revoke(c.ID); err != nil {
		w.broken(rw, r, err)
		return
	}
	seeOther(rw, r, cardPath+url.PathEscape(c.ID))
}

func (w *Wallet) remove(rw http.ResponseWriter, r *http.Request, c emulator.Card) {
	w.wallet.Remove(c.ID)
	seeOther(rw, r, home)
}

// stock is what the wallet page hands out without any issuer being asked.
type stock struct {
	Name, Title, Text string

	contract string
	expired  bool
}

// stocks lists, for every contract, the good card and, of the first one, an expired twin.
func (w *Wallet) stocks() []stock {
	var list []stock
	for i, c := range w.e.Contracts() {
		trusted := slices.ContainsFunc(w.e.Authorities(), func(a emulator.Authority) bool { return a.DID == c.Issuer && a.DomainVerified })
		s := stock{
			Name: fmt.Sprintf("good-%d", i), Title: c.Display.Title, contract: c.ID,
			Text: fmt.Sprintf("%s by %s", c.Type, c.Issuer),
		}
		if !trusted {
			s.Title += " by an impostor"
			s.Text += ": same name, other DID"
		}
		list = append(list, s)
		if i == 0 {
			list = append(list, stock{
				Name: "expired", Title: c.Display.Title + ", expired", contract: c.ID, expired: true,
				Text: "genuine, but ran out yesterday",
			})
		}
	}
	return list
}

// handOut puts one of the stocks into the wallet.
func (w *Wallet) handOut(rw http.ResponseWriter, r *http.Request) {
	stocks := w.stocks()
	i := slices.IndexFunc(stocks, func(s stock) bool { return s.Name == r.PostFormValue("stock") })
	if i < 0 {
		w.notFound(rw, r)
		return
	}
	if _, err := w.issue(stocks[i].contract, stocks[i].expired); err != nil {
		w.broken(rw, r, err)
		return
	}
	seeOther(rw, r, home)
}

// issue puts a card of the wallet's person into the wallet, good or run out.
func (w *Wallet) issue(contract string, expired bool) (emulator.Card, error) {
	options := emulator.IssueOptions{Contract: contract}
	if expired {
		options.IssuedAt = w.e.Now().Add(-30 * 24 * time.Hour)
		options.ExpiresAt = w.e.Now().Add(-24 * time.Hour)
	}
	return w.e.Issue(w.wallet, options)
}
