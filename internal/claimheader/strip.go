// SPDX-License-Identifier: Apache-2.0

package claimheader

import (
	"net/http"
	"slices"
)

// framing lists, in the spelling of net/http, the headers that steer the connection or mark out the body. In this spelling
// net/http and [HopByHop] have dealt with them. In any other spelling (Transfer_Encoding) they mean nothing to HTTP, but an
// app that folds names reads them as the real thing, and the two then disagree about where a request ends.
var framing = []string{
	"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
}

// Strip deletes headers by folded name. It is built once, when the config is loaded, and then safe for concurrent use.
// The zero value deletes nothing.
type Strip struct {
	// By first folded byte, so that most headers are done with after one look.
	byFirst [256]bucket
}

// bucket holds the targets that begin with one byte.
type bucket struct {
	exact    []target
	prefixes []string
	// lengths has bit n set if some exact target is n bytes long, so that most names need no comparison.
	lengths uint64
}

// target is one exact name.
type target struct {
	folded string
	// except is the one spelling that stays. Empty: none.
	except string
}

// NewStrip returns a Strip for every header whose folded name begins with one of the prefixes, or equals one of the names.
// Prefixes and names are given in any spelling, for example "X-Verified-Id-". An empty one stands for nothing; [CheckPrefix]
// and [CheckName] tell the operator so.
//
// Odd spellings of Connection, Content-Length, Transfer-Encoding and their like are always deleted too: they are sent for
// one purpose only, to be understood by the app and not by the proxy.
func NewStrip(prefixes, names []string) *Strip {
	s := new(Strip)
	for _, prefix := range prefixes {
		if prefix == "" {
			continue
		}
		b := &s.byFirst[folded[prefix[0]]]
		b.prefixes = append(b.prefixes, Fold(prefix))
	}
	for _, name := range names {
		s.add(target{folded: Fold(name)})
	}
	for _, name := range framing {
		s.add(target{folded: Fold(name), except: name})
	}
	return s
}

// add puts t into its bucket. A name that is deleted in all spellings stays so.
func (s *Strip) add(t target) {
	if t.folded == "" {
		return
	}
	b := &s.byFirst[t.folded[0]]
	if slices.ContainsFunc(b.exact, func(have target) bool { return have.folded == t.folded }) {
		return
	}
	b.exact = append(b.exact, t)
	b.lengths |= lengthBit(len(t.folded))
}

// From deletes the client's headers in our namespace from h and returns how many names it deleted (TM-001). It looks at the
// keys as they are, not only at canonical ones, and does not rely on the server having dropped any (TM-002). Nothing is
// allocated.
//
// It is meant to run before every other decision about the request, on every way through the gate.
func (s *Strip) From(h http.Header) (removed int) {
	for name := range h {
		if s.Matches(name) {
			delete(h, name)
			removed++
		}
	}
	return removed
}

// Matches reports whether [Strip.From] deletes a header of this name.
func (s *Strip) Matches(name string) bool {
	if name == "" {
		return false
	}
	b := &s.byFirst[folded[name[0]]]
	if b.lengths&lengthBit(len(name)) != 0 {
		for i := range b.exact {
			t := &b.exact[i]
			if len(t.folded) == len(name) && foldsTo(name, t.folded) {
				return name != t.except
			}
		}
	}
	for _, prefix := range b.prefixes {
		if len(name) >= len(prefix) && foldsTo(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

// lengthBit returns the bit for names of n bytes. All lengths from 63 up share one.
func lengthBit(n int) uint64 {
	return 1 << min(n, 63)
}
