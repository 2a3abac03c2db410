// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/http"
	"strings"
	"testing"
)

// The app believes every header. Somebody with a session of their own, and somebody with none on a page that is open to
// all, writes another person's name into the headers, in every spelling that some server might fold into the right one.
func TestForgedIdentityHeadersDoNotArrive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{gate: "public /open"})
	v := newVisitor(t)
	w.enter(v, "/payroll")

	const forge = `fetch('/payroll', {headers: {
		'X-Employee-Name': 'Mallory', 'x-employee_name': 'Mallory', 'X_Employee_Name': 'Mallory',
		'X-Verified-Id-Subject': 'Mallory', 'X-Verified_Id-Issuer': 'Mallory', 'X-Verified-ID-Anything': 'Mallory',
	}}).then(answer => answer.status)`
	if status := evaluate[int](v, forge); status != http.StatusOK {
		t.Errorf("the app answered %d", status)
	}
	w.expectNoHeader("Mallory")

	stranger := newVisitor(t)
	stranger.open(w.origin + "/open")
	stranger.see(inTheApp)
	if status := evaluate[int](stranger, strings.ReplaceAll(forge, "/payroll", "/open")); status != http.StatusOK {
		t.Errorf("the app answered %d", status)
	}
	w.expectNoHeader("Mallory")

	// Nor does the app get hold of the cookies that are the proof.
	w.expectNoHeader("verified")
}

// expectNoHeader checks that no request reached the app with the word in a header's value, nor in a cookie of ours.
func (w *world) expectNoHeader(word string) {
	w.t.Helper()
	for _, r := range w.app.seen() {
		for name, values := range r.Header {
			for _, value := range values {
				if strings.Contains(strings.ToLower(value), strings.ToLower(word)) && (name == "Cookie" || word == "Mallory") {
					w.t.Errorf("the app got %s: %s", name, value)
				}
			}
		}
	}
}

// A script that asks for data must not be sent to a page for people: it gets an answer it can read, with the address
// where its person may begin.
func TestScriptIsToldWhereToBegin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{gate: "public /open"})
	v := newVisitor(t)
	v.open(w.origin + "/open")
	v.see(inTheApp)

	type answer struct {
		Status int               `json:"status"`
		Type   string            `json:"type"`
		Body   map[string]any    `json:"body"`
		Header map[string]string `json:"header"`
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		got := evaluate[answer](v, `fetch('/api/pay', {method: '`+method+`'}).then(async answer => ({
			status: answer.status, type: answer.headers.get('Content-Type'), body: await answer.json(),
		}))`)
		if got.Status != http.StatusUnauthorized || got.Type != "application/problem+json" {
			t.Errorf("%s answers %d as %s", method, got.Status, got.Type)
		}
		start, _ := got.Body["start"].(string)
		if !strings.HasPrefix(start, "/.verified-id/start?") {
			t.Fatalf("%s names the start %q", method, start)
		}
		v.open(w.origin + start)
		v.see(haveCard)
		v.open(w.origin + "/open")
	}
	for _, r := range w.app.seen() {
		if r.URL.Path == "/api/pay" {
			t.Errorf("%s %s reached the app", r.Method, r.URL)
		}
	}
}
