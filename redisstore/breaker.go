// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// trips is after how many failures in a row the server is left alone.
	trips = 3

	// rest is for how long. With one call that tries it, the server is heard again within a second of its return.
	rest = 500 * time.Millisecond
)

// breaker answers for a server that does not: after some failures in a row calls fail at once, and one call at a time finds out
// whether the server is back. So an outage takes no visitor's time, and its end brings no crowd.
type breaker struct {
	now func() time.Time

	mu       sync.Mutex
	failures int
	until    time.Time
	trying   bool
}

// outcome is what a command says about the server.
type outcome int

const (
	answered   outcome = iota // be it an error
	unanswered                // no connection, or nothing in time
	abandoned                 // the caller left: nothing is known
)

// enter says whether a command may be sent. After true, the outcome must be reported with the same trial.
func (b *breaker) enter() (trial, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < trips {
		return false, true
	}
	if b.trying || b.now().Before(b.until) {
		return false, false
	}
	b.trying = true
	return true, true
}

// report says how a command went. It returns whether that was the first answer after a failure.
func (b *breaker) report(trial bool, result outcome) (back bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if trial {
		b.trying = false
	}
	switch result {
	case answered:
		back = b.failures > 0
		b.failures = 0
	case unanswered:
		b.failures++
		if trial || b.failures == trips { // those that were under way when it tripped do not prolong it
			b.until = b.now().Add(rest*4/5 + rand.N(rest*2/5)) //nolint:gosec // spreads the nodes, hides nothing
		}
	case abandoned:
	}
	return back
}

// failing says that the last command was not answered: who waits for his turn need not.
func (b *breaker) failing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures > 0
}

// resting says that calls fail at once.
func (b *breaker) resting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures >= trips && (b.trying || b.now().Before(b.until))
}
