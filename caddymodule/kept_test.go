// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// node is one Caddy of several that share a storage, or one after a restart: its memory is its own.
type node struct {
	app  *App
	gate *Gate
}

// newNode starts a node. What the storage holds is read, as at load. Nodes that share a storage share the keys in it.
func newNode(t *testing.T, storage certmagic.Storage, like *node) node {
	t.Helper()
	app, ctx := loadApp(t, testApp(""))
	if like != nil {
		app.keys = like.app.keys
	}
	app.kept = keepRevocations(&app.store.revoked, storage, app.keys.ring, clockNow)
	n := node{app, loadGate(t, ctx, "verified_id")}
	n.look(t)
	return n
}

// look is what a node does every other second.
func (n node) look(t *testing.T) {
	t.Helper()
	if unopened, err := n.app.kept.look(t.Context()); err != nil || unopened != 0 {
		t.Fatalf("looking: %d entries do not open, %v", unopened, err)
	}
}

// tidy is what a node does every minute.
func (n node) tidy(t *testing.T) {
	t.Helper()
	if err := n.app.kept.tidy(t.Context()); err != nil {
		t.Fatalf("tidying: %v", err)
	}
}

// admits says whether the cookie opens the app at this node.
func (n node) admits(t *testing.T, cookie string) bool {
	t.Helper()
	_, u := serve(t, n.gate, request("GET", testOrigin+"/", withCookie(cookie)))
	return u.hits == 1
}

func (n node) end(t *testing.T, kind verifier.RevocationKind, value string, since time.Time) {
	t.Helper()
	if err := n.app.end(t.Context(), verifier.Revocation{Kind: kind, Value: value, Since: since, Until: testNow.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
}

func (n node) logOut(t *testing.T, cookie string) (status int, page string, cleared bool) {
	t.Helper()
	b := newBrowser(t, n.gate)
	name, value, _ := strings.Cut(cookie, "=")
	b.cookies[name] = value
	w := b.post(basePath+"/logout", url.Values{})
	return w.Code, w.Body.String(), b.cookies[name] == ""
}

// entries are the files of the storage that hold revocations.
func entries(t *testing.T, storage *certmagic.FileStorage) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(storage.Path, filepath.FromSlash(storedRevocationsPath), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func newStorage(t *testing.T) *certmagic.FileStorage {
	t.Helper()
	return &certmagic.FileStorage{Path: storageDir(t)}
}

// A session is begun and ended at a node that seals with a new key already, after a leak for instance. The other node does not open what
// is stored of the logout until it takes the key, half a minute later, and with it the copy of the session. TM-156.
func TestLogoutUnderAKeyThatComesLaterIsHeard(t *testing.T) {
	storage := newStorage(t)
	first := newNode(t, storage, nil)
	other := newNode(t, storage, nil)
	old, fresh := []byte("the key that all nodes have so far"), []byte("another, which one node has already")
	for node, keys := range map[*node][][]byte{&first: {fresh, old}, &other: {old}} {
		if err := node.app.keys.ring.Replace(keys...); err != nil {
			t.Fatal(err)
		}
	}
	_, copied := sessionOf(first.gate, presentation(first.gate))
	first.logOut(t, copied)
	if unopened, err := other.app.kept.look(t.Context()); err != nil || unopened != 1 {
		t.Fatalf("looking: %d entries do not open, %v, want 1", unopened, err)
	}
	for range 15 {
		setNow(clockNow().Add(lookInterval))
		other.look(t) // it is told of once
	}
	if err := other.app.keys.ring.Replace(fresh, old); err != nil {
		t.Fatal(err)
	}
	setNow(clockNow().Add(40 * time.Second))
	other.look(t)
	if other.admits(t, copied) {
		t.Error("a session that was logged out under a key that came later is back")
	}
}

// Ana logs out on a shared computer. Somebody has copied her cookie before, and waits until the server is killed, or kills it:
// what was logged out stays so, on this node after its restart and on all others. TM-140, TM-155, TM-156.
func TestRestartForgetsNoLogout(t *testing.T) {
	storage := newStorage(t)
	first := newNode(t, storage, nil)
	other := newNode(t, storage, &first)
	_, copied := sessionOf(first.gate, presentation(first.gate))
	if !first.admits(t, copied) || !other.admits(t, copied) {
		t.Fatal("the session does not open the app")
	}
	if status, page, cleared := first.logOut(t, copied); status != http.StatusOK || !cleared {
		t.Fatalf("logout: status %d, cleared %v\n%s", status, cleared, page)
	}
	if restarted := newNode(t, storage, &first); restarted.admits(t, copied) {
		t.Error("the restart has brought the session back")
	}
	other.look(t)
	if other.admits(t, copied) {
		t.Error("the other node admits the session")
	}
	if lookInterval > 4*time.Second {
		t.Errorf("nodes look every %s, too seldom to hear within 5 seconds", lookInterval)
	}
}

// Somebody is put out everywhere: the other nodes hear of it, whatever it speaks of, and it ends nothing else. TM-156.
func TestOtherNodesHearOfRevocations(t *testing.T) {
	for _, kind := range []verifier.RevocationKind{
		verifier.RevokeSession, verifier.RevokeSubject, verifier.RevokeIssuer, verifier.RevokeCredential, verifier.RevokeAll,
	} {
		t.Run(string(kind), func(t *testing.T) {
			storage := newStorage(t)
			here := newNode(t, storage, nil)
			there := newNode(t, storage, &here)
			held, cookie := sessionOf(here.gate, presentation(here.gate))
			value := map[verifier.RevocationKind]string{
				verifier.RevokeSession: held.ID, verifier.RevokeSubject: held.Subject, verifier.RevokeIssuer: testIssuer, verifier.RevokeCredential: "employee",
			}[kind]
			if kind != verifier.RevokeAll {
				here.end(t, kind, value+"x", testNow)
			}
			there.look(t)
			if !there.admits(t, cookie) {
				t.Fatal("another's revocation ended this session")
			}
			here.end(t, kind, value, testNow)
			there.look(t)
			if there.admits(t, cookie) {
				t.Error("the session lives on at the other node")
			}
		})
	}
}

// Somebody reads the storage, or a backup of it: they learn nobody's session and nobody's name. Or they write to it: an entry
// that is copied under another name, so that it lasts longer, is none. TM-142.
func TestStoredRevocationsSayNothing(t *testing.T) {
	storage := newStorage(t)
	n := newNode(t, storage, nil)
	held, _ := sessionOf(n.gate, presentation(n.gate))
	for _, one := range []struct {
		kind  verifier.RevocationKind
		value string
	}{{verifier.RevokeSession, held.ID}, {verifier.RevokeSubject, held.Subject}, {verifier.RevokeIssuer, testIssuer}, {verifier.RevokeCredential, "employee"}} {
		n.end(t, one.kind, one.value, testNow)
		for _, file := range entries(t, storage) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(file+string(content), one.value) || strings.Contains(file+string(content), string(one.kind)) {
				t.Errorf("%s tells %s %s", file, one.kind, one.value)
			}
		}
	}
	files := entries(t, storage)
	if len(files) != 4 {
		t.Fatalf("%d entries, want 4", len(files))
	}
	for _, file := range files {
		_, digest, _ := strings.Cut(filepath.Base(file), "-")
		if err := os.Rename(file, filepath.Join(filepath.Dir(file), "9999999999-"+digest)); err != nil {
			t.Fatal(err)
		}
	}
	stranger := newNode(t, newStorage(t), &n)
	stranger.app.kept.storage = storage
	if unopened, err := stranger.app.kept.look(t.Context()); err != nil || unopened != 4 || stranger.app.store.revoked.count() != 0 {
		t.Errorf("%d of 4 renamed entries do not open, %d are believed (%v)", unopened, stranger.app.store.revoked.count(), err)
	}
}

// Two nodes put the same person out at the same moment, with their clocks a little apart. Whoever writes last, the later of
// the two counts after a restart. TM-156.
func TestTwoNodesRevokeAtOnce(t *testing.T) {
	for name, later := range map[string]bool{"the later last": true, "the later first": false} {
		t.Run(name, func(t *testing.T) {
			storage := newStorage(t)
			one := newNode(t, storage, nil)
			two := newNode(t, storage, &one)
			held, cookie := sessionOf(one.gate, presentation(one.gate)) // began a minute ago
			before, after := testNow.Add(-2*time.Minute), testNow
			if !later {
				before, after = after, before
			}
			one.end(t, verifier.RevokeSubject, held.Subject, before)
			two.end(t, verifier.RevokeSubject, held.Subject, after)
			if restarted := newNode(t, storage, &one); restarted.admits(t, cookie) {
				t.Error("the earlier revocation has undone the later one")
			}
		})
	}
}

// The clock of one node is ten minutes ahead. What it revokes ends what had begun, and does not shut people out for ten
// minutes; a session that it began is ended by a logout at a node whose clock is right. TM-136, TM-155.
func TestClocksOfNodesAreApart(t *testing.T) {
	storage := newStorage(t)
	fast := newNode(t, storage, nil)
	right := newNode(t, storage, &fast)
	held, old := sessionOf(fast.gate, presentation(fast.gate))
	fast.end(t, verifier.RevokeAll, "", testNow.Add(10*time.Minute))
	right.look(t)
	if right.admits(t, old) {
		t.Error("the session lives on")
	}
	setNow(testNow.Add(2 * time.Minute))
	fresh := *held
	fresh.ID, fresh.Created, fresh.Seen = "another-session", clockNow(), clockNow()
	fresh.Presentations = []verifier.Presentation{presentation(right.gate)}
	fresh.Presentations[0].VerifiedAt = clockNow()
	if !right.admits(t, right.gate.site.session.Name+"="+right.gate.site.seal(&fresh)) {
		t.Error("who comes two minutes later is shut out")
	}
	fresh.ID, fresh.Created = "third-session", clockNow().Add(30*time.Second)
	ahead := right.gate.site.session.Name + "=" + right.gate.site.seal(&fresh)
	if status, _, _ := right.logOut(t, ahead); status != http.StatusOK || right.admits(t, ahead) {
		t.Error("a session of the node ahead is not ended by its logout")
	}
}

// The clocks of two nodes are ten minutes apart. Ana is logged out at the node that began her session, and somebody kept a copy of her
// cookie for the day when the other node's clock gets there: it opens nothing there either, whosever clock is the wrong one, and
// also when the operator ends it at the slow node. TM-136, TM-155.
func TestLogoutHoldsWhereClocksAreApart(t *testing.T) {
	for name, off := range map[string]time.Duration{"the other is slow": -10 * time.Minute, "the other is fast": 10 * time.Minute} {
		for _, by := range []string{"the storage", "the store", "its operator"} {
			t.Run(name+", told by "+by, func(t *testing.T) {
				storage := newStorage(t)
				here := newNode(t, storage, nil)
				other := newNode(t, storage, &here)
				held, _ := sessionOf(here.gate, presentation(here.gate))
				held.ID = strings.Repeat("a", 22)
				cookie := here.gate.site.session.Name + "=" + here.gate.site.seal(held)
				ended := verifier.Revocation{Kind: verifier.RevokeSession, Value: held.ID, Since: testNow, Until: held.Expires.Add(clockSkew)}
				if by != "its operator" {
					if err := here.app.store.end(t.Context(), ended); err != nil {
						t.Fatal(err)
					}
				}
				setNow(testNow.Add(off))
				switch by {
				case "the storage":
					if err := here.app.kept.keep(t.Context(), ended); err != nil {
						t.Fatal(err)
					}
					other.look(t)
				case "the store":
					other.app.store.hear()(ended)
				default:
					if _, err := other.app.revokeNow(t.Context(), verifier.RevokeSession, held.ID); err != nil {
						t.Fatal(err)
					}
				}
				setNow(testNow.Add(max(off, 0) + time.Minute))
				if other.admits(t, cookie) {
					t.Error("the session lives on at the other node")
				}
			})
		}
	}
}

// What has ended is not read any more, and goes away; a node with a fast clock takes nothing that others still need. TM-133.
func TestStoredRevocationsEnd(t *testing.T) {
	storage := newStorage(t)
	n := newNode(t, storage, nil)
	n.end(t, verifier.RevokeSubject, "subject-of-ana", testNow) // until an hour later
	if err := os.WriteFile(filepath.Join(storage.Path, filepath.FromSlash(storedRevocationsPath), "1234567"), nil, 0o600); err != nil {
		t.Fatal(err) // what a killed process left of a write
	}
	for _, at := range []struct {
		after         time.Duration
		known, stored int
	}{{0, 1, 2}, {59 * time.Minute, 1, 2}, {62 * time.Minute, 0, 2}, {123 * time.Minute, 0, 1}} {
		later := newNode(t, newStorage(t), &n)
		later.app.kept.storage = storage
		setNow(testNow.Add(at.after))
		later.look(t)
		later.tidy(t)
		if known, stored := later.app.store.revoked.count(), len(entries(t, storage)); known != at.known || stored != at.stored {
			t.Errorf("after %s: %d known and %d files, want %d and %d", at.after, known, stored, at.known, at.stored)
		}
	}
}

// A sealing key is taken away while revocations sealed with it still count: they are written anew with the key of now, so a
// session that moved to the new key stays ended. TM-024, TM-155.
func TestRevocationsMoveToTheNewKey(t *testing.T) {
	storage := newStorage(t)
	n := newNode(t, storage, nil)
	n.end(t, verifier.RevokeSubject, "subject-of-ana", testNow)
	old, fresh := randomBytes(32), randomBytes(32)
	ring := func(keys ...[]byte) *session.KeyRing {
		opened, err := session.NewKeyRing(keys...)
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	known := func(keys ...[]byte) int {
		all := &revocations{now: clockNow}
		if _, err := keepRevocations(all, storage, ring(keys...), clockNow).look(t.Context()); err != nil {
			t.Fatal(err)
		}
		return all.count()
	}
	if known(old) != 0 {
		t.Fatal("a stranger's key opens it")
	}
	rotating := keepRevocations(&n.app.store.revoked, storage, ring(fresh, old), clockNow) // a reload: the process knows
	if _, err := rotating.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if known(fresh) != 1 {
		t.Error("after the old key has gone nobody knows of it")
	}
}
