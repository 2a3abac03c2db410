// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// L10: how much later than without the gate a server answers after its start.
func measureStart(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L10", plain: true})
	if err != nil {
		return err
	}
	defer w.close()
	w.gate.stop()
	bareAddress := fmt.Sprintf("127.0.0.1:%d", freePort())
	_, port := splitPort(bareAddress)
	bare := fmt.Sprintf("{\n\t%s\n}\n\nhttp://localhost:%s {\n\treverse_proxy %s\n}\n", globalOptions, port, w.appAddress)
	down := strings.NewReplacer(w.emulator.PublicURL(), fmt.Sprintf("http://localhost:%d", freePort()),
		w.emulator.TokenURL(), fmt.Sprintf("https://localhost:%d", freePort())).Replace(w.caddyfile)
	down = r.withoutStore(down)

	var withGate, without, alone tally
	var diffs, diffsAlone []time.Duration
	for range r.many(9) {
		plain, err := firstAnswer(ctx, r.binary, filepath.Join(w.home, "bare"), bare, bareAddress, w.host)
		if err != nil {
			return err
		}
		gated, err := firstAnswer(ctx, r.binary, w.home, w.caddyfile, w.address, w.host)
		if err != nil {
			return err
		}
		lonely, err := firstAnswer(ctx, r.binary, w.home, down, w.address, w.host)
		if err != nil {
			return err
		}
		without.add(good, plain)
		withGate.add(good, gated)
		alone.add(good, lonely)
		diffs, diffsAlone = append(diffs, gated-plain), append(diffsAlone, lonely-plain)
	}
	const target = 150 * time.Millisecond
	out.check("start-up to the first answer, over bare Caddy", "≤ 150 ms", short(middle(diffs)), middle(diffs) <= target, &withGate)
	what := "the same with the service down"
	if r.redis != nil {
		what = "the same with service and store down"
	}
	out.check(what, "≤ 150 ms", short(middle(diffsAlone)), middle(diffsAlone) <= target, &alone)
	out.tell("bare Caddy", short(without.quantile(.5)), &without)
	fresh, err := firstAnswer(ctx, r.binary, filepath.Join(w.home, "fresh"), w.caddyfile, w.address, w.host)
	if err != nil {
		return err
	}
	out.tell("the very first start, which makes the keys", short(fresh), nil)
	return nil
}

// firstAnswer starts a server, waits for its first answer to a request, stops it, and says how long the first took.
func firstAnswer(ctx context.Context, binary, home, caddyfile, address, host string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	began := time.Now()
	c, err := launchCaddy(binary, home, caddyfile)
	if err != nil {
		return 0, err
	}
	defer c.stop()
	w := &wire{address: address}
	defer w.close()
	asked := request(http.MethodGet, host, "/payroll", "", "Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document")
	for {
		if _, err := w.do(ctx, asked); err == nil {
			return time.Since(began), nil
		}
		select {
		case <-c.ended:
			return 0, fmt.Errorf("the server ended at once: %s", c.lastWords())
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}
