// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"sync"

	"github.com/google/uuid"
)

// random hands out ids and nonces. Readers given by a test need not be safe for concurrent use; this one is.
type random struct {
	mu     sync.Mutex
	source io.Reader
}

func (r *random) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := io.ReadFull(r.source, p)
	if err != nil {
		return n, fmt.Errorf("reading random bytes: %w", err)
	}
	return n, nil
}

// bytes panics when the source fails: without randomness there is nothing the emulator could do instead.
func (r *random) bytes(n int) []byte {
	b := make([]byte, n)
	if _, err := r.Read(b); err != nil {
		panic("emulator: " + err.Error())
	}
	return b
}

func (r *random) uuid() string {
	id, err := uuid.NewRandomFromReader(r)
	if err != nil {
		panic("emulator: " + err.Error())
	}
	return id.String()
}

func (r *random) hex(n int) string { return hex.EncodeToString(r.bytes(n)) }

// nonce is 16 bytes in standard base64 with padding, as captured from the service, so that clients which assume
// a URL-safe nonce are found out.
func (r *random) nonce() string { return base64.StdEncoding.EncodeToString(r.bytes(16)) }

// opaque is the long text that the service uses as "state" towards wallets.
func (r *random) opaque() string { return base64.RawURLEncoding.EncodeToString(r.bytes(96)) }

// correlationVector is a version 1 vector, the form seen in the service's errors: 12 random bytes and an element.
func (r *random) correlationVector() string {
	return base64.StdEncoding.EncodeToString(r.bytes(12)) + ".1"
}
