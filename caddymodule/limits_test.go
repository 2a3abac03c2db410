// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A stranger hammers the callback; right keys are not slowed by it. TM-067.
func TestCallbackKeyFlood(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	id := newBrowser(t, g).begin("/")
	request, state, key := s.last(t)
	limited := 0
	for i := range 100 {
		if callback(t, g, fmt.Sprintf("Bearer %s.%d", id, i), "{}").Code == http.StatusTooManyRequests {
			limited++
		}
	}
	if limited != 70 {
		t.Errorf("%d of 100 bad keys were limited, want all but 30", limited)
	}
	if w := callback(t, g, key, verified(request, state)); w.Code != http.StatusOK || statusOf(t, app, id) != verifier.StatusVerified {
		t.Errorf("the right key from the same address: status %d", w.Code)
	}
}

// Headers that claim another address do not make another client: Caddy says who it is. TM-117.
func TestSpoofedAddressIsOneClient(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	refused := 0
	for i := range 10 {
		b := newBrowser(t, g)
		start, _ := b.open("/.verified-id/start")
		w, _ := b.send("POST", "/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}}, http.Header{
			"Sec-Fetch-Site": {"same-origin"}, "X-Forwarded-For": {fmt.Sprintf("203.0.113.%d", i)}, "X-Real-Ip": {fmt.Sprintf("203.0.113.%d", i)},
			"Forwarded": {fmt.Sprintf("for=203.0.113.%d", i)}, "Cf-Connecting-Ip": {fmt.Sprintf("203.0.113.%d", i)},
		})
		if w.Code == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused != 5 {
		t.Errorf("%d of 10 starts were refused, want 5", refused)
	}
}

// A holder presents again and again, from many addresses: each Face Check costs, passed or failed. TM-121.
func TestHolderInALoop(t *testing.T) {
	app, g, s := journeyGate(t, "limits {\n starts_per_client 1000\n starts_per_second 1000\n}", mailGate)
	present := func(client, holder string) (verifier.Status, bool) {
		t.Helper()
		b := newBrowser(t, g)
		b.client = client
		start, _ := b.open("/.verified-id/start")
		w := b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
		if w.Code != http.StatusSeeOther {
			return "", false
		}
		at, err := url.Parse(w.Header().Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		request, state, key := s.last(t)
		callback(t, g, key, verified(request, state, "did:ion:ana", holder))
		return statusOf(t, app, at.Query().Get("t")), true
	}
	for i := range 12 {
		if _, started := present("192.0.2.1", fmt.Sprintf("did:ion:holder-%d", i)); started != (i < 10) {
			t.Errorf("presentation %d from one address: started %v", i+1, started)
		}
	}
	for i := range 22 {
		want := verifier.StatusVerified
		if i >= 20 {
			want = verifier.StatusRefused
		}
		if got, _ := present(fmt.Sprintf("198.51.100.%d", i), "did:ion:one-holder"); got != want {
			t.Errorf("presentation %d of one holder: %s, want %s", i+1, got, want)
		}
	}
	setNow(testNow.Add(time.Hour))
	if got, _ := present("198.51.100.99", "did:ion:one-holder"); got != verifier.StatusVerified {
		t.Errorf("an hour later: %s, want verified", got)
	}
}
