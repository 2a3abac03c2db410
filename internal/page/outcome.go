// SPDX-License-Identifier: Apache-2.0

package page

import "net/http"

// refusedPage is [Refused] with what its template needs besides.
type refusedPage struct {
	Refused
	Choice choiceForm
	Others []choiceForm
	// What happened, and what to do about it, in words.
	Title, What, Todo string
	// A new card is what helps: partners come first.
	PartnerFirst bool
	// Trying again is possible but not what helps.
	RetryQuiet bool
	RetryLabel string
	Anew       string
}

// Refused writes why a presentation was not accepted: 200.
func (r *Renderer) Refused(w http.ResponseWriter, p Refused) { r.write(w, r.refusedView(p)) }

func (r *Renderer) refusedView(p Refused) view {
	p.Meta = r.complete(p.Meta)
	why, ok := refusals[p.Reason]
	if !ok {
		why = unknownRefusal
	}
	partnerText, retryText := "partner_get", "retry_same"
	switch why.advice {
	case adviceOther:
		retryText = "retry_other"
	case adviceRenew:
		partnerText, retryText = "partner_get_new", "retry_renewed"
	case adviceRetry, adviceAsk:
	}
	page := refusedPage{
		Refused: p,
		Choice:  r.form(&p.Meta, p.Token, partnerText, &p.Choice),
		Others:  r.forms(&p.Meta, p.Token, partnerText, p.Others),
		Title:   r.texts["refused_"+string(why.advice)+"_title"],
		What:    r.texts[why.text], Todo: r.texts[why.todo],
		PartnerFirst: why.advice == adviceRenew,
		RetryQuiet:   why.advice == adviceAsk || why.advice == adviceRenew && len(p.Choice.Partners) > 0,
		RetryLabel:   r.texts[retryText],
		Anew:         p.StartPath,
	}
	return view{refusedTemplate, http.StatusOK, p.Meta, page}
}

// expiredPage is [Expired] with what its template needs besides.
type expiredPage struct {
	Expired
	Choice choiceForm
	Anew   string
}

// Expired writes that the code's time ran out: 200.
func (r *Renderer) Expired(w http.ResponseWriter, p Expired) { r.write(w, r.expiredView(p)) }

func (r *Renderer) expiredView(p Expired) view {
	p.Meta = r.complete(p.Meta)
	page := expiredPage{Expired: p, Choice: r.form(&p.Meta, p.Token, "partner_get", &p.Choice), Anew: p.StartPath}
	page.Choice.Transaction = p.Transaction
	page.CanRenew = p.CanRenew && page.Choice.Action != ""
	return view{expiredTemplate, http.StatusOK, p.Meta, page}
}
