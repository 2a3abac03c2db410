// SPDX-License-Identifier: Apache-2.0

package page

import (
	"net/http"
	"strconv"
	"strings"
)

// setHeaders writes what every page says to the browser besides its content (TM-101, TM-104). Nothing inline runs and nothing
// foreign loads; forms lead to us and to the partners the page names.
func (r *Renderer) setHeaders(h http.Header, v *view) {
	m := &v.meta
	h.Set("Content-Security-Policy", r.policy(m.FormActions, v.ownForms()))
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("X-Robots-Tag", "noindex, nofollow")
	h.Set("Cache-Control", "no-store")
	if m.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(m.RetryAfter))
	}
}

// policy is the Content-Security-Policy. require-trusted-types-for takes the ways to turn text into script away from our own
// script, too, and 'self' suffices because nothing of a request or a claim reaches the page as markup.
func (r *Renderer) policy(formActions []string, own bool) string {
	var b strings.Builder
	b.WriteString("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; form-action")
	if own {
		b.WriteString(" 'self'")
	}
	for _, s := range formActions {
		source, ok := origin(s)
		if !ok {
			r.logger.Warn("left a form action out of the Content-Security-Policy: it is no origin")
			continue
		}
		b.WriteByte(' ')
		b.WriteString(source)
	}
	return b.String()
}
