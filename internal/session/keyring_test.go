// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// A key that is short, made by hand or copied from a page of documentation can be guessed, and whoever guesses it makes
// sessions at home (TM-025).
func TestGuessableKeyIsRefused(t *testing.T) {
	t.Parallel()
	counting := make([]byte, 32)
	backwards := make([]byte, 64)
	for i := range counting {
		counting[i] = byte(i)
	}
	for i := range backwards {
		backwards[i] = byte(200 - 3*i)
	}
	good := testKey(1)
	tests := []struct {
		name string
		keys [][]byte
		want error
	}{
		{"no key", nil, session.ErrNoKey},
		{"nil key", [][]byte{nil}, session.ErrWeakKey},
		{"31 bytes", [][]byte{good[:31]}, session.ErrWeakKey},
		{"all zero", [][]byte{make([]byte, 32)}, session.ErrWeakKey},
		{"all the same", [][]byte{bytes.Repeat([]byte{0xA5}, 64)}, session.ErrWeakKey},
		{"two values", [][]byte{bytes.Repeat([]byte{1, 2}, 16)}, session.ErrWeakKey},
		{"counting", [][]byte{counting}, session.ErrWeakKey},
		{"counting backwards in threes", [][]byte{backwards}, session.ErrWeakKey},
		{"word repeated", [][]byte{[]byte(strings.Repeat("change-me-please!", 4))}, session.ErrWeakKey},
		{"half repeated", [][]byte{append(bytes.Clone(good[:16]), good[:16]...)}, session.ErrWeakKey},
		{"few letters", [][]byte{[]byte("aaaaaaaabbbbbbbbccccccccddddddddeeeeeeee")}, session.ErrWeakKey},
		{"second is short", [][]byte{good, good[:16]}, session.ErrWeakKey},
		{"twice", [][]byte{good, testKey(2), good}, session.ErrKeyTwice},
		{"one", [][]byte{good}, nil},
		{"three", [][]byte{good, testKey(2), testKey(3)}, nil},
		{"hexadecimal text", [][]byte{[]byte(hex.EncodeToString(good))}, nil},
		{"longer", [][]byte{append(testKey(4), testKey(5)...)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := session.NewKeyRing(tt.keys...)
			if !errors.Is(err, tt.want) {
				t.Errorf("NewKeyRing() = %v, want %v", err, tt.want)
			}
			for _, key := range tt.keys {
				if err != nil && len(key) > 0 && strings.Contains(err.Error(), string(key)) {
					t.Errorf("the error contains the key: %v", err)
				}
			}
		})
	}
}

// The check must not refuse what a random source gives.
func TestRandomKeyIsTaken(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		for j := range 40 {
			key := append(testKey(byte(i)), testKey(byte(255-j))...)[j%32:]
			if i == 255-j {
				continue
			}
			for _, k := range [][]byte{key, []byte(hex.EncodeToString(key[:32]))} {
				if _, err := session.NewKeyRing(k); err != nil {
					t.Fatalf("NewKeyRing(%x) = %v", k, err)
				}
			}
		}
	}
}

func TestRingKeepsItsOwnCopyOfKeys(t *testing.T) {
	t.Parallel()
	key := testKey(1)
	ring, err := session.NewKeyRing(key)
	if err != nil {
		t.Fatal(err)
	}
	clear(key)
	got, err := newRing(t, 1).Sealer(session.PurposePage).Open(ring.Sealer(session.PurposePage).Seal([]byte("x"), ""), "")
	if err != nil || string(got) != "x" {
		t.Errorf("Open() = %q, %v, want x", got, err)
	}
}

// Rotation that logs people out is rotation that is not done (TM-024): a new key in front must end nothing, and taking the old
// one away must end exactly what it sealed.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	const ad = "ad"
	seal := func(keys ...byte) string {
		return newRing(t, keys...).Sealer(session.PurposeSession).Seal([]byte("plain"), ad)
	}
	opens := func(sealed string, keys ...byte) bool {
		plain, err := newRing(t, keys...).Sealer(session.PurposeSession).Open(sealed, ad)
		if err != nil && !errors.Is(err, session.ErrNotOpened) {
			t.Errorf("Open() = %v, want ErrNotOpened", err)
		}
		return err == nil && string(plain) == "plain"
	}
	tests := []struct {
		name   string
		sealed string
		keys   []byte
		want   bool
	}{
		{"before", seal(1), []byte{1}, true},
		{"new key known to other nodes", seal(1), []byte{1, 2}, true},
		{"new key first", seal(1), []byte{2, 1}, true},
		{"sealed by the new key, node still has it last", seal(2, 1), []byte{1, 2}, true},
		{"sealed by the new key, old one gone", seal(2, 1), []byte{2}, true},
		{"sealed by the old key, old one gone", seal(1), []byte{2}, false},
		{"third key", seal(1), []byte{4, 3, 2, 1}, true},
	}
	for _, tt := range tests {
		if got := opens(tt.sealed, tt.keys...); got != tt.want {
			t.Errorf("%s: opens = %t, want %t", tt.name, got, tt.want)
		}
	}
}

// The same under load: nodes of all stages of a rotation seal and open for each other at once (TM-024).
func TestKeyRotationUnderLoad(t *testing.T) {
	t.Parallel()
	stages := []*session.KeyRing{newRing(t, 1, 2), newRing(t, 2, 1)}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 200 {
				ad := session.AD("cookie", "host")
				sealed := stages[i%2].Sealer(session.PurposeSession).Seal([]byte("plain"), ad)
				for _, ring := range stages {
					if got, err := ring.Sealer(session.PurposeSession).Open(sealed, ad); err != nil || string(got) != "plain" {
						t.Errorf("Open() = %q, %v, want plain", got, err)
					}
				}
			}
		})
	}
	wg.Wait()
}

// Whoever holds a sealer, a store for instance, follows the ring without being told: what was sealed opens as long as its key
// is there, and no longer. A ring that is refused changes nothing. TM-024.
func TestSealersFollowTheirRing(t *testing.T) {
	t.Parallel()
	ring := newRing(t, 1)
	held := ring.Sealer(session.PurposeStore)
	old := held.Seal([]byte("old"), "ad")
	digest := ring.Digest("p", "text")
	if err := ring.Replace(testKey(2), testKey(1)); err != nil {
		t.Fatal(err)
	}
	fresh := held.Seal([]byte("fresh"), "ad")
	if fresh[:6] == old[:6] || ring.Digest("p", "text") == digest {
		t.Error("the key before still seals")
	}
	for _, sealer := range []*session.Sealer{held, ring.Sealer(session.PurposeStore), newRing(t, 1, 2).Sealer(session.PurposeStore)} {
		for text, sealed := range map[string]string{"old": old, "fresh": fresh} {
			if plain, err := sealer.Open(sealed, "ad"); err != nil || string(plain) != text {
				t.Errorf("Open() = %q, %v, want %s", plain, err, text)
			}
		}
	}
	for name, keys := range map[string][][]byte{"none": nil, "weak": {testKey(3), make([]byte, 32)}, "twice": {testKey(3), testKey(3)}} {
		if err := ring.Replace(keys...); err == nil {
			t.Errorf("%s: replaced", name)
		}
	}
	if sealed := held.Seal([]byte("fresh"), "ad"); sealed[:6] != fresh[:6] {
		t.Error("a refused ring seals")
	}
	if err := ring.Replace(testKey(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := held.Open(old, "ad"); !errors.Is(err, session.ErrNotOpened) {
		t.Errorf("Open() = %v, want ErrNotOpened: the key has gone", err)
	}
}

// Keys turn while every core seals and opens: nothing is torn, nothing fails as long as both rings know both keys. TM-024.
func TestReplaceUnderLoad(t *testing.T) {
	t.Parallel()
	ring := newRing(t, 1, 2)
	sealer := ring.Sealer(session.PurposeSession)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				if plain, err := sealer.Open(sealer.Seal([]byte("plain"), "ad"), "ad"); err != nil || string(plain) != "plain" {
					t.Errorf("Open() = %q, %v, want plain", plain, err)
				}
			}
		})
	}
	for i := range 200 {
		keys := [][]byte{testKey(1), testKey(2)}
		if err := ring.Replace(keys[i%2], keys[1-i%2]); err != nil {
			t.Fatal(err)
		}
		ring.Sealer(string(rune('a' + i%20)))
	}
	wg.Wait()
}

// The name of a key stands at the front of what it seals, and holds nothing of the key.
func TestKeyIDNamesTheKey(t *testing.T) {
	t.Parallel()
	sealed, err := base64.RawURLEncoding.DecodeString(newRing(t, 1).Sealer("p").Seal(nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := session.KeyID(testKey(1)), hex.EncodeToString(sealed[1:5]); got != want {
		t.Errorf("KeyID() = %s, want %s", got, want)
	}
}

func TestSealerIsMadeOnce(t *testing.T) {
	t.Parallel()
	ring := newRing(t, 1)
	first := ring.Sealer("a")
	if ring.Sealer("a") != first {
		t.Error("Sealer(a) made twice, want the first kept")
	}
	if ring.Sealer("b") == first {
		t.Error("Sealer(a) is Sealer(b), want one for each purpose")
	}
}

// What stands for a holder in logs and headers must not lead back to the holder (TM-142), nor from one use to another.
func TestDigestIsKeyed(t *testing.T) {
	t.Parallel()
	const did = "did:ion:holder"
	seen := make(map[string]string)
	for _, ring := range []byte{1, 2} {
		for _, purpose := range []string{session.PurposeSubject, session.PurposeStore} {
			for _, text := range []string{did, did + "x", ""} {
				got := newRing(t, ring).Digest(purpose, text)
				where := purpose + text + string('0'+ring)
				if len(got) != 22 || strings.Contains(got, did) {
					t.Errorf("Digest(%s) = %q, want 22 characters", where, got)
				}
				if before, ok := seen[got]; ok {
					t.Errorf("Digest(%s) = Digest(%s)", where, before)
				}
				seen[got] = where
			}
		}
	}
	if got, want := newRing(t, 1, 2).Digest("p", did), newRing(t, 1).Digest("p", did); got != want {
		t.Errorf("Digest() = %q, want %q: only the first key counts", got, want)
	}
}

// newRing returns a ring of test keys.
func newRing(t testing.TB, keys ...byte) *session.KeyRing {
	t.Helper()
	secrets := make([][]byte, len(keys))
	for i, n := range keys {
		secrets[i] = testKey(n)
	}
	ring, err := session.NewKeyRing(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}
