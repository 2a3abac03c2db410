// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// listener is a subscriber to Caddy's events.
type listener chan caddy.Event

// Handle implements caddyevents.Handler.
func (l listener) Handle(_ context.Context, e caddy.Event) error {
	l <- e
	return nil
}

// next waits for an event with the name and returns its data; events are handed over apart from requests.
func (l listener) next(t *testing.T, name string) map[string]any {
	t.Helper()
	for {
		select {
		case e := <-l:
			if e.Name() == name {
				return e.Data
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no event %s", name)
		}
	}
}

func listen(t *testing.T, app *App) listener {
	t.Helper()
	heard := make(listener, 100)
	if err := app.events.On("", heard); err != nil {
		t.Fatal(err)
	}
	return heard
}

// A relay was found out, and somebody must be able to say who got in by which card, under which policy, from where and over which device, and
// to end that session. Each start of a session is an event, and a line in the log, that says so, and says nothing of what
// is in the card. TM-045, TM-142.
func TestSessionStartIsTold(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	heard, logged := listen(t, app), watchLog(g)
	b := newBrowser(t, g)
	id := b.begin("/payroll?secret=CANARY-QUERY")
	requestID, state, key := s.last(t)
	callback(t, g, key, verified(requestID, state))
	b.finish(id)
	held, _ := g.site.openSession(requestWith(b), testNow)
	if held == nil {
		t.Fatal("no session")
	}
	want := map[string]any{
		"request_id": requestID, "credential": "employee", "cross_device": true, "client_ip": "192.0.2.7",
		"subject": app.keys.subjectOf("did:ion:ana"), "session_id": held.ID, "gate": g.id, "site": testOrigin,
	}
	for where, data := range map[string]map[string]any{
		"event": heard.next(t, eventSessionStarted), "log": logged.fields(t, eventSessionStarted),
	} {
		for name, value := range want {
			if data[name] != value {
				t.Errorf("%s: %s = %v, want %v", where, name, data[name], value)
			}
		}
		if vector, _ := data["correlation_vector"].(string); vector == "" {
			t.Errorf("%s has no correlation vector", where)
		}
		for _, canary := range []string{"ana@contoso", "Ana Lima", "did:ion", "Clerk", "CANARY", "secret="} {
			if strings.Contains(fmt.Sprint(data), canary) {
				t.Errorf("%s holds %q: %v", where, canary, data)
			}
		}
	}
	logout, _ := b.open(basePath + "/logout")
	b.post(basePath+"/logout", url.Values{"token": {tokenIn(t, logout.Body.String())}})
	if ended := heard.next(t, eventSessionEnded); ended["session_id"] != held.ID || ended["subject"] != want["subject"] {
		t.Errorf("the end is told as %v", ended)
	}
}

// Two wallets have opened one code: the page was photographed, or relayed. It reopens nothing and does not pass unnoticed.
// TM-039.
func TestSecondScanIsTold(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	heard := listen(t, app)
	id := newBrowser(t, g).begin("/")
	requestID, state, key := s.last(t)
	for i := range 3 {
		callback(t, g, key, `{"requestId":"`+requestID+`","requestStatus":"request_retrieved","state":"`+state+`"}`)
		if got := heard.next(t, eventRetrieved)["retrievals"]; got != i+1 {
			t.Errorf("scan %d is told as number %v", i+1, got)
		}
	}
	callback(t, g, key, verified(requestID, state))
	before := statusOf(t, app, id)
	callback(t, g, key, `{"requestId":"`+requestID+`","requestStatus":"request_retrieved","state":"`+state+`"}`)
	if after := statusOf(t, app, id); after != before {
		t.Errorf("a scan after the answer moved the transaction from %s to %s", before, after)
	}
}

// Mallory photographs the code over Ana's shoulder, or sends her own to Ana, and two wallets open it. The operator wants no
// result of such a code: the visit ends for both, Ana's page says why, and what either wallet sends is too late. Both scans
// are told. TM-039.
func TestSecondScanEndsTheVisit(t *testing.T) {
	app, g, s := journeyGate(t, "session {\n cancel_on_second_scan\n}", mailGate)
	heard, logged := listen(t, app), watchLog(g)
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	scan := `{"requestId":"` + requestID + `","requestStatus":"request_retrieved","state":"` + state + `"}`
	callback(t, g, key, scan)
	if got := statusOf(t, app, id); got != verifier.StatusRetrieved {
		t.Fatalf("after one scan the visit is %s", got)
	}
	setNow(testNow.Add(time.Minute))
	callback(t, g, key, scan)
	callback(t, g, key, scan)
	callback(t, g, key, verified(requestID, state))
	if got := statusOf(t, app, id); got != verifier.StatusRefused {
		t.Errorf("after two scans and a result the visit is %s, want refused", got)
	}
	told := map[string]bool{}
	for range 2 {
		e := heard.next(t, eventRetrieved)
		told[fmt.Sprint(e["retrievals"], " ", e["first_scan"])] = true
	}
	if first := testNow.Format(time.RFC3339); !told["1 "+first] || !told["2 "+first] {
		t.Errorf("the scans are told as %v, want two, each with the time of the first", told)
	}
	if refused := logged.fields(t, eventRefused); refused["reason"] != "scanned_twice" || refused["request_id"] != requestID {
		t.Errorf("the end is told as %v", refused)
	}
	w, _ := b.open(basePath + "/wait?t=" + id)
	if !strings.Contains(w.Body.String(), "opened twice") || !strings.Contains(w.Body.String(), "Begin anew") {
		t.Errorf("the visitor is shown\n%s", w.Body)
	}
	if next := b.begin("/"); next == id {
		t.Error("beginning anew leads to the same code")
	}
}

// A refusal is told with its reason, for whoever has to mend the rule or watch for attempts, and without the values that it
// was about. TM-075, TM-142.
func TestRefusalIsToldWithoutValues(t *testing.T) {
	app, g, s := journeyGate(t, "", "verified_id {\n require jobTitle Director\n}")
	heard, logged := listen(t, app), watchLog(g)
	newBrowser(t, g).begin("/")
	requestID, state, key := s.last(t)
	callback(t, g, key, verified(requestID, state))
	data := heard.next(t, eventRefused)
	if data["reason"] != "required_claim" || data["credential"] != "employee" {
		t.Errorf("the refusal is told as %v", data)
	}
	for _, canary := range []string{"Clerk", "Director", "jobTitle", "ana@", "did:ion", "91.5"} {
		if strings.Contains(fmt.Sprint(data), canary) || strings.Contains(logged.text(), canary) {
			t.Errorf("%q is told: %v\n%s", canary, data, logged.text())
		}
	}
}
