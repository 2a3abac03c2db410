// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

// isPreflight says whether a browser asks, before it sends a request of another site, whether it may (the Fetch standard). Such a
// question never has a cookie, so no session could answer it. Whatever looks like one and is not exactly that is a request like
// others: another method, a body, a line twice, an upgrade, or a header by which some apps take another method for the
// real one (TM-110).
//
// Of a question that another proxy asks us there is no body to see; it is judged by the rest.
func isPreflight(r *http.Request) bool {
	if r.Method != http.MethodOptions || r.ContentLength != 0 || len(r.TransferEncoding) > 0 || !strings.HasPrefix(r.URL.Path, "/") {
		return false
	}
	for _, name := range []string{"Origin", "Access-Control-Request-Method"} {
		if lines := r.Header[name]; len(lines) != 1 || strings.TrimSpace(lines[0]) == "" {
			return false
		}
	}
	for name := range r.Header {
		switch claimheader.Fold(name) {
		case "upgrade", "x-http-method-override", "x-http-method", "x-method-override":
			return false
		}
	}
	return true
}
