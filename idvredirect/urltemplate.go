// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"fmt"
	"net/url"
	"slices"
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
	action        string // the same without the token and its parameter
	parameter     string // that parameter
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

// Origin returns scheme, host and port in lower case, without the scheme's own port, as browsers write it: the partner's
// place in a Content-Security-Policy form-action, and the default audience of its tokens.
func (t *URLTemplate) Origin() string { return t.origin }

// Form returns the start URL without the token, and the name of the field that carries it when the visitor is sent there by a form.
func (t *URLTemplate) Form() (action, field string) { return t.action, t.parameter }

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
	if parameter, err = checkQuery(query, parameter); err != nil {
		return err
	}
	t.parameter, t.action = parameter, base+withoutPlaceholder(query)+fragment
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
func checkQuery(query, parameter string) (name string, err error) {
	name, err = placeholderName(query)
	if err != nil {
		return "", err
	}
	if parameter != "" && parameter != name {
		return "", fmt.Errorf("%w: {token} stands in it under another name than the token parameter; remove one of the two", ErrURLTemplate)
	}
	uses := 0
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		key, _, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(key); err == nil && decoded == name {
			uses++
		}
	}
	if uses != 1 {
		return "", fmt.Errorf("%w: the parameter for the token stands in the query already; remove that one or name another parameter", ErrURLTemplate)
	}
	return name, nil
}

// withoutPlaceholder is the query, with its question mark, without the token's parameter; empty when that was all.
func withoutPlaceholder(query string) string {
	rest := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		return pair == "" || strings.HasSuffix(pair, "="+placeholder)
	})
	if len(rest) == 0 {
		return ""
	}
	return "?" + strings.Join(rest, "&")
}

// placeholderName returns the name of the parameter whose value is the placeholder.
func placeholderName(query string) (string, error) {
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err == nil && value == placeholder && name != "" && !strings.Contains(key, ";") {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: {token} must be the whole value of one query parameter, as in ?token={token}", ErrURLTemplate)
}
