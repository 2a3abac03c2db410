// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// good is the outcome of a step that went as it should. Every other outcome is counted by its own words.
const good = "ok"

// tally collects what steps came to: a count for each outcome, and the latency of the good ones.
type tally struct {
	mu       sync.Mutex
	outcomes map[string]int
	latency  histogram
}

func (t *tally) add(outcome string, latency time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outcomes == nil {
		t.outcomes = map[string]int{}
	}
	t.outcomes[outcome]++
	if outcome == good {
		t.latency.add(latency)
	}
}

// merge adds what another tally counted.
func (t *tally) merge(other *tally) {
	other.mu.Lock()
	defer other.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.outcomes == nil {
		t.outcomes = map[string]int{}
	}
	for outcome, n := range other.outcomes {
		t.outcomes[outcome] += n
	}
	t.latency.merge(&other.latency)
}

func (t *tally) of(outcome string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.outcomes[outcome]
}

func (t *tally) total() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, count := range t.outcomes {
		n += count
	}
	return n
}

// bad counts the steps that did not go well.
func (t *tally) bad() int { return t.total() - t.of(good) }

func (t *tally) quantile(q float64) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.latency.quantile(q)
}

// counts are the outcomes, the most frequent first.
func (t *tally) counts() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := slices.SortedFunc(maps.Keys(t.outcomes), func(a, b string) int {
		if n := t.outcomes[b] - t.outcomes[a]; n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, 0, len(names))
	for _, name := range names[:min(len(names), 8)] {
		parts = append(parts, fmt.Sprintf("%s %s", thousands(t.outcomes[name]), name))
	}
	if len(names) > 8 {
		parts = append(parts, fmt.Sprintf("%d more kinds", len(names)-8))
	}
	return strings.Join(parts, ", ")
}

// percentiles are p50, p90, p99 and the maximum of the good ones.
func (t *tally) percentiles() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.latency.count == 0 {
		return "–"
	}
	return fmt.Sprintf("%s / %s / %s / %s", short(t.latency.quantile(.5)), short(t.latency.quantile(.9)),
		short(t.latency.quantile(.99)), short(t.latency.max))
}

// short writes a duration with three digits.
func short(d time.Duration) string {
	switch sign := max(d, -d); {
	case sign < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case sign < time.Second:
		return fmt.Sprintf("%.3g ms", float64(d)/float64(time.Millisecond))
	default:
		return fmt.Sprintf("%.3g s", d.Seconds())
	}
}

// thousands writes a number with commas.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// mebibytes writes a number of bytes.
func mebibytes(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
