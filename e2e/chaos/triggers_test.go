// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"maps"
	"slices"
	"sync"
)

// triggers tell who waits to kill a node that a visit has come to a stage there, of the stages that have had the fewest kills.
type triggers struct {
	mu    sync.Mutex
	armed map[int]chan<- Stage // by node
	kills map[Stage]int
}

// arm makes the node's next request of an open stage tell the stage, once.
func (t *triggers) arm(node int) <-chan Stage {
	reached := make(chan Stage, 1)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed[node] = reached
	return reached
}

// disarm says whether the trigger was still armed.
func (t *triggers) disarm(node int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, armed := t.armed[node]
	delete(t.armed, node)
	return armed
}

// fire says that a request of the stage is with the node.
func (t *triggers) fire(stage Stage, node int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if reached, ok := t.armed[node]; ok && slices.Contains(fewest(t.kills), stage) {
		delete(t.armed, node)
		t.kills[stage]++
		reached <- stage
	}
}

// draw puts first, of the nodes in order, one that waits for a visit in the stage: a balancer sends where it likes.
func (t *triggers) draw(stage Stage, order []int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.armed) == 0 || !slices.Contains(fewest(t.kills), stage) {
		return
	}
	for i, node := range order {
		if _, ok := t.armed[node]; ok {
			order[0], order[i] = order[i], order[0]
			return
		}
	}
}

// byStage is how many kills met which stage.
func (t *triggers) byStage() map[Stage]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.kills)
}
