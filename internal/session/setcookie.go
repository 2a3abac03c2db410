// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// MaxCookie is the most that name and value of one cookie may take together, in bytes (TM-026). Browsers allow 4,096.
const MaxCookie = 3800

// Errors of [CookieConfig].
var (
	// ErrTooLarge means that a cookie would be larger than [MaxCookie]. Browsers drop such cookies without a word.
	ErrTooLarge = errors.New("cookie too large")
	// ErrCookieConfig means that no browser would keep the cookie, or that it would be less protected than its name says.
	ErrCookieConfig = errors.New("bad cookie config")
	// ErrCookieValue means that the value has characters that may not stand in a cookie.
	ErrCookieValue = errors.New("bad cookie value")
)

// CookieConfig is one of our cookies. They are all HttpOnly, SameSite=Lax (Lax, because the way back from an IDV partner must
// carry them) and Path=/ (TM-018).
type CookieConfig struct {
	// Name, with the prefix that says how it is protected. Three kinds are allowed:
	//
	//   - "__Host-…", Secure, no Domain: this host only, and no sibling can set it. The normal case.
	//   - "__Secure-…", Secure, Domain: shared by sibling sites.
	//   - no prefix, not Secure, no Domain: for plain http on loopback hosts only, which the caller checks (TM-019).
	Name string

	// Domain, for example "corp.example". Empty: this host only.
	Domain string

	// Secure cookies travel by https only. Browsers refuse both prefixes without it.
	Secure bool
}

// The prefixes browsers know (RFC 6265bis, section 4.1.3). Here they are compared byte for byte.
const (
	hostPrefix   = "__Host-"
	securePrefix = "__Secure-"
)

// Validate returns an error wrapping [ErrCookieConfig] unless the config is one of the three kinds.
func (c CookieConfig) Validate() error {
	if !isToken(c.Name) {
		return fmt.Errorf("%w: name %q: only letters, digits, hyphens and underscores are allowed", ErrCookieConfig, c.Name)
	}
	switch {
	case strings.HasPrefix(c.Name, hostPrefix):
		if !c.Secure || c.Domain != "" {
			return fmt.Errorf("%w: %s needs Secure and no domain; with a domain the name begins with %s",
				ErrCookieConfig, c.Name, securePrefix)
		}
	case strings.HasPrefix(c.Name, securePrefix):
		if !c.Secure || !isDomain(c.Domain) {
			return fmt.Errorf("%w: %s needs Secure and a domain such as corp.example; without one the name begins with %s",
				ErrCookieConfig, c.Name, hostPrefix)
		}
	case strings.HasPrefix(c.Name, "__"):
		return fmt.Errorf("%w: name %q: of the names with two underscores only %s and %s are allowed",
			ErrCookieConfig, c.Name, hostPrefix, securePrefix)
	case c.Secure:
		return fmt.Errorf("%w: a secure cookie is called %s%s", ErrCookieConfig, hostPrefix, c.Name)
	case c.Domain != "":
		return fmt.Errorf("%w: %s: a cookie with a domain is secure and called %s%s", ErrCookieConfig, c.Name, securePrefix, c.Name)
	}
	return nil
}

// Set puts the cookie into a response header, in place of one with the same name that is there already. maxAge is when the
// browser forgets it, in whole seconds; 0 means when the browser closes. It protects nothing: what must end is sealed into the
// value (TM-023).
//
// Errors wrap [ErrTooLarge], [ErrCookieConfig] or [ErrCookieValue]; h is then unchanged.
func (c CookieConfig) Set(h http.Header, value string, maxAge time.Duration) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if len(c.Name)+1+len(value) > MaxCookie {
		return fmt.Errorf("%w: %s: %d bytes, at most %d", ErrTooLarge, c.Name, len(c.Name)+1+len(value), MaxCookie)
	}
	if !isToken(value) {
		return fmt.Errorf("%w: %s", ErrCookieValue, c.Name)
	}
	cookie := c.cookie(value) //nolint:gosec // G124: as there
	if maxAge > 0 {
		cookie.MaxAge = max(int(maxAge/time.Second), 1)
	}
	c.put(h, cookie)
	return nil
}

// Clear makes the browser forget the cookie. A config that does not pass Validate clears nothing.
func (c CookieConfig) Clear(h http.Header) {
	if c.Validate() != nil {
		return
	}
	cookie := c.cookie("")                 //nolint:gosec // G124: as there
	cookie.MaxAge = -1                     // written as Max-Age=0
	cookie.Expires = time.Unix(0, 0).UTC() // the same for those who do not know Max-Age
	c.put(h, cookie)
}

// cookie returns the cookie with the attributes that all of ours have.
func (c CookieConfig) cookie(value string) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // G124: Validate ties Secure to the name
		Name:     c.Name,
		Value:    value,
		Path:     "/",
		Domain:   c.Domain,
		Secure:   c.Secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	}
}

// put adds the cookie to h and takes earlier ones of its name away.
func (c CookieConfig) put(h http.Header, cookie *http.Cookie) {
	lines := slices.DeleteFunc(h["Set-Cookie"], func(line string) bool {
		return strings.HasPrefix(line, c.Name+"=")
	})
	h["Set-Cookie"] = append(lines, cookie.String())
}

// isToken reports whether text consists of letters, digits, hyphens and underscores. That is less than RFC 6265 allows and
// all we need.
func isToken(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return text != ""
}

// isDomain reports whether text can be the Domain of a cookie: a lower-case host name of at least two labels, not an address.
func isDomain(text string) bool {
	labels := strings.Split(text, ".")
	if len(text) > 253 || len(labels) < 2 {
		return false
	}
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.Contains(label, "_") {
			return false
		}
		if !isToken(label) || label != strings.ToLower(label) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}
