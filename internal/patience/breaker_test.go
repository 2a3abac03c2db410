// SPDX-License-Identifier: Apache-2.0

package patience_test

import (
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// start is when everything in these tests begins.
var start = time.Unix(1768471200, 0)

func newBreaker() *patience.Breaker { return &patience.Breaker{Failures: 3, Pause: 5 * time.Second} }

func wantPause(t *testing.T, b *patience.Breaker, at, want time.Duration) (probing <-chan struct{}) {
	t.Helper()
	pause, probing := b.Enter(start.Add(at))
	if pause != want {
		t.Errorf("at %v the pause is %v, want %v", at, pause, want)
	}
	return probing
}

func TestBreakerOpensAfterFailuresInARow(t *testing.T) {
	t.Parallel()
	b := newBreaker()
	for range 2 {
		b.Failed(start)
	}
	b.Succeeded(start)
	for range 2 {
		b.Failed(start)
	}
	wantPause(t, b, 0, 0)
	b.Failed(start)
	if wantPause(t, b, time.Second, 4*time.Second) != nil {
		t.Error("somebody is trying in the pause")
	}
	b.Failed(start.Add(4 * time.Second)) // one that was under way; it prolongs nothing
	wantPause(t, b, 5*time.Second, 0)
}

// One goes first. The others are told how long at most, and when it is over.
func TestBreakerLetsOneTry(t *testing.T) {
	t.Parallel()
	b := newBreaker()
	for range 3 {
		b.Failed(start)
	}
	wantPause(t, b, 5*time.Second, 0)
	probing := wantPause(t, b, 6*time.Second, 4*time.Second)
	select {
	case <-probing:
		t.Fatal("the probe is over before it has ended")
	default:
	}
	b.Failed(start.Add(6 * time.Second))
	<-probing
	if wantPause(t, b, 6*time.Second, 4*time.Second) != nil {
		t.Error("the probe goes on after it has failed")
	}
	wantPause(t, b, 10*time.Second, 0) // and is never heard of again
	probing = wantPause(t, b, 11*time.Second, 4*time.Second)
	wantPause(t, b, 15*time.Second, 0) // so another tries
	<-probing
	b.Succeeded(start.Add(15 * time.Second))
	for range 10 {
		wantPause(t, b, 15*time.Second, 0)
	}
}

// The service asks for a pause. A success that was under way does not end it; a probe after it that fails for another reason is
// no reason for a long one.
func TestBreakerKeepsThePauseThatWasAskedFor(t *testing.T) {
	t.Parallel()
	b := newBreaker()
	b.Ask(start, 30*time.Second)
	b.Ask(start, 10*time.Second)
	b.Succeeded(start.Add(time.Second))
	wantPause(t, b, 29*time.Second, time.Second)
	wantPause(t, b, 30*time.Second, 0)
	b.Failed(start.Add(31 * time.Second))
	wantPause(t, b, 31*time.Second, 0)
	b.Ask(start.Add(31*time.Second), time.Hour)
	wantPause(t, b, 31*time.Second, time.Minute)
}

// The clock is set back by an hour: that is no pause of an hour. TM-136.
func TestBreakerAndAClockSetBack(t *testing.T) {
	t.Parallel()
	b := newBreaker()
	b.Ask(start, 30*time.Second)
	wantPause(t, b, -time.Hour, 0)
	wantPause(t, b, -time.Hour, 5*time.Second)
}

// Who waits for their turn to call, and who tells of a recovery, ask the breaker how the service is. TM-129.
func TestBreakerSaysHowTheServiceIs(t *testing.T) {
	t.Parallel()
	b := newBreaker()
	want := func(at time.Duration, failing, resting bool) {
		t.Helper()
		if f, r := b.Failing(), b.Resting(start.Add(at)); f != failing || r != resting {
			t.Errorf("at %v it is failing: %v, resting: %v, want %v, %v", at, f, r, failing, resting)
		}
	}
	if b.Succeeded(start) {
		t.Error("the first success is called a return")
	}
	want(0, false, false)
	b.Failed(start)
	want(0, true, false)
	if !b.Succeeded(start) || b.Succeeded(start) {
		t.Error("a success after a failure is called a return never, or twice")
	}
	for range 3 {
		b.Failed(start)
	}
	want(0, true, true)
	want(-time.Hour, true, false) // the clock was set back
	want(5*time.Second, true, false)
	wantPause(t, b, 5*time.Second, 0)
	want(6*time.Second, true, true) // one tries
	b.Left(start.Add(6 * time.Second))
	want(6*time.Second, true, false)
	wantPause(t, b, 6*time.Second, 0)
	if !b.Succeeded(start.Add(7 * time.Second)) {
		t.Error("the end of an outage is not called a return")
	}
	want(7*time.Second, false, false)
}
