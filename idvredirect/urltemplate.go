// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"errors"
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

// URLOption changes what [ParseURLTemplate] accepts.
type URLOption func(*URLTemplate)

// InsecureLoopbackHTTP allows http for loopback hosts, for trying things out on one machine: in the start URL, and in the
// redirect URLs of its kickstarts. Over http anybody on the way can take the token and start a proofing in the
// organisation's name.
func InsecureLoopbackHTTP() URLOption {
	return func(t *URLTemplate) { t.insecure = true }
}

// ParseURLTemplate reads a start URL as agreed with the partner. Either the URL has the placeholder {token} as the whole
// value of one query parameter,
//
//	https://idv.example/contoso/?lang=en&token={token}
//
// and parameter is empty or the name of that one, or it has no placeholder, and the token is added to the end of its
// query under parameter (empty: [DefaultTokenParameter]). All else in the URL goes to the partner byte for byte.
//
// The URL must be absolute and https, with a host and without user info, in ASCII, at most 2,048 bytes. A fragment may
// stand in it but cannot hold the token. Errors wrap [ErrURLTemplate] and say what to change.
func ParseURLTemplate(raw, parameter string, options ...URLOption) (*URLTemplate, error) {
	t := &URLTemplate{}
	for _, option := range options {
		option(t)
	}
	if err := t.parse(raw, parameter); err != nil {
		return nil, err
	}
	return t, nil
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

func (t *URLTemplate) parse(raw, parameter string) error {
	withoutToken := strings.ReplaceAll(raw, placeholder, "")
	if strings.ContainsAny(withoutToken, "{}") {
		return fmt.Errorf("%w: {token} is the only placeholder; write other braces as %%7B and %%7D", ErrURLTemplate)
	}
	// The place of the placeholder comes first: without it, a host may look sound that never was one.
	address, fragment, hasFragment := strings.Cut(raw, "#")
	if hasFragment {
		fragment = "#" + fragment
	}
	base, query, hasQuery := strings.Cut(address, "?")
	switch n := strings.Count(raw, placeholder); {
	case strings.Contains(fragment, placeholder):
		return fmt.Errorf("%w: {token} stands after the #, which no browser sends; put it in the query: ?token={token}", ErrURLTemplate)
	case strings.Contains(base, placeholder):
		return fmt.Errorf("%w: {token} may stand in the query only; write ?token={token} at the end", ErrURLTemplate)
	case n > 1:
		return fmt.Errorf("%w: {token} stands in it more than once; keep one", ErrURLTemplate)
	case n == 0:
		if parameter == "" {
			parameter = DefaultTokenParameter
		}
		query = appendParameter(query, hasQuery, parameter)
	}
	origin, err := checkURL(withoutToken, t.insecure)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrURLTemplate, err)
	}
	if err := checkQuery(query, parameter); err != nil {
		return err
	}
	t.origin = origin
	t.before, t.after, _ = strings.Cut(base+"?"+query+fragment, placeholder)
	return nil
}

// appendParameter puts the placeholder behind what is there, however that ends.
func appendParameter(query string, hasQuery bool, parameter string) string {
	if hasQuery && query != "" && !strings.HasSuffix(query, "&") {
		query += "&"
	}
	return query + url.QueryEscape(parameter) + "=" + placeholder
}

// checkQuery makes sure that the partner finds exactly one token, also one who takes ; for a separator.
func checkQuery(query, parameter string) error {
	name, err := placeholderName(query)
	if err != nil {
		return err
	}
	if parameter != "" && parameter != name {
		return fmt.Errorf("%w: {token} stands in it under another name than the token parameter; remove one of the two", ErrURLTemplate)
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

// placeholderName returns the name of the parameter whose value is the placeholder.
func placeholderName(query string) (string, error) {
	for pair := range strings.SplitSeq(query, "&") {
		if !strings.Contains(pair, placeholder) {
			continue
		}
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err == nil && value == placeholder && name != "" && !strings.Contains(key, ";") {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: {token} must be the whole value of one query parameter, as in ?token={token}", ErrURLTemplate)
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
		return "", errors.New("it is empty; write the https address agreed with the partner")
	}
	if len(raw) > maxURLBytes {
		return "", errors.New("it is longer than 2048 bytes; shorten it")
	}
	if !uriCharacters(raw) {
		return "", errors.New("it has a character that no URL may have; percent-encode blanks, quotes, backslashes, pipes and all that is not ASCII")
	}
	scheme, rest, found := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !found || scheme != "https" && scheme != "http" {
		return "", errors.New("it is not an absolute https URL; begin it with https://")
	}
	authority := rest[:len(rest)-len(strings.TrimLeft(rest, hostCharacters))]
	switch next := rest[len(authority):]; {
	case strings.Contains(next, "@") && !strings.ContainsAny(next[:strings.Index(next, "@")], "/?#"):
		return "", errors.New("it has user information before an @; remove it, browsers hide or refuse it")
	case next != "" && next[0] != '/' && next[0] != '?' && next[0] != '#':
		return "", errors.New("its host has a character that host names do not have; write it in ASCII (xn--…), without percent-encoding")
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || !strings.EqualFold(u.Host, authority) {
		return "", errors.New("it is not a URL with a host that programs agree on; write it as https://host/path")
	}
	host := u.Hostname()
	if err := checkHost(host, u.Port(), strings.HasSuffix(u.Host, ":")); err != nil {
		return "", err
	}
	if scheme == "http" && (!insecure || !isLoopback(host)) {
		return "", errors.New("it is http, which shows the token to anybody on the way; write https:// (http is for loopback hosts with the insecure option only)")
	}
	return scheme + "://" + strings.ToLower(u.Host), nil
}

func checkHost(host, port string, emptyPort bool) error {
	if emptyPort || len(port) > 5 || port != "" && strings.TrimLeft(port, "0") == "" {
		return errors.New("its port is not a number from 1 to 65535; correct or remove it")
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return nil
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.ContainsAny(label, ":[]") {
			return errors.New("its host is not a host name or an address; correct it")
		}
	}
	// Browsers read a host that ends in a number as an IPv4 address, in octal and hexadecimal too.
	if last := strings.ToLower(labels[len(labels)-1]); strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return errors.New("its host ends in a number but is no IPv4 address; write all four numbers in decimal")
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
