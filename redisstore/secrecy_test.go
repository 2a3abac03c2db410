// SPDX-License-Identifier: Apache-2.0

//go:build unix

package redisstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/internal/redistest"
	"github.com/caddy-verified-id/caddy-verified-id/redisstore"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// fill stores one of everything, with a canary in all that comes from outside.
func fill(t *testing.T, store *redisstore.Store) {
	t.Helper()
	for _, id := range []string{"CANARY-id", "CANARY-other"} {
		transaction := requested(id)
		transaction.Client, transaction.ReturnTo, transaction.Gate = "CANARY-192.0.2.7", "/CANARY-path", "CANARY-gate"
		transaction.BindingHash, transaction.CallbackKeyHash = bytes.Repeat([]byte("CANARY-h"), 4), bytes.Repeat([]byte("CANARY-h"), 4)
		create(t, store, transaction)
	}
	update(t, store, "CANARY-id", verified(verifier.Claim{Name: "CANARY-claim", Value: "CANARY-value"}))
	if first, err := store.Mark(t.Context(), "CANARY-mark", time.Now().Add(time.Hour)); err != nil || !first {
		t.Fatalf("Mark = %v, %v", first, err)
	}
	for _, kind := range []verifier.RevocationKind{verifier.RevokeSession, verifier.RevokeIssuer} {
		r := verifier.Revocation{Kind: kind, Value: "CANARY-did:web:gone.example", Since: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := store.Revoke(t.Context(), r); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
	}
}

// TM-132: a thief of the server's disk, or a reader of its keys, finds no name, claim, address or key.
func TestDumpHoldsNoSecret(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--rdbcompression", "no", "--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "no")
	fill(t, open(t, redisstore.Config{Prefix: "site-a"}, server.Addr))
	server.Do("SET", "a key of another program", "PLANTED")
	server.Do("SAVE")
	var all []byte
	if err := filepath.WalkDir(server.Dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		all = append(all, content...)
		return err
	}); err != nil {
		t.Fatalf("reading the server's folder: %v", err)
	}
	if n := bytes.Count(all, []byte("PLANTED")); n != 2 {
		t.Fatalf("a value stands %d times in dump and append-only file, want twice: the search proves nothing", n)
	}
	for _, secret := range []string{
		"CANARY", "Q0FOQVJZ", "192.0.2", "openid-vc", "contoso", "displayName", "employee", "verified\"", "state of", "session", "issuer", string(nameKey[:8]),
	} {
		if at := bytes.Index(all, []byte(secret)); at >= 0 {
			t.Errorf("the server holds %q: …%q…", secret, all[max(0, at-40):min(len(all), at+40)])
		}
	}
}

// TM-133: what comes from outside is in no key, and every key ends by itself.
func TestKeysAreHashesAndEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, redisstore.Config{Prefix: "site-a"}, server.Addr)
	fill(t, store)
	for _, odd := range []string{"*", "a\nb", "a\x00b", "{a}", "}{", "a b", "é", strings.Repeat("x", 300)} {
		transaction := requested(odd)
		transaction.Client = odd
		create(t, store, transaction)
		if _, err := store.Mark(t.Context(), odd, time.Now().Add(time.Minute)); err != nil {
			t.Errorf("Mark(%q): %v", odd, err)
		}
	}
	if stats := fmt.Sprint(server.Do("INFO", "commandstats")); !strings.Contains(stats, "cmdstat_set") || regexp.MustCompile(`cmdstat_(keys|h?scan|zscan)`).MatchString(stats) {
		t.Errorf("the store scans: %s", stats)
	}
	form := regexp.MustCompile(`^site-a:((t|m):\{[A-Za-z0-9_-]{43}\}|\{pending\}(:[A-Za-z0-9_-]{43})?|\{revoked\}:(values|order|ends|state))$`)
	keys := server.Keys()
	if len(keys) < 20 {
		t.Fatalf("there are only %d keys", len(keys))
	}
	for _, key := range keys {
		if !form.MatchString(key) {
			t.Errorf("key %q", key)
		}
		if left, _ := server.Do("PTTL", key).(int64); left <= 0 || left > int64(time.Hour/time.Millisecond) {
			t.Errorf("key %q ends in %d ms", key, left)
		}
	}
}

// TM-132: who may write puts a verified entry in the place of his own, an entry in the place of a mark, or one of his making. None opens.
func TestEntryCopiedOverAnotherDoesNotOpen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log logBuffer
	store := open(t, redisstore.Config{Logger: log.logger()}, server.Addr)
	place := func(fill func()) string {
		t.Helper()
		before := map[string]bool{}
		for _, key := range server.Keys() {
			before[key] = true
		}
		fill()
		for _, key := range server.Keys() {
			if !before[key] && (strings.Contains(key, ":t:") || strings.Contains(key, ":m:")) {
				return key
			}
		}
		t.Fatal("no new key")
		return ""
	}
	until := time.Now().Add(time.Minute)
	a := place(func() { create(t, store, requested("a")) })
	b := place(func() { create(t, store, requested("b")) })
	m := place(func() { _, _ = store.Mark(t.Context(), "m", until) })
	n := place(func() { _, _ = store.Mark(t.Context(), "n", until) })
	update(t, store, "a", verified())

	for _, forge := range []func(){
		func() { server.Do("COPY", a, b, "REPLACE") },
		func() { server.Do("SET", b, `{"id":"b"}`) },
		func() { server.Do("SET", b, "") },
	} {
		forge()
		for what, err := range map[string]error{
			"Get":    func() error { _, err := store.Get(t.Context(), "b"); return err }(),
			"Update": func() error { _, err := store.Update(t.Context(), "b", retrieve); return err }(),
			"Create": store.Create(t.Context(), requested("b")),
		} {
			wantError(t, what+" of a forged entry", err, verifier.ErrStoreUnavailable)
		}
	}
	for _, forged := range []string{a, n} {
		server.Do("COPY", forged, m, "REPLACE")
		if first, err := store.Mark(t.Context(), "m", until); first || !errors.Is(err, verifier.ErrStoreUnavailable) {
			t.Errorf("Mark over a forged one = %v, %v", first, err)
		}
	}
	if log.count("does not open") != 1 {
		t.Errorf("the operator was told %d times, want once:\n%s", log.count("does not open"), log.String())
	}
	if err := store.Delete(t.Context(), "b"); err != nil {
		t.Errorf("Delete of a forged entry: %v", err)
	}
	create(t, store, requested("b"))
}

// TM-133: the loss of everything means "verify again", and what comes after it works and is heard of.
func TestFlushMeansVerifyAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	stores := nodes(t, redisstore.Config{MaxPending: 2}, server.Addr)
	fill(t, stores[0])
	heard := listen(t, stores[1])
	for range 2 {
		await(t, heard, "revocations of before")
	}
	server.Do("FLUSHALL")
	_, err := stores[0].Get(t.Context(), "CANARY-id")
	wantError(t, "Get after a flush", err, verifier.ErrNotFound)
	_, err = stores[0].Update(t.Context(), "CANARY-id", retrieve)
	wantError(t, "Update after a flush", err, verifier.ErrNotFound)
	create(t, stores[0], requested("a"), requested("b"))
	for i := range 3 {
		want := verifier.Revocation{Kind: verifier.RevokeSession, Value: name("session", i), Since: time.Now(), Until: time.Now().Add(time.Hour)}
		if err := stores[0].Revoke(t.Context(), want); err != nil {
			t.Fatalf("Revoke: %v", err)
		}
	}
	for want := 0; want < 3; {
		if r, _ := await(t, heard, "a revocation after the flush"); r.Value == name("session", want) {
			want++
		}
	}
}

// Names are of one deployment: another key or prefix finds nothing.
func TestDeploymentsShareNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, redisstore.Config{MaxPending: 1}, server.Addr)
	create(t, store, requested("a"))
	for what, config := range map[string]redisstore.Config{
		"another prefix": {Prefix: "other", MaxPending: 1},
		"another key":    {Prefix: "third", NameKey: bytes.Repeat([]byte("another!"), 4), MaxPending: 1},
	} {
		other := open(t, config, server.Addr)
		if _, err := other.Get(t.Context(), "a"); !errors.Is(err, verifier.ErrNotFound) {
			t.Errorf("with %s: Get = %v", what, err)
		}
		create(t, other, requested("a"))
	}
}
