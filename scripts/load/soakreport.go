// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// judgedFrom is how long a soak must be for its memory to be judged: before, what grows is what has not been filled yet.
const judgedFrom = 45 * time.Minute

// warmUp is the time whose samples do not count.
func (s *soak) warmUp() time.Duration { return min(s.length/3, time.Hour) }

func (s *soak) reportTo(ctx context.Context, out *result, rate float64, goroutines, descriptors int) {
	var held tally
	for i := range s.parts {
		held.merge(&s.parts[i])
	}
	wrong := held.wrong() + held.of(wrongLogout) + s.flows.wrong()
	out.check(fmt.Sprintf("S2: wrong decisions in %s (%.0f requests a second with a session, %d visits a second, %s streams)", s.length, rate, soakFlows, thousands(soakStreams)), "0", thousands(wrong), wrong == 0, &held)
	out.check("S2: requests with a session that failed", "0 unexplained", thousands(held.unexplained()), held.unexplained() == 0, nil)
	refused := 0
	for _, outcome := range []string{"request: 502", "request: 503", "request: 504", "request: 500"} {
		refused += s.flows.of(outcome + refusedByService)
	}
	failed := int(s.w.service.failed.Load())
	out.check("S2: visits, each of which ends in a state that has a name", "0 unexplained", fmt.Sprintf("%s; the service failed %s times, %s visitors were told so", thousands(s.flows.unexplained()), thousands(failed), thousands(refused)),
		s.flows.unexplained() == 0 && refused <= failed, &s.flows)
	out.check("S2: pages that wait for a code to be scanned", "0 unexplained", thousands(s.streams.unexplained()), s.streams.unexplained() == 0, &s.streams)
	out.tell("disturbances", fmt.Sprintf("%d reloads (slowest %s), %d key rotations, %d store restarts", s.reloads.Load(), short(time.Duration(s.slowestReload.Load())), s.rotations.Load(), s.restarts.Load()), nil)
	s.reportMemory(out)
	s.reportRest(ctx, out, goroutines, descriptors)

	second, last := &s.parts[1], &s.parts[len(s.parts)-1]
	change := float64(last.quantile(.5))/float64(max(second.quantile(.5), 1)) - 1
	out.check("S4: latency in the last sixth against the second", "p50 within 10 %", fmt.Sprintf("%+.0f %% (p50 %s against %s; p99 %s against %s)", 100*change, short(last.quantile(.5)), short(second.quantile(.5)), short(last.quantile(.99)), short(second.quantile(.99))),
		change <= .1 && second.of(good) > 0 && last.of(good) > 0, last)
}

// reportMemory judges the slope of resident memory after the warm-up.
func (s *soak) reportMemory(out *result) {
	var settled []sample
	var highest int64
	for _, one := range s.samples {
		highest = max(highest, one.rss)
		if one.at >= s.warmUp() {
			settled = append(settled, one)
		}
	}
	perHour, bound := slope(settled, func(one sample) float64 { return float64(one.rss) / (1 << 20) })
	what := fmt.Sprintf("S3: slope of resident memory after %s, by %d samples", s.warmUp().Round(time.Second), len(settled))
	measured := fmt.Sprintf("%+.1f ± %.1f MiB an hour; at most %s", perHour, bound, mebibytes(highest))
	if s.length < judgedFrom {
		out.tell(what, measured+fmt.Sprintf(" (not judged below %s)", judgedFrom), nil)
		return
	}
	// Missed is what is above the target beyond the doubt.
	out.check(what, "≤ 1 MiB an hour", measured, perHour-bound <= 1, nil)
}

// reportRest lets everybody go, and compares what is left with what was there before.
func (s *soak) reportRest(ctx context.Context, out *result, goroutines, descriptors int) {
	var g, d int
	for range 60 {
		pause(ctx, time.Second)
		if g, d = s.w.gate.goroutines(ctx), s.w.gate.descriptors(); g <= goroutines+5 && d <= descriptors+5 {
			break
		}
	}
	out.check("S3: goroutines a minute after the last visitor", "as before ± 5", fmt.Sprintf("%d, %d before", g, goroutines), g <= goroutines+5, nil)
	out.check("S3: descriptors a minute after the last visitor", "as before ± 5", fmt.Sprintf("%d, %d before", d, descriptors), d <= descriptors+5, nil)
	if s.redis == nil {
		return
	}
	most := 0
	for _, one := range s.samples {
		most = max(most, one.keys)
	}
	// A visit is kept for its code's ten minutes, and some more; what makes it single-use a while longer.
	bound := 4 * (soakStreams + int(soakFlows*min(s.length, time.Hour).Seconds()))
	out.check("S3: keys in the store, at most", "bounded by visits of the last hour", fmt.Sprintf("%s at most, %s now", thousands(most), thousands(s.redis.keys(ctx))), most <= bound, nil)
}
