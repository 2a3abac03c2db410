// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// nodes are the stores of three processes over one server.
func nodes(t testing.TB, config redisstore.Config, addresses ...string) [3]*redisstore.Store {
	t.Helper()
	return [3]*redisstore.Store{open(t, config, addresses...), open(t, config, addresses...), open(t, config, addresses...)}
}

// TM-131: three nodes finish one visit at the same moment, many times each. One session comes of it, and no update is lost.
func TestThreeNodesRaceForOneResult(t *testing.T) {
	t.Parallel()
	stores := nodes(t, redisstore.Config{}, redistest.Start(t).Addr)
	create(t, stores[0], requested("a"))
	parallel(99, func(i int) { update(t, stores[i%3], "a", retrieve) })
	if got, err := stores[0].Get(t.Context(), "a"); err != nil || got.Retrievals != 99 {
		t.Errorf("99 updates by three nodes left %d, %v", got.Retrievals, err)
	}

	update(t, stores[0], "a", verified())
	var sessions [99]string
	parallel(len(sessions), func(i int) {
		if _, err := stores[i%3].Update(t.Context(), "a", func(t *verifier.Transaction) (err error) {
			sessions[i], err = t.Consume(name("session", i), time.Now())
			return err
		}); err != nil {
			t.Errorf("Update: %v", err)
		}
	})
	own := 0
	for i, session := range sessions {
		if session == name("session", i) {
			own++
		}
		if session != sessions[0] {
			t.Fatalf("two sessions came of one result: %q and %q", session, sessions[0])
		}
	}
	if own != 1 {
		t.Errorf("%d callers took the result, want 1", own)
	}
}

// TM-131: of all nodes one is the first.
func TestThreeNodesRaceForOneMark(t *testing.T) {
	t.Parallel()
	stores := nodes(t, redisstore.Config{}, redistest.Start(t).Addr)
	for round := range 20 {
		var firsts atomic.Int32
		parallel(30, func(i int) {
			first, err := stores[i%3].Mark(t.Context(), name("mark", round), time.Now().Add(time.Minute))
			if err != nil {
				t.Errorf("Mark: %v", err)
			}
			if first {
				firsts.Add(1)
			}
		})
		if firsts.Load() != 1 {
			t.Errorf("%d of 30 callers were the first", firsts.Load())
		}
	}
}

// TM-119 for many nodes: the caps are of all together, and exact.
func TestCapsAreOfAllNodes(t *testing.T) {
	t.Parallel()
	stores := nodes(t, redisstore.Config{MaxPending: 50, MaxPendingPerClient: 10}, redistest.Start(t).Addr)
	flood := func(client string) int {
		var created atomic.Int32
		parallel(90, func(i int) {
			transaction := requested(name(client, i))
			transaction.Client = client
			switch err := stores[i%3].Create(t.Context(), transaction); {
			case err == nil:
				created.Add(1)
			case !errors.Is(err, verifier.ErrFull) && !errors.Is(err, verifier.ErrClientFull):
				t.Errorf("Create: %v", err)
			}
		})
		return int(created.Load())
	}
	if n := flood("mallory"); n != 10 {
		t.Errorf("one client has %d transactions, want 10", n)
	}
	if n := flood(""); n != 40 {
		t.Errorf("%d transactions were made of the 40 that there was room for", n)
	}
	stores[1].Resize(51, 10)
	create(t, stores[1], requested("one more"))
	wantError(t, "Create in a full store", stores[1].Create(t.Context(), requested("more")), verifier.ErrFull)
}
