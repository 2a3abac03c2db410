// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// unreadableStorage refuses to read some keys, as files that another user has written.
type unreadableStorage struct {
	certmagic.Storage
	keys []string
}

func (s *unreadableStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if slices.Contains(s.keys, key) {
		return nil, fs.ErrPermission
	}
	return s.Storage.Load(ctx, key)
}

// One entry cannot be read, because Caddy was once run as root. Every look ended there: whoever was put out on another node from
// then on stayed in on this one. Now the look fails and the others are heard of. A new node still does not begin. TM-156.
func TestUnreadableEntryHidesNoOther(t *testing.T) {
	storage := newStorage(t)
	barred := &unreadableStorage{Storage: storage}
	here := newNode(t, storage, nil)
	there := newNode(t, barred, &here)
	held, cookie := sessionOf(here.gate, presentation(here.gate))
	for _, subject := range []string{"one", "two", "three", "four"} {
		here.end(t, verifier.RevokeSubject, subject, testNow)
	}
	for _, entry := range entries(t, storage) {
		barred.keys = append(barred.keys, storedPath(filepath.Base(entry)))
	}
	here.end(t, verifier.RevokeSession, held.ID, testNow)
	if _, err := there.app.kept.look(t.Context()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("looking: %v, want the error", err)
	}
	if there.admits(t, cookie) {
		t.Error("the session lives on")
	}
	barred.keys = nil
	there.look(t)
	if held.Subject = "one"; !there.gate.site.revoked(held) {
		t.Error("what can be read again is not heard of")
	}
}

// undeletableStorage does not remove some keys: it refuses to, as a folder with the sticky bit does, or hangs.
type undeletableStorage struct {
	certmagic.Storage
	keys  []string
	hangs bool
}

func (s *undeletableStorage) Delete(ctx context.Context, key string) error {
	switch {
	case !slices.Contains(s.keys, key):
		return s.Storage.Delete(ctx, key)
	case s.hangs:
		<-ctx.Done()
		return ctx.Err()
	}
	return fs.ErrPermission
}

// One entry whose time is over cannot be removed, because Caddy was once run as root, or the storage hangs over it. Every look ended
// there: whoever was put out on another node from then on stayed in on this one, and no node began any more. Now all the others are
// heard of, and removed by and by, and a node begins. TM-133, TM-156.
func TestUndeletableEntryHidesNoOther(t *testing.T) {
	for name, hangs := range map[string]bool{"refused": false, "hangs": true} {
		t.Run(name, func(t *testing.T) {
			files := newStorage(t)
			storage := &undeletableStorage{Storage: files, hangs: hangs}
			here := newNode(t, storage, nil)
			here.end(t, verifier.RevokeSubject, "stuck", testNow)
			storage.keys = []string{storedPath(filepath.Base(entries(t, files)[0]))}
			for _, subject := range []string{"one", "two", "three", "four"} {
				here.end(t, verifier.RevokeSubject, subject, testNow)
			}
			there := newNode(t, storage, &here)
			setNow(testNow.Add(3 * time.Hour))
			held, cookie := sessionOf(here.gate, presentation(here.gate))
			if err := here.app.end(t.Context(), verifier.Revocation{
				Kind: verifier.RevokeSession, Value: held.ID, Since: clockNow(), Until: clockNow().Add(time.Hour),
			}); err != nil {
				t.Fatal(err)
			}
			there.look(t)
			if there.admits(t, cookie) {
				t.Error("the session lives on")
			}
			synctest.Test(t, func(t *testing.T) {
				for range 100 {
					there.look(t)
					if err := there.app.kept.tidy(t.Context()); err == nil {
						t.Fatal("nobody hears that an entry stays")
					}
					if len(entries(t, files)) == 2 {
						return
					}
				}
				t.Errorf("%d entries, want the one that stays and the one that counts", len(entries(t, files)))
			})
		})
	}
}

// The disk is full, or the network storage away, when Ana logs out. She must not be told that all is well; her browser and
// this process forget the session all the same, and the rest follows as soon as the storage answers. TM-130, TM-155.
func TestLogoutWithoutStorageIsHonest(t *testing.T) {
	files := newStorage(t)
	storage := &brokenStorage{FileStorage: files}
	n := newNode(t, storage, nil)
	_, cookie := sessionOf(n.gate, presentation(n.gate))
	storage.broken = true
	status, page, cleared := n.logOut(t, cookie)
	if status != http.StatusServiceUnavailable || !cleared || strings.Contains(page, "You are signed out") || !strings.Contains(page, "copy of your session") {
		t.Errorf("logout: status %d, cookie cleared %v, want 503, a cleared cookie, and a page that tells what is left:\n%s", status, cleared, page)
	}
	if n.admits(t, cookie) {
		t.Error("this process admits the session")
	}
	if _, err := n.app.kept.look(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("look: %v, want what the storage said", err)
	}
	storage.broken = false
	n.look(t)
	if restarted := newNode(t, storage, &n); restarted.admits(t, cookie) {
		t.Error("the logout was not made up for")
	}
}

// brokenStorage does not answer while broken.
type brokenStorage struct {
	*certmagic.FileStorage
	broken bool
}

var errBroken = errors.New("the disk is full")

func (s *brokenStorage) Store(ctx context.Context, key string, value []byte) error {
	if s.broken {
		return errBroken
	}
	return s.FileStorage.Store(ctx, key, value)
}

// A node that cannot read who was put out does not start: it would let them in. TM-149, TM-155.
func TestUnreadableRevocationsDoNotLoad(t *testing.T) {
	setSecret(t)
	m := newMachine(t)
	config := adaptText(t, caddyfileOf("", sitePart))
	if err := m.load(t, config, nil); err != nil {
		t.Fatal(err)
	}
	entry := filepath.Join(m.storage, filepath.FromSlash(storedRevocationsPath), "9999999999-unreadable")
	if err := os.MkdirAll(entry, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.load(t, config, nil); err == nil || !strings.Contains(err.Error(), "revocations in Caddy's storage") {
		t.Errorf("loading: %v, want an error that says what cannot be read", err)
	}
	if err := os.Remove(entry); err != nil {
		t.Fatal(err)
	}
	// One that is damaged, or was sealed with a key that has gone, is told, and stops nobody: after a leaked key was taken
	// away, the server must start.
	if err := os.WriteFile(entry, []byte("half of"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.load(t, config, nil); err != nil || !strings.Contains(m.logged(t), "stored revocations do not open") {
		t.Errorf("loading: %v, want a warning:\n%s", err, m.logged(t))
	}
}

// The storage is emptied, or put back to yesterday's backup, under a server that runs: what it knows is written again. One
// session logged out a hundred times at once is one entry. TM-155.
func TestStoredRevocationsAreRestored(t *testing.T) {
	storage := newStorage(t)
	n := newNode(t, storage, nil)
	_, cookie := sessionOf(n.gate, presentation(n.gate))
	ended := make(chan error)
	for range 100 {
		go func() {
			ended <- n.app.end(t.Context(), verifier.Revocation{Kind: verifier.RevokeSession, Value: "a-session", Since: clockNow(), Until: testNow.Add(time.Hour)})
		}()
	}
	for range 100 {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	n.look(t)
	if got := len(entries(t, storage)); got != 1 {
		t.Errorf("%d entries, want 1", got)
	}
	if err := os.RemoveAll(filepath.Join(storage.Path, "verified_id")); err != nil {
		t.Fatal(err)
	}
	n.look(t)
	if restarted := newNode(t, storage, &n); restarted.admits(t, cookie) {
		t.Error("the logout was lost with the storage")
	}
}
