// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/url"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/internal/page"
	"github.com/caddy-verified-id/caddy-verified-id/internal/returnpath"
)

// donePath, with the id of the window behind it, is where a visit in a pop-up leads. It is the only address of ours that is a
// destination (TM-084): it grants nothing and ends nothing.
const donePath = basePath + "/done?popup="

// maxPopupID bounds the id of a pop-up, in bytes.
const maxPopupID = 64

// chosenReturn is where a visit leads: to the end of a pop-up, to a page of this site that the app names, or where it led
// without that. It chooses as much as a link to that page does, and obeys the same rule (TM-081, TM-082, TM-084). From
// here on it is sealed (TM-083).
func chosenReturn(query url.Values, otherwise string) string {
	if id := query.Get("popup"); isPopupID(id) {
		return donePath + id
	}
	if path, ok := returnpath.Check(query.Get("return_to")); ok && !returnpath.Own(path, basePath) {
		return path
	}
	return otherwise
}

// popupOf is the id of the window in which a visit with this destination takes place, or empty.
func popupOf(returnTo string) string {
	id, ok := strings.CutPrefix(returnTo, donePath)
	if !ok || !isPopupID(id) {
		return ""
	}
	return id
}

// isPopupID keeps the id, which pages repeat, to characters that mean nothing anywhere.
func isPopupID(id string) bool {
	return id != "" && len(id) <= maxPopupID &&
		strings.Trim(id, "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == ""
}

// done is the last page in a pop-up. It tells the page that has opened the window no more than that it is over, and is for
// people who are signed in.
func (v *visitRequest) done() {
	id := v.r.URL.Query().Get("popup")
	if !isPopupID(id) {
		v.problem(page.ProblemNotFound)
		return
	}
	v.popup = id
	if held, _ := v.openSession(v.r, v.now); held == nil {
		v.startPage(visit{Gate: v.gate.id, ReturnTo: donePath + id, Made: v.now.UTC()}, false)
		return
	}
	v.app.pages.Done(v.w, page.Done{Meta: v.meta()})
}

// appScript is the script for single-page apps, at an address that stays.
func (v *visitRequest) appScript() { v.app.pages.ServeAppScript(v.w) }
