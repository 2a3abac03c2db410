// SPDX-License-Identifier: Apache-2.0

package faultproxy

import (
	"math/rand/v2"
	"time"
)

// Delays are those of the first n chunks that meet a lossy, shaky network.
func Delays(seed uint64, n int) []time.Duration {
	p := &Proxy{
		random: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // G404: faults, not secrets
		fault:  Fault{Jitter: time.Second, Loss: 0.5, Hole: 0.1},
	}
	delays := make([]time.Duration, n)
	for i := range delays {
		delays[i], _ = p.decide()
	}
	return delays
}
