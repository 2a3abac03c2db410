// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// app stands behind the gate. It answers a page of a kibibyte that begins with whom it takes the visitor for.
type app struct{ served atomic.Int64 }

// filling brings the app's page to the size of a small page.
var filling = strings.Repeat("payroll ", 120)

// ServeHTTP implements [http.Handler].
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.served.Add(1)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("app|" + r.Header.Get("X-Employee-Name") + "|" + r.Header.Get("X-Employee-Mail") + "|" + filling)) //nolint:gosec // plain text
}

// shownTo says whom the app took the visitor for; ok is false for what is no answer of the app.
func shownTo(page []byte) (name, mail string, ok bool) {
	parts := strings.SplitN(string(page), "|", 4)
	if len(parts) != 4 || parts[0] != "app" {
		return "", "", false
	}
	return parts[1], parts[2], true
}
