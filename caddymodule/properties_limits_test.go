// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A botnet, or one machine with a large IPv6 network, comes from more addresses than anybody can remember. Memory is bounded;
// who is forgotten was not seen for longest, so a client that hammers is remembered. TM-122.
func TestTrackedClientsAreBounded(t *testing.T) {
	rates := newClientRates(5, time.Minute)
	for range 5 {
		rates.allow("the client that hammers", testNow)
	}
	for i := range 3 * maxTrackedClients {
		rates.allow(fmt.Sprint(i), testNow)
		if i%1000 == 0 {
			if _, ok := rates.allow("the client that hammers", testNow); ok {
				t.Fatalf("after %d others the client that hammers is forgotten", i)
			}
		}
		if n := len(rates.buckets) + len(rates.old); n > maxTrackedClients {
			t.Fatalf("%d clients are remembered, want at most %d", n, maxTrackedClients)
		}
	}
}

// IPv6 gives everybody 2^64 addresses. They are one client; what Caddy could not read is one client, too, and not none.
// TM-117, TM-119.
func TestClientIsANetwork(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8::1": "2001:db8::/64", "2001:db8:0:0:ffff:ffff:ffff:ffff": "2001:db8::/64",
		"2001:db8:0:1::1": "2001:db8:0:1::/64", "fe80::1%eth0": "fe80::/64", "": "unknown", "garbage": "unknown", "192.0.2.7:80": "unknown",
	} {
		r := request("GET", testOrigin+"/", http.Header{"X-Forwarded-For": {"203.0.113.9"}, "Forwarded": {"for=203.0.113.9"}})
		setClient(r, address)
		if got := clientOf(r); got != want {
			t.Errorf("clientOf(%q) = %q, want %q", address, got, want)
		}
	}
}

// All places for people who are looking for their phone are taken. A newcomer hears that it is busy, which is not his fault,
// and those who wait keep their places. TM-119.
func TestFullHouseIsBusy(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	app.store.Store = verifier.NewMemoryStore(verifier.MemoryConfig{Now: clockNow, MaxPending: 2, MaxPendingPerClient: 2})
	first := newBrowser(t, g)
	id := first.begin("/")
	requestID, state, key := s.last(t)
	second := newBrowser(t, g)
	second.client = "192.0.2.8"
	second.begin("/")
	third := newBrowser(t, g)
	third.client = "192.0.2.9"
	start, _ := third.open(basePath + "/start")
	w := third.post(basePath+"/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d with Retry-After %q, want 503 and a time", w.Code, w.Header().Get("Retry-After"))
	}
	callback(t, g, key, verified(requestID, state))
	if w := first.finish(id); onward(w) != "/" {
		t.Errorf("who was there first: status %d", w.Code)
	}
}

// A form of ours is small; what is larger is not read to its end. TM-122.
func TestFormIsBounded(t *testing.T) {
	_, g, s := journeyGate(t, "", mailGate)
	for _, path := range []string{"/request", "/finish", "/idv"} {
		r := request("POST", testOrigin+basePath+path, http.Header{"Sec-Fetch-Site": {"same-origin"}, "Content-Type": {"application/x-www-form-urlencoded"}})
		body := &endlessForm{}
		r.Body = body
		if w, _ := serve(t, g, r); w.Code != http.StatusBadRequest || body.read > 2*maxForm {
			t.Errorf("%s: status %d after %d bytes, want 400 before %d", path, w.Code, body.read, 2*maxForm)
		}
	}
	if s.calls() != 0 {
		t.Errorf("%d calls of the service", s.calls())
	}
}

// endlessForm is a form whose first field never ends.
type endlessForm struct{ read int }

func (e *endlessForm) Read(p []byte) (int, error) {
	n := copy(p, strings.Repeat("token=x&", 64))
	e.read += n
	return n, nil
}

func (*endlessForm) Close() error { return nil }
