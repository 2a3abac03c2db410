// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// callbackRate is how many people show their card in a second.
const callbackRate = 100

// L6: from the callback to the browser, with many streams open.
func measureTold(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L6", remember: true})
	if err != nil {
		return err
	}
	defer w.close()
	if _, err := w.letIn(ctx, 1); err != nil {
		return err
	}
	l, err := w.letterOf()
	if err != nil {
		return err
	}
	n := r.streamsFor(out)
	c, err := w.gather(ctx, n)
	if err != nil {
		return err
	}
	opened := c.open(ctx)
	defer c.close()
	if opened.bad() > 0 {
		return fmt.Errorf("opening %d streams: %s", n, opened.counts())
	}
	sender := w.wire()
	defer sender.close()
	length := min(r.long(20*time.Second), time.Duration(n/callbackRate)*time.Second)
	told := openLoop(ctx, callbackRate, length, func(ctx context.Context, i int) string {
		t, ok := w.service.target(c.transactions[i])
		if !ok {
			return "the service never heard of it"
		}
		body, err := l.copyFor(t, i, false)
		if err != nil {
			return err.Error()
		}
		if outcome := w.post(ctx, sender, t, body, nil); outcome != good {
			return outcome
		}
		return c.streams[i].await(ctx, "verified")
	})
	p50, p99 := told.quantile(.5), told.quantile(.99)
	out.check(fmt.Sprintf("callback due → browser told, %d verified callbacks a second, %s streams open", callbackRate, thousands(n)), "p50 ≤ 50 ms, p99 ≤ 250 ms",
		fmt.Sprintf("p50 %s, p99 %s", short(p50), short(p99)), told.bad() == 0 && p50 <= 50*time.Millisecond && p99 <= 250*time.Millisecond, told)
	out.note("Counted from when the callback was due, so its own way, TLS and the decision are in it.")
	return w.crashes()
}

// await waits until the stream tells the state.
func (s *stream) await(ctx context.Context, wanted string) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case state := <-s.told:
			if state == wanted {
				return good
			}
		case <-s.ended:
			select {
			case state := <-s.told:
				if state == wanted {
					return good
				}
			default:
				return "the stream ended"
			}
		case <-ctx.Done():
			return "not told in time"
		}
	}
}
