// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// MinKeySize is the length of the shortest key a [KeyRing] takes, in bytes.
const MinKeySize = 32

// What a seal can be for. Each has a sub-key of its own, so that what was sealed for one purpose never opens for another
// (TM-020): a page token, which everybody gets, is no session.
const (
	PurposeSession  = "session"      // a Session, in its cookie
	PurposeBinding  = "binding"      // ties transactions to the browser that started them, in a cookie
	PurposePage     = "page"         // shows that a form was shown by us, in the form
	PurposeJourney  = "journey"      // a visit to an IDV partner, in a cookie
	PurposeStore    = "store"        // values in a shared store
	PurposeCallback = "callback key" // what the Request Service sends back to us
	PurposeSubject  = "subject"      // the keyed hash that stands for a holder, see KeyRing.Digest
)

// Errors of [NewKeyRing]. They never contain key material.
var (
	ErrNoKey    = errors.New("no sealing key")
	ErrWeakKey  = errors.New("weak key")
	ErrKeyTwice = errors.New("sealing key given twice")
)

// KeyRing holds the sealing keys. It is safe for concurrent use.
type KeyRing struct {
	keys atomic.Pointer[[]ringKey] // never empty

	mu      sync.Mutex // while keys or sealers change
	sealers map[string]*Sealer
}

// ringKey is one key of the ring.
type ringKey struct {
	secret []byte
	id     keyID
}

// keyID tells which key sealed a text. It is derived from the key, one way, so that every node names it the same.
type keyID [4]byte

// NewKeyRing returns a ring of the given keys, each of which is at least [MinKeySize] bytes from a secure random source. The
// first key seals, all of them open (TM-024). To rotate, put a new key first, and take the old one away when nothing that
// it sealed is still wanted; between nodes, add the new key as the last one everywhere before it becomes the first anywhere.
//
// Errors wrap [ErrNoKey], [ErrKeyTwice] or [ErrWeakKey]. Weak is a key that is short or plainly not random: one that
// repeats, that counts, or that has few different bytes, as made by hand or copied from an example (TM-025). A ring
// keeps its own copies.
//
// Nonces are random, so a key should seal no more than 2³² texts (NIST SP 800-38D): replace it after half a year if the
// site makes 200 seals a second.
func NewKeyRing(keys ...[]byte) (*KeyRing, error) {
	ring, err := ringOf(keys)
	if err != nil {
		return nil, err
	}
	k := &KeyRing{sealers: make(map[string]*Sealer)}
	k.keys.Store(&ring)
	return k, nil
}

// Replace puts these keys in place of those of the ring, by the rules of [NewKeyRing]. Its sealers follow, so whoever holds one
// needs no other; what is sealed or opened meanwhile is so by the keys before or by these. After an error the ring is as it was.
func (k *KeyRing) Replace(keys ...[]byte) error {
	ring, err := ringOf(keys)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if slices.EqualFunc(ring, *k.keys.Load(), func(a, b ringKey) bool { return bytes.Equal(a.secret, b.secret) }) {
		return nil
	}
	k.keys.Store(&ring)
	for purpose, s := range k.sealers {
		s.use(ring, purpose)
	}
	return nil
}

// ringOf checks the keys and copies them.
func ringOf(keys [][]byte) ([]ringKey, error) {
	if len(keys) == 0 {
		return nil, ErrNoKey
	}
	var ring []ringKey
	for i, key := range keys {
		if err := CheckKey(key); err != nil {
			return nil, fmt.Errorf("sealing key %d of %d: %w", i+1, len(keys), err)
		}
		k := ringKey{secret: bytes.Clone(key), id: idOf(key)}
		for j, other := range ring {
			// Different keys share an id once in four thousand million pairs. They could not be told apart.
			if other.id == k.id {
				return nil, fmt.Errorf("sealing keys %d and %d: %w", j+1, i+1, ErrKeyTwice)
			}
		}
		ring = append(ring, k)
	}
	return ring, nil
}

// KeyID returns the name of a key, eight hexadecimal digits. It tells nothing of the key, and every text that the key sealed
// begins with it.
func KeyID(key []byte) string {
	id := idOf(key)
	return hex.EncodeToString(id[:])
}

func idOf(key []byte) (id keyID) {
	copy(id[:], derive(key, "key id", len(id)))
	return id
}

// Sealer returns the sealer for a purpose, one of the Purpose constants. It is made once and kept.
func (k *KeyRing) Sealer(purpose string) *Sealer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s, ok := k.sealers[purpose]; ok {
		return s
	}
	s := new(Sealer)
	s.use(*k.keys.Load(), purpose)
	k.sealers[purpose] = s
	return s
}

// Digest returns a keyed hash of text, 128 bits as 22 characters of base64url. Nobody without the key can tell which text it
// is of, not even by trying all that are likely (TM-142). It is the same on all nodes, and changes when the first key does:
// names that must outlive a rotation need a ring of their own.
func (k *KeyRing) Digest(purpose, text string) string {
	mac := hmac.New(sha256.New, derive((*k.keys.Load())[0].secret, "digest\x00"+purpose, sha256.Size))
	mac.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// newSealKey derives what seals and opens for one purpose from one key.
func newSealKey(key ringKey, purpose string) sealKey {
	block, err := aes.NewCipher(derive(key.secret, "seal\x00"+purpose, 32))
	if err != nil {
		panic("session: internal error: " + err.Error()) // the size is right
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("session: internal error: " + err.Error()) // AES has the right block size
	}
	prefix := append([]byte{sealVersion, byte(len(purpose))}, purpose...)
	return sealKey{id: key.id, aead: aead, prefix: append(prefix, key.id[:]...)}
}

// derive returns size bytes that depend on key and label only (HKDF-SHA256, RFC 5869).
func derive(key []byte, label string, size int) []byte {
	out, err := hkdf.Key(sha256.New, key, nil, "caddy-verified-id v1\x00"+label, size)
	if err != nil {
		panic("session: internal error: " + err.Error()) // only for impossible sizes
	}
	return out
}

// minDistinct is how many different bytes a key must have. 32 random bytes have fewer than 20 once in 10⁹ times; random
// text of 64 hexadecimal digits has fewer than 10 as rarely.
const minDistinct = 10

// CheckKey refuses keys that cannot come from a random source, by the rules of [NewKeyRing]. Errors wrap [ErrWeakKey].
func CheckKey(key []byte) error {
	if len(key) < MinKeySize {
		return fmt.Errorf("%w: %d bytes, needs at least %d; make one with: openssl rand -base64 32", ErrWeakKey, len(key), MinKeySize)
	}
	var seen [256]bool
	distinct := 0
	for _, c := range key {
		if !seen[c] {
			seen[c] = true
			distinct++
		}
	}
	if distinct < minDistinct {
		return fmt.Errorf("%w: only %d different bytes", ErrWeakKey, distinct)
	}
	// 00 01 02 …, and the same backwards or in other steps.
	steady := true
	for i := 2; i < len(key) && steady; i++ {
		steady = key[i]-key[i-1] == key[1]-key[0]
	}
	if steady {
		return fmt.Errorf("%w: it counts", ErrWeakKey)
	}
	for period := 1; period <= len(key)/2; period++ {
		if bytes.Equal(key[period:], key[:len(key)-period]) {
			return fmt.Errorf("%w: it repeats every %d bytes", ErrWeakKey, period)
		}
	}
	return nil
}
