// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	soakFlows   = 2    // a second
	soakStreams = 1000 // at one time
	soakHolders = 20   // people with a session
	soakShare   = 0.3  // of what the machine bears

	// settle is how long after a disturbance what it explains is not held against the gate.
	settle = 5 * time.Second
)

// soak is everything at once, for long.
type soak struct {
	*run
	w      *world
	began  time.Time
	length time.Duration

	mu        sync.Mutex
	incidents []incident
	sealing   []string // sealing keys, the newest first

	parts   [6]tally // requests with a session, by the sixth of the time in which they began
	flows   tally
	streams tally
	samples []sample

	reloads, rotations, restarts atomic.Int64
	slowestReload                atomic.Int64
}

// incident is a disturbance that we make.
type incident struct {
	kind     string
	from, to time.Time
}

// soak runs the soak and reports.
func (r *run) soak(ctx context.Context, length time.Duration) error {
	s := &soak{run: r, length: length, sealing: []string{sealingKey()}}
	r.report.machine(ctx, r)
	r.report.head()
	out := &result{scenario: scenario{name: "S", title: "soak"}}
	began := time.Now()
	err := s.measure(ctx, out)
	out.took = time.Since(began)
	if err != nil {
		out.fail("did not end as planned: %v", err)
	}
	missed := r.report.add(out)
	r.report.foot()
	if missed {
		return errMissed
	}
	return nil
}

func (s *soak) measure(ctx context.Context, out *result) error {
	w, err := s.newWorld(ctx, plan{name: "soak", delay: 200 * time.Millisecond, app: s.sealingOption()})
	if err != nil {
		return err
	}
	defer w.close()
	s.w = w
	people := make([]*member, soakHolders)
	for i := range people {
		if people[i], err = s.member(ctx, maxPersons-1-i); err != nil {
			return err
		}
	}
	rate, err := s.rate(ctx, people)
	if err != nil {
		return err
	}
	pause(ctx, 3*time.Second)
	goroutines, descriptors := w.gate.goroutines(ctx), w.gate.descriptors()
	fmt.Fprintf(os.Stderr, "== soak for %s: %.0f requests a second with a session, %d visits a second, %d streams\n", s.length, rate, soakFlows, soakStreams)

	w.service.faults.Store(1)
	s.began = time.Now()
	running, stop := context.WithTimeout(ctx, s.length)
	defer stop()
	var all sync.WaitGroup
	all.Go(func() { s.hold(running, people, rate) })
	all.Go(func() { s.visit(running) })
	all.Go(func() { s.disturb(running) })
	all.Go(func() { s.watch(running) })
	for i := range soakStreams {
		all.Go(func() { s.lurk(running, i) })
	}
	all.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, one := range people {
		one.wire.close()
	}
	s.reportTo(ctx, out, rate, goroutines, descriptors)
	return w.crashes()
}

// rate is the share of what the machine bears of requests with a session.
func (s *soak) rate(ctx context.Context, people []*member) (float64, error) {
	t, took := closedLoop(ctx, keepAlive, 5*time.Second, func(ctx context.Context, i int) string {
		return people[i%len(people)].ask(ctx)
	})
	if t.bad() > 0 {
		return 0, fmt.Errorf("before the soak: %s", t.counts())
	}
	return soakShare * float64(t.total()) / took.Seconds(), nil
}

// hold lets people with a session work, by the clock.
func (s *soak) hold(ctx context.Context, people []*member, rate float64) {
	for part := range s.parts {
		length := s.length / time.Duration(len(s.parts))
		s.parts[part].merge(openLoop(ctx, rate, length, func(ctx context.Context, i int) string {
			began := time.Now()
			return s.explain(people[i%len(people)].ask(context.WithoutCancel(ctx)), began)
		}))
		if part == len(s.parts)/2 && s.length > 4*time.Hour { // before their sessions end by themselves
			for _, one := range people {
				if err := one.renew(ctx); err != nil {
					s.parts[part].add("renewing a session: "+err.Error(), 0)
				}
			}
		}
	}
}

// visit lets new people in.
func (s *soak) visit(ctx context.Context) {
	s.flows.merge(openLoop(ctx, soakFlows, s.length, func(ctx context.Context, i int) string {
		began := time.Now()
		who, err := s.w.persons.get(i % (maxPersons - soakHolders))
		if err != nil {
			return failure(err)
		}
		return s.explain(s.w.newVisitor(i).flow(context.WithoutCancel(ctx), who), began)
	}))
}

// lurk is a page with a code that nobody scans: it listens, comes back after a reload, and takes a new code when the old one
// has run out.
func (s *soak) lurk(ctx context.Context, i int) {
	v := s.w.newVisitor(1<<20 + i)
	defer v.wire.close()
	// Not all at once, or their codes would run out at once for ever.
	for pause(ctx, time.Duration(i)*min(s.length/4, 2*time.Minute)/soakStreams) {
		began := time.Now()
		outcome := v.begin(ctx)
		if outcome == good {
			outcome = v.request(ctx)
		}
		for outcome == good && ctx.Err() == nil {
			var state string
			began = time.Now()
			state, outcome = s.listenOnce(ctx, v)
			if state == "expired" {
				break
			}
		}
		if ctx.Err() != nil {
			return
		}
		s.streams.add(s.explain(outcome, began), time.Since(began))
		if outcome != good { // people try again after a while
			pause(ctx, 2*time.Second)
		}
	}
}

// listenOnce reads a stream to its end. A stream that ends without a last state is one that a reload has ended.
func (s *soak) listenOnce(ctx context.Context, v *visitor) (last, outcome string) {
	e, err := v.listen(ctx)
	if err != nil {
		return "", "events: " + failure(err)
	}
	ended := context.AfterFunc(ctx, e.close)
	defer ended()
	defer e.close()
	for {
		state, err := e.next()
		if err != nil {
			if strings.Contains(failure(err), "in time") {
				return last, "events: silent for too long"
			}
			pause(ctx, e.retry) // as a browser does
			return last, good
		}
		if state != "" {
			last = state
		}
	}
}

// disturb reloads, rotates keys and restarts the store.
func (s *soak) disturb(ctx context.Context) {
	reload := time.NewTicker(min(5*time.Minute, max(s.length/10, 20*time.Second)))
	defer reload.Stop()
	rotate := time.NewTicker(min(time.Hour, s.length/3))
	defer rotate.Stop()
	restart := time.NewTicker(min(30*time.Minute, s.length/4))
	defer restart.Stop()
	for {
		select {
		case <-reload.C:
			s.reload(ctx)
			s.reloads.Add(1)
		case <-rotate.C:
			// Sessions live for eight hours, so nobody needs the ninth key.
			s.sealing = append([]string{sealingKey()}, s.sealing[:min(len(s.sealing), 8)]...)
			s.reload(ctx)
			s.rotations.Add(1)
		case <-restart.C:
			if s.redis == nil {
				continue
			}
			ended := s.incident("store restart")
			s.redis.stop()
			if err := s.redis.start(ctx); err != nil {
				s.streams.add("restarting the store: "+err.Error(), 0)
			}
			ended()
			s.restarts.Add(1)
		case <-ctx.Done():
			return
		}
	}
}

func (s *soak) reload(ctx context.Context) {
	ended := s.incident("reload")
	defer ended()
	took, err := s.w.gate.reload(ctx, strings.Replace(s.w.caddyfile, s.firstSealing(), s.sealingOption(), 1))
	if err != nil && ctx.Err() == nil {
		s.streams.add("reloading: "+err.Error(), 0)
	}
	s.slowestReload.Store(max(s.slowestReload.Load(), int64(took)))
}

// incident notes the beginning of a disturbance; what it returns notes the end.
func (s *soak) incident(kind string) (ended func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.incidents = append(s.incidents, incident{kind: kind, from: time.Now(), to: time.Now().Add(time.Hour)})
	i := len(s.incidents) - 1
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.incidents[i].to = time.Now().Add(settle)
	}
}

// explain adds what disturbed a step to an outcome that is not good, where that explains it: a reload may break connections, as
// it does without the gate, and a store that is away refuses newcomers. A wrong decision is explained by nothing.
func (s *soak) explain(outcome string, began time.Time) string {
	if outcome == good || strings.HasPrefix(outcome, "WRONG") {
		return outcome
	}
	if strings.HasPrefix(outcome, "request: 50") && s.w.service.failed.Load() > 0 {
		return outcome + refusedByService
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.incidents {
		if time.Now().Before(one.from) || began.After(one.to) {
			continue
		}
		broken := strings.Contains(outcome, "connection")
		if one.kind == "reload" && broken || one.kind == "store restart" && (broken || strings.Contains(outcome, ": 503")) {
			return outcome + " (" + one.kind + ")"
		}
	}
	return outcome
}

const refusedByService = " (the service failed)"

// unexplained counts the outcomes that no disturbance explains.
func (t *tally) unexplained() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for outcome, count := range t.outcomes {
		if outcome != good && !strings.HasSuffix(outcome, ")") {
			n += count
		}
	}
	return n
}

// watch takes a sample now and then.
func (s *soak) watch(ctx context.Context) {
	for pause(ctx, max(s.length/240, time.Second)) {
		rss, _ := s.w.gate.rss()
		one := sample{at: time.Since(s.began), rss: rss, goroutines: s.w.gate.goroutines(ctx), descriptors: s.w.gate.descriptors(), keys: -1}
		if s.redis != nil {
			one.keys = s.redis.keys(ctx)
		}
		s.samples = append(s.samples, one)
	}
}

func sealingKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

func (s *soak) sealingOption() string { return "sealing_key " + strings.Join(s.sealing, " ") }

// firstSealing is the option that stands in the world's Caddyfile.
func (s *soak) firstSealing() string {
	for line := range strings.Lines(s.w.caddyfile) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "sealing_key ") {
			return line
		}
	}
	return ""
}
