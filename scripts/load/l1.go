// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// keepAlive is how many connections the paired runs keep busy.
const keepAlive = 64

// sessionHolder is somebody who is in, and the request that shows it.
type sessionHolder struct {
	who   *person
	bytes []byte
	// cookie is the size of the Cookie header's value.
	cookie int
}

// letIn verifies person i and returns their request for the app.
func (w *world) letIn(ctx context.Context, i int) (*sessionHolder, error) {
	who, err := w.persons.get(i)
	if err != nil {
		return nil, err
	}
	v := w.newVisitor(i)
	if outcome := v.flow(ctx, who); outcome != good {
		return nil, fmt.Errorf("verifying a visitor: %s", outcome)
	}
	// What browsers send besides fills the cookies of a usual site up to a kibibyte.
	const usual = 1024
	if n := usual - len(v.cookie()) - len("; theme="); n > 0 {
		v.cookies["theme"] = fmt.Sprintf("%0*d", n, 0)
	}
	return &sessionHolder{who: who, bytes: v.bytes(http.MethodGet, "/payroll?year=2026", "", "text/html"), cookie: len(v.cookie())}, nil
}

// step asks for the app as this person, and compares.
func (h *sessionHolder) step(w *wire) func(context.Context, int) string {
	return func(ctx context.Context, _ int) string {
		answer, err := w.do(ctx, h.bytes)
		if err != nil {
			return "app: " + failure(err)
		}
		return judge(answer, h.who)
	}
}

// L1: people with a session, against the same server without the gate.
func measureSession(ctx context.Context, r *run, out *result) error {
	w, err := r.newWorld(ctx, plan{name: "L1", plain: true})
	if err != nil {
		return err
	}
	defer w.close()
	holder, err := w.letIn(ctx, 1)
	if err != nil {
		return err
	}
	server, address, err := w.bare(ctx, "reverse_proxy "+w.appAddress)
	if err != nil {
		return err
	}
	defer server.stop()
	gateWire, bareWire := w.wire(), &wire{address: address}
	defer gateWire.close()
	defer bareWire.close()
	gate := &side{server: w.gate, wire: gateWire, step: holder.step(gateWire)}
	bare := &side{server: server, wire: bareWire, step: func(ctx context.Context, _ int) string {
		answer, err := bareWire.do(ctx, holder.bytes)
		if err != nil {
			return "app: " + failure(err)
		}
		if _, _, ok := shownTo(answer.body); !ok {
			return fmt.Sprintf("app: %d", answer.status)
		}
		return good
	}}

	saturate(ctx, gate, bare, keepAlive, 6, r.long(2500*time.Millisecond))
	pairs := ratios(gate, bare)
	out.check("requests a second with a session, saturated", "≥ 90 % of paired", fmt.Sprintf("%s; %.0f against %.0f a second", percent(pairs), middle(gate.rates), middle(bare.rates)),
		middle(pairs) >= .9, &gate.total)
	out.tell("the same without the gate", fmt.Sprintf("%.0f a second", middle(bare.rates)), &bare.total)
	with, without := middle(gate.perStep), middle(bare.perStep)
	out.check("CPU added to each", "≤ 40 µs", fmt.Sprintf("%d µs (%d against %d)", (with-without).Microseconds(), with.Microseconds(), without.Microseconds()),
		with-without <= 40*time.Microsecond, nil)

	half := middle(bare.rates) / 2
	pace(ctx, gate, bare, half, 5, r.long(2500*time.Millisecond))
	more := added(gate, bare)
	out.check(fmt.Sprintf("p99 added at %.0f a second, half of what the bare server bears", half), "≤ 1 ms",
		fmt.Sprintf("%s (%d pairs, %s to %s)", short(middle(more)), len(more), short(more[0]), short(more[len(more)-1])), middle(more) <= time.Millisecond, &gate.paced)
	out.tell("the same without the gate", fmt.Sprintf("p99 %s", short(bare.paced.quantile(.99))), &bare.paced)
	wrong := gate.total.wrong() + gate.paced.wrong()
	out.check("wrong decisions", "0", thousands(wrong), wrong == 0, nil)
	out.note("%d bytes of cookies, six claim headers, %d keep-alive connections, HTTP/1.1 without TLS, the strictest comparison: TLS would add the same to both. Allocations: `make bench BENCH=Gate`.", holder.cookie, keepAlive)
	return w.crashes()
}
