// SPDX-License-Identifier: Apache-2.0

// Command load measures what the gate holds, on this machine, with real Caddy processes: `make load` and `make soak` run it.
//
//	go run ./scripts/load -scenarios L1,L5 -scale 2 -out load.md
//	go run ./scripts/load -soak 1h -store redis -out soak.md
//
// The emulator, the app behind the gate and all visitors run in this process, on the same cores as the gate. Load is open
// loop: steps begin by the clock, and a latency counts from when its step should have begun. Paired figures come from two
// servers that take turns, the second with the same Caddyfile without the gate. Every answer of the app is compared with who
// asked. docs/reliability.md says what the figures mean.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := load(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		cancel()
		os.Exit(1) //nolint:forbidigo // the only way for a program to fail
	}
}

// run is one run of the program.
type run struct {
	binary, scratch string
	scale           float64
	files           uint64 // descriptors that a process may have
	storeName       string
	redis           *redis
	report          *report
}

// errMissed means that everything ran and something is not as it should be.
var errMissed = errors.New("a target is missed")

func load(ctx context.Context, arguments []string) error {
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	picked := flags.String("scenarios", "", "comma-separated `names`, for example L1,L5; by default all")
	scale := flags.Float64("scale", 1, "`factor` by which every scenario takes longer")
	soakTime := flags.Duration("soak", 0, "run the soak for this `duration` instead of the scenarios")
	store := flags.String("store", "memory", "where the gate keeps transactions: memory or redis")
	out := flags.String("out", "", "also write the report to this `file`, as it grows")
	keep := flags.Bool("keep", false, "leave the folder of the run, with the servers' logs, and say where it is")
	binary := flags.String("caddy", "", "`path` of the server; by default cmd/caddy is built")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	chosen, err := choose(*picked)
	if err != nil {
		return err
	}
	r := &run{scale: *scale, storeName: *store, binary: *binary, files: raiseFileLimit()}
	if r.scratch, err = os.MkdirTemp("", "load-*"); err != nil {
		return err
	}
	defer func() {
		if *keep {
			fmt.Fprintln(os.Stderr, "== kept:", r.scratch)
			return
		}
		_ = os.RemoveAll(r.scratch)
	}()
	if r.binary == "" {
		if r.binary, err = build(ctx, r.scratch); err != nil {
			return err
		}
	}
	if err := r.openStore(ctx); err != nil {
		return err
	}
	defer r.closeStore()
	if r.report, err = openReport(*out); err != nil {
		return err
	}
	defer r.report.close()
	if *soakTime > 0 {
		return r.soak(ctx, *soakTime)
	}
	return r.scenarios(ctx, chosen)
}

// build makes the server from this checkout, without the race detector, as it would be used.
func build(ctx context.Context, folder string) (string, error) {
	fmt.Fprintln(os.Stderr, "== building cmd/caddy")
	path := filepath.Join(folder, "caddy")
	command := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/caddy") //nolint:gosec // a fixed command
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building cmd/caddy: %w\n%s", err, output)
	}
	return path, nil
}

// scenario is one line of the list of figures to hold.
type scenario struct {
	name, title, target string
	// atMost bounds it, set-up included, at scale 1. What is not done then has failed.
	atMost  time.Duration
	measure func(context.Context, *run, *result) error
}

// choose returns the scenarios named, or all.
func choose(picked string) ([]scenario, error) {
	if picked == "" {
		return allScenarios, nil
	}
	var chosen []scenario
	for name := range strings.SplitSeq(picked, ",") {
		found := false
		for _, s := range allScenarios {
			if strings.EqualFold(s.name, strings.TrimSpace(name)) {
				chosen, found = append(chosen, s), true
			}
		}
		if !found {
			return nil, fmt.Errorf("there is no scenario %q; there are L1, L3 to L10 (L2 would be sessions in a store, which do not exist: they are sealed)", name)
		}
	}
	return chosen, nil
}

// scenarios runs one after the other. One that fails does not keep the others from running.
func (r *run) scenarios(ctx context.Context, chosen []scenario) error {
	r.report.machine(ctx, r)
	r.report.head()
	missed := false
	for _, s := range chosen {
		fmt.Fprintf(os.Stderr, "== %s %s\n", s.name, s.title)
		result := &result{scenario: s}
		began := time.Now()
		bounded, cancel := context.WithTimeout(ctx, max(s.atMost, r.long(s.atMost)))
		err := s.measure(bounded, r, result)
		if err == nil {
			err = bounded.Err()
		}
		cancel()
		result.took = time.Since(began)
		if err != nil {
			result.fail("did not end as planned: %v", err)
		}
		missed = r.report.add(result) || missed
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	r.report.foot()
	if missed {
		return errMissed
	}
	return nil
}

// long is a duration at this run's scale.
func (r *run) long(d time.Duration) time.Duration { return time.Duration(float64(d) * r.scale) }

// many is a number at this run's scale.
func (r *run) many(n int) int { return max(int(float64(n)*r.scale), 1) }
