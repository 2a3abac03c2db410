// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// faceChecks counts the Face Checks of a day (UTC) and holds a place for each request that may still become one: Microsoft
// bills a check that was made, passed or failed, and no request of ours can be called back. It outlives reloads, and restarts
// as far as the storage was told.
type faceChecks struct {
	saveEvery time.Duration // 0: nothing is saved by itself

	saving sync.Mutex // one at a time talks to the storage

	mu      sync.Mutex
	day     string // the rest is of this day; 2006-01-02
	spent   int    // known to have been made
	unsaved int    // of these, not in the storage yet
	places  map[string]budgetPlace
	waiting bool // for the time to save
}

// budgetPlace is a transaction's share. Once it is spent it stays for a while, so that a callback that comes twice counts once.
type budgetPlace struct {
	until time.Time
	spent bool
}

// storedFaceChecks is the content of storedFaceChecksPath.
type storedFaceChecks struct {
	Day   string `json:"day"`
	Spent int    `json:"spent"`
}

const (
	storedFaceChecksPath = "verified_id/face_checks.json"
	saveFaceChecksEvery  = 5 * time.Second

	// keepSpent is longer than a verified transaction can take callbacks.
	keepSpent = 15 * time.Minute
)

var faceCheckPool = caddy.NewUsagePool()

// Destruct implements caddy.Destructor. What had to be saved was saved when the app stopped.
func (*faceChecks) Destruct() error { return nil }

func newFaceChecks(saveEvery time.Duration) *faceChecks {
	return &faceChecks{saveEvery: saveEvery, places: map[string]budgetPlace{}}
}

// provisionFaceChecks takes up the count where it was. A storage that does not answer is no reason to keep everybody out.
func (a *App) provisionFaceChecks() error {
	const key = "face_checks"
	shared, known, err := faceCheckPool.LoadOrNew(key, func() (caddy.Destructor, error) {
		return newFaceChecks(saveFaceChecksEvery), nil
	})
	if err != nil {
		return err
	}
	a.faceChecks = shared.(*faceChecks) //nolint:forcetypeassert // we put it there
	a.release(faceCheckPool, key)
	if !known {
		a.saveFaceChecks()
	}
	budget := a.Limits.FaceChecksPerDay
	if spent := a.faceChecks.today(a.now()); budgetLevel(spent, budget) > 0 {
		a.logger.Warn("much of the day's Face Check budget is spent", zap.Int("spent", spent), zap.Int("budget", budget))
	}
	return nil
}

// saveFaceChecks adds what is new to the storage's count and learns what others have added.
func (a *App) saveFaceChecks() bool {
	err := a.faceChecks.save(a.ctx.Storage(), a.now)
	if err != nil {
		a.logger.Warn("the count of Face Checks is not in step with Caddy's storage; a restart may forget some", zap.Error(err))
	}
	return err == nil
}

// reserveFaceCheck holds a place in the day's budget for a transaction with Face Check.
func (v *visitRequest) reserveFaceCheck(t *verifier.Transaction) (time.Duration, bool) {
	budget := v.app.Limits.FaceChecksPerDay
	if budget == 0 || t.Requirement.FaceCheck == nil {
		return 0, true
	}
	v.app.faceChecks.saveSoon(v.app)
	return v.app.faceChecks.reserve(t.ID, t.Expires.Add(verifier.CallbackGrace), v.now, budget)
}

// spendFaceCheck counts the Face Check that a result speaks of, whatever else becomes of the result, and tells the operator
// when the budget comes to its end. Errors of which the service does not say whether a face was compared count as well.
func (v *visitRequest) spendFaceCheck(t *verifier.Transaction) {
	if t.Requirement.FaceCheck == nil {
		return
	}
	budget := v.app.Limits.FaceChecksPerDay
	spent, level := v.app.faceChecks.spend(t.ID, v.now, budget)
	v.app.faceChecks.saveSoon(v.app)
	if level == 0 {
		return
	}
	severity, message := zapcore.WarnLevel, "four fifths of the day's Face Check budget are spent"
	if level == budgetReached {
		severity, message = zapcore.ErrorLevel, "the day's Face Check budget is spent; nobody new gets in until midnight UTC"
	}
	v.log(severity, message, zap.Int("spent", spent), zap.Int("budget", budget))
	v.event(eventFaceCheckBudget, map[string]any{"spent": spent, "budget": budget})
}

// Levels of a budget that an operator should hear of.
const (
	budgetLow = iota + 1
	budgetReached
)

func budgetLevel(spent, budget int) int {
	switch {
	case budget == 0:
		return 0
	case spent >= budget:
		return budgetReached
	case spent*5 >= budget*4:
		return budgetLow
	}
	return 0
}

// reserve holds a place until a time after which the request cannot become a Face Check, or says after how long one may be
// free: when the first of those who hold one gives it back, or on the new day.
func (c *faceChecks) reserve(id string, until, now time.Time, budget int) (wait time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now)
	held, next := 0, now.UTC().Truncate(24*time.Hour).Add(24*time.Hour)
	for _, p := range c.places {
		if p.spent {
			continue
		}
		held++
		if c.spent < budget && p.until.Before(next) {
			next = p.until
		}
	}
	if c.spent+held >= budget {
		return next.Sub(now), false
	}
	c.places[id] = budgetPlace{until: until}
	return 0, true
}

// hold lengthens a place to what the service says about its request.
func (c *faceChecks) hold(id string, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, ok := c.places[id]; ok && !p.spent {
		c.places[id] = budgetPlace{until: until}
	}
}

// release gives back the place of a request that no wallet has seen.
func (c *faceChecks) release(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.places[id].spent {
		delete(c.places, id)
	}
}

// spend counts the Face Check of a transaction, once. level is what the operator should hear of now, or 0.
func (c *faceChecks) spend(id string, now time.Time, budget int) (spent, level int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now)
	if c.places[id].spent {
		return c.spent, 0
	}
	c.places[id] = budgetPlace{until: now.Add(keepSpent), spent: true}
	before := budgetLevel(c.spent, budget)
	c.spent++
	c.unsaved++
	if level = budgetLevel(c.spent, budget); level == before {
		level = 0
	}
	return c.spent, level
}

// today is how many were made on the day of now.
func (c *faceChecks) today(now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.day != dayOf(now) {
		return 0
	}
	return c.spent
}

// turn begins a new day where there is one, and clears away the places that have ended. Those still held count for the new
// day, on which they may be spent.
func (c *faceChecks) turn(now time.Time) {
	if day := dayOf(now); c.day != day {
		c.day, c.spent, c.unsaved = day, 0, 0
	}
	for id, p := range c.places {
		if !now.Before(p.until) {
			delete(c.places, id)
		}
	}
}

func dayOf(now time.Time) string { return now.UTC().Format(time.DateOnly) }

// saveSoon saves after a while what there is by then. It does not wait.
func (c *faceChecks) saveSoon(a *App) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting || c.saveEvery == 0 {
		return
	}
	c.waiting = true
	time.AfterFunc(c.saveEvery, func() {
		c.mu.Lock()
		c.waiting = false
		c.mu.Unlock()
		if goesOn := c.keeper(); goesOn != nil { // after a reload
			a = goesOn
		}
		if !a.saveFaceChecks() && a.ctx.Err() == nil {
			c.saveSoon(a)
		}
	})
}

// keeper is the running app that has this count, or nil.
func (c *faceChecks) keeper() *App {
	if a := running.newest(); a != nil && a.faceChecks == c {
		return a
	}
	return nil
}

// save adds what is new to the storage's count, under its lock, and takes the sum over: nodes with one storage learn of one
// another.
func (c *faceChecks) save(storage certmagic.Storage, now func() time.Time) error {
	c.saving.Lock()
	defer c.saving.Unlock()
	c.mu.Lock()
	c.turn(now())
	day, fresh, known := c.day, c.unsaved, c.spent
	c.unsaved = 0
	c.mu.Unlock()
	sum, err := addStoredFaceChecks(storage, day, fresh, known)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.day != day:
	case err != nil:
		c.unsaved += fresh
	default:
		c.spent = max(c.spent, sum+c.unsaved)
	}
	return err
}

// addStoredFaceChecks is the day's sum with fresh ones. known is the least that it can be: a storage may be a new one, or have
// lost the file.
func addStoredFaceChecks(storage certmagic.Storage, day string, fresh, known int) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience.Storage)
	defer cancel()
	if fresh == 0 {
		return loadStoredFaceChecks(ctx, storage, day)
	}
	if err := storage.Lock(ctx, storedFaceChecksPath); err != nil {
		return 0, err
	}
	defer storage.Unlock(context.WithoutCancel(ctx), storedFaceChecksPath) //nolint:errcheck // a lock that is not given back expires by itself
	before, err := loadStoredFaceChecks(ctx, storage, day)
	if err != nil {
		return 0, err
	}
	sum := max(before+fresh, known)
	return sum, saveStored(ctx, storage, storedFaceChecksPath, storedFaceChecks{day, sum})
}

// loadStoredFaceChecks is the storage's count of a day. A damaged one is none: what this process knows takes its place.
func loadStoredFaceChecks(ctx context.Context, storage certmagic.Storage, day string) (int, error) {
	content, err := storage.Load(ctx, storedFaceChecksPath)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	}
	var stored storedFaceChecks
	if err := json.Unmarshal(content, &stored); err != nil || stored.Day != day {
		return 0, nil //nolint:nilerr // as said above
	}
	return max(stored.Spent, 0), nil
}
