// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"testing"
	"time"
)

// Somebody who can write to the storage has kept the sealed pin of an earlier issuer, and puts it back after the operator has accepted another
// one, perhaps because the earlier was compromised. Nodes that run do not go back, though the operator had once accepted the earlier one
// as well; their operator's next word counts, also from a clock that is behind. TM-153.
func TestEarlierPinIsNotPutBack(t *testing.T) {
	p, next := newPublisher(t), newPublisher(t)
	n := learningNode(t, p, "", nil)
	pin := n.pin()
	if err := pin.accept(p.did); err != nil {
		t.Fatal(err)
	}
	kept, err := pin.storage.Load(t.Context(), pin.path)
	if err != nil {
		t.Fatal(err)
	}
	setNow(testNow.Add(24 * time.Hour))
	later := *pin.current.Load()
	later.Issuer, later.Pinned = next.did, clockNow()
	if err := pin.storage.Store(t.Context(), pin.path, []byte(pin.sealer.Seal(mustJSON(later), pin.path))); err != nil {
		t.Fatal(err)
	}
	if err := pin.look(t.Context()); err != nil || pin.current.Load().Issuer != next.did {
		t.Fatalf("what the operator has accepted is not taken: %v", err)
	}

	if err := pin.storage.Store(t.Context(), pin.path, kept); err != nil {
		t.Fatal(err)
	}
	if err := pin.look(t.Context()); err == nil || pin.current.Load().Issuer != next.did {
		t.Errorf("the earlier pin was put back: %v, %+v", err, pin.current.Load())
	}
	if err := pin.storage.Store(t.Context(), pin.path, []byte(pin.sealer.Seal(mustJSON(later), pin.path))); err != nil {
		t.Fatal(err)
	}
	if err := pin.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	setNow(testNow)
	if err := pin.accept(p.did); err != nil || !pin.current.Load().Pinned.After(later.Pinned) {
		t.Errorf("the operator's next word is older than the last: %v, %+v", err, pin.current.Load())
	}
}
