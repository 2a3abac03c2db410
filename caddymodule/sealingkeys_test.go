// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// sealingNode is one Caddy of several that share a storage, as far as the sealing keys go. Its clock may be off.
type sealingNode struct {
	*sealingKeys
	off    time.Duration
	sealer *session.Sealer // held as a store holds it, for as long as the process lives
	logged *observer.ObservedLogs
}

func newSealingNode(t *testing.T, storage certmagic.Storage, now time.Time, off time.Duration) *sealingNode {
	t.Helper()
	stored, err := loadOrMakeKeys(t.Context(), storage, now.Add(off))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := session.NewKeyRing(stored.set().ring(now.Add(off))...)
	if err != nil {
		t.Fatal(err)
	}
	core, logged := observer.New(zapcore.InfoLevel)
	return &sealingNode{
		sealingKeys: &sealingKeys{ring: ring, storage: storage, logger: zap.New(core), known: stored},
		off:         off, sealer: ring.Sealer(session.PurposeStore), logged: logged,
	}
}

func (n *sealingNode) look(t *testing.T, now time.Time) { n.step(t.Context(), now.Add(n.off)) }

func (n *sealingNode) sealing(now time.Time) string { return sealingID(n.known, now.Add(n.off)) }

func (n *sealingNode) opens(sealed string) bool {
	plain, err := n.sealer.Open(sealed, "ad")
	return err == nil && string(plain) == "plain"
}

// Three nodes with one storage run for half a year, their clocks minutes apart, each looking at its own times. Nobody does anything, and
// the key that seals is a new one every month. Whatever one of them seals opens on all of them at once, and for as long as a
// session can last; two months later it opens nowhere. TM-151, TM-024.
func TestSealingKeysRotateOnSchedule(t *testing.T) {
	t.Parallel()
	storage := &mapStorage{values: map[string][]byte{}}
	now := testNow
	var nodes []*sealingNode
	for _, off := range []time.Duration{0, 4 * time.Minute, -4 * time.Minute} {
		nodes = append(nodes, newSealingNode(t, storage, now, off))
	}
	type text struct {
		sealed string
		at     time.Time
	}
	var texts []text
	seen := map[string]time.Time{}
	for step := range 180 * 8 {
		hour := 3 * step
		now = testNow.Add(time.Duration(hour) * time.Hour)
		for i, n := range nodes {
			if (step+i)%2 == 0 { // far seldomer than they do
				n.look(t, now)
			}
			seen[n.sealing(now)] = now
			texts = append(texts, text{n.sealer.Seal([]byte("plain"), "ad"), now})
		}
		texts = slices.DeleteFunc(texts, func(old text) bool {
			age := now.Sub(old.at)
			for i, n := range nodes {
				if opened := n.opens(old.sealed); !opened && age <= maxSessionLifetime+time.Hour {
					t.Fatalf("hour %d: node %d does not open what is %s old", hour, i, age)
				} else if opened && age > sealingRotation+announceSealing+keepSealing+6*time.Hour {
					t.Fatalf("hour %d: node %d opens what is %s old", hour, i, age)
				}
			}
			return age > maxSessionLifetime+time.Hour && (old.at.Sub(testNow)/time.Hour)%97 != 0 || age > 40*24*time.Hour
		})
	}
	if len(seen) != 6 {
		t.Errorf("%d keys have sealed in 180 days, want 6", len(seen))
	}
	if n := len(nodes[0].known.Sealing); n != fewestSealing {
		t.Errorf("%d keys are stored, want %d", n, fewestSealing)
	}
	for i, n := range nodes {
		if bad := n.logged.FilterLevelExact(zapcore.ErrorLevel).Len(); bad != 0 {
			t.Errorf("node %d complained %d times", i, bad)
		}
	}
}

// A node was off for weeks, or never heard the storage for a day; another has a clock that is weeks ahead, and makes keys too early.
// Neither takes a key away that the others seal with, and after one look all open what all seal. TM-151, TM-135.
func TestOddNodesDoNotDisturbTheKeys(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ahead": 40 * 24 * time.Hour, "behind": -40 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storage := &mapStorage{values: map[string][]byte{}}
			right, odd := newSealingNode(t, storage, testNow, 0), newSealingNode(t, storage, testNow, off)
			sleeper := newSealingNode(t, storage, testNow, 0)
			for day := range 100 {
				now := testNow.Add(time.Duration(day) * 24 * time.Hour)
				sealed := right.sealer.Seal([]byte("plain"), "ad")
				for range 2 { // whoever comes first
					odd.look(t, now)
					right.look(t, now)
				}
				if !right.opens(sealed) {
					t.Fatalf("day %d: the right node does not open what it sealed a moment ago", day)
				}
				if day%25 == 24 {
					sleeper.look(t, now)
				}
				if day%25 == 0 && day > 0 && !sleeper.opens(sealed) && sleeper.sealing(now) == right.sealing(now) {
					t.Errorf("day %d: the sleeper has the key and does not open what it sealed", day)
				}
			}
			now := testNow.Add(100 * 24 * time.Hour)
			for _, n := range []*sealingNode{right, odd, sleeper} {
				n.look(t, now)
			}
			for _, n := range []*sealingNode{right, sleeper} {
				if !n.opens(right.sealer.Seal([]byte("plain"), "ad")) || !right.opens(n.sealer.Seal([]byte("plain"), "ad")) {
					t.Error("nodes whose clocks are right do not open what the other seals")
				}
			}
			if !right.opens(odd.sealer.Seal([]byte("plain"), "ad")) {
				t.Error("what the odd node seals does not open")
			}
		})
	}
}

// The storage is away for one node from the moment when the next key is made, for most of a day, and for the other one just when the
// keys turn. Neither needs it to change over: what one seals the other opens at every hour. The node says once that the storage
// is away and once that it is back. TM-131 in small: nobody with a session notices.
func TestKeysTurnWithoutTheStorage(t *testing.T) {
	t.Parallel()
	files := &mapStorage{values: map[string][]byte{}}
	away := [2]*awayStorage{{Storage: files}, {Storage: files}}
	one, two := newSealingNode(t, away[0], testNow, 0), newSealingNode(t, away[1], testNow, 0)
	first := one.sealing(testNow)
	made := testNow.Add(sealingRotation)
	one.look(t, made)
	if one.sealing(made) != first || !one.known.set().waiting(made) {
		t.Fatal("the next key is not made, or seals before the others know it")
	}
	for hour := range 40 {
		now := made.Add(time.Duration(hour) * time.Hour)
		away[0].fails.Store(hour > 20 && hour < 30)
		away[1].fails.Store(hour < 23)
		one.look(t, now)
		two.look(t, now)
		if !two.opens(one.sealer.Seal([]byte("plain"), "ad")) || !one.opens(two.sealer.Seal([]byte("plain"), "ad")) {
			t.Errorf("hour %d: one node does not open what the other seals", hour)
		}
	}
	after := made.Add(40 * time.Hour)
	if one.sealing(after) == first || two.sealing(after) != one.sealing(after) {
		t.Error("the new key does not seal")
	}
	for i, n := range []*sealingNode{one, two} {
		if bad, good := n.logged.FilterLevelExact(zapcore.ErrorLevel).Len(), n.logged.FilterMessageSnippet("followed again").Len(); bad != 1 || good != 1 {
			t.Errorf("node %d: %d lines say that the storage is away and %d that it is back, want one of each", i, bad, good)
		}
	}
}

// awayStorage answers nothing while it fails.
type awayStorage struct {
	certmagic.Storage
	fails atomic.Bool
	loads atomic.Int64
}

func (s *awayStorage) Load(ctx context.Context, key string) ([]byte, error) {
	s.loads.Add(1)
	if s.fails.Load() {
		return nil, errors.New("storage is away")
	}
	return s.Storage.Load(ctx, key)
}

// A leaked key is replaced at once: one look later no node opens what it sealed, and nobody has to restart anything. TM-151.
func TestLeakedKeyIsGoneAtTheNextLook(t *testing.T) {
	t.Parallel()
	storage := &mapStorage{values: map[string][]byte{}}
	node := newSealingNode(t, storage, testNow, 0)
	sealed := node.sealer.Seal([]byte("plain"), "ad")
	if _, err := changeKeys(t.Context(), storage, func(stored *storedKeys) (*storedKeys, error) {
		return new(stored.with(sealingSet{newSealingKey(testNow, testNow)})), nil
	}); err != nil {
		t.Fatal(err)
	}
	node.look(t, testNow.Add(lookForKeys))
	if node.opens(sealed) || !node.opens(node.sealer.Seal([]byte("plain"), "ad")) {
		t.Error("the leaked key still opens, or the new one does not")
	}
	if !bytes.Equal(node.known.Subject, newSealingNode(t, storage, testNow, 0).known.Subject) {
		t.Error("people have other names now")
	}
	if lookForKeys > time.Minute {
		t.Errorf("nodes look every %s", lookForKeys)
	}
}

// A file that an older version has made is read, loses nobody's session, and the first rotation comes a month later and not at once,
// while other nodes still run the older version. What is stored is always good for the older version: it seals with the first
// key, which all nodes open.
func TestKeysOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	type before struct {
		Sealing [][]byte `json:"sealing"`
		Subject []byte   `json:"subject"`
	}
	content, err := json.Marshal(before{[][]byte{randomBytes(32)}, randomBytes(32)})
	if err != nil {
		t.Fatal(err)
	}
	storage := &mapStorage{values: map[string][]byte{storedKeysPath: content}}
	older := func() *session.Sealer { // as it reads the file at its start
		var stored before
		if err := json.Unmarshal(storage.values[storedKeysPath], &stored); err != nil {
			t.Fatal(err)
		}
		ring, err := session.NewKeyRing(stored.Sealing...)
		if err != nil {
			t.Fatal(err)
		}
		return ring.Sealer(session.PurposeStore)
	}
	running := older()
	node := newSealingNode(t, storage, testNow, 0)
	for day := range 100 {
		now := testNow.Add(time.Duration(day) * 24 * time.Hour)
		node.look(t, now)
		sealed := node.sealer.Seal([]byte("plain"), "ad")
		if day <= 30 {
			if _, err := running.Open(sealed, "ad"); err != nil || !node.opens(running.Seal([]byte("plain"), "ad")) {
				t.Fatalf("day %d: the node that still runs the version before is left out", day)
			}
		}
		started := older()
		if _, err := started.Open(sealed, "ad"); err != nil || !node.opens(started.Seal([]byte("plain"), "ad")) {
			t.Fatalf("day %d: the version before, started now, is left out", day)
		}
	}
	if node.sealing(testNow) == session.KeyID(storedSealing(t, content)) {
		t.Error("nothing was rotated")
	}
}

func storedSealing(t *testing.T, content []byte) []byte {
	t.Helper()
	var stored storedKeys
	if err := json.Unmarshal(content, &stored); err != nil {
		t.Fatal(err)
	}
	return stored.Sealing[0]
}

// What is stored may be damaged, gone, weak, or another installation's. None of it is taken up: the node goes on with what it knows and
// says so. TM-149.
func TestBadStoredKeysChangeNothing(t *testing.T) {
	t.Parallel()
	stored := func(s storedKeys) []byte {
		content, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	other := storedKeys{Sealing: [][]byte{randomBytes(32)}, Subject: randomBytes(32)}
	for name, test := range map[string]struct {
		content []byte
		says    string
	}{
		"damaged":  {[]byte("{"), "damaged"},
		"gone":     {nil, "has gone"},
		"no key":   {stored(storedKeys{Subject: other.Subject}), "lacks a key"},
		"another":  {stored(other), "another installation"},
		"weak key": {[]byte("weak"), "weak key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storage := &mapStorage{values: map[string][]byte{}}
			node := newSealingNode(t, storage, testNow, 0)
			first := node.sealing(testNow)
			switch {
			case test.content == nil:
				delete(storage.values, storedKeysPath)
			case name == "weak key":
				storage.values[storedKeysPath] = stored(storedKeys{Sealing: [][]byte{make([]byte, 32)}, Subject: node.known.Subject})
			default:
				storage.values[storedKeysPath] = test.content
			}
			sealed := node.sealer.Seal([]byte("plain"), "ad")
			for range 3 {
				node.look(t, testNow.Add(sealingRotation))
			}
			if node.sealing(testNow) != first || !node.opens(sealed) {
				t.Error("another key was taken up")
			}
			lines := node.logged.FilterLevelExact(zapcore.ErrorLevel).All()
			if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0].ContextMap()["error"]), test.says) {
				t.Errorf("logged %v, want one line with %q", lines, test.says)
			}
			if test.content != nil && name != "weak key" && !bytes.Equal(storage.values[storedKeysPath], test.content) {
				t.Error("what is stored was overwritten")
			}
		})
	}
}

// Anybody can send cookies that nobody sealed. They make no node read its storage: only time does. TM-024.
func TestUnknownKeysCauseNoLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage := &awayStorage{Storage: &mapStorage{values: map[string][]byte{}}}
		node := newSealingNode(t, storage, time.Now(), 0)
		stranger := newSealingNode(t, &mapStorage{values: map[string][]byte{}}, time.Now(), 0)
		ctx, cancel := context.WithCancel(t.Context())
		go node.follow(ctx, time.Now)
		<-time.After(time.Second)
		before := storage.loads.Load()
		for range 10_000 {
			if node.opens(stranger.sealer.Seal([]byte("plain"), "ad")) {
				t.Fatal("opens what a stranger sealed")
			}
		}
		if storage.loads.Load() != before {
			t.Errorf("%d looks", storage.loads.Load()-before)
		}
		<-time.After(10 * lookForKeys)
		cancel()
		synctest.Wait()
		if looks := storage.loads.Load() - before; looks != 10 {
			t.Errorf("%d looks in %s, want 10", looks, 10*lookForKeys)
		}
	})
}

// Five nodes start at once with an empty storage. They end up with one set of keys, and a month later with one next key. TM-025.
func TestNodesMakeOneSetOfKeys(t *testing.T) {
	t.Parallel()
	storage := &certmagic.FileStorage{Path: storageDir(t)}
	nodes := make([]*sealingNode, 5)
	var wait sync.WaitGroup
	for i := range nodes {
		wait.Go(func() { nodes[i] = newSealingNode(t, storage, testNow, 0) })
	}
	wait.Wait()
	for _, n := range nodes {
		wait.Go(func() { n.look(t, testNow.Add(sealingRotation)) })
	}
	wait.Wait()
	for _, n := range nodes[1:] {
		n.look(t, testNow.Add(sealingRotation))
		if len(n.known.Sealing) != 2 || n.known.set()[1].id() != nodes[1].known.set()[1].id() || !bytes.Equal(n.known.Subject, nodes[0].known.Subject) {
			t.Error("the nodes have different keys")
		}
	}
	if _, err := storage.Load(t.Context(), storedKeysPath); errors.Is(err, fs.ErrNotExist) {
		t.Error("nothing is stored")
	}
}
