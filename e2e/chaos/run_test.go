// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

const (
	// reaching is how long a kill waits for a visit to come to a stage, and withinStage is within what it comes then.
	reaching    = 8 * time.Second
	withinStage = 40 * time.Millisecond
)

// run does the actions at their times while so many people come and go. When the last one is over and the time is up, the people
// who are still in and the cookies of those who are out are tried on every node.
func (w *world) run(seed uint64, length time.Duration, actions []Action, people int) {
	ctx, stop := context.WithCancel(w.t.Context())
	defer stop()
	began := time.Now()
	var all sync.WaitGroup
	for i := range people {
		all.Go(func() { w.come(ctx, seed, i) })
	}
	for _, n := range w.nodes {
		all.Go(func() { w.probe(ctx, n) })
	}
	all.Go(func() { w.tell(ctx, began) })
	lanes := make(map[string][]Action)
	for _, a := range actions {
		lanes[a.lane()] = append(lanes[a.lane()], a)
	}
	var doing sync.WaitGroup
	for _, lane := range lanes {
		doing.Go(func() {
			for _, a := range lane {
				pause(ctx, time.Until(began.Add(a.At)))
				w.do(ctx, a)
			}
		})
	}
	doing.Wait()
	pause(ctx, time.Until(began.Add(length)))
	stop()
	all.Wait()
	w.look()
}

// tell says every minute how far the run has come.
func (w *world) tell(ctx context.Context, began time.Time) {
	for pause(ctx, time.Minute) {
		w.recorder.keep(func(h *History) {
			done := make(map[Kind]int)
			for _, d := range h.Deeds {
				done[d.Kind]++
			}
			w.t.Logf("after %s: %d visits, %d requests; %v; kills %v",
				time.Since(began).Round(time.Second), len(h.Visits), len(h.Notes), done, w.triggers.byStage())
		})
	}
}

// look tries, after the time that everything may take to recover and to be heard of, who is in and who is out.
func (w *world) look() {
	ctx := w.t.Context()
	if w.shared {
		pause(ctx, recovery+spreading)
	}
	w.people.mu.Lock()
	living, ended := slices.Collect(maps.Values(w.people.living)), w.people.ended
	w.people.mu.Unlock()
	for _, n := range w.nodes {
		for _, p := range living {
			p.send(ctx, request{step: StepApp, path: "/payroll/still-in", node: n})
		}
		for _, one := range ended[max(0, len(ended)-lookedAt):] {
			one.p.send(ctx, request{step: StepStale, path: "/payroll/still-out", script: true, browser: one.browser, node: n})
		}
	}
}

// lookedAt is how many of the sessions that have ended are tried in the end.
const lookedAt = 60

// do does one action and writes down what came of it.
func (w *world) do(ctx context.Context, a Action) {
	d := Deed{Kind: a.Kind, Node: a.Node, Stage: a.Stage, Span: Span{Began: time.Now()}}
	var err error
	switch {
	case a.Kind == Kill:
		d = w.kill(ctx, a)
	case a.Kind == Revoke:
		d.Session = w.people.pick(a.Choice)
		err = w.revoke(a.Node, d.Session)
	case ofService[a.Kind]:
		w.spoil(ctx, a)
	case ofStore[a.Kind]:
		err = w.store.spoil(ctx, a)
	default:
		err = w.reload(ctx, a)
	}
	if d.Ended = time.Now(); err != nil {
		d.Err = err.Error()
	}
	w.recorder.did(d)
}

// kill ends a node when a visit has come to a stage there, or if none comes, without one, and starts it again.
func (w *world) kill(ctx context.Context, a Action) Deed {
	n := w.nodes[a.Node]
	d := Deed{Kind: Kill, Node: a.Node, Stage: AtAnyTime}
	if a.Stage == Aimed {
		reached := w.triggers.arm(a.Node)
		timer := time.NewTimer(reaching)
		select {
		case d.Stage = <-reached:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
		if d.Stage == AtAnyTime && !w.triggers.disarm(a.Node) {
			d.Stage = <-reached
		}
		if d.Stage != AtAnyTime {
			pause(ctx, time.Duration(a.Choice%uint64(withinStage)))
		}
	}
	d.Began = time.Now()
	n.kill()
	n.start()
	return d
}

func (w *world) revoke(node int, session string) error {
	if session == "" {
		return fmt.Errorf("nobody is in")
	}
	body, err := json.Marshal(map[string]string{"session": session})
	if err != nil {
		return err
	}
	answer, err := w.nodes[node].call(http.MethodPost, "/verified_id/revoke", "application/json", string(body))
	if err != nil {
		return fmt.Errorf("%w: %s", err, answer)
	}
	return nil
}

func (w *world) reload(ctx context.Context, a Action) error {
	n := w.nodes[a.Node]
	plain := w.caddyfile(n, Plain)
	if a.Kind == ReloadBroken {
		if err := n.reload(strings.Replace(plain, "issuer ", "isuer ", 1)); err == nil {
			w.t.Errorf("node %d took a config with the option isuer", a.Node)
		}
		return nil
	}
	if a.Kind == ReloadStrict {
		if err := n.reload(w.caddyfile(n, Strict)); err != nil {
			return err
		}
		pause(ctx, a.Lasting)
	}
	return n.reload(plain)
}

// spoil makes the service fail for a while, or the next callbacks come other than they should.
func (w *world) spoil(ctx context.Context, a Action) {
	faults := w.emulator.Faults()
	for kind, fault := range map[Kind]emulator.Fault{
		Throttle: {Status: http.StatusTooManyRequests, RetryAfter: []string{"1", "2", "soon", ""}[a.Choice%4]},
		Failing:  {Status: []int{500, 502, 503, 504}[a.Choice%4]},
		Hanging:  {Hang: true},
		Cut:      {Truncate: true},
	} {
		if kind == a.Kind {
			faults.Inject(emulator.APICreatePresentation, fault)
			pause(ctx, a.Lasting)
			faults.Clear()
			return
		}
	}
	faults.InjectCallback(map[Kind]emulator.CallbackFault{
		Duplicate: {Duplicate: 2, Times: 3},
		Hold:      {Hold: true, Times: 2},
		Drop:      {Drop: true, Times: 1},
		Reorder:   {Status: "request_retrieved", Reorder: true, Times: 2},
		Forge:     {WrongKey: true, Times: 1},
	}[a.Kind])
	pause(ctx, 2*time.Second+a.Lasting) // until somebody has met it
	faults.Clear()
	w.emulator.DeliverHeld()
}

// probe asks a node for what is not gated, all the time, to know how fast the machine is.
func (w *world) probe(ctx context.Context, n *node) {
	client := &http.Client{Transport: w.transport(), Timeout: 30 * time.Second}
	for i := 0; pause(ctx, 250*time.Millisecond); i++ {
		if i%4 == 0 {
			w.measure(n)
		}
		q, err := http.NewRequestWithContext(context.WithValue(ctx, routeKey{}, &route{order: []int{n.index}}), http.MethodGet, "http://localhost:"+w.freePort+"/", nil)
		if err != nil {
			w.t.Errorf("probing: %v", err)
			return
		}
		s := Span{Began: time.Now()}
		response, err := client.Do(q)
		if s.Ended = time.Now(); err != nil {
			continue // dead
		}
		_ = response.Body.Close()
		w.recorder.keep(func(h *History) { h.Probes = append(h.Probes, s) })
	}
}

// measure writes down how many goroutines a node has, if it is alive.
func (w *world) measure(n *node) {
	count, err := n.goroutines()
	if err != nil {
		return
	}
	size := Size{n.index, time.Now(), count}
	w.recorder.keep(func(h *History) { h.Sizes = append(h.Sizes, size) })
}
