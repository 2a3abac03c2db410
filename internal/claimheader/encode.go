// SPDX-License-Identifier: Apache-2.0

package claimheader

import (
	"errors"
	"net/url"
	"strings"
)

// Limits for what the gate writes (TM-013); name and encoded value both count. Nothing is ever cut to fit: a cut value is
// another value.
const (
	// MaxHeader is the most one claim header may take, in bytes.
	MaxHeader = 4 << 10
	// MaxAll is the most all claim headers of a request may take together, in bytes. Many servers allow 8 KiB for the
	// whole head of a request.
	MaxAll = 8 << 10
)

// ErrNotEncoded means that a text was not made by [Encode]. It does not repeat the text, which may be a claim.
var ErrNotEncoded = errors.New("not an encoded header value")

// Encode returns value as it is put into a header. The rule, for the operator:
//
//	Ordinary text stays as it is; a percent sign, a blank at either end, and every byte of the UTF-8 form that is not
//	printable ASCII is written as % and two hexadecimal digits.
//
// So "Jane Doe" stays "Jane Doe" and "Zoë" becomes "Zo%C3%AB". An app that cares for other letters than A to Z decodes with
// what its language has:
//
//	Go      url.PathUnescape(v)
//	Node    decodeURIComponent(v)
//	Python  urllib.parse.unquote(v)
//	.NET    Uri.UnescapeDataString(v)
//	Java    URLDecoder.decode(v.replace("+", "%2B"), StandardCharsets.UTF_8)
//
// The result has bytes from 0x20 to 0x7E only and no blank at either end, so no CR, LF or NUL can reach the proxy (where they
// would turn each request of the session into an error) and no two apps can decode it differently (TM-012). [Decode] gives
// the value back, also if it was not valid UTF-8. Ordinary text costs no allocation.
func Encode(value string) string {
	// Blanks are only ordinary between others.
	start, end := 0, len(value)
	for start < end && value[start] == ' ' {
		start++
	}
	for start < end && value[end-1] == ' ' {
		end--
	}
	escapes := start + len(value) - end
	for i := start; i < end; i++ {
		if !ordinary(value[i]) {
			escapes++
		}
	}
	if escapes == 0 {
		return value
	}

	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(value) + 2*escapes)
	for i := range len(value) {
		c := value[i]
		if start <= i && i < end && ordinary(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// ordinary reports whether c stands for itself between other characters.
func ordinary(c byte) bool {
	return 0x20 <= c && c <= 0x7E && c != '%'
}

// Decode returns the text that [Encode] was given. It is an error wrapping [ErrNotEncoded] if Encode cannot have made value;
// an app that decodes with its language's own function is more lenient, and may be.
func Decode(value string) (string, error) {
	text, err := url.PathUnescape(value)
	if err != nil {
		// Not wrapped: the error repeats part of the value.
		return "", ErrNotEncoded
	}
	if Encode(text) != value {
		return "", ErrNotEncoded
	}
	return text, nil
}
