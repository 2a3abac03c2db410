// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"crypto"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// The timeline lists what is published, says which key signs, and when each comes and goes.
func TestTimeline(t *testing.T) {
	t.Parallel()
	set, err := idvredirect.NewKeySet(fixtureTime, signingKey(0))
	if err != nil {
		t.Fatal(err)
	}
	if set, err = set.Rotate(fixtureTime.Add(time.Hour), signingKey(1)); err != nil {
		t.Fatal(err)
	}
	first, second := signingKey(0).KeyID(), signingKey(1).KeyID()
	for _, test := range []struct {
		after   time.Duration
		listed  []string
		signing string
	}{
		{time.Hour, []string{first, second}, first},
		{3 * time.Hour, []string{first, second}, second},
		{24 * time.Hour, []string{second}, second},
	} {
		timeline := set.Timeline(fixtureTime.Add(test.after))
		if len(timeline) != len(test.listed) {
			t.Fatalf("after %s: %d keys, want %d", test.after, len(timeline), len(test.listed))
		}
		for i, key := range timeline {
			if key.KeyID != test.listed[i] || key.Signing != (key.KeyID == test.signing) || key.PublishedUntil.IsZero() != (key.KeyID == second) {
				t.Errorf("after %s: key %d is %+v", test.after, i, key)
			}
			if _, private := key.Public.(crypto.Signer); private {
				t.Error("the timeline hands out a private key")
			}
		}
	}
}
