// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"crypto"
	"time"
)

// KeyTime is one key of a [KeySet] and its times, for the operator who wants to see them. It holds no private key.
type KeyTime struct {
	// KeyID is the kid of tokens and of the published set.
	KeyID string

	// Public is the public half, as [SigningKey.Public] returns it.
	Public crypto.PublicKey

	// Signing says whether the key signs at the time that was asked for.
	Signing bool

	// PublishedFrom is when the key was first published.
	PublishedFrom time.Time

	// SignsFrom is when it begins to sign. Zero: it never does, and is only published.
	SignsFrom time.Time

	// PublishedUntil is when it leaves the published set. Zero: no end is set yet.
	PublishedUntil time.Time
}

// Timeline returns the keys that are published at now, with their times, in the order of [KeySet.JWKS].
func (s *KeySet) Timeline(now time.Time) []KeyTime {
	signing := s.Signing(now)
	var out []KeyTime
	for i, entry := range s.entries {
		if end := s.publishedUntil(i); entry.key == signing || end.IsZero() || now.Before(end) {
			out = append(out, KeyTime{
				KeyID: entry.key.KeyID(), Public: entry.key.Public(), Signing: entry.key == signing,
				PublishedFrom: entry.publishedFrom, SignsFrom: entry.signsFrom, PublishedUntil: end,
			})
		}
	}
	return out
}
