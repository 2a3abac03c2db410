// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"time"
)

const (
	defaultRefresh = 4 // seconds
	minRefresh     = 3
	maxRefresh     = 30
)

// waitPage is [Wait] with what its template needs besides.
type waitPage struct {
	Wait
	Choice choiceForm
	// The one template.URL there is; see walletLink. Empty after the code was scanned.
	Link template.URL
	// Empty when none may be drawn or none is needed any more.
	Code      QR
	CodeLabel string
	// Paths of our endpoints for this transaction.
	Self, Events, Status, Finish, Anew string
	// Where the visitor stands, and where once the code was scanned and once all is done.
	Steps, Confirm, End steps
	Live                string
	SecondsLeft         int
	Clock               string // SecondsLeft as m:ss
}

// Wait writes the page for the transaction's state: 200. In its final states the page is that of [Renderer.Refused] or
// [Renderer.Expired]; with a link that is none for the wallet it is a [Problem].
func (r *Renderer) Wait(w http.ResponseWriter, p Wait) {
	v, err := r.waitView(p)
	if err != nil {
		r.logger.Error("drawing the code", "error", err)
		r.Problem(w, Problem{Meta: p.Meta, Kind: ProblemUnavailable})
		return
	}
	r.write(w, v)
}

func (r *Renderer) waitView(p Wait) (view, error) {
	switch p.State {
	case StateCreated, StateRetrieved, StateVerified:
	case StateConsumed:
		// Another tab was faster. Its session can be fetched from here, too, for a while (TM-032).
		p.State = StateVerified
	case StateExpired, StateCancelled:
		return r.expiredView(Expired{
			Meta: p.Meta, Token: p.Token, Transaction: p.Transaction, Choice: p.Choice, CanRenew: p.CanRenew,
			Cancelled: p.State == StateCancelled, Destination: p.Destination,
		}), nil
	default:
		return r.refusedView(Refused{
			Meta: p.Meta, Token: p.Token, Reason: p.Reason, Choice: p.Choice, Others: p.Others, CanRetry: p.CanRenew,
			Destination: p.Destination,
		}), nil
	}

	p.Meta = r.complete(p.Meta)
	if p.RefreshSeconds == 0 {
		p.RefreshSeconds = defaultRefresh
	}
	p.RefreshSeconds = min(max(p.RefreshSeconds, minRefresh), maxRefresh)
	query := "?t=" + url.QueryEscape(p.Transaction)
	of := stepsOf(p.Partner)
	end := r.at(of+1, of, "step_done")
	end.Text = r.texts["step_done"]
	page := waitPage{
		Wait:   p,
		Choice: r.form(&p.Meta, p.Token, "partner_get", &p.Choice),
		Self:   p.Base + "/wait" + query, Events: p.Base + "/events" + query, Status: p.Base + "/status" + query,
		Finish: p.Base + "/finish", Anew: p.StartPath,
		Confirm: r.at(of, of, "step_confirm"), End: end,
		Live: r.texts["live_"+p.State],
	}
	if left := p.ExpiresIn.Round(time.Second); left > 0 {
		page.SecondsLeft = int(left / time.Second)
	}
	page.Clock = fmt.Sprintf("%d:%02d", page.SecondsLeft/60, page.SecondsLeft%60)

	switch p.State {
	case StateCreated:
		page.Steps = r.at(of-1, of, "step_scan")
		var err error
		if page.Link, err = walletLink(p.DeepLink); err != nil {
			return view{}, err
		}
		if !p.SameDeviceOnly {
			if page.Code, err = r.codes.draw(p.DeepLink); err != nil {
				return view{}, err
			}
			page.CodeLabel = r.texts["code_label"]
		}
	case StateRetrieved:
		page.Steps = page.Confirm
	case StateVerified:
		page.Steps = page.End
	}
	return view{waitTemplate, http.StatusOK, p.Meta, page}, nil
}
