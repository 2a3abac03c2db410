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
	if most.of(good) == 0 {
		return fmt.Errorf("no visit succeeds: %s", most.counts())
	}
	bears := float64(most.of(good)) / lasted.Seconds()
	rate := float64(flowRate)
	if rate > .75*bears {
		rate = max(.75*bears, .5)
		out.note("%d visits a second are too many for this machine, which plays %.0f, wallets and service included; measured with three quarters of that.", flowRate, bears)
	}
	length, first := r.long(40*time.Second), most.total()
	cpu, others := w.gate.cpu(), ownCPU()
	began := time.Now()
	flows := openLoop(ctx, rate, length, func(ctx context.Context, i int) string { return visit(ctx, first+i) })
	used, played, took := w.gate.cpu()-cpu, ownCPU()-others, time.Since(began)
	lost, crossed := flows.bad(), flows.wrong()
	out.check(fmt.Sprintf("whole visits, %.3g begun a second against a service that takes 200 ms", rate), "0 lost", fmt.Sprintf("%s of %s lost", thousands(lost), thousands(flows.total())), lost == 0, flows)
	out.check("visits that ended as somebody else, or as nobody", "0", thousands(crossed), crossed == 0, nil)
	each := func(all time.Duration) string { return short(all / time.Duration(max(flows.total(), 1))) }
	out.tell("CPU for a whole visit", fmt.Sprintf("%s in the gate, %s in wallet, service, app and browser; together %.2f cores", each(used), each(played), (used+played).Seconds()/took.Seconds()), nil)
	out.note("A visit is seven requests on two TLS connections of its own, a status stream, and a wallet that opens and shares; every visitor has a card of their own, and the app must have been told that person's claims. Its latency is from the first request to the app's answer, the service's 200 ms included.")
	return w.crashes()
}
