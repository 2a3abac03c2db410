// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

const (
	bigCallback  = 10 << 20 // the largest that is read
	bigAtOnce    = 64
	smallAtATime = 20 // a second
)

// L9: callbacks of the largest size, and how long the usual ones wait meanwhile.
func measureBigCallbacks(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L9", remember: true})
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
	big, small := r.many(250), r.many(1200)
	c, err := w.gather(ctx, big+small)
	if err != nil {
		return err
	}
	send := func(ctx context.Context, i int, filling []byte) string {
		t, ok := w.service.target(c.transactions[i])
		if !ok {
			return "the service never heard of it"
		}
		body, err := l.copyFor(t, i, filling != nil)
		if err != nil {
			return err.Error()
		}
		return w.post(ctx, c.v.wire, t, body, filling)
	}
	filling := bytes.Repeat([]byte("photo/"), (bigCallback-(64<<10))/6)
	w.gate.forgetPeak()
	meanwhile, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan *tally)
	go func() {
		done <- openLoop(meanwhile, smallAtATime, time.Duration(small/smallAtATime)*time.Second, func(_ context.Context, i int) string {
			return send(ctx, big+i, nil)
		})
	}()
	began := time.Now()
	bigs := each(ctx, big, bigAtOnce, func(ctx context.Context, i int) string { return send(ctx, i, filling) })
	took := time.Since(began)
	stop()
	smalls := <-done
	_, peak := w.gate.rss()
	out.check(fmt.Sprintf("%s callbacks of 10 MiB, %d at once", thousands(big), bigAtOnce), "all accepted", fmt.Sprintf("%s in %s", thousands(bigs.of(good)), short(took)), bigs.bad() == 0, bigs)
	out.check("resident memory meanwhile", "≤ 768 MiB", "peak "+mebibytes(peak), peak <= 768<<20, nil)
	p99 := smalls.quantile(.99)
	out.check(fmt.Sprintf("usual callbacks meanwhile, %d a second", smallAtATime), "p99 ≤ 1 s", "p99 "+short(p99), p99 <= time.Second && smalls.bad() == 0, smalls)
	return w.crashes()
}
