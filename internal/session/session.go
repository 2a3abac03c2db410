// SPDX-License-Identifier: Apache-2.0

package session

import (
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Session says that a browser has finished at least one verification. It holds the presentations of one holder.
type Session struct {
	// ID is random and new with every verification (TM-030). It names the session in logs and revocations and opens nothing.
	ID string

	// Created is when the browser got its session, Expires when it ends at the latest, whatever a cookie's Max-Age says
	// (TM-023), Seen when it was last sealed, which makes the idle time. Whole seconds: sealing drops the rest.
	Created, Expires, Seen time.Time

	// Subject is a keyed hash of the holder, see [KeyRing.Digest].
	Subject string

	// CrossDevice says that the wallet was on another device than the browser.
	CrossDevice bool

	// Presentations are what the holder has presented, oldest first. Their Subject is empty: the session's speaks for all.
	Presentations []verifier.Presentation

	sealedBy keyID // which key had sealed the value that it was opened from; zero if it was not
}

// SealSession returns the session as the value of a cookie. See [Sealer.Seal] for ad.
func (s *Sealer) SealSession(v *Session, ad string) string {
	plain := getScratch(MaxCookie)
	defer plain.putSecret()
	plain.b = v.AppendBinary(plain.b)
	return s.Seal(plain.b, ad)
}

// OpenSession returns the session in the value of a cookie. It is [Sealer.Open] and [Decode] with one copy less. Errors are
// [ErrNotOpened], also for a value that no cookie of ours can have, and [ErrMalformed]; for the visitor both mean no session
// (TM-028).
func (s *Sealer) OpenSession(sealed, ad string) (*Session, error) {
	if len(sealed) > MaxCookie {
		return nil, ErrNotOpened
	}
	scratch := getScratch(len(sealed))
	defer scratch.putSecret()
	plain, err := s.appendOpen(scratch.b, sealed, ad)
	if err != nil {
		return nil, err
	}
	held, err := Decode(plain)
	if err != nil {
		return nil, err
	}
	held.sealedBy = sealerOf(sealed)
	return held, nil
}

// Knows says whether the key is still in the ring that sealed the value which the session was opened from. A request may be under
// way for hours, and a key that leaked be taken away meanwhile. A session that was not opened, because it has just been made, is known.
func (s *Sealer) Knows(v *Session) bool {
	if v.sealedBy == (keyID{}) {
		return true
	}
	_, known := (*s.keys.Load()).keyFor(v.sealedBy)
	return known
}

// skew is how far the clocks of two nodes may be apart.
const skew = time.Minute

// Live reports whether the session may still be used at now. It may not once Expires is reached, nor when it was last seen
// more than idle ago; an idle of 0 means that it may rest as long as it likes.
//
// A session from more than a minute in the future is not live either: the clock has been put back, and the session would
// last longer than it was meant to (TM-136).
func (s *Session) Live(now time.Time, idle time.Duration) bool {
	switch {
	case !now.Before(s.Expires):
		return false
	case s.Created.After(now.Add(skew)) || s.Seen.After(now.Add(skew)):
		return false
	case idle > 0 && !now.Before(s.Seen.Add(idle)):
		return false
	}
	return true
}
