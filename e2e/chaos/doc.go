// SPDX-License-Identifier: Apache-2.0

// Package chaos breaks things at random and proves afterwards that nothing came of it: several Caddy processes that are
// killed, reloaded and cut off, a store behind a network that fails, a service that fails, callbacks that come twice, late or
// never, and visitors who go on all the while.
//
// A [Scenario] is a list of actions made from a seed: the same seed does the same to the same things in the same order. Only at
// which moment of a visit a node is killed shows itself in the run: kills are aimed at the moments that have had the fewest. All
// who take part write down what they saw, as a [History]; [Check] reads it afterwards and knows nothing else. Its rules are
// those of docs/reliability.md.
//
//	go test ./e2e/chaos                                  # the short run, part of make test
//	make chaos CHAOS_SEED=7 CHAOS_TIME=30m               # a long one
//	make chaos CHAOS_MIX='kill -9=200,reload=500'        # by counts instead of the usual mix
//	make chaos CHAOS_RUN=TestChaosOfManyNodes            # three nodes with a Redis alone, without the one that has none
//	make chaos CHAOS_FOLDER=/tmp                         # keeps there what a slow reload waits for
package chaos
