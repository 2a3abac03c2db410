// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

const (
	// DefaultTokenParameter is the query parameter for the token when the template has no placeholder and no parameter
	// is named.
	DefaultTokenParameter = "token"

	placeholder = "{token}"
)

// URLTemplate is a partner's start URL with a place for the kickstart token. It is immutable and safe for concurrent
// use; get one from [ParseURLTemplate].
type URLTemplate struct {
	before, after string // around the token, byte for byte what the operator wrote
	origin        string
	insecure      bool
}

// ParseURLTemplate reads a start URL as agreed with the partner. Either the URL has the placeholder {token} as the whole
// value of one query parameter,
//
//	https://idv.example/contoso/?lang=en&token={token}
//
// and parameter is empty, or it has no placeholder, and the token is added to the end of its query under parameter
// (empty: "token"). All else in the URL goes to the partner byte for byte.
//
// The URL must be absolute and https, with a host and without user info, in ASCII, at most 2,048 bytes. A fragment may
// stand in it but cannot hold the token. Errors wrap [ErrURLTemplate] and say what to change.
func ParseURLTemplate(raw, parameter string) (*URLTemplate, error) {
	return parseURLTemplate(raw, parameter, false)
}

// ParseInsecureURLTemplate is [ParseURLTemplate], but allows http for loopback hosts as well, for trying things out on
// one machine. Over http anybody on the way can take the token and start a proofing in the organisation's name.
func ParseInsecureURLTemplate(raw, parameter string) (*URLTemplate, error) {
	return parseURLTemplate(raw, parameter, true)
}

// With returns the start URL with the token in it. The token must be a compact JWT: letters, digits, -, _ and dots,
// which need no encoding in a query. Anything else is an error wrapping [ErrURLTemplate].
func (t *URLTemplate) With(token string) (string, error) {
	if token == "" || strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", fmt.Errorf("%w: what should be put in it is not a compact JWT", ErrURLTemplate)
	}
	return t.before + token + t.after, nil
}

// Origin returns scheme, host and port, in lower case: the partner's place in a Content-Security-Policy form-action, and
// the default audience of its tokens.
func (t *URLTemplate) Origin() string { return t.origin }

// String returns the URL with {token} in the place of the token.
func (t *URLTemplate) String() string { return t.before + placeholder + t.after }

func parseURLTemplate(raw, parameter string, insecure bool) (*URLTemplate, error) {
	withoutToken := strings.ReplaceAll(raw, placeholder, "")
	if strings.ContainsAny(withoutToken, "{}") {
		return nil, fmt.Errorf("%w: {token} is the only placeholder; write other braces as %%7B and %%7D", ErrURLTemplate)
	}
	origin, err := checkURL(withoutToken, insecure)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrURLTemplate, err)
	}
	address, fragment, hasFragment := strings.Cut(raw, "#")
	if hasFragment {
		fragment = "#" + fragment
	}
	base, query, hasQuery := strings.Cut(address, "?")
	switch n := strings.Count(raw, placeholder); {
	case strings.Contains(fragment, placeholder):
		return nil, fmt.Errorf("%w: {token} stands after the #, which no browser sends; put it in the query: ?token={token}", ErrURLTemplate)
	case strings.Contains(base, placeholder):
		return nil, fmt.Errorf("%w: {token} may stand in the query only; write ?token={token} at the end", ErrURLTemplate)
	case n > 1:
		return nil, fmt.Errorf("%w: {token} stands in it more than once; keep one", ErrURLTemplate)
	case n == 1 && parameter != "":
		return nil, fmt.Errorf("%w: it has {token} and a token parameter besides; remove one of them", ErrURLTemplate)
	case n == 0:
		if parameter == "" {
			parameter = DefaultTokenParameter
		}
		query = appendParameter(query, hasQuery, parameter)
	}
	if err := checkQuery(query); err != nil {
		return nil, err
	}
	before, after, _ := strings.Cut(base+"?"+query+fragment, placeholder)
	return &URLTemplate{before: before, after: after, origin: origin, insecure: insecure}, nil
}

// appendParameter puts the placeholder behind what is there, however that ends.
func appendParameter(query string, hasQuery bool, parameter string) string {
	if hasQuery && query != "" && !strings.HasSuffix(query, "&") {
		query += "&"
	}
	return query + url.QueryEscape(parameter) + "=" + placeholder
}

// checkQuery makes sure that the partner finds exactly one token, whichever of two readings of the query it has.
func checkQuery(query string) error {
	pairs := strings.Split(query, "&")
	var name string
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		if !strings.Contains(pair, placeholder) {
			continue
		}
		if value != placeholder || key == "" || strings.Contains(key, ";") {
			return fmt.Errorf("%w: {token} must be the whole value of one query parameter, as in ?token={token}", ErrURLTemplate)
		}
		decoded, err := url.QueryUnescape(key)
		if err != nil {
			return fmt.Errorf("%w: the name of the parameter with {token} has a %% that encodes nothing; write %%25", ErrURLTemplate)
		}
		name = decoded
	}
	uses := 0
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		key, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(key); err == nil && decoded == name {
			uses++
		}
	}
	if uses != 1 {
		return fmt.Errorf("%w: the parameter for the token stands in the query already; remove that one or name another parameter", ErrURLTemplate)
	}
	return nil
}

// checkRedirectURL accepts what a partner may send a visitor back to.
func checkRedirectURL(raw string, insecure bool) error {
	if _, err := checkURL(raw, insecure); err != nil {
		return fmt.Errorf("%w: redirect URL: %w", ErrKickstart, err)
	}
	if strings.Contains(raw, "#") {
		return fmt.Errorf("%w: redirect URL: it has a fragment; remove the # and what follows", ErrKickstart)
	}
	return nil
}

// checkURL returns the origin of a URL that Go and browsers read alike, or says what to change in it. The text of the
// errors is completed by the caller.
func checkURL(raw string, insecure bool) (origin string, err error) {
	if raw == "" {
		return "", errText("it is empty; write the https address agreed with the partner")
	}
	if len(raw) > maxURLBytes {
		return "", errText("it is longer than 2048 bytes; shorten it")
	}
	if !uriCharacters(raw) {
		return "", errText("it has a character that no URL may have; percent-encode blanks, quotes, backslashes, pipes and all that is not ASCII")
	}
	scheme, rest, found := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "https" && scheme != "http" {
		return "", errText("it is not an absolute https URL; begin it with https://")
	}
	authority := rest[:len(rest)-len(strings.TrimLeft(rest, hostCharacters))]
	switch next := rest[len(authority):]; {
	case strings.Contains(next, "@") && !strings.ContainsAny(next[:strings.Index(next, "@")], "/?#"):
		return "", errText("it has user information before an @; remove it, browsers hide or refuse it")
	case next != "" && next[0] != '/' && next[0] != '?' && next[0] != '#':
		return "", errText("its host has a character that host names do not have; write it in ASCII (xn--…), without percent-encoding")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || !strings.EqualFold(u.Host, authority) {
		return "", errText("it is not a URL with a host that programs agree on; write it as https://host/path")
	}
	host := u.Hostname()
	if err := checkHost(host, u.Port(), strings.HasSuffix(u.Host, ":")); err != nil {
		return "", err
	}
	if scheme == "http" && (!insecure || !isLoopback(host)) {
		return "", errText("it is http, which shows the token to anybody on the way; write https:// (http is for loopback hosts with the insecure option only)")
	}
	return scheme + "://" + strings.ToLower(u.Host), nil
}

func checkHost(host, port string, emptyPort bool) error {
	if emptyPort || len(port) > 5 || port != "" && strings.TrimLeft(port, "0") == "" {
		return errText("its port is not a number from 1 to 65535; correct or remove it")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, ":[]") {
			return errText("its host is not a host name or an address; correct it")
		}
	}
	// Browsers read a host that ends in a number as an IPv4 address, in octal and hexadecimal too.
	if last := strings.ToLower(labels[len(labels)-1]); strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return errText("its host ends in a number but is no IPv4 address; write all four numbers in decimal")
	}
	return nil
}

func isLoopback(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.IsLoopback()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// hostCharacters are those of host names, addresses and ports.
const hostCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:[]"

// uriCharacters says whether s has the characters of RFC 3986 only.
func uriCharacters(s string) bool {
	for i := range len(s) {
		if s[i] <= 0x20 || s[i] >= 0x7f || strings.IndexByte(`"<>\^`+"`{|}", s[i]) >= 0 {
			return false
		}
	}
	return true
}

// errText is a part of an error's text.
type errText string

func (e errText) Error() string { return string(e) }
