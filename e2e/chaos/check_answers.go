// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"maps"
	"net/http"
	"slices"
	"time"
)

const (
	// patience is within what every visitor is answered, and holdersPatience who has a session while the store does not answer.
	patience        = 12 * time.Second
	holdersPatience = time.Second
	// aftermath is how long after a fault something may still fail because of it.
	aftermath = 15 * time.Second
)

// answered are the statuses that visitors may be answered with. A 500 would be our failure, a 502 the app's, which has none.
var answered = map[int]bool{
	0: true, http.StatusOK: true, http.StatusSeeOther: true, http.StatusUnauthorized: true, http.StatusForbidden: true,
	http.StatusNotFound: true, http.StatusTooManyRequests: true, http.StatusServiceUnavailable: true,
}

// answers: whatever fails, a visitor gets one of our pages, and what fails is the scenario's doing.
func (x *index) answers() (found []string) {
	for i := range x.Notes {
		n := &x.Notes[i]
		if !answered[n.Status] {
			say(&found, "%s was answered %d %s (%s, node %d)", n.Visitor, n.Status, n.Page, n.Ask, n.Node)
		}
		if (n.Status == http.StatusServiceUnavailable || n.Status == 0) && !x.troubled(n.Span) {
			say(&found, "%s was answered %d %s %s without a fault (%s, node %d)", n.Visitor, n.Status, n.Page, n.Err, n.Ask, n.Node)
		}
	}
	return found
}

// troubled says whether something was broken in or shortly before the span.
func (x *index) troubled(s Span) bool {
	s.Began = s.Began.Add(-aftermath)
	for i := range x.Deeds {
		if x.Deeds[i].Kind != Revoke && x.Deeds[i].meets(s) {
			return true
		}
	}
	return false
}

var outcomes = map[Outcome]bool{Entered: true, Refused: true, StartAgain: true, Later: true, Waited: true, Unreached: true}

// outcomes: every visit ends, in one of the states that have a name, and in a good one unless something was broken.
func (x *index) outcomes() (found []string) {
	for i := range x.Visits {
		v := &x.Visits[i]
		switch {
		case !outcomes[v.Outcome] || v.Ended.IsZero():
			say(&found, "a visit of %s ended as %q (%s)", v.Visitor, v.Outcome, v.Why)
		case v.Outcome != Entered && !x.troubled(v.Span):
			say(&found, "a visit of %s ended as %q (%s) without a fault", v.Visitor, v.Outcome, v.Why)
		case v.Outcome == Entered && v.Session == "":
			say(&found, "a visit of %s ended without a session", v.Visitor)
		}
	}
	return found
}

// results: where the wallet was told that its presentation was taken, the visitor gets in. A flushed store, a store without a
// second node to take over, a stricter policy and a callback that never came are the ways in which that can fail, and each
// shows at the visit.
func (x *index) results() (found []string) {
	for i := range x.Visits {
		v := &x.Visits[i]
		if !v.Told || v.Outcome == Entered || x.deed(v.Span, Drop, Hold, ReloadStrict, StoreFlush) != nil {
			continue
		}
		if !x.SharedStore && x.deed(v.Span, Kill) != nil {
			continue
		}
		last := Span{v.Ended.Add(-recovery), v.Ended}
		if v.Outcome == Later && x.deed(last, slices.Collect(maps.Keys(ofStore))...) != nil {
			continue // still shut out at the end of their patience
		}
		say(&found, "the wallet of %s was told that all is well with request %s, and the visit ended as %q (%s)", v.Visitor, v.Request, v.Outcome, v.Why)
	}
	return found
}

// times: every answer comes in bounded time. What the machine itself was late by, an address that is not gated tells.
func (x *index) times() (found []string) {
	frozen := func(s Span) bool { return x.deed(s, StoreFreeze, NetLatency, NetLoss, NetHole, NetRefuse) != nil }
	for i := range x.Notes {
		n := &x.Notes[i]
		if n.Took() <= holdersPatience {
			continue
		}
		limit := patience
		if n.Holds != "" && (n.Step == StepApp || n.Step == StepScript) && frozen(n.Span) && x.deed(n.widened(time.Second), Kill) == nil {
			limit = holdersPatience
		}
		if took := n.Took(); took > limit && took > limit+x.late(n.Span) {
			say(&found, "%s waited %s, at most %s are allowed (%s, %s, node %d, status %d)",
				n.Visitor, took.Round(time.Millisecond), limit, n.Step, n.Ask, n.Node, n.Status)
		}
	}
	return found
}

// late is the longest that a probe took around the span.
func (x *index) late(s Span) (most time.Duration) {
	s = s.widened(time.Second)
	for _, p := range x.Probes {
		if p.meets(s) {
			most = max(most, p.Took())
		}
	}
	return most
}

// piling is by how many goroutines a node may exceed its usual number while the store does not answer.
const piling = 200

// piles: requests that wait for a store that does not answer do not pile up.
func (x *index) piles() (found []string) {
	byNode := make(map[int][]int)
	for _, s := range x.Sizes {
		byNode[s.Node] = append(byNode[s.Node], s.Goroutines)
	}
	for _, s := range x.Sizes {
		list := byNode[s.Node]
		slices.Sort(list)
		if usual := list[len(list)/2]; s.Goroutines > usual+piling {
			say(&found, "node %d had %d goroutines, usually %d", s.Node, s.Goroutines, usual)
		}
	}
	return found
}
