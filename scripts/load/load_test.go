// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
)

// newRun is a run with a server built as the test is.
func newRun(t *testing.T) *run {
	t.Helper()
	info, ok := debug.ReadBuildInfo()
	race := ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
	r := &run{scratch: t.TempDir(), scale: 1, storeName: "memory"}
	r.binary = filepath.Join(r.scratch, "caddy")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", r.binary, fmt.Sprintf("-race=%t", race), "../../cmd/caddy")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building cmd/caddy: %v\n%s", err, output)
	}
	return r
}

// A small load against a real server: every step arrives, is counted once, and leads each visitor to their own claims.
func TestSmallLoadIsCountedAndJudged(t *testing.T) {
	t.Parallel()
	ctx, r := t.Context(), newRun(t)
	w, err := r.newWorld(ctx, plan{name: "small", remember: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()

	const visits = 6
	flows := each(ctx, visits, 3, func(ctx context.Context, i int) string {
		who, err := w.persons.get(i)
		if err != nil {
			return err.Error()
		}
		return w.newVisitor(i).flow(ctx, who)
	})
	if flows.of(good) != visits || flows.total() != visits {
		t.Errorf("whole visits: %s", flows.counts())
	}
	if calls := w.service.calls.Load(); calls != visits {
		t.Errorf("%d visits made %d calls to the Request Service", visits, calls)
	}

	l, err := w.letterOf()
	if err != nil {
		t.Fatal(err)
	}
	const waiting = 5
	c, err := w.gather(ctx, waiting)
	if err != nil {
		t.Fatal(err)
	}
	if opened := c.open(ctx); opened.of(good) != waiting {
		t.Fatalf("opening streams: %s", opened.counts())
	}
	defer c.close()
	filling := bytes.Repeat([]byte("filling/"), 1000)
	told := each(ctx, waiting, 2, func(ctx context.Context, i int) string {
		target, ok := w.service.target(c.transactions[i])
		if !ok {
			return "no target"
		}
		body, err := l.copyFor(target, i, i%2 == 0)
		if err != nil {
			return err.Error()
		}
		var more []byte
		if i%2 == 0 {
			more = filling
		}
		if outcome := w.post(ctx, c.v.wire, target, body, more); outcome != good {
			return outcome
		}
		return c.streams[i].await(ctx, "verified")
	})
	if told.of(good) != waiting {
		t.Errorf("callbacks: %s", told.counts())
	}
	if err := w.crashes(); err != nil {
		t.Error(err)
	}
}

// Somebody who is let in as another person, or as nobody, is never an outcome that went well or that a disturbance explains.
func TestWrongDecisionsAreCounted(t *testing.T) {
	t.Parallel()
	ana := &person{name: "Ana", mail: "ana@contoso.example"}
	for page, want := range map[string]string{
		"app|Ana|ana@contoso.example|…": good,
		"app|Bob|bob@contoso.example|…": wrongOther,
		"app|Ana|bob@contoso.example|…": wrongOther,
		"app|||…":                       wrongNobody,
		"<!doctype html>":               "app: another page",
	} {
		if got := judge(reply{status: 200, body: []byte(page)}, ana); got != want {
			t.Errorf("judge(%q) = %q, want %q", page, got, want)
		}
	}
	s := &soak{run: new(run), w: &world{service: new(service)}}
	began := time.Now()
	s.incident("store restart")()
	var seen tally
	for outcome, want := range map[string]string{
		wrongOther: wrongOther, "request: 503": "request: 503 (store restart)", "finish: 500": "finish: 500", good: good,
	} {
		got := s.explain(outcome, began)
		if got != want {
			t.Errorf("explain(%q) = %q, want %q", outcome, got, want)
		}
		seen.add(got, 0)
	}
	if seen.wrong() != 1 || seen.unexplained() != 2 {
		t.Errorf("%d wrong and %d unexplained, want 1 and 2", seen.wrong(), seen.unexplained())
	}
}

// Every step that is due is begun, also when the first ones hang, and what it waited for its turn is in its latency.
func TestOpenLoopDoesNotWaitForAnswers(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	const rate, length = 1000, 40 * time.Millisecond
	result := openLoop(t.Context(), rate, length, func(_ context.Context, i int) string {
		if i == 39 { // the last one, which a closed loop would never reach
			close(hanging)
		}
		<-hanging
		return good
	})
	if result.of(good) != 40 {
		t.Errorf("%s, want 40", result.counts())
	}
	if p50 := result.quantile(.5); p50 < 15*time.Millisecond {
		t.Errorf("the median is %s, although the first steps waited for the last", p50)
	}
}

func TestQuantilesAreExactToAThousandth(t *testing.T) {
	t.Parallel()
	var h histogram
	for i := range 100_000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for q, want := range map[float64]time.Duration{.5: 50 * time.Millisecond, .99: 99 * time.Millisecond, .00001: time.Microsecond, 1: 100 * time.Millisecond} {
		if got := h.quantile(q); got < want || float64(got) > 1.001*float64(want) {
			t.Errorf("quantile(%g) = %s, want %s", q, got, want)
		}
	}
	if h.count != 100_000 || h.max != 100*time.Millisecond {
		t.Errorf("count %d, max %s", h.count, h.max)
	}
}

func TestSlopeIsThatOfTheLine(t *testing.T) {
	t.Parallel()
	var samples []sample
	for i := range 60 {
		samples = append(samples, sample{at: time.Duration(i) * time.Minute, rss: int64(1000 + 5*i + i%2)})
	}
	perHour, bound := slope(samples, func(s sample) float64 { return float64(s.rss) })
	if math.Abs(perHour-300) > bound || bound > 1 {
		t.Errorf("slope is %.2f ± %.2f an hour, want 300", perHour, bound)
	}
}

func TestScenariosCanBePicked(t *testing.T) {
	t.Parallel()
	chosen, err := choose("l5, L10")
	if err != nil || len(chosen) != 2 || chosen[0].name != "L5" || chosen[1].name != "L10" {
		t.Errorf("chose %v, %v", chosen, err)
	}
	if _, err := choose("L2"); err == nil || !strings.Contains(err.Error(), "sealed") {
		t.Errorf("L2 is said to be %v", err)
	}
}
