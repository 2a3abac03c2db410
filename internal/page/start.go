// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// startPage is [Start] with what its template needs besides.
type startPage struct {
	Start
	Choices   []choiceForm
	Why       string // the reason, in words; may be empty
	Several   bool
	FaceCheck bool // at least one choice asks for it
	Partners  bool // at least one choice has a partner
	Noted     bool // at least one partner has a note, so that what is general is not said: it could be otherwise there
	Steps     steps
	Underway  string // where the visitor was going for a card, in words; may be empty
	Lead      string // after a return; may be empty
}

// Start writes the first page: 200.
func (r *Renderer) Start(w http.ResponseWriter, p Start) { r.write(w, r.startView(p)) }

// Returned writes the first page as seen by a visitor who comes from a partner: 200. It is the same whoever comes, and as often
// as they come; that they come proves nothing (TM-095, TM-096).
func (r *Renderer) Returned(w http.ResponseWriter, p Start) {
	p.ReturnedFromPartner = true
	r.Start(w, p)
}

func (r *Renderer) startView(p Start) view {
	p.Meta = r.complete(p.Meta)
	page := startPage{Start: p, Choices: r.forms(&p.Meta, p.Token, "partner_get", p.Choices), Several: len(p.Choices) > 1}
	for i := range p.Choices {
		page.FaceCheck = page.FaceCheck || p.Choices[i].FaceCheck
		page.Partners = page.Partners || len(p.Choices[i].Partners) > 0
		page.Noted = page.Noted || slices.ContainsFunc(p.Choices[i].Partners, func(p Partner) bool { return p.Note != "" })
	}
	page.Steps = r.at(1, directSteps, "step_choose")
	switch {
	case p.ReturnedFromPartner && p.Partner != "":
		page.Steps, page.Lead = r.at(3, detourSteps, "step_returned"), fmt.Sprintf(r.texts["returned_lead_from"], p.Partner)
	case p.Partner != "":
		page.Steps, page.Underway = r.at(3, detourSteps, "step_returned"), fmt.Sprintf(r.texts["underway"], p.Partner)
	case page.Partners:
		page.Steps.Text = fmt.Sprintf(r.texts["step_or"], 1, directSteps, detourSteps)
	}
	if p.ReturnedFromPartner && page.Lead == "" {
		page.Lead = r.texts["returned_lead"]
	}
	if p.Reason != "" {
		page.Why = r.texts.firstOf(startReasons[p.Reason], "again")
	}
	if p.Reason == "presentation_too_old" && p.MaxAge > 0 && p.Age > p.MaxAge {
		page.Why = fmt.Sprintf(r.texts["again_how_old"], r.age(p.MaxAge), r.age(p.Age))
	}
	return view{startTemplate, http.StatusOK, p.Meta, page}
}

// age says how long ago something may be or is, rounded up: "10 minutes".
func (r *Renderer) age(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{{"hour", time.Hour}, {"minute", time.Minute}, {"second", time.Second}}
	for _, unit := range units {
		n := (d + unit.size - 1) / unit.size
		switch {
		case n == 1 && d == unit.size:
			return r.texts["age_"+unit.name]
		case n > 2 || d%unit.size == 0 || unit.size == time.Second:
			return fmt.Sprintf(r.texts["age_"+unit.name+"s"], n)
		}
	}
	return ""
}
