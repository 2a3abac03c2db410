// SPDX-License-Identifier: Apache-2.0

package frame

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"
)

// contentSecurityPolicy allows the part's own style sheet, script, pictures and forms, and
// nothing else: the pages show what strangers wrote (claims, verifier names), and must stay
// harmless should one of them ever slip through the escaping.
const contentSecurityPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// SecurityHeaders sets the headers every response of the emulator's pages carries.
//
// The referrer policy is same-origin and not no-referrer: with the latter, browsers send
// "Origin: null" with a form, and a browser too old for Sec-Fetch-Site could not use the pages.
// Other origins, the relying party among them, get no referrer either way.
func SecurityHeaders(h http.Header) {
	h.Set("Content-Security-Policy", contentSecurityPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
}

// SameOrigin refuses, with 403, every request other than GET, HEAD and OPTIONS that a page of
// another origin made the browser send. Requests of programs, which carry neither
// Sec-Fetch-Site nor Origin, pass.
func SameOrigin(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(next)
}

// ErrNotDeepLink is the error of [DeepLink].
var ErrNotDeepLink = errors.New("not an openid-vc link")

// DeepLink tells html/template that link may stand in an href. The template package knows
// http, https and mailto only and replaces every other scheme; so this accepts nothing but
// the wallet schemes openid-vc and openid, and returns [ErrNotDeepLink] for the rest.
func DeepLink(link string) (template.URL, error) {
	u, err := url.Parse(link)
	if err != nil || (u.Scheme != "openid-vc" && u.Scheme != "openid") {
		return "", ErrNotDeepLink
	}
	return template.URL(link), nil //nolint:gosec // the scheme was checked just above
}
