// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// streamsFor is how many streams fit into the descriptors that a process may have.
func (r *run) streamsFor(out *result) int {
	const others = 1000
	n := crowdSize
	if r.files > 0 && int(r.files) < n+others {
		n = max(int(r.files)-others, 100)
		out.note("only %s streams: a process may have %d descriptors (ulimit -n)", thousands(n), r.files)
	}
	return n
}

// L5: status streams, as pages with a code hold them open.
func measureStreams(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L5"})
	if err != nil {
		return err
	}
	defer w.close()
	n := r.streamsFor(out)
	c, err := w.gather(ctx, n)
	if err != nil {
		return err
	}
	before, _ := w.gate.rss()
	goroutines := w.gate.goroutines(ctx)

	began := time.Now()
	opened := c.open(ctx)
	defer func() { c.close() }()
	took := time.Since(began)
	out.check(fmt.Sprintf("%s streams over TLS opened", thousands(n)), "all", fmt.Sprintf("%s in %s", thousands(opened.of(good)), short(took)), opened.bad() == 0, opened)

	pause(ctx, r.long(45*time.Second))
	silent, open := c.silent()
	quiet := max(silent, c.gaps.quantile(1))
	rss, peak := w.gate.rss()
	out.check("resident memory with all of them open", "≤ 1 GiB", fmt.Sprintf("%s (peak %s; %s before; %.0f KiB for each)", mebibytes(rss), mebibytes(peak), mebibytes(before), float64(rss-before)/1024/float64(n)),
		peak <= 1<<30, nil)
	out.check("longest silence of a stream", "≤ 20 s", short(quiet), quiet <= 20*time.Second && open == n, &c.gaps)
	out.tell("descriptors and goroutines of the gate", fmt.Sprintf("%s and %s", thousands(w.gate.descriptors()), thousands(w.gate.goroutines(ctx))), nil)

	reload, err := w.gate.reload(ctx, w.caddyfile)
	if err != nil {
		return err
	}
	ending, ended := c.awaitEnd(ctx, 10*time.Second)
	out.check("reload with all of them open", "≤ 1 s", fmt.Sprintf("%s; the last stream ended %s later", short(reload), short(ending)), ended && reload <= time.Second, nil)
	pause(ctx, 4*time.Second)
	after := w.gate.goroutines(ctx)
	out.check("goroutines 5 s after the reload", "as before ± 50", fmt.Sprintf("%d, %d before the streams", after, goroutines), after <= goroutines+50, nil)
	began = time.Now()
	again := c.open(ctx)
	out.check("streams that came back to the new config", "all", fmt.Sprintf("%s in %s", thousands(again.of(good)), short(time.Since(began))), again.bad() == 0, again)

	stopped := w.gate.stop()
	out.check("stop (SIGTERM, endless grace period) with all of them open", "≤ 10 s", short(stopped), stopped <= 10*time.Second, nil)
	out.note("Streams are HTTP/1.1 over TLS 1.3, a connection each.")
	if w.gate.crashes() > 0 {
		return fmt.Errorf("the gate's log tells of a crash")
	}
	return nil
}
