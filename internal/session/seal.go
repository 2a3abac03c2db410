// SPDX-License-Identifier: Apache-2.0

package session

import (
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync/atomic"
)

// ErrNotOpened means that a text was not sealed by us for this purpose and this associated data, or not by a key we still
// have. It says no more: why is nobody's business, and the usual cause is a key that has been rotated out.
var ErrNotOpened = errors.New("not opened")

// sealVersion is the first byte of every sealed text. Another version is not opened.
const sealVersion = 1

// The layout of a sealed text, before base64url without padding: version, key id, nonce, ciphertext, tag.
const (
	nonceSize  = 12
	tagSize    = 16
	headerSize = 1 + len(keyID{})

	// SealOverhead is what sealing adds, in bytes, before base64 adds a third.
	SealOverhead = headerSize + nonceSize + tagSize
)

// encoding is strict, so that a sealed text has one spelling only.
var encoding = base64.RawURLEncoding.Strict()

// Sealer seals and opens for one purpose, with AES-256-GCM and a fresh random nonce for each text. It is safe for concurrent
// use. It comes from [KeyRing.Sealer], and follows the keys of its ring.
type Sealer struct {
	keys atomic.Pointer[sealKeys]
}

// sealKeys are the keys of a ring, made ready for one purpose. The first seals; there is one at least.
type sealKeys []sealKey

// sealKey is one key of the ring, made ready for one purpose.
type sealKey struct {
	id     keyID
	aead   cipher.AEAD // puts the nonce before the ciphertext
	prefix []byte      // what all associated data begins with: version, purpose with its length, key id
}

// use makes these the sealer's keys.
func (s *Sealer) use(ring []ringKey, purpose string) {
	keys := make(sealKeys, 0, len(ring))
	for _, key := range ring {
		keys = append(keys, newSealKey(key, purpose))
	}
	s.keys.Store(&keys)
}

// Seal returns plain as text that nobody without the key can read or change. It has the characters A–Z a–z 0–9 - _ only and
// is 4⁄3 × (len(plain) + [SealOverhead]) long.
//
// It opens only with the same ad, the associated data, which is not contained in it. Use ad to say what the text may be used
// for: cookie name, host, store key (TM-021). [AD] joins several.
func (s *Sealer) Seal(plain []byte, ad string) string {
	key := &(*s.keys.Load())[0]
	size := SealOverhead + len(plain)
	buf := make([]byte, 0, size+len(key.prefix)+len(ad))
	buf = append(buf, sealVersion)
	buf = append(buf, key.id[:]...)
	buf = key.aead.Seal(buf, nil, plain, key.appendAD(buf[size:size], ad)) //nolint:gosec // G407: it makes a random nonce itself
	return encoding.EncodeToString(buf)
}

// Open returns what was sealed. Every failure is [ErrNotOpened], and takes the same time whether the key is unknown or the
// text was changed (TM-024, TM-028).
func (s *Sealer) Open(sealed, ad string) ([]byte, error) {
	size := encoding.DecodedLen(len(sealed)) - SealOverhead
	if size < 0 {
		return nil, ErrNotOpened
	}
	return s.appendOpen(make([]byte, 0, size), sealed, ad)
}

// appendOpen appends what was sealed to dst.
func (s *Sealer) appendOpen(dst []byte, sealed, ad string) ([]byte, error) {
	// A text of 4n+1 characters is not base64. This also bars line breaks, which the decoder skips: either the length is
	// now impossible, or the decoder returns fewer bytes than the length demands.
	size := encoding.DecodedLen(len(sealed))
	if size < SealOverhead || len(sealed)%4 == 1 {
		return nil, ErrNotOpened
	}
	keys := *s.keys.Load()
	scratch := getScratch(size + keys.adSize(ad))
	defer scratch.put()
	buf := scratch.b[:size]
	if n, err := encoding.Decode(buf, []byte(sealed)); err != nil || n != size || buf[0] != sealVersion {
		return nil, ErrNotOpened
	}
	key, known := keys.keyFor(keyID(buf[1:headerSize]))
	plain, err := key.aead.Open(dst, nil, buf[headerSize:], key.appendAD(buf[size:size], ad))
	if err != nil || !known {
		return nil, ErrNotOpened
	}
	return plain, nil
}

// First says whether a text is sealed with the key that seals now, and not with one that will be taken away before.
func (s *Sealer) First(sealed string) bool { return sealerOf(sealed) == (*s.keys.Load())[0].id }

// sealerOf is the id of the key that a text says it is sealed with.
func sealerOf(sealed string) (id keyID) {
	var head [6]byte // of 8 characters
	if len(sealed) >= 8 {
		if _, err := encoding.Decode(head[:], []byte(sealed[:8])); err == nil {
			copy(id[:], head[1:headerSize])
		}
	}
	return id
}

// keyFor returns the key with this id. If there is none it returns one all the same, so that to try it costs as much.
func (k sealKeys) keyFor(id keyID) (key *sealKey, known bool) {
	for i := range k {
		if k[i].id == id {
			return &k[i], true
		}
	}
	return &k[0], false
}

// adSize returns how many bytes appendAD adds. It is the same for all keys of a sealer.
func (k sealKeys) adSize(ad string) int { return len(k[0].prefix) + len(ad) }

// appendAD appends the whole associated data to dst: version | purpose | key id | ad.
func (k *sealKey) appendAD(dst []byte, ad string) []byte {
	return append(append(dst, k.prefix...), ad...)
}

// AD joins several texts into one associated data, so that no two different lists join to the same.
func AD(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return string(b)
}
