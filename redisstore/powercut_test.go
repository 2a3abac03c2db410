// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// powerCut is a server whose disk can be put back to an earlier moment: what a power cut does, which takes what was written and not
// synced. A kill alone does not: the kernel keeps what the process has written.
type powerCut struct {
	t      *testing.T
	server *redistest.Server
	synced string
}

func startPowerCut(t *testing.T) *powerCut {
	t.Helper()
	// With "always", the file is whole when a call returns, so that the copy is of a known moment.
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0")
	return &powerCut{t: t, server: server, synced: filepath.Join(t.TempDir(), "synced")}
}

func (p *powerCut) folder() string { return filepath.Join(p.server.Dir, "appendonlydir") }

// sync is the last moment that the disk holds.
func (p *powerCut) sync() {
	p.t.Helper()
	if err := os.RemoveAll(p.synced); err != nil {
		p.t.Fatal(err)
	}
	if err := os.CopyFS(p.synced, os.DirFS(p.folder())); err != nil {
		p.t.Fatal(err)
	}
}

// happen kills the server and starts it from what was synced.
func (p *powerCut) happen() {
	p.t.Helper()
	p.server.Stop()
	if err := os.RemoveAll(p.folder()); err != nil {
		p.t.Fatal(err)
	}
	if err := os.CopyFS(p.folder(), os.DirFS(p.synced)); err != nil {
		p.t.Fatal(err)
	}
	p.server.Restart()
}

// The server loses each step of a visit in turn. The visit falls back by that step, to a state from which the same step leads on, and
// nothing is verified that was not. X2.
func TestPowerCutTakesBackLastStep(t *testing.T) {
	t.Parallel()
	power := startPowerCut(t)
	store := open(t, redisstore.Config{}, power.server.Addr)
	consume := func(t *verifier.Transaction) error { _, err := t.Consume("the session", time.Now()); return err }
	steps := []struct {
		name          string
		step          func() error
		before, after verifier.Status // "" means there is none
	}{
		{"start", func() error { return store.Create(t.Context(), requested("a")) }, "", verifier.StatusCreated},
		{"retrieved", move(t, store, retrieve), verifier.StatusCreated, verifier.StatusRetrieved},
		{"verified", move(t, store, verified()), verifier.StatusRetrieved, verifier.StatusVerified},
		{"taken", move(t, store, consume), verifier.StatusVerified, verifier.StatusConsumed},
		{"removed", func() error { return store.Delete(t.Context(), "a") }, verifier.StatusConsumed, ""},
	}
	for _, step := range steps {
		power.sync()
		if err := step.step(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := statusOf(t, store); got != step.after {
			t.Fatalf("%s: %q, want %q", step.name, got, step.after)
		}
		power.happen()
		if got := statusOf(t, store); got != step.before {
			t.Errorf("%s was lost: %q, want %q", step.name, got, step.before)
		}
		if err := step.step(); err != nil {
			t.Errorf("%s once more after it was lost: %v", step.name, err)
		}
		if got := statusOf(t, store); got != step.after {
			t.Errorf("%s once more: %q, want %q", step.name, got, step.after)
		}
	}
}

// A logout that the server has lost stays in force where it was heard of: nobody takes it back, and the listener hears of later ones.
// A mark that was lost has a first again, which is why nothing is guarded by one alone. X2.
func TestPowerCutTakesBackMarkAndNoLogout(t *testing.T) {
	t.Parallel()
	power := startPowerCut(t)
	store := open(t, redisstore.Config{}, power.server.Addr)
	heard := make(chan string, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = store.WatchRevocations(ctx, func(r verifier.Revocation) { heard <- r.Value })
		}
	}()
	defer func() { cancel(); <-ended }()
	revoke := func(session string) {
		t.Helper()
		now := time.Now()
		err := store.Revoke(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: session, Since: now, Until: now.Add(time.Hour)})
		if err != nil {
			t.Fatalf("Revoke: %v", err)
		}
		for deadline := time.After(patience); ; {
			select {
			case got := <-heard:
				if got == session {
					return
				}
			case <-deadline:
				t.Fatalf("the logout of %q is not heard of", session)
			}
		}
	}
	mark := func() bool {
		t.Helper()
		var first bool
		eventually(t, patience, "the server is back", func() (err error) {
			first, err = store.Mark(t.Context(), "m", time.Now().Add(time.Hour))
			return err
		})
		return first
	}

	revoke("kept")
	power.sync()
	revoke("lost")
	if !mark() || mark() {
		t.Error("a mark has no first, or two")
	}
	power.happen()
	if !mark() {
		t.Error("the mark that was lost is still there: then this test loses nothing")
	}
	revoke("later") // with the number that the lost one had
}

// move is a step that changes the visit.
func move(t *testing.T, store verifier.Store, move func(*verifier.Transaction) error) func() error {
	return func() error {
		_, err := store.Update(t.Context(), "a", move)
		return err
	}
}

// statusOf waits until the server is back.
func statusOf(t *testing.T, store verifier.Store) (status verifier.Status) {
	t.Helper()
	eventually(t, patience, "the server is back", func() error {
		transaction, err := store.Get(t.Context(), "a")
		if status = transaction.Status; errors.Is(err, verifier.ErrNotFound) {
			status, err = "", nil
		}
		return err
	})
	return status
}
