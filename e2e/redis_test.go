// SPDX-License-Identifier: Apache-2.0

//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
)

// near and far are the addresses of two nodes. The site's name leads to the near one, so callbacks go there.
const near, far = "127.0.0.1", "127.0.0.2"

const redisPassword = "canary-password-of-the-store"

// twoNodes makes a world of two servers that share a storage and a Redis. The other one logs all that it knows.
func twoNodes(t *testing.T) (w *world, other *caddyprocess.Process, redis *redistest.Server) {
	t.Helper()
	redis = redistest.Start(t, "--requirepass", redisPassword)
	redis.Auth(redisPassword)
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte(redisPassword+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w = newWorld(t, plan{app: many + "\nstore redis {\n\taddress " + redis.Addr + "\n\tpassword_file " + file + "\n}"})
	shared := strings.Replace(w.caddyfile, "default_bind", "debug\n\tstorage file_system "+w.home+"/data/caddy\n\tdefault_bind", 1)
	other = caddyprocess.Start(t, t.TempDir(), strings.Replace(shared, "default_bind "+near, "default_bind "+far, 1))
	return w, other, redis
}

// A balancer sends each request where it likes: Ana begins at one node, Microsoft calls the other back, and she finishes at the
// first. Her session is good at both, until she logs out at one: within five seconds the other, which has her cookie from
// a thief, knows. TM-156.
func TestVisitTravelsOverTwoNodes(t *testing.T) {
	t.Parallel()
	w, _, _ := twoNodes(t)
	ana := w.newClient(far)
	if err := ana.enter(); err != nil { // the callback goes to the near one
		t.Fatal(err)
	}
	thief := ana.copied(near)
	if !ana.isIn() || !thief.isIn() {
		t.Fatal("a session of one node is none at the other")
	}

	// Begun at one, finished at the other.
	begun := w.newClient(far)
	if err := begun.start(); err != nil {
		t.Fatal(err)
	}
	if err := begun.request(); err != nil {
		t.Fatal(err)
	}
	link, err := begun.link()
	if err != nil {
		t.Fatal(err)
	}
	w.accept(w.openLink(link))
	moved := begun.copied(near)
	moved.transaction = begun.transaction
	if a, err := moved.finish(); err != nil || !a.setsASession {
		t.Fatalf("finishing at the other node: status %d, %v", a.status, err)
	}
	if _, err := ana.send("GET", "/.verified-id/logout", nil); err != nil {
		t.Fatal(err)
	}
	if a, err := ana.send("POST", "/.verified-id/logout", url.Values{"token": {ana.token}}); err != nil || a.status >= http.StatusInternalServerError {
		t.Fatalf("logging out: status %d, %v", a.status, err)
	}
	told := time.Now()
	await(t, 5*time.Second, "the other node still admits her", func() bool { return !thief.isIn() })
	t.Logf("the other node followed after %s", time.Since(told))
	if !moved.isIn() {
		t.Error("somebody else was put out with her")
	}
}

// Redis crashes. Who has a session goes on at both nodes with the same cookies; who has none gets an honest page and a time to
// come back. Two seconds after its return, without anything that it held, new people get in. The log tells of it, down to what the
// client library says, without the password. TM-129, TM-130, TM-134.
func TestRedisOutageUnderTheGate(t *testing.T) {
	t.Parallel()
	w, other, redis := twoNodes(t)
	members := []*client{w.newClient(near), w.newClient(far)}
	for _, member := range members {
		if err := member.enter(); err != nil {
			t.Fatal(err)
		}
	}
	visitor := w.newClient(far)
	if err := visitor.start(); err != nil {
		t.Fatal(err)
	}

	redis.Stop()
	for range 3 {
		began := time.Now()
		a, err := visitor.send("POST", "/.verified-id/request", url.Values{"token": {visitor.token}, "credential": {"employee"}})
		if err != nil || a.status != http.StatusServiceUnavailable || a.retryAfter == "" || a.clears {
			t.Errorf("starting in the outage: status %d, Retry-After %q, cookies cleared: %v, %v; want 503 and a time", a.status, a.retryAfter, a.clears, err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the honest page took %s", took)
		}
	}
	for i, member := range members {
		if a, err := member.send("GET", "/payroll", nil); err != nil || a.status != http.StatusOK || a.clears {
			t.Errorf("member %d in the outage: status %d, cookies cleared: %v, %v", i, a.status, a.clears, err)
		}
	}

	redis.Restart()
	back := time.Now()
	await(t, 2*time.Second, "nobody new gets in after the return", func() bool { return visitor.request() == nil })
	t.Logf("at work again after %s", time.Since(back))
	for i, member := range members {
		if !member.isIn() {
			t.Errorf("member %d was put out", i)
		}
	}
	if !other.Log.Contains("the store is unavailable") || !other.Log.Contains("verified_id.redis") {
		t.Error("the log does not tell of the outage, and of the connections that failed")
	}
	if w.caddy.Log.Contains(redisPassword) || other.Log.Contains(redisPassword) {
		t.Error("a log tells the password")
	}
}

// await asks until the answer is yes.
func await(t *testing.T, within time.Duration, failure string, yes func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal(fmt.Sprint(failure, " after ", within))
		}
	}
}
