// SPDX-License-Identifier: Apache-2.0

package page

import (
	"errors"
	"html/template"
	"net/url"
	"strings"
)

// errDeepLink means that a link is none for the wallet. Its text has no part of the link.
var errDeepLink = errors.New("deep link is not an openid-vc request link")

// maxDeepLink bounds a link; the service's are about 190 bytes, and a QR code much beyond 500 is hard to scan.
const maxDeepLink = 1024

// The ways in which a link for the wallet may begin (Request Service API, "url" of the answer; the wallet's library accepts the
// scheme with and without an authority).
var deepLinkForms = [...]string{"openid-vc://?request_uri=", "openid-vc:/?request_uri="}

// walletLink makes the one link that html/template would not let through: its check knows http, https and mailto only and turns
// openid-vc into #ZgotmplZ (F13 of the threat model). As [template.URL] switches the check off, ours stands in its place,
// and this is the only template.URL in the package (TM-099). The client has compared scheme and host with the configuration
// before (TM-051); here nothing is trusted again.
func walletLink(link string) (template.URL, error) {
	if len(link) > maxDeepLink {
		return "", errDeepLink
	}
	for i := range len(link) {
		if c := link[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"'()<>\\^`{|}", c) >= 0 {
			return "", errDeepLink
		}
		// An incomplete escape would be completed by html/template, and link and code would differ.
		if link[i] == '%' && (i+2 >= len(link) || !isHex(link[i+1]) || !isHex(link[i+2])) {
			return "", errDeepLink
		}
	}
	for _, form := range deepLinkForms {
		if target, ok := strings.CutPrefix(link, form); ok && target != "" {
			return template.URL(link), nil //nolint:gosec // checked above; see the comment
		}
	}
	return "", errDeepLink
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// localPath returns path when it stays on this site, else fallback: one slash at its start, none and no backslash after it.
func localPath(path, fallback string) string {
	if len(path) == 0 || path[0] != '/' || len(path) > 1 && path[1] == '/' || strings.ContainsRune(path, '\\') {
		return fallback
	}
	for i := range len(path) {
		if path[i] <= ' ' || path[i] == 0x7f {
			return fallback
		}
	}
	return path
}

// basePath returns the path of our endpoints, or the default when base is not a plain path.
func basePath(base string) string {
	base = localPath(base, DefaultBase)
	if strings.HasSuffix(base, "/") || strings.ContainsAny(base, "?#") {
		return DefaultBase
	}
	return base
}

// DefaultBase is the path of our endpoints when [Meta.Base] is empty.
const DefaultBase = "/.verified-id"

// origin returns s if it is a plain http or https origin and can stand in a Content-Security-Policy as it is: no path, query
// or user, and nothing that would end the directive.
func origin(s string) (string, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || s != u.Scheme+"://"+u.Host {
		return "", false
	}
	for i := range len(u.Host) {
		c := u.Host[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(".-:[]", c) < 0 {
			return "", false
		}
	}
	return s, true
}
