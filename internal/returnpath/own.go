// SPDX-License-Identifier: Apache-2.0

package returnpath

import "strings"

// decodings is how many layers of percent escapes Own looks through. Each proxy on the way may take off one.
const decodings = 4

// Own reports whether path, with or without query, leads to one of the gate's endpoints: to base, for example "/.verified-id",
// or below it (TM-084). A visitor sent there after verifying would go round in a circle, or be logged out.
//
// The endpoints themselves answer to one spelling only. Own knows more, because something before the gate may make another into
// that one: other case, escapes, also of escapes, doubled slashes, backslashes, dot segments, path parameters. To be mistaken
// costs the visitor their place, no more. An empty base owns nothing.
func Own(path, base string) bool {
	if base == "" {
		return false
	}
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	base = resolve(base)
	for range decodings + 1 {
		// "/.verified-id" and "/.verified-id/x", not "/.verified-identity".
		if resolved := resolve(path); resolved == base || strings.HasPrefix(resolved, base+"/") {
			return true
		}
		decoded := decodeOnce(path)
		if decoded == path {
			return false
		}
		path = decoded
	}
	return false
}

// decodeOnce returns path with each percent escape replaced by its byte. What is no escape stays, as with the more lenient
// of proxies.
func decodeOnce(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if decoded, ok := unescape(path[i:]); ok {
				c = decoded
				i += 2
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// resolve returns path in lower case, with plain slashes, and without empty segments, dot segments and path parameters.
func resolve(path string) string {
	path = strings.ToLower(strings.ReplaceAll(path, `\`, "/"))
	var kept []string
	for segment := range strings.SplitSeq(path, "/") {
		segment, _, _ = strings.Cut(segment, ";")
		switch segment {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, segment)
		}
	}
	return "/" + strings.Join(kept, "/")
}
