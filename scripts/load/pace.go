// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// maxInFlight bounds the steps that wait for an answer at one time. One more is not begun and counts as "not begun":
// a server so far behind fails the step either way.
const maxInFlight = 20_000

// openLoop begins rate steps a second by the clock, whether or not the earlier ones are done, and returns when all are. The
// latency of a step counts from when it should have begun, so a server that stalls is charged for everybody who
// would have come meanwhile (no coordinated omission).
func openLoop(ctx context.Context, rate float64, length time.Duration, step func(ctx context.Context, i int) (outcome string)) *tally {
	result := new(tally)
	var running sync.WaitGroup
	var inFlight atomic.Int64
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := 0; ; i++ {
		at := time.Duration(float64(i) / rate * float64(time.Second))
		if at >= length || !sleepUntil(ctx, timer, began.Add(at)) {
			break
		}
		due := began.Add(at)
		if inFlight.Load() >= maxInFlight {
			result.add("not begun", 0)
			continue
		}
		inFlight.Add(1)
		running.Go(func() {
			defer inFlight.Add(-1)
			outcome := step(ctx, i)
			result.add(outcome, time.Since(due))
		})
	}
	running.Wait()
	return result
}

// closedLoop lets workers do one step after the other. It measures what the server can do at most; its latencies are not
// those of visitors, who do not wait for one another.
func closedLoop(ctx context.Context, workers int, length time.Duration, step func(ctx context.Context, i int) (outcome string)) (*tally, time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	result := new(tally)
	var running sync.WaitGroup
	var next atomic.Int64
	began := time.Now()
	for range workers {
		running.Go(func() {
			for ctx.Err() == nil {
				start := time.Now()
				// A step is finished, not broken off, when the time is over.
				result.add(step(context.WithoutCancel(ctx), int(next.Add(1)-1)), time.Since(start))
			}
		})
	}
	running.Wait()
	return result, time.Since(began)
}

// each does n steps, at most workers at one time.
func each(ctx context.Context, n, workers int, step func(ctx context.Context, i int) (outcome string)) *tally {
	result := new(tally)
	var running sync.WaitGroup
	var next atomic.Int64
	for range workers {
		running.Go(func() {
			for i := int(next.Add(1) - 1); i < n && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				start := time.Now()
				result.add(step(ctx, i), time.Since(start))
			}
		})
	}
	running.Wait()
	return result
}

// pause waits, and returns false if the context ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	return waitFor(ctx, timer.C)
}

func sleepUntil(ctx context.Context, timer *time.Timer, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer.Reset(wait)
	return waitFor(ctx, timer.C)
}

func waitFor(ctx context.Context, fired <-chan time.Time) bool {
	select {
	case <-fired:
		return true
	case <-ctx.Done():
		return false
	}
}
