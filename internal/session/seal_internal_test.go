// SPDX-License-Identifier: Apache-2.0

package session

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"testing"
)

// An answer that comes sooner for an unknown key than for a bad tag tells a stranger which keys we have (TM-024). So the same
// work is done for both: one attempt at decryption, over all the bytes.
func TestUnknownKeyCostsAsMuchAsBadTag(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing(bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuv."), 1), []byte("another key, of 32 bytes or more"))
	if err != nil {
		t.Fatal(err)
	}
	sealer := ring.Sealer(PurposeSession)
	keys := *sealer.keys.Load()
	calls := &countingAEAD{AEAD: keys[0].aead}
	for i := range keys {
		keys[i].aead = calls
	}

	sealed, err := encoding.DecodeString(sealer.Seal(make([]byte, 700), "ad"))
	if err != nil {
		t.Fatal(err)
	}
	badTag := bytes.Clone(sealed)
	badTag[len(badTag)-1] ^= 1
	unknown := bytes.Clone(sealed)
	unknown[1] ^= 1

	var sizes []int
	for _, text := range [][]byte{badTag, unknown} {
		calls.opened = nil
		if _, err := sealer.Open(encoding.EncodeToString(text), "ad"); !errors.Is(err, ErrNotOpened) {
			t.Errorf("Open() = %v, want ErrNotOpened", err)
		}
		if len(calls.opened) != 1 {
			t.Fatalf("%d attempts at decryption, want 1", len(calls.opened))
		}
		sizes = append(sizes, calls.opened[0])
	}
	if sizes[0] != sizes[1] {
		t.Errorf("decrypted %d bytes for a bad tag, %d for an unknown key", sizes[0], sizes[1])
	}
}

// A key id that we do not know is refused even if the text would open with the key that is tried in its place.
func TestUnknownKeyNeverOpens(t *testing.T) {
	t.Parallel()
	ring, err := NewKeyRing([]byte("another key, of 32 bytes or more"))
	if err != nil {
		t.Fatal(err)
	}
	sealer := ring.Sealer(PurposeSession)
	sealed := sealer.Seal([]byte("plain"), "ad")
	// Now the key is called something else, but still bound to the old name in the associated data.
	(*sealer.keys.Load())[0].id[0] ^= 1
	if plain, err := sealer.Open(sealed, "ad"); !errors.Is(err, ErrNotOpened) {
		t.Errorf("Open() = %q, %v, want ErrNotOpened", plain, err)
	}
}

// Plain text must not stay behind in a buffer that the next request gets.
func TestScratchIsClearedOfPlainText(t *testing.T) {
	t.Parallel()
	s := &scratch{b: []byte("secret")}
	whole := s.b[:cap(s.b)]
	s.b = s.b[:0]
	s.putSecret()
	if !bytes.Equal(whole, make([]byte, len(whole))) {
		t.Errorf("scratch holds %q after putSecret, want zeros", whole)
	}
}

// countingAEAD notes how many bytes each attempt at decryption is given.
type countingAEAD struct {
	cipher.AEAD
	opened []int
}

func (c *countingAEAD) Open(dst, nonce, ciphertext, ad []byte) ([]byte, error) {
	c.opened = append(c.opened, len(ciphertext)+len(ad))
	return c.AEAD.Open(dst, nonce, ciphertext, ad)
}
