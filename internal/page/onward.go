// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// onwardPage is [Onward] with what its template needs besides.
type onwardPage struct {
	Onward
	Title, Text string
	Steps       steps // on the way to a partner
}

// Onward writes a page that goes on to its target at once: 200.
func (r *Renderer) Onward(w http.ResponseWriter, p Onward) { r.write(w, r.onwardView(p)) }

func (r *Renderer) onwardView(p Onward) view {
	p.Meta = r.complete(p.Meta)
	if !atOrigin(p.To, p.FormActions) {
		p.To = localPath(p.To, "/")
	}
	page := onwardPage{Onward: p, Title: r.texts["done_title"], Text: r.texts["live_verified"]}
	if p.Partner != "" {
		page.Steps = r.at(2, detourSteps, "step_partner")
		page.Title, page.Text = fmt.Sprintf(r.texts["onward_title"], p.Partner), r.texts["onward_text"]
	}
	if p.Field == "" {
		return view{onwardTemplate, http.StatusOK, p.Meta, page}
	}
	// Not to us either: the value is for the partner's eyes only.
	p.FormActions = slices.DeleteFunc(slices.Clone(p.FormActions), func(s string) bool { return !atOrigin(p.To, []string{s}) })
	return view{onwardTemplate, http.StatusOK, p.Meta, page}
}

// ownForms says whether the page may send forms to this site.
func (v *view) ownForms() bool {
	p, ok := v.page.(onwardPage)
	return !ok || p.Field == "" || len(v.meta.FormActions) == 0
}

// Done writes that the window has done its work: 200.
func (r *Renderer) Done(w http.ResponseWriter, p Done) { r.write(w, r.doneView(p)) }

func (r *Renderer) doneView(p Done) view {
	p.Meta = r.complete(p.Meta)
	p.To = localPath(p.To, "/")
	return view{doneTemplate, http.StatusOK, p.Meta, p}
}

// atOrigin tells whether address is below one of the origins, character by character, and so without a parser's opinion of where
// its host ends.
func atOrigin(address string, origins []string) bool {
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return slices.ContainsFunc(origins, func(s string) bool {
		plain, ok := origin(s)
		return ok && strings.HasPrefix(address, plain+"/")
	})
}
