// SPDX-License-Identifier: Apache-2.0

package walletweb

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

// open fetches the request behind a link, as scanning its QR code does, and goes on to the
// request's own page: reloading that one does not fetch again.
func (w *Wallet) open(rw http.ResponseWriter, r *http.Request) {
	link := strings.TrimSpace(r.URL.Query().Get("link"))
	offer, err := w.wallet.Open(r.Context(), link)
	if err != nil {
		w.logger.LogAttrs(r.Context(), slog.LevelInfo, "link not opened", slog.String("error", err.Error()))
		status, p := openProblem(err)
		w.pages.Write(rw, status, "problem", frame.Head{Title: p.Title}, p)
		return
	}
	w.logger.LogAttrs(r.Context(), slog.LevelInfo, "request opened", slog.String("kind", string(offer.Kind)))
	seeOther(rw, r, offerPath+w.offers.add(link, offer, w.e.Now()))
}

// openProblem says in the person's words what the wallet's error means.
func openProblem(err error) (int, problem) {
	switch {
	case errors.Is(err, emulator.ErrExpired):
		return http.StatusNotFound, problem{
			"This request has expired",
			"A request lives five minutes and is over once it is answered. Go back to the site and ask for a new code.", "",
		}
	case errors.Is(err, emulator.ErrBadLink):
		return http.StatusBadRequest, problem{
			"That is no link for a wallet",
			"A wallet opens links that begin with openid-vc:// and lead to this emulator.", err.Error(),
		}
	case errors.Is(err, emulator.ErrNetwork):
		return http.StatusBadGateway, problem{"The request could not be fetched", "The service did not answer as it should.", err.Error()}
	default:
		return http.StatusBadRequest, problem{
			"Authenticator would refuse this request",
			"The signed request fails one of the checks a wallet makes.", err.Error(),
		}
	}
}

// withOffer finds the opened request named in the path.
func (w *Wallet) withOffer(next func(http.ResponseWriter, *http.Request, opened)) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		entry, ok := w.offers.get(r.PathValue("id"))
		if !ok {
			w.notFound(rw, r)
			return
		}
		next(rw, r, entry)
	}
}

// wantedView is one card asked for, with the cards that could answer.
type wantedView struct {
	Field       string // name of the form field that picks the card
	Type        string
	Issuers     []string
	Constraints []string
	Matching    []cardView
	Threshold   int // 0: no Face Check
}

// offerView is what the pages of a request see.
type offerView struct {
	Path                            string
	OpenAgain                       string // path that opens the link once more
	Name, Purpose, DID, Domain      string
	DomainVerified, Issuance        bool
	Wanted                          []wantedView
	FaceCheck                       bool
	Score, LowScore                 int
	CanShare, Expired               bool
	Until                           string
	Card                            *emulator.CardOffer
	Hint                            string
	Result                          *result
	Holder                          string
	Misbehaviours                   []emulator.Misbehaviour
	CanRevoke, CanExpire, CanImpost bool
}

const defaultScore = 90

// show is the page of a request: the decision while it is open, then how it ended.
func (w *Wallet) show(rw http.ResponseWriter, _ *http.Request, entry opened) {
	o := entry.offer
	v := offerView{
		Path: offerPath + entry.id, OpenAgain: home + "/open?link=" + url.QueryEscape(entry.link),
		Name: o.VerifierName, Purpose: o.Purpose, DID: o.VerifierDID, Domain: o.Domain, DomainVerified: o.DomainVerified,
		Issuance: o.Kind == emulator.Issuance, Until: o.Expires.UTC().Format("15:04:05 UTC"), Expired: w.e.Now().After(o.Expires),
		Card: o.Card, Hint: entry.hint, Result: entry.result, Holder: w.wallet.Name(), Score: defaultScore,
		Misbehaviours: emulator.Misbehaviours(), CanShare: true,
	}
	for i, wanted := range o.Wanted {
		row := wantedView{
			Field: cardField(i), Type: wanted.Type, Issuers: wanted.Issuers, Constraints: wanted.Constraints,
			Matching: w.views(wanted.Matching),
		}
		if wanted.FaceCheck != nil {
			row.Threshold, v.FaceCheck = wanted.FaceCheck.Threshold, true
			v.LowScore = lowScore(o)
		}
		v.CanShare = v.CanShare && len(wanted.Matching) > 0
		v.Wanted = append(v.Wanted, row)
	}
	if len(o.Wanted) == 1 {
		v.CanRevoke = v.CanShare
		v.CanExpire = w.contractFor(o.Wanted[0], true) != ""
		v.CanImpost = w.contractFor(o.Wanted[0], false) != ""
	}
	switch {
	case v.Result != nil:
		w.pages.Write(rw, http.StatusOK, "result", frame.Head{Title: v.Result.Title}, v)
	case v.Issuance:
		w.pages.Write(rw, http.StatusOK, "offer", frame.Head{Title: "Add a card?"}, v)
	default:
		w.pages.Write(rw, http.StatusOK, "request", frame.Head{Title: "Share a card?"}, v)
	}
}

func cardField(i int) string { return "card-" + string(rune('0'+i%10)) }

// lowScore is a Face Check score that fails the strictest bar of the request.
func lowScore(o *emulator.Offer) int {
	lowest := defaultScore
	for _, wanted := range o.Wanted {
		if wanted.FaceCheck != nil {
			lowest = min(lowest, wanted.FaceCheck.Threshold-15)
		}
	}
	return max(1, lowest)
}

// contractFor finds a contract of the wanted type whose issuer is, or is not, an accepted one.
func (w *Wallet) contractFor(wanted emulator.Wanted, accepted bool) string {
	for _, c := range w.e.Contracts() {
		if c.Type == wanted.Type && (len(wanted.Issuers) == 0 || slices.Contains(wanted.Issuers, c.Issuer)) == accepted {
			return c.ID
		}
	}
	return ""
}
