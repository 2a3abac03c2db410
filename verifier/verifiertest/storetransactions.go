// SPDX-License-Identifier: Apache-2.0

package verifiertest

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func testCreate(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	want := s.requested("a")
	create(t, store, want)
	wantError(t, "Create of the same ID", store.Create(t.Context(), s.transaction("a")), verifier.ErrExists)
	got, err := store.Get(t.Context(), "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Get, -want +got:\n%s", diff)
	}
}

func testGet(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	_, err := store.Get(t.Context(), "a")
	wantError(t, "Get from an empty store", err, verifier.ErrNotFound)

	create(t, store, s.transaction("a"))
	got, err := store.Get(t.Context(), "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	got.Status, got.ReturnTo = verifier.StatusConsumed, "/other"
	again, err := store.Get(t.Context(), "a")
	if err != nil || again.Status != verifier.StatusCreated || again.ReturnTo != "/" {
		t.Errorf("a change of what Get returned changed the store: %+v, %v", again, err)
	}
}

func testUpdate(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	create(t, store, s.requested("a"))
	now := s.clock.now()
	if _, err := store.Update(t.Context(), "a", retrieve(now)); err != nil {
		t.Fatalf("Update: %v", err)
	}
	presentation := verifier.Presentation{
		Credential: "employee", Type: "VerifiedEmployee", Issuer: "did:web:verifiedid.contoso.example", Subject: "did:ion:holder",
		Claims: []verifier.Claim{{Name: "displayName", Value: "Ana é"}}, VerifiedAt: now, FaceChecked: true, FaceScore: 91.482703,
		CredentialIssued: now.Add(-time.Hour), LinkedDomain: "verifiedid.contoso.example", Policy: "policy",
	}
	updated, err := store.Update(t.Context(), "a", func(t *verifier.Transaction) error { return t.Verified(presentation, [32]byte{1}, now) })
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	got, err := store.Get(t.Context(), "a")
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if diff := cmp.Diff(updated, got); diff != "" {
		t.Errorf("what Update returned and what is stored, -returned +stored:\n%s", diff)
	}
	if got.Status != verifier.StatusVerified || !got.RetrievedAt.Equal(now) || got.Presentation == nil || !cmp.Equal(*got.Presentation, presentation) {
		t.Errorf("stored: %+v", got)
	}

	renamed, err := store.Update(t.Context(), "a", func(t *verifier.Transaction) error { t.ID, t.Client = "b", "other"; return nil })
	if err != nil || renamed.ID != "a" || renamed.Client != "" {
		t.Errorf("Update of ID and client = %q of %q, %v", renamed.ID, renamed.Client, err)
	}
}

func testUpdateAborts(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	_, err := store.Update(t.Context(), "a", func(*verifier.Transaction) error {
		t.Error("move is called without a transaction")
		return nil
	})
	wantError(t, "Update of nothing", err, verifier.ErrNotFound)

	want := s.transaction("a")
	create(t, store, want)
	refused := errors.New("refused")
	got, err := store.Update(t.Context(), "a", func(t *verifier.Transaction) error {
		t.Status, t.Retrievals = verifier.StatusFailed, 7
		return refused
	})
	if err != refused { //nolint:errorlint // not even wrapped
		t.Errorf("Update = %v, want the error of the move as it is", err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("returned by an aborted Update, -want +got:\n%s", diff)
	}
	if got, err := store.Get(t.Context(), "a"); err != nil || !cmp.Equal(want, got) {
		t.Errorf("stored by an aborted Update: %+v, %v", got, err)
	}
}

// TM-131: no update is lost, however many nodes race.
func testUpdateIsAtomic(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	create(t, store, s.transaction("a"))
	now := s.clock.now()
	parallel(100, func(int) {
		if _, err := store.Update(t.Context(), "a", retrieve(now)); err != nil {
			t.Errorf("Update: %v", err)
		}
	})
	if got, err := store.Get(t.Context(), "a"); err != nil || got.Retrievals != 100 {
		t.Errorf("100 updates: %d, %v", got.Retrievals, err)
	}
}

// TM-032: a hundred tabs, nodes or attackers finish at once, and one session comes of it.
func testResultIsTakenOnce(t *testing.T, s *storeTest) {
	store := s.open(t, 10, 10)
	create(t, store, s.requested("a"))
	now := s.clock.now()
	if _, err := store.Update(t.Context(), "a", func(t *verifier.Transaction) error {
		return t.Verified(verifier.Presentation{}, [32]byte{1}, now)
	}); err != nil {
		t.Fatalf("Update: %v", err)
	}
	var own atomic.Int32
	var sessions [100]string
	parallel(100, func(i int) {
		mine := name("session", i)
		_, err := store.Update(t.Context(), "a", func(t *verifier.Transaction) (err error) {
			sessions[i], err = t.Consume(mine, now)
			return err
		})
		if err != nil {
			t.Errorf("Update: %v", err)
		}
		if sessions[i] == mine {
			own.Add(1)
		}
	})
	if own.Load() != 1 {
		t.Errorf("%d callers took the result, want 1", own.Load())
	}
	for _, session := range sessions {
		if session != sessions[0] {
			t.Fatalf("two sessions came of one result: %q and %q", session, sessions[0])
		}
	}
}

func testDelete(t *testing.T, s *storeTest) {
	store := s.open(t, 1, 1)
	transaction := s.transaction("a")
	transaction.Client = "client"
	create(t, store, transaction)
	for range 2 {
		if err := store.Delete(t.Context(), "a"); err != nil {
			t.Errorf("Delete: %v", err)
		}
	}
	_, err := store.Get(t.Context(), "a")
	wantError(t, "Get after Delete", err, verifier.ErrNotFound)
	create(t, store, transaction)
}

// TM-133: names from outside are no patterns, separators or paths.
func testNamesAreOpaque(t *testing.T, s *storeTest) {
	store := s.open(t, 100, 100)
	ids := []string{"a", "A", "a ", "*", "a*", "?", "[a]", "a:b", "a\nb", "a\x00b", "../a", "é", "e\u0301", "{a}", strings.Repeat("x", 255), strings.Repeat("x", 254)}
	for _, id := range ids {
		create(t, store, s.transaction(id))
		if first, err := store.Mark(t.Context(), id, s.clock.now().Add(time.Minute)); err != nil || !first {
			t.Errorf("Mark(%q) = %v, %v", id, first, err)
		}
	}
	if err := store.Delete(t.Context(), "*"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	for _, id := range ids {
		got, err := store.Get(t.Context(), id)
		if id == "*" {
			wantError(t, "Get of what was deleted", err, verifier.ErrNotFound)
		} else if err != nil || got.ID != id {
			t.Errorf("Get(%q) = %q, %v", id, got.ID, err)
		}
	}
}

// TM-119: a flood is turned away, and nobody who is under way is thrown out.
func testFullStoreRefusesTheNew(t *testing.T, s *storeTest) {
	store := s.open(t, 5, 5)
	for i := range 5 {
		create(t, store, s.transaction(name("live", i)))
	}
	for i := range 20 {
		wantError(t, "Create in a full store", store.Create(t.Context(), s.transaction(name("flood", i))), verifier.ErrFull)
	}
	for i := range 5 {
		if _, err := store.Update(t.Context(), name("live", i), retrieve(s.clock.now())); err != nil {
			t.Errorf("Update of a live transaction: %v", err)
		}
	}
	if err := store.Delete(t.Context(), "live-0"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	create(t, store, s.transaction("later"))
	wantError(t, "Create in a full store", store.Create(t.Context(), s.transaction("more")), verifier.ErrFull)
}

// TM-119: one client cannot take all the room, and what has ended does not count against him.
func testClientCap(t *testing.T, s *storeTest) {
	store := s.open(t, 100, 3)
	of := func(client, id string) verifier.Transaction {
		transaction := s.transaction(id)
		transaction.Client = client
		return transaction
	}
	for i := range 3 {
		create(t, store, of("mallory", name("m", i)))
	}
	wantError(t, "Create beyond the cap", store.Create(t.Context(), of("mallory", "more")), verifier.ErrClientFull)
	create(t, store, of("alice", "a"))
	for i := range 10 {
		create(t, store, of("", name("nobody", i)))
	}

	if _, err := store.Update(t.Context(), "m-0", func(t *verifier.Transaction) error { return t.Cancel(s.clock.now()) }); err != nil {
		t.Fatalf("Update: %v", err)
	}
	create(t, store, of("mallory", "instead of the cancelled one"))
	wantError(t, "Create beyond the cap", store.Create(t.Context(), of("mallory", "more")), verifier.ErrClientFull)
	if err := store.Delete(t.Context(), "m-1"); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	create(t, store, of("mallory", "instead of the deleted one"))
	s.clock.advance(time.Hour)
	for i := range 3 {
		create(t, store, of("mallory", name("an hour later", i)))
	}
}

func testTenThousand(t *testing.T, s *storeTest) {
	store := s.open(t, 10_000, 20)
	for i := range 10_000 {
		transaction := s.requested(name("transaction", i))
		transaction.Client = name("client", i/20)
		if i == 0 {
			if b, err := json.Marshal(transaction); err != nil || len(b) > 2<<10 {
				t.Errorf("a pending transaction takes %d bytes, %v", len(b), err)
			}
		}
		create(t, store, transaction)
	}
	wantError(t, "Create in a full store", store.Create(t.Context(), s.transaction("more")), verifier.ErrFull)
	for i := range 10_000 {
		if got, err := store.Get(t.Context(), name("transaction", i)); err != nil || got.Client != name("client", i/20) {
			t.Fatalf("Get of transaction %d: %q, %v", i, got.Client, err)
		}
	}
}

// TM-133: everything ends by itself.
func testExpiry(t *testing.T, s *storeTest) {
	store := s.open(t, 2, 1)
	pending, consumed := s.transaction("pending"), s.requested("consumed")
	pending.Client, consumed.Client = "a", "b"
	create(t, store, pending, consumed)
	now := s.clock.now()
	got, err := store.Update(t.Context(), "consumed", func(t *verifier.Transaction) error {
		if err := t.Verified(verifier.Presentation{}, [32]byte{1}, now); err != nil {
			return err
		}
		_, err := t.Consume("session", now)
		return err
	})
	if err != nil {
		t.Fatalf("Update: %v", err)
	}
	s.clock.advance(got.KeepUntil().Sub(now) - time.Second)
	if _, err := store.Get(t.Context(), "consumed"); err != nil {
		t.Errorf("Get before the end: %v", err)
	}
	s.clock.advance(time.Second)
	_, err = store.Get(t.Context(), "consumed")
	wantError(t, "Get after the end", err, verifier.ErrNotFound)
	if _, err := store.Get(t.Context(), "pending"); err != nil {
		t.Errorf("Get of the other: %v", err)
	}
	s.clock.advance(pending.KeepUntil().Sub(s.clock.now()))
	_, err = store.Update(t.Context(), "pending", func(*verifier.Transaction) error {
		t.Error("move is called for what has ended")
		return nil
	})
	wantError(t, "Update after the end", err, verifier.ErrNotFound)

	again := s.transaction("pending")
	again.Client = "a"
	create(t, store, again)
}
