// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// many is a cap that no benchmark reaches.
const many = 100_000_000

func BenchmarkCreate(b *testing.B) {
	store := open(b, redisstore.Config{MaxPending: many}, redistest.Start(b).Addr)
	var n atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := store.Create(b.Context(), requested(strconv.FormatInt(n.Add(1), 10))); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	store := open(b, redisstore.Config{}, redistest.Start(b).Addr)
	create(b, store, requested("a"))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := store.Get(b.Context(), "a"); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkUpdate(b *testing.B) {
	store := open(b, redisstore.Config{}, redistest.Start(b).Addr)
	create(b, store, requested("a"))
	b.ReportAllocs()
	for b.Loop() {
		update(b, store, "a", retrieve)
	}
}

// BenchmarkWatch is from a callback at one node until a browser at another can be told: change, hint, and reading again.
func BenchmarkWatch(b *testing.B) {
	server := redistest.Start(b)
	stores := nodes(b, redisstore.Config{}, server.Addr)
	create(b, stores[0], requested("a"))
	changed := watch(b, stores[1], "a")
	var took []time.Duration
	for want := 1; b.Loop(); want++ {
		begun := time.Now()
		update(b, stores[0], "a", retrieve)
		for {
			<-changed
			if got, err := stores[1].Get(b.Context(), "a"); err != nil || got.Retrievals == want {
				break
			}
		}
		took = append(took, time.Since(begun))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkSignIn counts the commands that one sign-in costs the server, without the pages that ask in between: start, wallet, callback,
// finish, with a browser that watches.
func BenchmarkSignIn(b *testing.B) {
	server := redistest.Start(b)
	store := open(b, redisstore.Config{MaxPending: many}, server.Addr)
	create(b, store, requested("warm"))
	watch(b, store, "warm")
	server.Do("CONFIG", "RESETSTAT")
	n := 0
	for b.Loop() {
		n++
		id := strconv.Itoa(n)
		t := requested(id)
		t.Client = name("client", n)
		create(b, store, t)
		watch(b, store, id)
		update(b, store, id, retrieve)
		update(b, store, id, verified())
		update(b, store, id, func(t *verifier.Transaction) error { _, err := t.Consume("session", time.Now()); return err })
	}
	stats := fmt.Sprint(server.Do("INFO", "commandstats"))
	for _, command := range []string{"get", "set", "evalsha"} {
		for _, found := range regexp.MustCompile(`cmdstat_`+command+`:calls=(\d+)`).FindAllStringSubmatch(stats, -1) {
			calls, err := strconv.Atoi(found[1])
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(calls)/float64(n), command+"/op")
		}
	}
}
