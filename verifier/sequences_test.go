// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// sequencesVariable asks for another number of random sequences; a million take a minute.
const sequencesVariable = "VERIFIED_ID_TEST_SEQUENCES"

// X10: callbacks come up to ten times, in any order, up to two minutes after the code has expired, or never, while the browser
// asks for the result again and again. In each of many random sequences the transaction does what the model says. All orders of
// few events are walked elsewhere; these are long, and crowded around the deadlines. TM-060, TM-061, TM-062.
func TestRandomSequencesAgreeWithTheModel(t *testing.T) {
	t.Parallel()
	sequences := 10_000
	if text := os.Getenv(sequencesVariable); text != "" {
		number, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", sequencesVariable, err)
		}
		sequences = number
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d sequences, seed %d", sequences, seed)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // repeats exactly
	pauses := []time.Duration{
		0, time.Millisecond, time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 2 * time.Minute, 7 * time.Minute,
	}
	reached := map[verifier.Status]int{}
	var moves []event
	for _, e := range events {
		if e.move != nil {
			moves = append(moves, e)
		}
	}
	for range sequences {
		transaction, now := newTransaction(), at(0)
		transaction.Requirement = verifier.Requirement{} // no move looks at it, and comparing it takes time
		var names []string
		history := func() string { return strings.Join(names, ", ") }
		happen := func(e event, times int) {
			for range times {
				names = append(names, e.name)
				transaction = step(t, transaction, now, e, history)
			}
		}
		if random.IntN(10) > 0 { // otherwise the answer of the service was lost
			happen(events[0], 1)
		}
		for range 2 + random.IntN(10) {
			pause := pauses[random.IntN(len(pauses))] + time.Duration(random.IntN(3)-1) // just before, at and just after
			now = now.Add(pause)
			names = append(names, pause.String())
			happen(moves[random.IntN(len(moves))], []int{1, 1, 1, 2, 10}[random.IntN(5)])
		}
		reached[transaction.Status]++
	}
	if len(reached) != len(rank) {
		t.Errorf("reached %v, want every status", reached)
	}
	t.Log(reached)
}
