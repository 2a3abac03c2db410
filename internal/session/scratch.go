// SPDX-License-Identifier: Apache-2.0

package session

import (
	"slices"
	"sync"
)

// maxScratch is the largest buffer worth keeping, in bytes. A cookie needs a tenth of it.
const maxScratch = 64 << 10

// scratch is a buffer for the time of one call. Opening happens on every request, and most of what it needs is needed for a
// microsecond.
type scratch struct{ b []byte }

var scratchPool sync.Pool

// getScratch returns an empty buffer with room for size bytes.
func getScratch(size int) *scratch {
	s, ok := scratchPool.Get().(*scratch)
	if !ok {
		s = new(scratch)
	}
	s.b = slices.Grow(s.b[:0], size)
	return s
}

// put gives the buffer back.
func (s *scratch) put() {
	if cap(s.b) <= maxScratch {
		scratchPool.Put(s)
	}
}

// putSecret gives the buffer back after what is in it has been overwritten.
func (s *scratch) putSecret() {
	clear(s.b[:cap(s.b)])
	s.put()
}
