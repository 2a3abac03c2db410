// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

// side is one of two servers that take turns.
type side struct {
	server *caddy
	wire   *wire
	step   func(ctx context.Context, i int) string

	total   tally // closed loop
	rates   []float64
	perStep []time.Duration // CPU of the server
	paced   tally           // open loop
	p99s    []time.Duration // of each turn
}

// bare starts the server to compare with, whose site consists of the lines, and returns it with its address.
func (w *world) bare(ctx context.Context, lines string) (server *caddy, address string, err error) {
	address = fmt.Sprintf("127.0.0.1:%d", freePort())
	_, port := splitPort(address)
	text := fmt.Sprintf("{\n\t%s\n}\n\nhttp://localhost:%s {\n\t%s\n}\n", globalOptions, port, lines)
	server, err = startCaddy(ctx, w.r.binary, filepath.Join(w.home, "bare"), text, address)
	return server, address, err
}

// saturate lets the two take turns under as much load as they bear: after a warm-up, rounds times a turn for each, the second
// first in every other round.
func saturate(ctx context.Context, gate, bare *side, workers, rounds int, turn time.Duration) {
	for _, s := range []*side{gate, bare} {
		closedLoop(ctx, workers, turn/2, s.step)
	}
	for round := range rounds {
		order := []*side{gate, bare}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			if ctx.Err() != nil {
				return
			}
			before := s.server.cpu()
			t, took := closedLoop(ctx, workers, turn, s.step)
			n := t.of(good)
			s.total.merge(t)
			s.rates = append(s.rates, float64(n)/took.Seconds())
			s.perStep = append(s.perStep, (s.server.cpu()-before)/time.Duration(max(n, 1)))
		}
	}
}

// pace lets the two take turns at the same rate.
func pace(ctx context.Context, gate, bare *side, rate float64, rounds int, turn time.Duration) {
	for round := range rounds {
		order := []*side{gate, bare}
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, s := range order {
			t := openLoop(ctx, rate, turn, s.step)
			s.paced.merge(t)
			s.p99s = append(s.p99s, t.quantile(.99))
		}
	}
}

// ratios are the pairs' ratios of rates, in ascending order.
func ratios(gate, bare *side) []float64 {
	pairs := make([]float64, min(len(gate.rates), len(bare.rates)))
	for i := range pairs {
		pairs[i] = gate.rates[i] / bare.rates[i]
	}
	slices.Sort(pairs)
	return pairs
}

// added are the differences of the turns' p99, in ascending order.
func added(gate, bare *side) []time.Duration {
	pairs := make([]time.Duration, min(len(gate.p99s), len(bare.p99s)))
	for i := range pairs {
		pairs[i] = gate.p99s[i] - bare.p99s[i]
	}
	slices.Sort(pairs)
	return pairs
}

// middle is the median; 0 of nothing.
func middle[T ~int64 | ~float64](values []T) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// percent writes the median ratio and the range of all pairs.
func percent(pairs []float64) string {
	if len(pairs) == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %% (%d pairs, %.0f to %.0f %%)", 100*middle(pairs), len(pairs), 100*pairs[0], 100*pairs[len(pairs)-1])
}
