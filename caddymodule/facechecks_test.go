// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const manyStarts = " starts_per_client 1000\n starts_per_second 1000\n"

// startFrom asks for a code from an address of its own.
func startFrom(t *testing.T, g *Gate, client string) *httptest.ResponseRecorder {
	t.Helper()
	b := newBrowser(t, g)
	b.client = client
	start, _ := b.open(basePath + "/start")
	return b.post(basePath+"/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
}

// Somebody wants the operator's money: a botnet starts codes by the hundred before the first of them is answered, and holders
// then answer all of them. The budget holds, because each code that is shown has its place in it. Visitors are told when to
// come back, and members notice nothing. TM-121.
func TestFloodSpendsNoMoreThanTheBudget(t *testing.T) {
	app, g, s := journeyGate(t, "limits {\n"+manyStarts+" face_checks_per_day 3\n}", mailGate)
	var keys, states, ids []string
	for i := range 10 {
		w := startFrom(t, g, fmt.Sprintf("198.51.100.%d", i))
		if want := i < 3; (w.Code == http.StatusSeeOther) != want {
			t.Fatalf("start %d: status %d", i+1, w.Code)
		}
		if i < 3 {
			id, state, key := s.last(t)
			ids, states, keys = append(ids, id), append(states, state), append(keys, key)
			continue
		}
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "420" {
			t.Errorf("start %d: status %d with Retry-After %q, want 503 and the end of the first code's place", i+1, w.Code, w.Header().Get("Retry-After"))
		}
	}
	if s.calls() != 3 {
		t.Errorf("%d requests were made, want 3", s.calls())
	}
	for i := range ids {
		callback(t, g, keys[i], verified(ids[i], states[i], "did:ion:ana", fmt.Sprintf("did:ion:holder-%d", i)))
	}
	setNow(testNow.Add(time.Hour))
	w := startFrom(t, g, "192.0.2.99")
	if untilMidnight := testNow.Truncate(24 * time.Hour).Add(23 * time.Hour).Sub(testNow); w.Header().Get("Retry-After") != strconv.Itoa(int(untilMidnight.Seconds())) {
		t.Errorf("Retry-After %q, want the %v until midnight UTC", w.Header().Get("Retry-After"), untilMidnight)
	}
	member := newBrowser(t, g)
	setNow(testNow)
	member.cookies[g.site.session.Name] = sealed(g)
	if _, u := member.open("/"); u.hits != 1 {
		t.Error("a member was stopped by the budget")
	}
	setNow(testNow.Add(24 * time.Hour))
	if w := startFrom(t, g, "192.0.2.99"); w.Code != http.StatusSeeOther || app.faceChecks.today(clockNow()) != 0 {
		t.Errorf("on the next day: status %d with %d spent, want a code and none", w.Code, app.faceChecks.today(clockNow()))
	}
}

// The attacker gives up each code before it is answered, or lets it fail, to get his place back while his wallet goes on
// with it. A place comes back when no Face Check can come of the request any more, and not before. TM-121.
func TestPlaceOfACancelledCodeIsKept(t *testing.T) {
	c := newFaceChecks(0)
	end := testNow.Add(codeLifetime + verifier.CallbackGrace)
	c.reserve("given up", end, testNow, 1)
	if wait, ok := c.reserve("next", end, testNow.Add(time.Minute), 1); ok || wait != codeLifetime+verifier.CallbackGrace-time.Minute {
		t.Errorf("while the code lives: wait %v, %v; want to be refused for the rest of it", wait, ok)
	}
	if _, ok := c.reserve("next", end.Add(time.Hour), end, 1); !ok {
		t.Error("after the code's end its place is still taken")
	}
	c.release("next") // the service refused it
	if _, ok := c.reserve("third", end.Add(time.Hour), end, 1); !ok {
		t.Error("the place of a request that was never shown is still taken")
	}
	c.spend("third", end, 1)
	c.release("third")
	if _, ok := c.reserve("fourth", end.Add(time.Hour), end.Add(time.Minute), 1); ok {
		t.Error("what was spent came back")
	}
}

// What Microsoft bills counts once: however often the callback comes, whether the face matched or not, and also when our own
// rules refuse the result or it comes for a code that was given up. What it does not bill does not count. TM-121.
func TestFaceCheckIsCountedOnce(t *testing.T) {
	failed := func(id, state string) string {
		return `{"requestId":"` + id + `","requestStatus":"presentation_error","state":"` + state + `","error":{"code":"claimValidationError","message":"x"}}`
	}
	tests := map[string]struct {
		bodies func(id, state string) []string
		want   int
	}{
		"verified, three times": {func(id, state string) []string {
			return []string{verified(id, state), verified(id, state), verified(id, state)}
		}, 1},
		"the face did not match": {func(id, state string) []string { return []string{failed(id, state), failed(id, state)} }, 1},
		"refused by us": {func(id, state string) []string {
			return []string{verified(id, state, `"VerifiedEmployee"`, `"Other"`)}
		}, 1},
		"not to be understood": {func(string, string) []string { return []string{"{"} }, 1},
		"scanned only": {func(id, state string) []string {
			return []string{`{"requestId":"` + id + `","requestStatus":"request_retrieved","state":"` + state + `"}`}
		}, 0},
		"for another request": {func(_, state string) []string { return []string{verified("request-99", state)} }, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			app, g, s := journeyGate(t, "", mailGate)
			newBrowser(t, g).begin("/")
			id, state, key := s.last(t)
			for _, body := range test.bodies(id, state) {
				callback(t, g, key, body)
			}
			if got := app.faceChecks.today(testNow); got != test.want {
				t.Errorf("%d Face Checks were counted, want %d", got, test.want)
			}
		})
	}
}

// Whoever knows when the operator reloads or restarts gets the budget twice. It is one a day: a reload, also to another budget,
// keeps the count, and a restart finds it in the storage. A storage that fails keeps nobody out, and is not forgotten. TM-121.
func TestBudgetOutlivesReloadAndRestart(t *testing.T) {
	storage := &failingStorage{Storage: &certmagic.FileStorage{Path: storageDir(t)}}
	setNow(testNow)
	first, second := newFaceChecks(0), newFaceChecks(0)
	for i := range 3 {
		first.spend(strconv.Itoa(i), testNow, 0)
	}
	if _, ok := first.reserve("next", testNow.Add(time.Hour), testNow, 3); ok {
		t.Error("a smaller budget does not count what was spent under the larger one")
	}
	storage.failing = true
	if err := first.save(storage, clockNow); err == nil {
		t.Error("a failed save is no error")
	}
	storage.failing = false
	second.spend("elsewhere", testNow, 0)
	for name, c := range map[string]*faceChecks{"first": first, "second": second} {
		if err := c.save(storage, clockNow); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	restarted := newFaceChecks(0)
	if err := restarted.save(storage, clockNow); err != nil || restarted.today(testNow) != 4 {
		t.Errorf("after a restart %d are known, %v; want those of both nodes, 4", restarted.today(testNow), err)
	}
	setNow(testNow.Add(24 * time.Hour))
	restarted.spend("tomorrow", clockNow(), 0)
	if err := restarted.save(storage, clockNow); err != nil || restarted.today(clockNow()) != 1 {
		t.Errorf("on the next day %d, %v; want 1", restarted.today(clockNow()), err)
	}
	if err := storage.Store(t.Context(), storedFaceChecksPath, []byte("{")); err != nil {
		t.Fatal(err)
	}
	restarted.spend("after the damage", clockNow(), 0)
	if err := restarted.save(storage, clockNow); err != nil || restarted.today(clockNow()) != 2 {
		t.Errorf("after the damage %d, %v; want it mended with 2", restarted.today(clockNow()), err)
	}
}

// A node was killed while it saved the count, and has left the storage's lock for the next ten seconds. A reload does not wait for
// it: the count is with the config that goes on, which saves it.
func TestReloadDoesNotWaitForTheCountsLock(t *testing.T) {
	old, _ := loadApp(t, testApp(""))
	next, _ := loadApp(t, testApp(""))
	next.faceChecks = old.faceChecks // as the pool has it
	for _, app := range []*App{old, next} {
		if err := app.Start(); err != nil {
			t.Fatal(err)
		}
	}
	old.faceChecks.spend("one", testNow, 0)
	if err := old.ctx.Storage().Lock(t.Context(), storedFaceChecksPath); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := old.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > patience.Storage/2 {
		t.Errorf("the reload has waited %s for the lock", took)
	}
	if err := next.Stop(); err != nil {
		t.Fatal(err)
	}
	if sum, err := loadStoredFaceChecks(t.Context(), next.ctx.Storage(), dayOf(testNow)); err != nil || sum != 1 {
		t.Errorf("%d Face Checks are stored (%v), want 1", sum, err)
	}
	if err := old.ctx.Storage().Unlock(t.Context(), storedFaceChecksPath); err != nil {
		t.Fatal(err)
	}
}

// failingStorage refuses to write while failing.
type failingStorage struct {
	certmagic.Storage
	failing bool
}

func (s *failingStorage) Store(ctx context.Context, key string, value []byte) error {
	if s.failing {
		return errors.New("read-only")
	}
	return s.Storage.Store(ctx, key, value)
}

// Two hundred visitors and the writing to the storage at once: nothing is lost and nothing counted twice. TM-121.
func TestFaceChecksInParallel(t *testing.T) {
	storage := &certmagic.FileStorage{Path: storageDir(t)}
	setNow(testNow)
	c := newFaceChecks(0)
	var wait sync.WaitGroup
	for i := range 200 {
		wait.Go(func() {
			id := strconv.Itoa(i)
			if _, ok := c.reserve(id, testNow.Add(time.Hour), testNow, 150); ok {
				c.spend(id, testNow, 150)
			}
			if i%50 == 0 {
				if err := c.save(storage, clockNow); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if err := c.save(storage, clockNow); err != nil || c.today(testNow) != 150 {
		t.Errorf("%d spent, %v; want 150", c.today(testNow), err)
	}
	restarted := newFaceChecks(0)
	if err := restarted.save(storage, clockNow); err != nil || restarted.today(testNow) != 150 {
		t.Errorf("%d in the storage, %v; want 150", restarted.today(testNow), err)
	}
}

// The bill grows by night. The operator hears of it while there is time, and when it has come to its end, once each. TM-121.
func TestNearingBudgetIsTold(t *testing.T) {
	app, g, s := journeyGate(t, "limits {\n"+manyStarts+" face_checks_per_day 5\n}", mailGate)
	heard, logged := listen(t, app), watchLog(g)
	for i := range 5 {
		startFrom(t, g, fmt.Sprintf("198.51.100.%d", i))
		id, state, key := s.last(t)
		callback(t, g, key, verified(id, state, "did:ion:ana", fmt.Sprintf("did:ion:holder-%d", i)))
		callback(t, g, key, verified(id, state, "did:ion:ana", fmt.Sprintf("did:ion:holder-%d", i)))
	}
	for message, spent := range map[string]int64{
		"four fifths of the day's Face Check budget are spent":                        4,
		"the day's Face Check budget is spent; nobody new gets in until midnight UTC": 5,
	} {
		if fields := logged.fields(t, message); fields["spent"] != spent || fields["budget"] != int64(5) {
			t.Errorf("%q says %v", message, fields)
		}
	}
	told := map[any]bool{}
	for range 2 {
		told[heard.next(t, eventFaceCheckBudget)["spent"]] = true
	}
	if !told[4] || !told[5] {
		t.Errorf("the events spoke of %v, want 4 and 5", told)
	}
	families, err := app.ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		found[family.GetName()] = family.GetMetric()[0].GetGauge().GetValue()
	}
	if found["caddy_verified_id_face_checks_today"] != 5 || found["caddy_verified_id_face_check_budget"] != 5 {
		t.Errorf("the gauges say %v of %v, want 5 of 5", found["caddy_verified_id_face_checks_today"], found["caddy_verified_id_face_check_budget"])
	}
}
