// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"math/rand/v2"
	"time"
)

// Fault is how the network goes wrong. The zero value is a good network.
type Fault struct {
	// Latency is added to every chunk in each direction, Jitter at most so much more, by chance.
	Latency, Jitter time.Duration
	// Loss is the share of chunks, 0 to 1, that are lost and sent again, as TCP does: after 200 ms, then 400 ms, and so on up to
	// 3.2 s. Nothing overtakes a lost chunk.
	Loss float64
	// Hole is the share of chunks, 0 to 1, with which a connection falls silent for good: it stays open, and what is sent on it
	// arrives nowhere, as behind a router that has forgotten it.
	Hole float64
	// Freeze holds every chunk until the fault is gone, as a stopped process does. New connections are accepted, and held too.
	Freeze bool
	// Refuse closes the port: connecting fails at once. Open connections are reset.
	Refuse bool
}

const (
	firstResend = 200 * time.Millisecond
	lastResend  = 3200 * time.Millisecond
)

// delay is how long a chunk is under way, by chance.
func (f Fault) delay(random *rand.Rand) time.Duration {
	late := f.Latency
	if f.Jitter > 0 {
		late += time.Duration(random.Int64N(int64(f.Jitter)))
	}
	for resend := firstResend; resend <= lastResend && random.Float64() < f.Loss; resend *= 2 {
		late += resend
	}
	return late
}
