// SPDX-License-Identifier: Apache-2.0

package walletweb

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// share answers the request with the chosen cards and Face Check score.
func (w *Wallet) share(rw http.ResponseWriter, r *http.Request, entry opened) {
	options, ok := w.choice(r, entry)
	if !ok {
		w.offers.hint(entry.id, "The score is a number from 1 to 100.")
		seeOther(rw, r, offerPath+entry.id)
		return
	}
	w.answer(rw, r, entry, options)
}

// choice reads the form: one card for each one wanted, and the score.
func (w *Wallet) choice(r *http.Request, entry opened) (emulator.ShareOptions, bool) {
	var options emulator.ShareOptions
	for i, wanted := range entry.offer.Wanted {
		id := r.PostFormValue(cardField(i))
		if id == "" && len(wanted.Matching) > 0 {
			id = wanted.Matching[len(wanted.Matching)-1].ID // the newest, which the page offers first
		}
		if id != "" {
			options.CardIDs = append(options.CardIDs, id)
		}
	}
	if text := strings.TrimSpace(r.PostFormValue("score")); text != "" {
		score, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(score) || score < 1 || score > 100 {
			return options, false
		}
		options.FaceScore = score
	}
	return options, true
}

// trick plays one of the things that go wrong in the field, or that somebody with a doctored
// wallet would try.
func (w *Wallet) trick(rw http.ResponseWriter, r *http.Request, entry opened) {
	options, ok := w.choice(r, entry)
	if !ok {
		options.FaceScore = defaultScore
	}
	name := r.PostFormValue("trick")
	switch name {
	case "low-score":
		options.FaceScore = float64(lowScore(entry.offer))
	case "revoke":
		for _, id := range options.CardIDs {
			if err := w.e.Revoke(id); err != nil {
				w.broken(rw, r, err)
				return
			}
		}
	case "expired", "impostor":
		contract := ""
		if len(entry.offer.Wanted) == 1 {
			contract = w.contractFor(entry.offer.Wanted[0], name == "expired")
		}
		if contract == "" {
			w.notFound(rw, r)
			return
		}
		card, err := w.issue(contract, name == "expired")
		if err != nil {
			w.broken(rw, r, err)
			return
		}
		options.CardIDs, options.Force = []string{card.ID}, true
	case "no-card":
		w.offers.finish(entry.id, noCard)
		seeOther(rw, r, offerPath+entry.id)
		return
	case "misbehave":
		options.Misbehave = emulator.Misbehaviour(r.PostFormValue("misbehaviour"))
	default:
		w.notFound(rw, r)
		return
	}
	w.answer(rw, r, entry, options)
}

// answer shares and records what came back.
func (w *Wallet) answer(rw http.ResponseWriter, r *http.Request, entry opened, options emulator.ShareOptions) {
	if entry.result == nil {
		outcome, err := entry.offer.Share(r.Context(), options)
		w.logger.LogAttrs(r.Context(), slog.LevelInfo, "request answered", slog.Bool("accepted", outcome.Accepted), slog.Int("status", outcome.Status))
		w.offers.finish(entry.id, shareResult(entry.offer.VerifierName, outcome, err))
	}
	seeOther(rw, r, offerPath+entry.id)
}

var noCard = result{
	Title: "You’ll have to add this Verified ID first",
	Text:  "That is what Authenticator says when no card fits. Nothing was sent: the site never learns of it, and waits until its code runs out.",
	Again: true,
}

// shareResult words the end of a presentation.
func shareResult(name string, o emulator.Outcome, err error) result {
	switch {
	case errors.Is(err, emulator.ErrNoMatchingCard):
		return noCard
	case err != nil:
		return result{Title: "Nothing was shared", Text: err.Error(), Again: true}
	}
	rows := []claimRow{{"", "The service answered the wallet", fmt.Sprintf("%d %s", o.Status, http.StatusText(o.Status))}}
	if o.Code != "" {
		rows = append(rows, claimRow{"", "with the error", o.Code + ": " + o.Message})
	}
	told := "nothing (it got no callback, or gave no answer)"
	if o.RelyingPartyStatus != 0 {
		told = fmt.Sprintf("%d %s", o.RelyingPartyStatus, http.StatusText(o.RelyingPartyStatus))
	}
	rows = append(rows, claimRow{"", name + " answered the callback with", told})
	if o.Accepted {
		return result{
			Good: true, Title: "Shared", Rows: rows,
			Text: "The service has checked the card and told " + name + ". Go back to the window where you began: a wallet does not lead you there. Whether the site lets you in is its own decision.",
		}
	}
	text := "The service refused the presentation and told " + name + "."
	if o.Code == "" {
		text = "The service verified the card, but " + name + " did not take the callback."
	}
	return result{
		Title: "Something went wrong", Rows: rows,
		Text: text + " Authenticator shows an error here. The request is over: the site has to show a new code.",
	}
}

// accept adds the card offered.
func (w *Wallet) accept(rw http.ResponseWriter, r *http.Request, entry opened) {
	if entry.result != nil {
		seeOther(rw, r, offerPath+entry.id)
		return
	}
	card, err := entry.offer.AcceptIssuance(r.Context(), strings.TrimSpace(r.PostFormValue("pin")))
	switch {
	case errors.Is(err, emulator.ErrWrongPIN):
		w.offers.hint(entry.id, "That PIN is wrong. It stands on the page of the site that offers the card.")
	case card.ID == "":
		w.offers.finish(entry.id, result{Title: "The card was not issued", Text: err.Error(), Again: true})
	case err != nil:
		w.offers.finish(entry.id, result{
			Title: "Card added, but the site does not know", CardID: card.ID,
			Text: "The card is in the wallet. Telling the site failed: " + err.Error(),
		})
	default:
		w.offers.finish(entry.id, result{
			Good: true, Title: "Card added", CardID: card.ID,
			Text: "Go back to the window where you began: it has gone on by itself.",
		})
	}
	seeOther(rw, r, offerPath+entry.id)
}

// decline turns the request down.
func (w *Wallet) decline(rw http.ResponseWriter, r *http.Request, entry opened) {
	if entry.result == nil {
		end := result{
			Title: "Declined", Again: true,
			Text: "Nothing was sent: that is how the real wallet behaves. The site never learns of it and waits until its code runs out.",
		}
		if entry.offer.Kind == emulator.Issuance {
			end.Text = "The wallet has told the service that you do not want the card."
		}
		if err := entry.offer.Decline(r.Context()); err != nil {
			end.Text = "Telling the service failed: " + err.Error()
		}
		w.offers.finish(entry.id, end)
	}
	seeOther(rw, r, offerPath+entry.id)
}

// CardPath is where the card added can be looked at.
func (r *result) CardPath() string {
	if r.CardID == "" {
		return ""
	}
	return cardPath + url.PathEscape(r.CardID)
}
