// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// maxStringBytes is the length, escapes counted as written, that no string we use may reach. Longer ones reach the
	// parser cut to about this length.
	maxStringBytes = 8 << 10

	// maxNumberBytes bounds numbers and words, for which the parser needs a contiguous buffer too.
	maxNumberBytes = 128

	readBufferBytes = 8 << 10
)

var errTooLong = errors.New("too long")

// shortener is a reader that lets JSON pass but cuts the middle out of long strings and long runs of blanks. The parser
// behind it buffers each token whole; a photo of a megabyte that is going to be skipped would cost several. Cut strings are
// at least as long as the longest that may be used, and stay well-formed, so the parser can refuse those it needs and skip the others. What is cut
// out is not looked at.
type shortener struct {
	source  io.Reader
	limit   int64 // of the input
	longest int   // string, see maxStringBytes
	read    int64
	err     error // what ended the input, other than its end

	buffer   []byte
	pos, end int // of what is left in the buffer

	inString bool
	dropping bool // the rest of this string
	length   int  // of the string, number or word so far
	blank    bool // the last byte was a blank outside a string
	escape   int  // bytes left of an escape; -1 right after the backslash
	hex      rune // of a \u escape
	surr     bool // the last escape wants its other half
}

func newShortener(source io.Reader, limit int64, longest int) *shortener {
	return &shortener{source: source, limit: limit, longest: longest, buffer: make([]byte, readBufferBytes)}
}

// Read implements [io.Reader].
func (s *shortener) Read(out []byte) (int, error) {
	for {
		if s.err != nil {
			return 0, s.err
		}
		if s.pos == s.end {
			n, err := s.source.Read(s.buffer)
			s.pos, s.end = 0, n
			if s.read += int64(n); s.read > s.limit {
				s.err = fmt.Errorf("%w: body is longer than %d bytes", ErrMalformedCallback, s.limit)
				return 0, s.err
			}
			if n == 0 && err != nil {
				if !errors.Is(err, io.EOF) {
					s.err = err
				}
				return 0, err
			}
		}
		if n := s.pass(out); n > 0 || s.err != nil {
			return n, s.err
		}
	}
}

// pass copies what may pass from the buffer to out, until one of them is used up.
func (s *shortener) pass(out []byte) (n int) {
	for s.pos < s.end && n < len(out) {
		if s.dropping {
			s.drop()
			continue
		}
		c := s.buffer[s.pos]
		if s.inString {
			if s.length >= s.longest && s.atBoundary(c) && c != '"' {
				s.dropping = true
				continue
			}
			s.stringByte(c)
		} else if !s.outsideByte(c) {
			s.pos++
			continue
		}
		if s.err != nil {
			return n
		}
		out[n] = c
		n++
		s.pos++
	}
	return n
}

// drop skips to the end of the string.
func (s *shortener) drop() {
	if s.escape != 0 {
		s.escape = 0
		s.pos++
		return
	}
	rest := s.buffer[s.pos:s.end]
	end := bytes.IndexByte(rest, '"')
	s.dropping = end < 0
	if end < 0 {
		end = len(rest)
	}
	if backslash := bytes.IndexByte(rest[:end], '\\'); backslash >= 0 {
		// Whatever follows the backslash is skipped first, a quote as well.
		s.escape, s.dropping = 1, true
		end = backslash + 1
	}
	s.pos += end
}

// atBoundary says whether a character begins with c, and none that belongs to the one before.
func (s *shortener) atBoundary(c byte) bool { return s.escape == 0 && !s.surr && c&0xc0 != 0x80 }

func (s *shortener) stringByte(c byte) {
	s.length++
	switch {
	case s.escape == -1:
		if s.escape = 0; c == 'u' {
			s.escape, s.hex = 4, 0
		} else {
			s.surr = false
		}
	case s.escape > 0:
		s.escape--
		s.hex = s.hex<<4 | rune(hexDigit(c))
		if s.escape == 0 {
			s.surr = s.hex >= 0xd800 && s.hex < 0xdc00
		}
	case c == '\\':
		s.escape = -1
	case c == '"':
		s.inString, s.length = false, 0
	default:
		s.surr = false
	}
}

// outsideByte says whether a byte outside a string may pass: all do, except blanks after a blank.
func (s *shortener) outsideByte(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n':
		s.length = 0
		again := s.blank
		s.blank = true
		return !again
	case '"':
		s.inString, s.length, s.surr = true, 0, false
	case '{', '}', '[', ']', ',', ':':
		s.length = 0
	default:
		if s.length++; s.length > maxNumberBytes {
			s.err = fmt.Errorf("%w: a number is %w", ErrMalformedCallback, errTooLong)
		}
	}
	s.blank = false
	return true
}

// hexDigit returns the value of a hexadecimal digit; what is none, the parser refuses.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0
}
