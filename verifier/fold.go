// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"unicode"
	"unicode/utf8"
)

// holds says whether a claim value satisfies the constraint. A constraint without operator is never satisfied.
func (c *Constraint) holds(value string) bool {
	switch {
	case len(c.Values) > 0:
		for _, allowed := range c.Values {
			if rest, ok := cutPrefixFold(value, allowed); ok && rest == "" {
				return true
			}
		}
		return false
	case c.Contains != "":
		for tail := value; ; {
			if _, ok := cutPrefixFold(tail, c.Contains); ok {
				return true
			}
			if tail == "" {
				return false
			}
			_, size := utf8.DecodeRuneInString(tail)
			tail = tail[size:]
		}
	case c.StartsWith != "":
		_, ok := cutPrefixFold(value, c.StartsWith)
		return ok
	}
	return false
}

// cutPrefixFold is strings.CutPrefix without regard to case.
func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	for prefix != "" {
		if s == "" {
			return "", false
		}
		a, sizeA := utf8.DecodeRuneInString(s)
		b, sizeB := utf8.DecodeRuneInString(prefix)
		if foldRune(a) != foldRune(b) {
			return "", false
		}
		s, prefix = s[sizeA:], prefix[sizeB:]
	}
	return s, true
}

// foldRune maps a rune to its simple upper case, except that no rune outside ASCII becomes one inside: "ı" is not "I" and
// "ſ" is not "S", so that no look-alike of an ASCII value passes for it.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}
	if upper := unicode.ToUpper(r); upper >= utf8.RuneSelf {
		return upper
	}
	return r
}
