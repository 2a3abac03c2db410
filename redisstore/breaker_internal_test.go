// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"testing"
	"time"
)

func TestBreaker(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b := breaker{now: func() time.Time { return now }}
	enter := func(wantTrial, want bool) {
		t.Helper()
		if trial, ok := b.enter(); trial != wantTrial || ok != want {
			t.Fatalf("enter() = %v, %v, want %v, %v", trial, ok, wantTrial, want)
		}
	}
	for range trips - 1 {
		enter(false, true)
		b.report(false, unanswered)
	}
	enter(false, true)
	if !b.report(false, answered) {
		t.Error("an answer after failures is not reported as the first")
	}
	for range trips {
		enter(false, true)
		b.report(false, unanswered)
	}
	enter(false, false)
	if !b.resting() || !b.failing() {
		t.Error("the breaker does not say that it rests")
	}
	b.report(false, unanswered) // one that was under way

	now = now.Add(rest * 6 / 5)
	enter(true, true) // one tries
	enter(false, false)
	b.report(true, abandoned) // and its visitor left
	enter(true, true)
	enter(false, false)
	b.report(true, unanswered)
	enter(false, false)

	now = now.Add(rest * 6 / 5)
	enter(true, true)
	if !b.report(true, answered) {
		t.Error("the end of an outage is not reported")
	}
	enter(false, true)
	if b.resting() || b.failing() || b.report(false, answered) {
		t.Error("the outage has no end")
	}
}

func TestEvictionPolicy(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]bool{
		"# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n":     false,
		"# Memory\r\nmaxmemory:1000\r\nmaxmemory_policy:noeviction\r\n":   false,
		"# Memory\r\nmaxmemory:1000\r\nmaxmemory_policy:volatile-ttl\r\n": true,
		"# Memory\r\nmaxmemory_policy:allkeys-lfu\r\n":                    true,
		"":                                 false,
		"# Memory\r\nused_memory:1000\r\n": false,
	} {
		if _, evicts := evictionPolicy(info); evicts != want {
			t.Errorf("%q evicts: %v, want %v", info, evicts, want)
		}
	}
}
