// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/http"
	"strings"
)

// FindCookie returns the value of the cookie with this name from the Cookie header of a request, as it came. A cookie that is
// there twice is not there: one of the two is not ours, and no rule says which (TM-027).
//
// The name is compared byte for byte. Blanks after a semicolon belong to the header (RFC 6265, section 5.4), everything else to
// the name: no other white space is trimmed, no case is folded, no quotes are taken off and $Version means nothing. So what a
// browser refuses to let a sibling site set, such as __Host-, cannot be had by a name that only becomes it on the server.
//
// Nothing is allocated.
func FindCookie(h http.Header, name string) (value string, ok bool) {
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			pair = strings.TrimLeft(pair, " ")
			if len(pair) <= len(name) || pair[len(name)] != '=' || pair[:len(name)] != name {
				continue
			}
			if ok {
				return "", false
			}
			value, ok = pair[len(name)+1:], true
		}
	}
	return value, ok
}

// StripCookies takes all cookies whose name matches out of the Cookie header, also if they are there several times or have no
// value. All others stay byte for byte, whatever they look like (TM-010). A header that becomes empty is deleted.
//
// Names reach match as [FindCookie] compares them. Nothing is allocated when nothing is taken out.
func StripCookies(h http.Header, match func(name string) bool) {
	lines := h["Cookie"]
	for i, line := range lines {
		if !hasCookie(line, match) {
			continue
		}
		// A new slice: an earlier handler may have kept the old one.
		kept := append(make([]string, 0, len(lines)), lines[:i]...)
		for _, line := range lines[i:] {
			if !hasCookie(line, match) {
				kept = append(kept, line)
			} else if rest := withoutCookies(line, match); rest != "" {
				kept = append(kept, rest)
			}
		}
		if len(kept) == 0 {
			delete(h, "Cookie")
		} else {
			h["Cookie"] = kept
		}
		return
	}
}

// hasCookie reports whether a line of the Cookie header has a cookie whose name matches.
func hasCookie(line string, match func(name string) bool) bool {
	for pair := range strings.SplitSeq(line, ";") {
		if match(cookieName(pair)) {
			return true
		}
	}
	return false
}

// withoutCookies returns a line of the Cookie header without the pairs whose name matches. Each goes together with the
// semicolon before it, or after it if it was the first.
func withoutCookies(line string, match func(name string) bool) string {
	var b strings.Builder
	b.Grow(len(line))
	kept, dropped := 0, 0
	for pair := range strings.SplitSeq(line, ";") {
		if match(cookieName(pair)) {
			dropped++
			continue
		}
		switch {
		case kept > 0:
			b.WriteByte(';')
		case dropped > 0:
			pair = strings.TrimLeft(pair, " ")
		}
		b.WriteString(pair)
		kept++
	}
	return b.String()
}

// cookieName returns the name in one pair of a Cookie header.
func cookieName(pair string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(pair, " "), "=")
	return name
}
