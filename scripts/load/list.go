// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// allScenarios are the figures to hold, by the names that docs/reliability.md gives them. L2, sessions kept in a store, does
// not exist: sessions are sealed.
var allScenarios = []scenario{
	{"L1", "requests with a session", "≥ 90 % of paired", 2 * time.Minute, measureSession},
	{"L3", "challenges", "≥ 50 % of paired `respond`", time.Minute, measureChallenge},
	{"L4", "transactions that wait", "≤ 2 KiB each", 2 * time.Minute, measurePending},
	{"L5", "status streams", "10,000 in 1 GiB", 4 * time.Minute, measureStreams},
	{"L6", "callback → browser told", "p99 ≤ 250 ms", 3 * time.Minute, measureTold},
	{"L7", "whole visits", "0 lost", 2 * time.Minute, measureFlows},
	{"L8", "flood", "p99 ≤ 2 × quiet", 2 * time.Minute, measureFlood},
	{"L9", "big callbacks", "≤ 768 MiB", 2 * time.Minute, measureBigCallbacks},
	{"L10", "start-up", "≤ 150 ms over bare Caddy", 2 * time.Minute, measureStart},
}
