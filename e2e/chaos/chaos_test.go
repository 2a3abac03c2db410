// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

func TestMain(m *testing.M) {
	code := m.Run()
	caddyprocess.Remove()
	os.Exit(code) //nolint:forbidigo // the only way to hand a test binary's result over
}

// One node with its transactions in its memory is killed, reloaded and left alone by the service, at any moment of anybody's
// visit. Whoever is in stays in, whoever is out stays out, and everybody else is told how to go on. TM-140, TM-128.
func TestChaosWithMemoryStore(t *testing.T) {
	t.Parallel()
	p := planned(t, plan{seed: 1, length: shortRun, people: 5}, false)
	chaos(t, newWorld(t, 1, false, p.seed), p)
}

// Three nodes share a real Redis behind a network that fails. Any request of a visit may come to any node, and any node, the store,
// the network and the service may fail at any moment of it. TM-128 to TM-131, TM-140, TM-156.
func TestChaosOfManyNodes(t *testing.T) {
	t.Parallel()
	p := planned(t, plan{seed: 1, length: shortRun, people: 6}, true)
	chaos(t, newWorld(t, 3, true, p.seed), p)
}

// shortRun is the time of the runs that every test run has.
const shortRun = 45 * time.Second

// chaos runs a scenario, and checks what everybody has written down.
func chaos(t *testing.T, w *world, p plan) {
	t.Helper()
	actions := Scenario(p.seed, p.length, p.mix, len(w.nodes))
	began := time.Now()
	w.run(p.seed, p.length, actions, p.people)
	h := w.recorder.read()
	t.Logf("seed %d, %d nodes, %d people at a time, %s\n%s", p.seed, len(w.nodes), p.people, time.Since(began).Round(time.Second), Table(h))
	found := Check(h)
	for i, v := range found {
		if i == mostTold {
			t.Errorf("… and %d more", len(found)-i)
			break
		}
		t.Error(v)
	}
	for _, d := range h.Deeds {
		if d.Err != "" && d.Kind != Revoke {
			t.Errorf("%s of node %d: %s", d.Kind, d.Node, d.Err)
		}
	}
	if t.Failed() {
		var list strings.Builder
		for _, a := range actions {
			fmt.Fprintln(&list, a)
		}
		t.Logf("the actions of %s:\n%s", p, list.String())
	}
}

// mostTold is how many violations a run tells; the first ones show what is wrong.
const mostTold = 50
