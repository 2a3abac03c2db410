// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// A site reloads its config at every deployment, thousands of times in the life of a server, and some of these configs are
// refused half-way, when stores, clients and limits have been taken from their pools already. Each load gives back all it took,
// or the server slowly fills with what nobody uses. TM-138.
func TestThousandLoadsLeaveNothing(t *testing.T) {
	setSecret(t)
	m := newMachine(t)
	m.log = "" // a thousand log files opened and closed are Caddy's business
	good := adaptText(t, caddyfileOf("public_url http://localhost:8080\ninsecure_loopback_http", "http://localhost:8080 {\nverified_id\n}\n"))
	wrong := func(change func(app, gate object)) []byte { return changedConfig(t, change) }
	early := [][]byte{ // in the app, with nothing, the store, or the store and the client taken
		wrong(func(app, _ object) { app["sealing_keys"] = []string{"{env.UNSET}"} }),
		wrong(func(app, _ object) { app["service"] = "http://verifiedid.example" }),
		wrong(func(app, _ object) { app["pages"] = object{"colour": "blue"} }),
	}
	late := [][]byte{ // in a gate, with everything taken
		wrong(func(_, gate object) { gate["credentials"] = []string{"guest"} }),
		wrong(func(_, gate object) { gate["bind"] = object{"claim": "mail", "value": "me"} }),
	}
	load := func(config []byte, loads bool) {
		if err := m.load(t, config, nil); loads != (err == nil) {
			t.Fatalf("loading %s: %v", config, err)
		}
	}

	load(good, true) // starts what Caddy itself keeps
	pooled, running := poolSizes(), settledGoroutines(t, 0)
	began, loads := time.Now(), 0
	for round := range 100 { // most of them cheap: rendering the pages, which holds nothing, is nine tenths of a whole load
		load(good, true)
		for i := range 9 {
			load(early[i%len(early)], false)
		}
		if round%10 == 0 {
			for _, config := range late {
				load(config, false)
				loads++
			}
		}
		loads += 10
	}
	t.Logf("%d loads, 100 of them whole, in %s", loads, time.Since(began))
	if got := poolSizes(); got != pooled {
		t.Errorf("the pools hold %v stores, clients and limits, before %v", got, pooled)
	}
	if got := settledGoroutines(t, running); got > running {
		t.Errorf("%d goroutines, before %d", got, running)
	}
}

// poolSizes counts what is shared between configs at the moment.
func poolSizes() (sizes [3]int) {
	for i, pool := range []*caddy.UsagePool{storePool, clientPool, limiterPool} {
		pool.Range(func(any, any) bool {
			sizes[i]++
			return true
		})
	}
	return sizes
}

// settledGoroutines counts goroutines once those that are ending have ended: when there are no more than wanted, or when the
// number has not changed for a while.
func settledGoroutines(t *testing.T, wanted int) int {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	number, unchanged := runtime.NumGoroutine(), 0
	for unchanged < 50 && (wanted == 0 || number > wanted) {
		<-tick.C
		unchanged++
		if now := runtime.NumGoroutine(); now != number {
			number, unchanged = now, 0
		}
	}
	return number
}

// A config that is refused must leave the running one as it was: its store open, its visits in it, its client and its limits
// in use. TM-138.
func TestRefusedConfigLeavesTheOldOneUntouched(t *testing.T) {
	setSecret(t)
	m := newMachine(t)
	err := m.load(t, adaptText(t, caddyfileOf("", sitePart)), func(ctx caddy.Context) {
		app := appOf(t, ctx)
		waiting := verifier.Transaction{
			ID: "waiting", State: "state-of-waiting", Status: verifier.StatusCreated, Client: "192.0.2.7",
			Created: app.now(), Expires: app.now().Add(time.Minute), Requirement: app.credentials["employee"].base,
		}
		if err := app.store.Create(ctx, waiting); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(app, gate object){
			"in the app": func(app, _ object) { app["pages"] = object{"colour": "blue"} },
			"in a gate":  func(_, gate object) { gate["face_check"] = 40 },
		} {
			if err := m.load(t, changedConfig(t, change), nil); err == nil {
				t.Fatalf("%s: it loads", name)
			}
			if _, err := app.store.Get(ctx, "waiting"); err != nil {
				t.Errorf("%s: the visit is lost: %v", name, err)
			}
			if w := visitSite(t, ctx, "GET", testOrigin+basePath+"/start", pageLoad); w.Code != 200 {
				t.Errorf("%s: the start page answers %d", name, w.Code)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.logged(t), "panic") {
		t.Error("something panicked")
	}
}
