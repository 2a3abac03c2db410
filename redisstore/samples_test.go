// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// requested is a transaction that waits for its callback.
func requested(id string) verifier.Transaction {
	now := time.Now().UTC()
	return verifier.Transaction{
		ID: id, State: "state of " + id, Status: verifier.StatusCreated, RequestID: "request of " + id,
		DeepLink: "openid-vc://?request_uri=https://service.example/" + id, CallbackKeyHash: make([]byte, 32), BindingHash: make([]byte, 32),
		Requirement: verifier.Requirement{
			Credential: "employee", Type: "VerifiedEmployee", AcceptedIssuers: []string{"did:web:verifiedid.contoso.example"},
			FaceCheck: &verifier.FaceCheckRequirement{SourcePhotoClaim: "photo", Threshold: 70}, Keep: []string{"displayName", "mail"},
		},
		Gate: "gate", ReturnTo: "/", CorrelationVector: "AAAAAAAAAAAAAAAAAAAAAA.0", Created: now, Expires: now.Add(5 * time.Minute),
	}
}

func retrieve(t *verifier.Transaction) error { return t.Retrieved(time.Now()) }

func verified(claims ...verifier.Claim) func(*verifier.Transaction) error {
	return func(t *verifier.Transaction) error {
		return t.Verified(verifier.Presentation{Credential: "employee", Claims: claims}, [32]byte{1}, time.Now())
	}
}

func create(t testing.TB, store verifier.Store, transactions ...verifier.Transaction) {
	t.Helper()
	for _, transaction := range transactions {
		if err := store.Create(t.Context(), transaction); err != nil {
			t.Fatalf("Create(%q): %v", transaction.ID, err)
		}
	}
}

func update(t testing.TB, store verifier.Store, id string, move func(*verifier.Transaction) error) {
	t.Helper()
	if _, err := store.Update(t.Context(), id, move); err != nil {
		t.Fatalf("Update(%q): %v", id, err)
	}
}

func wantError(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// patience is how long a test waits for what must happen. It is a limit, not a pause.
const patience = 10 * time.Second

// eventually tries until it works.
func eventually(t testing.TB, within time.Duration, what string, try func() error) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
	}
}

func await[T any](t testing.TB, c <-chan T, what string) (value T, open bool) {
	t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case value, open = <-c:
		return value, open
	case <-limit.C:
		t.Fatalf("%s: nothing within %v", what, patience)
		return value, false
	}
}

// parallel runs fn n times at once and waits.
func parallel(n int, fn func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	group.Wait()
}

func name(prefix string, i int) string { return fmt.Sprintf("%s-%d", prefix, i) }
