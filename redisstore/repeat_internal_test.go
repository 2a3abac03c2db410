// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore

import (
	"bytes"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// plainSealer seals nothing; these tests are of what is sealed.
type plainSealer struct{}

func (plainSealer) Seal(plain []byte, _ string) string {
	return base64.RawURLEncoding.EncodeToString(plain)
}

func (plainSealer) Open(sealed, _ string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(sealed)
}

func newTestStore(t *testing.T, now func() time.Time, maxPending int) *Store {
	t.Helper()
	options := &redis.UniversalOptions{Addrs: []string{redistest.Start(t).Addr}}
	Prepare(options)
	return newStoreOn(t, redis.NewUniversalClient(options), now, maxPending)
}

func newStoreOn(t *testing.T, client redis.UniversalClient, now func() time.Time, maxPending int) *Store {
	t.Helper()
	s, err := New(Config{
		Client: client, NameKey: bytes.Repeat([]byte{1}, minNameKey), Sealer: plainSealer{}, MaxPending: maxPending, Now: now,
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func transaction(id string, now time.Time) verifier.Transaction {
	return verifier.Transaction{ID: id, State: "state", Status: verifier.StatusCreated, Client: "client", Created: now, Expires: now.Add(5 * time.Minute)}
}

// The client of a cluster sends a command again when its answer was lost. The first of a mark hears that he was; nobody else does, and
// no change is made twice.
func TestRepeatedCommandKnowsItsOwn(t *testing.T) {
	t.Parallel()
	s := newTestStore(t, time.Now, 10)
	c, err := s.begin(t.Context())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	defer c.end()
	for range 2 {
		if _, claimed, err := c.claim("key", "mine", time.Minute); err != nil || !claimed {
			t.Errorf("claim = %v, %v", claimed, err)
		}
	}
	if other, claimed, err := c.claim("key", "another's", time.Minute); err != nil || claimed || other != "mine" {
		t.Errorf("claim of what is taken = %q, %v, %v", other, claimed, err)
	}
	for range 2 {
		if _, swapped, err := c.swap("key", "mine", "next", time.Minute, ""); err != nil || !swapped {
			t.Errorf("swap = %v, %v", swapped, err)
		}
	}
	if other, swapped, err := c.swap("key", "mine", "another's", time.Minute, ""); err != nil || swapped || other != "next" {
		t.Errorf("swap of what has changed = %q, %v, %v", other, swapped, err)
	}
	if other, swapped, err := c.swap("nothing", "mine", "next", time.Minute, ""); err != nil || swapped || other != "" {
		t.Errorf("swap of nothing = %q, %v, %v", other, swapped, err)
	}
}

// A process that dies between counting a transaction and storing it takes a place until the transaction would have ended, and no longer.
func TestPlaceOfTheDeadIsFreed(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newTestStore(t, func() time.Time { return now }, 1)
	dead := transaction("dead", now)
	hash, _ := s.names.transaction(dead.ID)
	c, err := s.begin(t.Context())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	defer c.end()
	if fresh, err := c.reserve(hash, &dead, now); err != nil || !fresh {
		t.Fatalf("reserve = %v, %v", fresh, err)
	}
	if err := s.Create(t.Context(), transaction("next", now)); !errors.Is(err, verifier.ErrFull) {
		t.Errorf("Create while the place is taken = %v", err)
	}
	now = dead.KeepUntil()
	if err := s.Create(t.Context(), transaction("next", now)); err != nil {
		t.Errorf("Create when it is over = %v", err)
	}
}

// A server whose memory is full lets a script count and does not let it store. What it refuses takes no place.
func TestFullServerLeavesNoPlaceTaken(t *testing.T) {
	t.Parallel()
	s := newTestStore(t, time.Now, 3)
	memory := func(limit string) {
		t.Helper()
		if err := s.client.ConfigSet(t.Context(), "maxmemory", limit).Err(); err != nil {
			t.Fatalf("CONFIG SET: %v", err)
		}
	}
	memory("1")
	for range 5 {
		if err := s.Create(t.Context(), transaction("a", time.Now())); !errors.Is(err, verifier.ErrStoreUnavailable) {
			t.Errorf("Create without memory = %v", err)
		}
		if err := s.Create(t.Context(), transaction(time.Now().String(), time.Now())); !errors.Is(err, verifier.ErrStoreUnavailable) {
			t.Errorf("Create without memory = %v", err)
		}
	}
	memory("0")
	for _, id := range []string{"a", "b", "c"} {
		if err := s.Create(t.Context(), transaction(id, time.Now())); err != nil {
			t.Errorf("Create with memory again = %v", err)
		}
	}
}

// Old revocations make room for new ones, and a full list refuses.
func TestEndedRevocationsAreCleared(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := newTestStore(t, func() time.Time { return now }, 1)
	revoke := func(value string, life time.Duration) {
		t.Helper()
		r := verifier.Revocation{Kind: verifier.RevokeSession, Value: value, Since: now, Until: now.Add(life)}
		if err := s.Revoke(t.Context(), r); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
	}
	for _, value := range []string{"a", "b", "c"} {
		revoke(value, time.Minute)
	}
	revoke("long", 48*time.Hour)
	now = now.Add(clockMargin + time.Minute)
	revoke("next", time.Hour)
	for _, key := range []string{s.names.revokedOrder, s.names.revokedEnds} {
		if n, err := s.client.ZCard(t.Context(), key).Result(); err != nil || n != 2 {
			t.Errorf("%s holds %d, %v; want 2", key, n, err)
		}
	}
	if n, err := s.client.HLen(t.Context(), s.names.revoked).Result(); err != nil || n != 2 {
		t.Errorf("%d values are held, %v; want 2", n, err)
	}
}
