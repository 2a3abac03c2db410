// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/e2e/internal/caddyprocess"
)

// expectClosed sends requests of strangers, and of somebody who is in, while something is exhausted. They may fail, or take too
// long; no stranger's may reach the app.
func (w *world) expectClosed(member *client, strangers ...*client) {
	w.t.Helper()
	member.http.Timeout = time.Second
	var group sync.WaitGroup
	for i, c := range strangers {
		c.http.Timeout = time.Second
		group.Go(func() {
			for j := range 10 {
				a, err := c.send("GET", fmt.Sprintf("/stranger/%d/%d", i, j), nil)
				if err == nil && (a.status < 300 || a.setsASession || strings.Contains(a.page, `id="app"`)) {
					w.t.Errorf("a stranger is answered %d", a.status)
				}
			}
		})
	}
	group.Go(func() {
		for range 10 {
			if a, err := member.send("GET", "/payroll", nil); err == nil && a.status/100 == 3 {
				w.t.Errorf("somebody who is in is answered %d, to %s", a.status, a.to)
			}
		}
	})
	group.Wait()
	for _, r := range w.app.seen() {
		if strings.HasPrefix(r.URL.Path, "/stranger") {
			w.t.Errorf("the app was asked for %s", r.URL.Path)
		}
	}
}

// expectRecovery checks that all is as before, without a restart: who was in is in, and somebody new gets in.
func (w *world) expectRecovery(member *client) {
	w.t.Helper()
	member.http.Timeout = patience
	if !member.isIn() {
		w.t.Error("who was in is out")
	}
	var err error
	for range 10 { // the first may meet what is not over yet
		if err = w.newClient("127.0.0.1").enter(); err == nil {
			return
		}
		<-time.After(time.Second)
	}
	w.t.Errorf("nobody gets in afterwards: %v", err)
}

// keepingAlive is another visitor, whose connection stays.
func (w *world) keepingAlive() *client {
	c := w.newClient("127.0.0.1")
	transport := c.http.Transport.(*http.Transport) //nolint:forcetypeassert // newClient made it
	transport.DisableKeepAlives = false
	w.t.Cleanup(transport.CloseIdleConnections)
	return c
}

// X15: somebody opens connections until the server has no descriptors left for the next one, for the app behind it or for its own
// files. The gate stays closed, and when the connections go everything is as before. Linux counts the descriptors.
func TestDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	const limit = 256
	w := newWorld(t, plan{app: many})
	w.caddy.Stop(t)
	w.caddy = caddyprocess.LaunchBy(t, w.home, w.caddyfile, "sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$0" "$@"`, limit), caddyprocess.Binary(t))
	w.caddy.Wait(t, "serving initial configuration")
	member, stranger := w.newClient("127.0.0.1"), w.keepingAlive()
	if err := member.enter(); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.send("GET", "/stranger", nil); err != nil {
		t.Fatal(err)
	}

	var idle []net.Conn
	open := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", w.caddy.PID()))
		if err != nil {
			t.Fatalf("counting descriptors, which needs Linux's /proc: %v", err)
		}
		return len(entries)
	}
	address := strings.TrimPrefix(w.origin, "https://")
	for begin := time.Now(); open() < limit-1; {
		if time.Since(begin) > patience {
			t.Fatalf("%d descriptors of %d are open after %d connections", open(), limit, len(idle))
		}
		for range 20 {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			idle = append(idle, conn)
		}
		<-time.After(10 * time.Millisecond)
	}
	w.expectClosed(member, stranger, w.newClient("127.0.0.1"))
	for _, conn := range idle {
		_ = conn.Close()
	}
	w.expectRecovery(member)
}

// X15: nobody reads the log any more, because its disk is full or its reader hangs. Caddy waits with its lines, and so do the
// requests that have something to say; none passes for it. When the log is read again everything is as before.
func TestLogPipeBlocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{app: many})
	member := w.newClient("127.0.0.1")
	if err := member.enter(); err != nil {
		t.Fatal(err)
	}
	func() {
		defer w.caddy.Log.Hold()()
		strangers := make([]*client, 16)
		for i := range strangers {
			strangers[i] = w.newClient("127.0.0.1")
		}
		w.expectClosed(member, strangers...)
		if a, err := strangers[0].send("GET", "/stranger", nil); err == nil {
			t.Errorf("the pipe is not full: a stranger is answered %d", a.status)
		}
	}()
	w.expectRecovery(member)
}
