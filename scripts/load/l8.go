// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	floodAddresses = 5000
	floodStarts    = 2 // starts_per_second
	holderRate     = 200
)

// L8: a flood of starts and challenges from many addresses, while people with a session work.
func measureFlood(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L8", plain: true, limits: fmt.Sprintf("starts_per_second %d", floodStarts)})
	if err != nil {
		return err
	}
	defer w.close()
	holder, err := w.letIn(ctx, 1)
	if err != nil {
		return err
	}
	attacker := w.newVisitor(0)
	if outcome := attacker.begin(ctx); outcome != good {
		return fmt.Errorf("beginning a visit: %s", outcome)
	}
	form := url.Values{"token": {attacker.token}, "credential": {"employee"}}.Encode()
	people := w.wire()
	defer people.close()
	defer attacker.wire.close()
	challenge := func(ctx context.Context, i int) string {
		one := &visitor{w: w, address: addressOf(i % floodAddresses)}
		answer, err := attacker.wire.do(ctx, one.bytes(http.MethodGet, "/payroll", "", "text/html"))
		if err != nil {
			return failure(err)
		}
		return fmt.Sprintf("challenges answered %d", answer.status)
	}
	start := func(ctx context.Context, i int) string {
		one := &visitor{w: w, address: addressOf(i % floodAddresses), cookies: attacker.cookies}
		answer, err := attacker.wire.do(ctx, one.bytes(http.MethodPost, "/.verified-id/request", form, "text/html"))
		if err != nil {
			return failure(err)
		}
		return fmt.Sprintf("starts answered %d", answer.status)
	}
	mixed := func(ctx context.Context, i int) string {
		if i%2 == 0 {
			return start(ctx, i/2)
		}
		return challenge(ctx, i/2)
	}
	// Half of what this machine bears of it, on top of the people.
	most, took := closedLoop(ctx, keepAlive, 3*time.Second, mixed)
	rate := float64(most.total()) / took.Seconds() / 2

	length := r.long(12 * time.Second)
	quiet := openLoop(ctx, holderRate, length, holder.step(people))
	w.gate.forgetPeak()
	calls, began := w.service.calls.Load(), time.Now()
	flood := make(chan *tally)
	go func() {
		flood <- openLoop(ctx, rate, length, mixed)
	}()
	during := openLoop(ctx, holderRate, length, holder.step(people))
	flooded := <-flood
	calls = w.service.calls.Load() - calls
	// The bucket may be full at the beginning.
	bucket := floodStarts*time.Since(began).Seconds() + 5*floodStarts + 1
	_, peak := w.gate.rss()
	out.check("calls to the Request Service in the flood", fmt.Sprintf("what %d starts a second allow", floodStarts), fmt.Sprintf("%d of at most %.0f", calls, bucket), float64(calls) <= bucket && calls > 0, nil)
	before, after := quiet.quantile(.99), during.quantile(.99)
	out.check(fmt.Sprintf("p99 of people with a session, %d a second, in the flood", holderRate), "≤ 2 × quiet", fmt.Sprintf("%s against %s", short(after), short(before)),
		after <= 2*before && during.bad() == 0, during)
	out.tell("the same without the flood", fmt.Sprintf("p99 %s", short(before)), quiet)
	out.check("resident memory in the flood", "≤ 1 GiB", "peak "+mebibytes(peak), peak <= 1<<30, nil)
	out.tell(fmt.Sprintf("the flood: %.0f requests a second from %s addresses, half of them starts", rate, thousands(floodAddresses)), "half of what the machine bears", flooded)
	out.note("The target speaks of 45,000 requests a second, which needs more cores than generator and gate have here: the flood is half of what they bear together.")
	if wrong := quiet.wrong() + during.wrong(); wrong > 0 {
		return fmt.Errorf("%d wrong decisions", wrong)
	}
	return w.crashes()
}
