// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"slices"
	"testing"
	"time"
)

// A run that failed is repeated by its seed.
func TestSameSeedSameActions(t *testing.T) {
	t.Parallel()
	remake := func(seed uint64) []Action { return Scenario(seed, time.Minute, UsualMix(time.Minute, true), 3) }
	if !slices.Equal(remake(7), remake(7)) {
		t.Error("one seed gives two scenarios")
	}
	if slices.Equal(remake(7), remake(8)) {
		t.Error("two seeds give one scenario")
	}
}

func TestScenarioDoesWhatTheMixSays(t *testing.T) {
	t.Parallel()
	mix := Mix{Kill: 140, Reload: 50, StoreFreeze: 3}
	counts, stages, nodes := Mix{}, map[Stage]int{}, map[int]int{}
	actions := Scenario(3, 10*time.Minute, mix, 3)
	for i, a := range actions {
		counts[a.Kind]++
		if a.Kind == Kill {
			stages[a.Stage]++
			nodes[a.Node]++
		}
		if a.At < time.Second || a.At > 9*time.Minute+time.Second || i > 0 && a.At < actions[i-1].At {
			t.Errorf("%s is out of time", a)
		}
		if lasts := a.Kind == StoreFreeze; lasts != (a.Lasting > 0) {
			t.Errorf("%s lasts %s", a, a.Lasting)
		}
	}
	for kind, n := range mix {
		if counts[kind] != n {
			t.Errorf("%q comes %d times, want %d", kind, counts[kind], n)
		}
	}
	if stages[AtAnyTime] != 20 || stages[Aimed] != 120 {
		t.Errorf("the kills are %v, want one of seven at any time and the others aimed", stages)
	}
	for node := range 3 {
		if nodes[node] < 20 {
			t.Errorf("node %d is killed %d times of 140", node, nodes[node])
		}
	}
}

// The short run has at least what it is to show.
func TestUsualMixOfTheShortRun(t *testing.T) {
	t.Parallel()
	mix := UsualMix(shortRun, true)
	for kind, least := range map[Kind]int{Kill: 2, Reload: 2, StoreRestart: 1, StoreFreeze: 1, Failing: 1} {
		if mix[kind] < least {
			t.Errorf("%q comes %d times, want %d", kind, mix[kind], least)
		}
	}
	for kind := range UsualMix(time.Hour, false) {
		if ofStore[kind] {
			t.Errorf("%q needs a store of its own", kind)
		}
	}
}

// However seldom a visit comes to a stage, aimed kills even out.
func TestAimedKillsGoToTheStagesWithTheFewest(t *testing.T) {
	t.Parallel()
	kills := map[Stage]int{}
	for i := range 120 {
		open := fewest(kills)
		if len(open) != openStages {
			t.Fatalf("%d stages are open: %v", len(open), open)
		}
		stage := open[0] // often
		if i%3 > 0 {
			stage = open[len(open)-1] // of the three the one that has had most
		}
		kills[stage]++
	}
	for _, stage := range Stages {
		if kills[stage] < 18 {
			t.Errorf("%d of 120 kills at %q", kills[stage], stage)
		}
	}
}
