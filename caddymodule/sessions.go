// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// openSession opens the session cookie and refuses one that has ended: by time, by idling or by revocation. It asks no
// store: revocations come to this process by themselves. Without a session it says why there is none.
func (s *site) openSession(r *http.Request, now time.Time) (*session.Session, verifier.Reason) {
	held, none := s.sealedSession(r)
	if held == nil {
		return nil, none
	}
	if ended := s.ended(held, now); ended != "" {
		return nil, ended
	}
	return held, ""
}

// restingSession is openSession for who is to end a session: also one that has idled too long. A copy of its cookie may have been
// used meanwhile, and is as good as ever until the session is revoked.
func (s *site) restingSession(r *http.Request, now time.Time) *session.Session {
	held, _ := s.sealedSession(r)
	if held == nil || s.over(held, now) != "" {
		return nil
	}
	return held
}

// sealedSession is what the session cookie holds, if it opens.
func (s *site) sealedSession(r *http.Request) (*session.Session, verifier.Reason) {
	value, ok := session.FindCookie(cookiesOf(r), s.session.Name)
	if !ok {
		return nil, noSession
	}
	held, err := s.app.keys.sessions.OpenSession(value, s.sessionBinding)
	if err != nil {
		return nil, sessionExpired // also after a change of keys; who has sealed it cannot be told any more
	}
	return held, ""
}

// ended says whether a session is over, and why. The times are sealed in it; the cookie's own Max-Age is only cosmetic
// (TM-023). A limit that was shortened since counts at once.
func (s *site) ended(held *session.Session, now time.Time) verifier.Reason {
	if !held.Live(now, time.Duration(s.app.Session.Idle)) {
		if ahead := held.Created.Sub(now); ahead > clockSkew {
			s.app.warnOfClock(ahead, now)
		}
		return sessionExpired
	}
	return s.over(held, now)
}

// over is ended but for idling, after which a session may yet turn out to be in use elsewhere.
func (s *site) over(held *session.Session, now time.Time) verifier.Reason {
	switch {
	case !held.Live(now, 0), !now.Before(held.Created.Add(time.Duration(s.app.Session.Lifetime))):
		return sessionExpired
	case s.revoked(held):
		return sessionRevoked
	case !s.app.keys.sessions.Knows(held): // the key was taken away while the request is under way
		return sessionExpired
	}
	return ""
}

// clockSkew is how far other clocks may be off ours; our own times get none (TM-135).
const clockSkew = time.Minute

// warnOfClock says once a minute that a session of ours comes from the future: another node began it, or this one before its clock
// was set back. Its people are asked again and again, and nothing else tells why.
func (a *App) warnOfClock(ahead time.Duration, now time.Time) {
	minute := now.Unix() / 60
	if a.store.clockWarned.Swap(minute) != minute {
		a.logger.Warn("a session from the future was refused: are the clocks of all nodes right?", zap.Duration("ahead", ahead))
	}
}

func (s *site) revoked(held *session.Session) bool {
	known := &s.app.store.revoked
	if known.empty() {
		return false
	}
	began := held.Created // or when its first presentation came: a result that was still to be fetched is no new beginning
	for i := range held.Presentations {
		began = earlier(began, held.Presentations[i].VerifiedAt)
	}
	// Of a session there is only one: whatever the clocks of the nodes that began and ended it, it is the one that was ended.
	if known.hit(verifier.RevokeSession, held.ID, time.Time{}) ||
		known.hit(verifier.RevokeAll, "", began) || known.hit(verifier.RevokeSubject, held.Subject, began) {
		return true
	}
	for i := range held.Presentations {
		p := &held.Presentations[i]
		if known.hit(verifier.RevokeIssuer, p.Issuer, p.VerifiedAt) || known.hit(verifier.RevokeCredential, p.Credential, p.VerifiedAt) {
			return true
		}
	}
	return false
}

// refreshFraction of the idle time passes before a session's cookie is written anew.
const refreshFraction = 8

// renewal writes the session's cookie anew with the time it was last seen; nil when that is recent enough.
func (g *Gate) renewal(held *session.Session, now time.Time) func(http.Header) {
	if now.Sub(held.Seen) < time.Duration(g.app.Session.Idle)/refreshFraction {
		return nil
	}
	return func(h http.Header) {
		fresh := *held // others read it meanwhile
		fresh.Seen = now
		sealed := g.site.seal(&fresh)
		// It may have ended while the app was answering. Asked only now, lest a key that has just taken the place of a leaked one seal
		// what the leaked one had.
		if g.site.ended(held, g.app.now()) != "" {
			return
		}
		if err := g.site.session.Set(h, sealed, fresh.Expires.Sub(now)); err != nil {
			g.logger.Warn("session cookie not renewed", zap.Error(err))
		}
	}
}

func (s *site) seal(held *session.Session) string {
	return s.app.keys.sessions.SealSession(held, s.sessionBinding)
}

// sessionID is the name of the one session that comes of a transaction. It follows from what the start has drawn at random, so that a
// store that has lost the last second, and with it that the result was taken, gives the same session once more and no second one: what
// has ended it ends it still. It is no secret; only a seal makes a session of it.
func sessionID(t *verifier.Transaction) string {
	digest := sha256.New()
	_, _ = fmt.Fprintf(digest, "session\x00%s\x00%s\x00%x", t.ID, t.State, t.BindingHash) // it never fails
	return base64.RawURLEncoding.EncodeToString(digest.Sum(nil)[:16])
}

// newSession makes the session of a verification. What the same holder presented before in this browser is kept, except
// an earlier presentation of the same credential; another holder's session is not merged but ended (TM-030, TM-033).
func (s *site) newSession(id string, t *verifier.Transaction, before *session.Session) *session.Session {
	settings := s.app.Session
	lifetime := time.Duration(settings.Lifetime)
	if t.CrossDevice {
		lifetime = time.Duration(settings.CrossDeviceLifetime)
	}
	presented := *t.Presentation
	subject := s.app.keys.subjectOf(presented.Subject)
	presented.Subject = ""
	out := &session.Session{
		ID: id, Created: t.ConsumedAt, Seen: t.ConsumedAt, Expires: t.ConsumedAt.Add(lifetime),
		Subject: subject, CrossDevice: t.CrossDevice,
	}
	if before != nil && before.Subject == subject {
		for _, p := range before.Presentations {
			if p.Credential != presented.Credential {
				out.Presentations = append(out.Presentations, p)
				out.Expires = earlier(out.Expires, before.Expires)
			}
		}
	}
	out.Presentations = append(out.Presentations, presented)
	return out
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
