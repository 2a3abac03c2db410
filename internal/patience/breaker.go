// SPDX-License-Identifier: Apache-2.0

package patience

import (
	"sync"
	"time"
)

// Breaker keeps all callers away from a service while it is down or wants to be left alone. When the pause is over, one caller
// goes first; the others follow once that call has come through. It is safe for concurrent use. The zero value opens with the
// first failure and makes no pause; set the fields before its first use.
//
// A probe needs no end: if its caller leaves, the next one may try after another Pause.
type Breaker struct {
	// Failures in a row open it, for Pause.
	Failures int
	Pause    time.Duration

	mu       sync.Mutex
	failures int
	open     bool
	until    time.Time     // nobody calls before, while it is open
	probe    chan struct{} // closed when the call under way has ended, nil if there is none
}

// Enter asks whether a call may be made. 0: yes, and the caller says how it went by [Breaker.Succeeded], [Breaker.Failed] or
// [Breaker.Ask]. Otherwise it may be made after the pause; if somebody is trying already, probing is closed when it is known how
// that went, and otherwise nil.
func (b *Breaker) Enter(now time.Time) (pause time.Duration, probing <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return 0, nil
	}
	if pause = b.pause(now); pause > 0 {
		return pause, b.probe
	}
	b.endProbe()
	b.until, b.probe = now.Add(b.Pause), make(chan struct{})
	return 0, nil
}

// Ask notes that the service has asked to be left alone for a while, [LongestPause] at most.
func (b *Breaker) Ask(now time.Time, pause time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	until := now.Add(min(pause, LongestPause))
	if !b.open || b.probe != nil || until.After(b.until) {
		b.until = until
	}
	b.open = true
	b.endProbe()
}

// Failed notes a failure that is the service's.
func (b *Breaker) Failed(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	probed := b.probe != nil
	b.endProbe()
	switch {
	case b.failures < b.Failures:
		if probed { // of a service that had only asked for a pause
			b.until = now
		}
	case !b.open:
		b.open, b.until = true, now.Add(b.Pause)
	}
}

// Succeeded notes that a call has come through. A pause that the service has asked for meanwhile goes on. It returns whether the
// service was failing before.
func (b *Breaker) Succeeded(now time.Time) (back bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	back = b.failures > 0 || b.open
	b.failures = 0
	if b.probe != nil || !now.Before(b.until) {
		b.open = false
	}
	b.endProbe()
	return back
}

// Left notes that whoever called has gone before it was known how the call went. The next one may try at once.
func (b *Breaker) Left(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.probe != nil {
		b.until = now
		b.endProbe()
	}
}

// Failing says that the last call has failed, or that nobody may call for now: it is no time to queue for a call.
func (b *Breaker) Failing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0 || b.open
}

// Resting says that nobody may call for now. Unlike [Breaker.Enter] it is not asked by somebody who would.
func (b *Breaker) Resting(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open && b.pause(now) > 0
}

// pause is what is left of it. A clock that is set back does not make it longer than it can be. The caller holds the lock.
func (b *Breaker) pause(now time.Time) time.Duration {
	if left := b.until.Sub(now); left <= LongestPause {
		return max(left, 0)
	}
	return 0
}

func (b *Breaker) endProbe() {
	if b.probe != nil {
		close(b.probe)
		b.probe = nil
	}
}
