// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// The host goes down for good after the first use. Restarts, other nodes and visitors do not notice: what is pinned serves. TM-139.
func TestPinServesWithoutItsHost(t *testing.T) {
	p := newPublisher(t)
	first := learningNode(t, p, "", nil)
	if _, ok := first.starts(t); !ok {
		t.Fatal("nobody can begin")
	}
	p.Close()
	restarted := learningNode(t, p, "", &first)
	if w, ok := restarted.starts(t); !ok {
		t.Errorf("after a restart: status %d", w.Code)
	}
	if !restarted.admits(t, first.member(p.did)) {
		t.Error("the session ended with the restart")
	}
	if first.gate.id != restarted.gate.id {
		t.Errorf("the gate is %s before and %s after", first.gate.id, restarted.gate.id)
	}
	setNow(clockNow().Add(checkManifest))
	if err := restarted.check(t); err != nil {
		t.Error(err)
	}
	if w, ok := restarted.starts(t); !ok {
		t.Errorf("after a check that failed: status %d", w.Code)
	}
}

// Mallory can write into the storage, but has no sealing key (they stand in the config): she puts a pin of her own there, plain or
// copied from another credential, or damages the one that is there. A node that starts with that lets nobody in, and no fetch covers it up.
func TestTamperedPinIsRefused(t *testing.T) {
	p := newPublisher(t)
	n := learningNode(t, p, "", nil)
	if _, ok := n.starts(t); !ok {
		t.Fatal("nobody can begin")
	}
	sound, err := n.pin().storage.Load(t.Context(), n.pin().path)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *n.pin().current.Load()
	for name, planted := range map[string]string{
		"plain":                 `{"url":"` + p.URL + `/manifest","type":"VerifiedEmployee","issuer":"did:web:mallory.example","verified":true}`,
		"damaged":               string(sound[:len(sound)-8]) + "AAAAAAAA",
		"of another credential": n.pin().sealer.Seal(mustJSON(elsewhere), manifestPath("other", n.pin().url, "", "")),
		"of another address":    n.pin().sealer.Seal([]byte(strings.Replace(string(mustJSON(elsewhere)), "/manifest", "/other", 1)), n.pin().path),
		"unverified":            n.pin().sealer.Seal([]byte(strings.Replace(string(mustJSON(elsewhere)), `"verified":true`, `"verified":false`, 1)), n.pin().path),
		"empty":                 "",
	} {
		t.Run(name, func(t *testing.T) {
			if err := n.pin().storage.Store(t.Context(), n.pin().path, []byte(planted)); err != nil {
				t.Fatal(err)
			}
			before := p.requests()
			started := learningNode(t, p, "", &n)
			if w, ok := started.starts(t); ok || w.Code != http.StatusServiceUnavailable {
				t.Errorf("status %d, want 503", w.Code)
			}
			if started.admits(t, started.member("did:web:mallory.example")) || started.admits(t, n.member(p.did)) {
				t.Error("a card opens the app")
			}
			if kept, err := n.pin().storage.Load(t.Context(), n.pin().path); err != nil || string(kept) != planted || p.requests() != before {
				t.Error("what Mallory has done was covered up")
			}
			if n.pin().look(t.Context()) == nil {
				t.Error("the running node notices nothing")
			}
			if _, ok := n.starts(t); !ok {
				t.Error("the running node has forgotten what it knew")
			}
		})
	}
}

// Two nodes start at once with an empty storage, at the moment at which the manifest is swapped. They end up with one pin, not with one each.
func TestNodesAgreeOnOnePin(t *testing.T) {
	mallory, p := newPublisher(t), newPublisher(t)
	first := learningNode(t, p, "", nil)
	second := learningNode(t, p, "", &first)
	if err := first.check(t); err != nil {
		t.Fatal(err)
	}
	p.set(func(p *publisher) { p.issuer, p.signer = mallory.did, mallory.key })
	if err := second.check(t); err != nil { // it has not looked into the storage since
		t.Fatal(err)
	}
	if pin := second.pin().current.Load(); pin.Issuer != p.did || pin.Changed == nil {
		t.Errorf("the second node has pinned %+v", pin)
	}
	// The visit began at the first node; the result comes to one that has just started.
	third := learningNode(t, p, "", &first)
	third.pin().current.Store(nil)
	third.pin().sealed = nil
	if err := third.pin().look(t.Context()); err != nil || third.pin().current.Load() == nil {
		t.Errorf("the third node knows nothing: %v", err)
	}
}

// The pin is deleted in the storage, and a node that starts then takes the first manifest it is given, which somebody has swapped. Those that
// run do not follow it: what is in force gives way to the operator's word alone. They store anew what was deleted. TM-139.
func TestDeletedPinIsNotLearnedAnew(t *testing.T) {
	mallory, p := newPublisher(t), newPublisher(t)
	first := learningNode(t, p, "", nil)
	if err := first.check(t); err != nil {
		t.Fatal(err)
	}
	pin := first.pin()
	if err := pin.storage.Delete(t.Context(), pin.path); err != nil {
		t.Fatal(err)
	}
	swapped := *pin.current.Load()
	swapped.Issuer = mallory.did
	if err := pin.storage.Store(t.Context(), pin.path, []byte(pin.sealer.Seal(mustJSON(swapped), pin.path))); err != nil {
		t.Fatal(err)
	}
	if err := pin.look(t.Context()); err == nil || !strings.Contains(err.Error(), mallory.did) || pin.current.Load().Issuer != p.did {
		t.Errorf("the running node has taken %+v (%v)", pin.current.Load(), err)
	}
	swapped.Accepted = true
	if err := pin.storage.Store(t.Context(), pin.path, []byte(pin.sealer.Seal(mustJSON(swapped), pin.path))); err != nil {
		t.Fatal(err)
	}
	if err := pin.look(t.Context()); err != nil || pin.current.Load().Issuer != mallory.did {
		t.Errorf("what the operator has accepted is not taken: %v", err)
	}

	if err := pin.storage.Delete(t.Context(), pin.path); err != nil {
		t.Fatal(err)
	}
	if err := pin.look(t.Context()); err != nil || !pin.unkept() {
		t.Fatalf("a deleted pin is not missed: %v", err)
	}
	if err := pin.replace(t.Context(), again); err != nil || pin.unkept() {
		t.Errorf("a deleted pin is not stored anew: %v", err)
	}
}

// The operator has accepted a pin with a key that has just taken the place of a leaked one. A node that knows the new key half a minute
// later takes the pin then, and not never.
func TestPinOpensOnceItsKeyHasCome(t *testing.T) {
	p := newPublisher(t)
	n := learningNode(t, p, "", nil)
	if err := n.check(t); err != nil {
		t.Fatal(err)
	}
	pin, keys, next := n.pin(), n.app.keys, []byte("another key of thirty-two letters")
	other, err := session.NewKeyRing(next)
	if err != nil {
		t.Fatal(err)
	}
	accepted := *pin.current.Load()
	accepted.Issuer, accepted.Accepted = "did:web:new.example", true
	if err := pin.storage.Store(t.Context(), pin.path, []byte(other.Sealer(session.PurposeStore).Seal(mustJSON(accepted), pin.path))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if pin.look(t.Context()) == nil {
			t.Fatal("the pin opens without its key")
		}
	}
	if err := keys.ring.Replace(next); err != nil {
		t.Fatal(err)
	}
	if err := pin.look(t.Context()); err != nil || pin.current.Load().Issuer != "did:web:new.example" {
		t.Errorf("the pin is not taken with its key: %v", err)
	}
	if pin.unkept() {
		t.Error("a pin that the first key has sealed is to be sealed anew")
	}
}
