// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Long runs ask for more by these variables: how many reloads, and how many open status streams.
const (
	reloadsVariable = "VERIFIED_ID_TEST_RELOADS"
	streamsVariable = "VERIFIED_ID_TEST_STREAMS"
)

// howMany is the number that the variable asks for.
func howMany(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return number
}

func sealingKey() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// hammer sends requests one after the other until the context ends. Each may fail once and is sent again on a fresh connection, as
// browsers do; a reload of Caddy closes connections under their requests.
func (c *client) hammer(ctx context.Context, path string, right func(a answer, strict bool) bool, strict *atomic.Bool) (sent, again int) {
	for ; ctx.Err() == nil; sent++ {
		before := strict.Load()
		a, err := c.send("GET", path, nil)
		if err != nil {
			again++
			a, err = c.send("GET", path, nil)
		}
		if ctx.Err() == nil && (err != nil || !right(a, before || strict.Load())) {
			c.w.t.Errorf("%s is answered %d, to %q (%v)", path, a.status, a.to, err)
			return sent, again
		}
	}
	return sent, again
}

// twice takes a step, and once more if its connection was closed under it, as a reload of Caddy may.
func twice(t *testing.T, step func() error) {
	t.Helper()
	err := step()
	if err != nil {
		err = step()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// follow reads the status streams of a visit until the context ends, and returns the longest time it was without one.
func (c *client) follow(ctx context.Context, opened func()) (gap time.Duration) {
	ended := time.Now()
	for ctx.Err() == nil {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.w.origin+"/.verified-id/events?t="+url.QueryEscape(c.transaction), http.NoBody)
		if err != nil {
			c.w.t.Error(err)
			return 0
		}
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		response, err := c.http.Do(r)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(response.Body)
		if lines.Scan() && response.StatusCode == http.StatusOK {
			gap = max(gap, time.Since(ended))
			opened()
			for lines.Scan() {
			}
			ended = time.Now()
		}
		_ = response.Body.Close()
	}
	return gap
}

var goroutineTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)

// goroutines counts those of the server.
func (w *world) goroutines() int {
	t := w.t
	t.Helper()
	profile, err := w.caddy.Call("GET", "/debug/pprof/goroutine?debug=1", "", "")
	if err != nil {
		t.Fatal(err)
	}
	found := goroutineTotal.FindStringSubmatch(profile)
	if found == nil {
		t.Fatalf("no number of goroutines in %.100q", profile)
	}
	number, _ := strconv.Atoi(found[1])
	return number
}

// X11, X12: the operator reloads again and again: the same config, one that is broken, one with a stricter rule and back, one with
// a new sealing key in front; while people are in, strangers knock, pages wait for their phones, and in the middle of a visit. No
// decision is wrong, nobody is logged out, no visit is lost or ends on the old terms, and what belonged to the old configs goes.
func TestReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	keys := sealingKey()
	w := newWorld(t, plan{app: many + "\n\t\tsealing_key " + keys})
	caddyfile := strings.Replace(w.caddyfile, "\tlog\n", "", 1) // so many random addresses hold any three letters, those of a token too
	w.caddy.Reload(t, caddyfile)
	member := w.newClient("127.0.0.1")
	if err := member.enter(); err != nil {
		t.Fatal(err)
	}
	before := w.goroutines()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var strict atomic.Bool // a face that was good enough is not, for a moment
	var group sync.WaitGroup
	var sent, again, opened atomic.Int64
	hammer := func(c *client, path string, right func(a answer, strict bool) bool) {
		group.Go(func() {
			s, a := c.hammer(ctx, path, right, &strict)
			sent.Add(int64(s))
			again.Add(int64(a))
		})
	}
	hammer(member, "/payroll", func(a answer, strict bool) bool {
		return a.status == http.StatusOK && strings.Contains(a.page, `id="app"`) || a.status == http.StatusSeeOther && strict
	})
	hammer(w.newClient("127.0.0.1"), "/payroll/stranger", func(a answer, _ bool) bool {
		return a.status == http.StatusSeeOther && !strings.Contains(a.page, `id="app"`)
	})
	var longest atomic.Int64
	streams := howMany(t, streamsVariable, 5)
	for range streams {
		waiting := w.newClient("127.0.0.1")
		twice(t, waiting.start)
		twice(t, waiting.request)
		group.Go(func() {
			if gap := waiting.follow(ctx, func() { opened.Add(1) }); int64(gap) > longest.Load() {
				longest.Store(int64(gap))
			}
		})
	}

	reloads := howMany(t, reloadsVariable, 5)
	for i := range reloads {
		kind := []string{"the same", "broken", "stricter", "another key", "the same"}[i%5]
		person := w.newClient("127.0.0.1")
		twice(t, person.start)
		twice(t, person.request)
		var link string
		twice(t, func() (err error) { link, err = person.link(); return err })
		offer := w.openLink(link)
		switch kind {
		case "the same":
			w.caddy.Reload(t, caddyfile)
		case "broken":
			if _, err := w.caddy.Call("POST", "/load", "text/caddyfile", strings.Replace(caddyfile, "issuer ", "isuer ", 1)); err == nil {
				t.Error("the broken config loads")
			}
		case "stricter":
			strict.Store(true)
			w.caddy.Reload(t, strings.Replace(caddyfile, "face_check photo 80", "face_check photo 99", 1))
		case "another key":
			fresh := sealingKey() + " " + keys
			caddyfile = strings.Replace(caddyfile, "sealing_key "+keys, "sealing_key "+fresh, 1)
			keys = fresh
			w.caddy.Reload(t, caddyfile)
		}
		w.share(offer, honest)
		var a answer
		twice(t, func() (err error) { a, err = person.finish(); return err })
		if a.setsASession == (kind == "stricter") {
			t.Errorf("a visit over a reload (%s) is answered %d; session: %v", kind, a.status, a.setsASession)
		}
		if kind == "stricter" {
			w.caddy.Reload(t, caddyfile)
			strict.Store(false)
		}
	}
	cancel()
	group.Wait()
	if a, err := member.send("GET", "/payroll", nil); err == nil && a.status != http.StatusOK {
		t.Error("the reloads have logged somebody out")
	}
	t.Logf("%d requests, %d of them twice; %d streams opened, the longest without one %v", sent.Load(), again.Load(), opened.Load(), time.Duration(longest.Load()))
	if opened.Load() < int64(streams) || time.Duration(longest.Load()) > 10*time.Second {
		t.Errorf("%d streams were opened by %d pages, one was without for %v", opened.Load(), streams, time.Duration(longest.Load()))
	}
	for deadline := time.Now().Add(patience); w.goroutines() > before+20; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, before %d", w.goroutines(), before)
		}
		<-time.After(100 * time.Millisecond)
	}
}
