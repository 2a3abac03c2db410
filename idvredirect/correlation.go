// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// CorrelationVectorHeader is the HTTP header a correlation vector travels in.
const CorrelationVectorHeader = "MS-CV"

const (
	vectorBaseLength = 22  // 16 bytes in base64 without padding
	maxVectorV2      = 127 // without the terminator
	maxVectorV3      = 128
	terminator       = "!"
	prefixV3         = "A."
)

// CorrelationVector follows one visit across Microsoft's services, the partners' and ours, so that support can find it
// (microsoft/CorrelationVector, specifications 2.1 and 3.0). It is written in logs and shown to visitors as a support
// code: never use one as a secret, a session ID or a mark against replay.
//
// It is an immutable value, comparable with ==. The zero value is no vector: String returns "" and the operators return
// it unchanged. Which operator when: [CorrelationVector.Extend] once for each incoming request that has a vector,
// [CorrelationVector.Increment] before each outgoing call, [CorrelationVector.Spin] in the place of Extend when the
// caller may send the same vector twice.
type CorrelationVector struct {
	value string
}

// NewCorrelationVector seeds a vector of version 2.1 with 16 bytes from random (nil: crypto/rand). The error is that of
// random.
func NewCorrelationVector(random io.Reader) (CorrelationVector, error) {
	var base [16]byte
	if err := fill(random, base[:]); err != nil {
		return CorrelationVector{}, fmt.Errorf("seeding a correlation vector: %w", err)
	}
	return CorrelationVector{base64.RawStdEncoding.EncodeToString(base[:]) + ".0"}, nil
}

// ParseCorrelationVector reads a vector that came from outside, such as the [CorrelationVectorHeader] of a request. It
// accepts what the specifications of version 2.1 and 3.0 describe, and keeps it byte for byte. Anything else, version 1
// included, is [ErrCorrelationVector]: seed a new vector then, and do not repeat the input in a log or an answer.
func ParseCorrelationVector(s string) (CorrelationVector, error) {
	if validV2(s) || validV3(s) {
		return CorrelationVector{s}, nil
	}
	return CorrelationVector{}, ErrCorrelationVector
}

// String returns the vector as it is written on the wire. In a link it must be percent-encoded: it may hold + and /.
func (v CorrelationVector) String() string { return v.value }

// Base returns the part that all vectors of one trace share, 22 characters of base64: what to search logs for.
func (v CorrelationVector) Base() string {
	if len(v.value) < vectorBaseLength {
		return ""
	}
	return strings.TrimPrefix(v.value, prefixV3)[:vectorBaseLength]
}

// Terminated says whether the vector ends in "!": an earlier operator had no room, and no operator changes it any more.
// Seed a new vector and log the two together.
func (v CorrelationVector) Terminated() bool { return strings.HasSuffix(v.value, terminator) }

// Increment adds one to the last element. Call it before each outgoing call, and keep the result for the next one.
//
// When the result would be too long, or the element is the largest there is, a vector of version 2.1 is terminated with
// "!" and one of version 3.0, which has no terminator, stays as it is: then use [CorrelationVector.Reset].
func (v CorrelationVector) Increment() CorrelationVector {
	if v.value == "" || v.Terminated() {
		return v
	}
	dot := strings.LastIndexByte(v.value, '.')
	element, err := strconv.ParseUint(v.value[dot+1:], v.radix(), 32)
	if err != nil || element == math.MaxUint32 {
		return v.full()
	}
	return v.replace(v.value[:dot+1] + v.format(element+1))
}

// Extend adds an element 0. Call it once for each incoming request that carries a vector. Without room it does what
// [CorrelationVector.Increment] does.
func (v CorrelationVector) Extend() CorrelationVector {
	if v.value == "" || v.Terminated() {
		return v
	}
	return v.replace(v.value + ".0")
}

// replace returns the new value if it fits.
func (v CorrelationVector) replace(value string) CorrelationVector {
	if len(value) > v.limit() {
		return v.full()
	}
	return CorrelationVector{value}
}

// full returns what an operator without room returns.
func (v CorrelationVector) full() CorrelationVector {
	if v.isV3() {
		return v
	}
	return CorrelationVector{v.value + terminator}
}

func (v CorrelationVector) isV3() bool { return strings.HasPrefix(v.value, prefixV3) }

func (v CorrelationVector) limit() int {
	if v.isV3() {
		return maxVectorV3
	}
	return maxVectorV2
}

func (v CorrelationVector) radix() int {
	if v.isV3() {
		return 16
	}
	return 10
}

func (v CorrelationVector) format(element uint64) string {
	return strings.ToUpper(strconv.FormatUint(element, v.radix()))
}

// validV2 is the grammar of version 2.1: base, elements of up to ten decimal digits, perhaps the terminator.
func validV2(s string) bool {
	s = strings.TrimSuffix(s, terminator)
	if len(s) > maxVectorV2 || len(s) < vectorBaseLength || !validBase(s[:vectorBaseLength]) {
		return false
	}
	rest := s[vectorBaseLength:]
	for rest != "" {
		var ok bool
		if rest, ok = cutElement(rest, 10); !ok {
			return false
		}
	}
	return len(s) > vectorBaseLength
}

// validV3 is the grammar of version 3.0: prefix, base, perhaps # or - with an ID, then elements of up to eight
// upper-case hexadecimal digits, each but the first perhaps after _ with an ID.
func validV3(s string) bool {
	rest, ok := strings.CutPrefix(s, prefixV3)
	if !ok || len(s) > maxVectorV3 || len(rest) < vectorBaseLength || !validBase(rest[:vectorBaseLength]) {
		return false
	}
	rest = rest[vectorBaseLength:]
	for marks := "#-"; ; marks = "_" {
		if rest != "" && strings.IndexByte(marks, rest[0]) >= 0 {
			if len(rest) < 17 || strings.Trim(rest[1:17], upperHex) != "" {
				return false
			}
			rest = rest[17:]
		}
		if rest, ok = cutElement(rest, 16); !ok {
			return false
		}
		if rest == "" {
			return true
		}
	}
}

const upperHex = "0123456789ABCDEF"

// validBase accepts 22 characters of base64 whose last one holds no bit beyond the 128th.
func validBase(base string) bool {
	_, err := base64.RawStdEncoding.Strict().DecodeString(base)
	return err == nil && !strings.ContainsAny(base, "\r\n")
}

// cutElement takes a dot and an unsigned 32-bit number off the front.
func cutElement(s string, radix int) (rest string, ok bool) {
	if s == "" || s[0] != '.' {
		return s, false
	}
	digits := 1
	for digits < len(s) && strings.IndexByte(upperHex[:radix], s[digits]) >= 0 {
		digits++
	}
	longest := 10
	if radix == 16 {
		longest = 8
	}
	if digits == 1 || digits-1 > longest {
		return s, false
	}
	_, err := strconv.ParseUint(s[1:digits], radix, 32)
	return s[digits:], err == nil
}
