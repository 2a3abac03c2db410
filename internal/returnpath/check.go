// SPDX-License-Identifier: Apache-2.0

package returnpath

// MaxLength is the longest return path, in bytes, query included.
const MaxLength = 2048

// fallback is where a visitor goes if the path is not safe.
const fallback = "/"

// Check returns raw and true if raw is a path of our own site, with or without query, and "/" and false if it is anything
// else (TM-081). It is given the target of the request line, which is not safe either: "GET //evil.test/" is a request that
// reaches the gate just so (TM-082).
//
// The whole of raw is at most [MaxLength] bytes of printable ASCII without backslash and '#'. A browser writes everything else
// as percent escapes, and never sends a fragment.
//
// The path, which ends at the first '?', is looked at as it is and decoded once, as the next hop may do:
//
//   - it begins with one slash, and neither slash nor backslash follows, or browsers read the rest as a host;
//   - it has no control character, which browsers delete ("/%09/evil.test" becomes "//evil.test"), and no backslash, which
//     they turn into a slash;
//   - a blank stands only between two other characters of one segment, as in "/My%20File", where no parser trims it;
//   - it has no dot segment, in any spelling, also if a path parameter follows ("/..;x/"), so that it means the same to those
//     who resolve them and to those who do not;
//   - every percent sign begins an escape.
//
// The query is not decoded by anyone who looks for a host, so its escapes are free.
//
// Check allocates nothing.
func Check(raw string) (string, bool) {
	if len(raw) == 0 || len(raw) > MaxLength || raw[0] != '/' {
		return fallback, false
	}
	s, inQuery := segment{first: true}, false
	for i := 1; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c <= ' ' || c >= 0x7F || c == '\\' || c == '#':
			return fallback, false
		case inQuery:
			continue
		case c == '?':
			inQuery = true
			continue
		case c == '%':
			decoded, ok := unescape(raw[i:])
			if !ok {
				return fallback, false
			}
			c = decoded
			i += 2
		}
		if !s.take(c) {
			return fallback, false
		}
	}
	if !s.mayEnd() {
		return fallback, false
	}
	return raw, true
}

// segment is what Check knows of the path segment it is in, decoded once.
type segment struct {
	first  bool // nothing but the leading slash is before it
	length int  // bytes so far
	name   int  // bytes before the first ';'
	dots   int  // dots the name begins with
	params bool // past the first ';'
	blank  bool // the last byte was a blank
}

// take adds one decoded byte, and begins the next segment at a slash. It reports whether the path is still safe.
func (s *segment) take(c byte) bool {
	switch {
	case c < ' ' || c == 0x7F || c == '\\':
		return false
	case c == '/':
		// A first segment that is empty, or becomes so where path parameters are cut off, makes two leading slashes.
		if s.first && s.name == 0 || !s.mayEnd() {
			return false
		}
		*s = segment{}
		return true
	case c == ' ' && s.length == 0:
		return false
	case c == ';':
		// What follows is cut off by some, so the name ends here: "/..;x/", "/.. ;x/".
		if s.blank {
			return false
		}
		s.params = true
	}
	if !s.params {
		if c == '.' && s.dots == s.name {
			s.dots++
		}
		s.name++
	}
	s.blank = c == ' '
	s.length++
	return true
}

// mayEnd reports whether the segment is safe as it stands.
func (s *segment) mayEnd() bool {
	isDots := s.name == s.dots && (s.dots == 1 || s.dots == 2)
	return !isDots && !s.blank
}

// unescape returns the byte for the percent escape that text begins with.
func unescape(text string) (byte, bool) {
	if len(text) < 3 {
		return 0, false
	}
	high, ok1 := hexDigit(text[1])
	low, ok2 := hexDigit(text[2])
	return high<<4 | low, ok1 && ok2
}

// hexDigit returns the value of one hexadecimal digit of either case.
func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
