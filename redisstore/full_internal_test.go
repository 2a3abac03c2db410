// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Somebody signs in and out until no logout finds a place. What an operator says then, of them for instance, is taken all the same. TM-156.
func TestStoreFullOfLogoutsTakesAnOperatorsWord(t *testing.T) {
	t.Parallel()
	s := newTestStore(t, time.Now, 10)
	until := time.Now().Add(time.Hour)
	revoke := func(kind verifier.RevocationKind, value string) error {
		return s.Revoke(t.Context(), verifier.Revocation{Kind: kind, Value: value, Since: time.Now(), Until: until})
	}
	if err := revoke(verifier.RevokeSession, "the first"); err != nil {
		t.Fatal(err)
	}
	const fill, step = "for i = ARGV[1] + 1, ARGV[1] + ARGV[2] do redis.call('ZADD', KEYS[1], ARGV[3], i) end return 1", 5_000 // well within a call's time
	for n := 0; n < maxRevocations; n += step {
		if err := s.client.Eval(t.Context(), fill, []string{s.names.revokedEnds}, n, step, until.UnixMilli()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := revoke(verifier.RevokeSession, "one too many"); !errors.Is(err, verifier.ErrFull) {
		t.Errorf("a logout beyond the cap: %v, want ErrFull", err)
	}
	for _, kind := range []verifier.RevocationKind{verifier.RevokeSubject, verifier.RevokeIssuer, verifier.RevokeCredential, verifier.RevokeAll} {
		if err := revoke(kind, "ana"); err != nil {
			t.Errorf("%s in a store full of logouts: %v", kind, err)
		}
	}
}
