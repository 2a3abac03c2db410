// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// L3: people without a session are sent to the start page, against the same server answering by `respond`.
func measureChallenge(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L3", plain: true})
	if err != nil {
		return err
	}
	defer w.close()
	server, address, err := w.bare(ctx, "header Location /elsewhere\n\trespond 303")
	if err != nil {
		return err
	}
	defer server.stop()
	asked := w.newVisitor(1).bytes(http.MethodGet, "/payroll?year=2026", "", "text/html")
	challenge := func(c *wire) func(context.Context, int) string {
		return func(ctx context.Context, _ int) string {
			answer, err := c.do(ctx, asked)
			switch {
			case err != nil:
				return "challenge: " + failure(err)
			case answer.status != http.StatusSeeOther:
				return fmt.Sprintf("challenge: %d", answer.status)
			}
			return good
		}
	}
	gateWire, bareWire := w.wire(), &wire{address: address}
	defer gateWire.close()
	defer bareWire.close()
	gate := &side{server: w.gate, wire: gateWire, step: challenge(gateWire)}
	bare := &side{server: server, wire: bareWire, step: challenge(bareWire)}
	saturate(ctx, gate, bare, keepAlive, 4, r.long(2*time.Second))

	pairs := ratios(gate, bare)
	out.check("challenges a second, saturated", "≥ 50 % of paired `respond`", fmt.Sprintf("%s; %.0f against %.0f a second", percent(pairs), middle(gate.rates), middle(bare.rates)),
		middle(pairs) >= .5, &gate.total)
	out.tell("paired `respond`", fmt.Sprintf("%.0f a second; CPU of the server %d µs against %d µs", middle(bare.rates), middle(bare.perStep).Microseconds(), middle(gate.perStep).Microseconds()), &bare.total)
	calls := w.service.calls.Load()
	out.check("calls to the Request Service", "0", thousands(int(calls)), calls == 0, nil)
	out.check("requests that reached the app", "0", thousands(int(w.app.served.Load())), w.app.served.Load() == 0, nil)
	return w.crashes()
}
