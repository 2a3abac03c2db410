// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A visit began at another node, and its result, and then the visitor, come to one that could not read what is pinned of a manifest when it
// started and still cannot. That was taken for "policy changed": a refusal that stands, answered 200, of a presentation whose Face Check has
// been paid for. Now both are told to come again, and once the storage answers the visit ends as it should. TM-063, TM-130.
func TestStorageOutageIsNotTakenForAnotherPolicy(t *testing.T) {
	p := newPublisher(t)
	n := learningNode(t, p, "", nil)
	s := newService(t, n.app)
	if err := n.check(t); err != nil {
		t.Fatal(err)
	}
	away := &awayStorage{Storage: n.pin().storage}
	n.pin().storage = away
	knowsNothing := func() {
		n.pin().current.Store(nil)
		n.pin().sealed = nil
		away.fails.Store(true)
	}

	b := newBrowser(t, n.gate)
	id := b.begin("/")
	request, state, key := s.last(t)
	result := verified(request, state, `"issuer":"`+testIssuer, `"issuer":"`+p.did)
	knowsNothing()
	if w := callback(t, n.gate, key, result); w.Code != http.StatusServiceUnavailable || statusOf(t, n.app, id) != verifier.StatusCreated {
		t.Fatalf("during the outage the callback is answered %d, and the transaction is %s", w.Code, statusOf(t, n.app, id))
	}
	away.fails.Store(false)
	if w := callback(t, n.gate, key, result); w.Code != http.StatusOK || statusOf(t, n.app, id) != verifier.StatusVerified {
		t.Fatalf("after the outage the callback is answered %d, and the transaction is %s", w.Code, statusOf(t, n.app, id))
	}

	knowsNothing()
	if w := b.finish(id); w.Code != http.StatusServiceUnavailable || statusOf(t, n.app, id) != verifier.StatusVerified {
		t.Fatalf("during the outage the visitor is answered %d, and the transaction is %s", w.Code, statusOf(t, n.app, id))
	}
	away.fails.Store(false)
	if w := b.finish(id); onward(w) != "/" {
		t.Errorf("after the outage the visitor is answered %d\n%s", w.Code, w.Body)
	}
}
