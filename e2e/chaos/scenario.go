// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"
)

// Action is one thing that the scenario breaks.
type Action struct {
	// At is when, since the beginning. It comes later if what it breaks is still broken by an earlier one.
	At   time.Duration
	Kind Kind
	// Node that it happens to; -1: not to one.
	Node int
	// Stage is the moment of a visit at which a node is killed: [Aimed] or [AtAnyTime].
	Stage Stage
	// Lasting is how long, for what lasts.
	Lasting time.Duration
	// Choice decides what else there is to choose, for example who is put out.
	Choice uint64
}

func (a Action) String() string {
	text := fmt.Sprintf("%8.2fs %s", a.At.Seconds(), a.Kind)
	if a.Node >= 0 {
		text += fmt.Sprintf(", node %d", a.Node)
	}
	if a.Stage != "" {
		text += fmt.Sprintf(", at %q", a.Stage)
	}
	if a.Lasting > 0 {
		text += fmt.Sprintf(", for %.2fs", a.Lasting.Seconds())
	}
	return text
}

// Stage is a moment of a visit.
type Stage string

// Stages at which nodes are killed: the first visit that comes to the moment triggers it. The scenario leaves to the run which of
// them it is: an [Aimed] kill goes to those that have had the fewest.
const (
	Aimed       Stage = "aimed"
	AtAnyTime   Stage = "any time"
	AtRequest   Stage = "start sent"
	AtCreated   Stage = "201 received"
	AtRetrieved Stage = "retrieved"
	AtVerified  Stage = "verified being stored"
	AtFinish    Stage = "finish"
	AtLogout    Stage = "logout"
)

// Stages are those of a visit, in its order.
var Stages = []Stage{AtRequest, AtCreated, AtRetrieved, AtVerified, AtFinish, AtLogout}

// openStages is how many stages an aimed kill may meet. With one alone it would wait for what seldom happens.
const openStages = 3

// fewest are the stages that have had the fewest kills, which an aimed kill takes next.
func fewest(kills map[Stage]int) []Stage {
	list := slices.Clone(Stages)
	slices.SortStableFunc(list, func(a, b Stage) int { return cmp.Compare(kills[a], kills[b]) })
	return list[:openStages]
}

// lane is what an action keeps busy: actions of one lane follow each other, those of several run side by side.
func (a Action) lane() string {
	switch {
	case a.Node >= 0 && !ofStore[a.Kind]:
		return fmt.Sprintf("node %d", a.Node)
	case ofStore[a.Kind]:
		return "store"
	case ofService[a.Kind]:
		return "service"
	}
	return "people"
}

// ofService are the kinds that the emulator plays.
var ofService = map[Kind]bool{
	Throttle: true, Failing: true, Hanging: true, Cut: true, Duplicate: true, Hold: true, Drop: true, Reorder: true, Forge: true,
}

// ofNode are the kinds that happen to one node.
var ofNode = map[Kind]bool{Kill: true, Reload: true, ReloadStrict: true, ReloadBroken: true, Revoke: true}

// longest is how long an action of a kind may last; by chance it lasts a fifth of it at least. Others are over at once.
var longest = map[Kind]time.Duration{
	ReloadStrict: 3 * time.Second, StoreFreeze: 6 * time.Second, StoreRestart: 1500 * time.Millisecond,
	NetLatency: 6 * time.Second, NetLoss: 6 * time.Second, NetHole: 4 * time.Second, NetRefuse: 5 * time.Second,
	Throttle: 3 * time.Second, Failing: 4 * time.Second, Hanging: 4 * time.Second, Cut: 3 * time.Second, Hold: 5 * time.Second,
}

// From longRun on there is time for freezes that outlast every patience.
const (
	longRun    = 5 * time.Minute
	longFreeze = 30 * time.Second
)

// Mix is how often each kind comes.
type Mix map[Kind]int

// UsualMix is what a run of that length does: per minute about four kills, eight reloads and one or two of everything else.
func UsualMix(length time.Duration, sharedStore bool) Mix {
	perMinute := map[Kind]float64{
		Kill: 4, Reload: 8, ReloadStrict: 1, ReloadBroken: 2,
		Throttle: 1, Failing: 1, Hanging: 0.5, Cut: 0.5, Duplicate: 2, Hold: 1, Drop: 0.5, Reorder: 2, Forge: 1, Revoke: 2,
	}
	if sharedStore {
		maps.Copy(perMinute, map[Kind]float64{
			StoreRestart: 1.5, StoreFreeze: 0.7, NetLatency: 0.7, NetLoss: 0.7, NetHole: 0.5, NetRefuse: 0.7, NetReset: 1, StoreFlush: 0.2,
		})
	}
	mix := make(Mix)
	for kind, often := range perMinute {
		if n := int(often*length.Minutes() + 0.5); n > 0 {
			mix[kind] = n
		}
	}
	return mix
}

// Scenario makes the actions of a run from its seed: the same seed, length, mix and number of nodes give the same actions. The
// first second and the last tenth of the time are left in peace, to begin and to recover in.
func Scenario(seed uint64, length time.Duration, mix Mix, nodes int) []Action {
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // G404: faults, not secrets
	var actions []Action
	for _, kind := range slices.Sorted(maps.Keys(mix)) {
		n := mix[kind]
		for i := range n {
			// One in each of n equal parts of the time, so that a short run too has them spread.
			part := (length*9/10 - time.Second) / time.Duration(n)
			a := Action{
				At: time.Second + part*time.Duration(i) + time.Duration(random.Int64N(int64(part))), Kind: kind, Node: -1, Choice: random.Uint64(),
			}
			if ofNode[kind] {
				a.Node = random.IntN(nodes)
			}
			if most := longest[kind]; most > 0 {
				a.Lasting = most/5 + time.Duration(random.Int64N(int64(most*4/5)))
			}
			if kind == StoreFreeze && length >= longRun {
				a.Lasting = longFreeze
			}
			if kind == Kill && i%(len(Stages)+1) == 0 {
				a.Stage = AtAnyTime
			} else if kind == Kill {
				a.Stage = Aimed
			}
			actions = append(actions, a)
		}
	}
	slices.SortStableFunc(actions, func(a, b Action) int { return cmp.Compare(a.At, b.At) })
	return actions
}
