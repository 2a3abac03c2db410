// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"
)

// flowRate is how many people are to begin a visit in a second.
const flowRate = 50

// L7: whole visits against a service that takes 200 ms.
func measureFlows(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L7", delay: 200 * time.Millisecond})
	if err != nil {
		return err
	}
	defer w.close()
	visit := func(ctx context.Context, i int) string {
		who, err := w.persons.get(i)
		if err != nil {
			return failure(err)
		}
		return w.newVisitor(i).flow(ctx, who)
	}
	// Who begins more visits than the machine can play loses them in its own wallets.
	most, lasted := closedLoop(ctx, 32, 5*time.Second, visit)
	bears := float64(most.of(good)) / lasted.Seconds()
	rate := float64(flowRate)
	if rate > .75*bears {
		rate = max(.75*bears, .5)
		out.note("%d visits a second are too many for this machine, which plays %.0f, wallets and service included; measured with three quarters of that.", flowRate, bears)
	}
	length, first := r.long(40*time.Second), most.total()
	cpu := w.gate.cpu()
	began := time.Now()
	flows := openLoop(ctx, rate, length, func(ctx context.Context, i int) string { return visit(ctx, first+i) })
	used, took := w.gate.cpu()-cpu, time.Since(began)
	lost, crossed := flows.bad(), flows.wrong()
	out.check(fmt.Sprintf("whole visits, %.3g begun a second against a service that takes 200 ms", rate), "0 lost", fmt.Sprintf("%s of %s lost", thousands(lost), thousands(flows.total())), lost == 0, flows)
	out.check("visits that ended as somebody else, or as nobody", "0", thousands(crossed), crossed == 0, nil)
	out.tell("CPU of the gate for a whole visit", fmt.Sprintf("%.1f ms; %.0f %% of one core", float64(used.Microseconds())/1000/float64(max(flows.total(), 1)), 100*used.Seconds()/took.Seconds()), nil)
	out.note("A visit is seven requests on two TLS connections of its own, a status stream, and a wallet that opens and shares; every visitor has a card of their own, and the app must have been told that person's claims. Its latency is from the first request to the app's answer, the service's 200 ms included.")
	return w.crashes()
}
