// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// legacyApp stands behind the gate. It knows nothing of it, believes every header, and remembers what reached it.
type legacyApp struct {
	address string // host and port

	mu       sync.Mutex
	requests []*http.Request
}

// startApp runs an app until the test ends.
func startApp(t *testing.T) *legacyApp {
	t.Helper()
	app := new(legacyApp)
	server := httptest.NewServer(app)
	t.Cleanup(server.Close)
	app.address = strings.TrimPrefix(server.URL, "http://")
	return app
}

// ServeHTTP answers every request with a page that says how it was asked for and by whom.
func (a *legacyApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests = append(a.requests, r.Clone(r.Context()))
	a.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Payroll</title><link rel="icon" href="data:,">
<h1 id="app">Payroll</h1><p id="asked">%s</p><p id="name">%s</p>`,
		html.EscapeString(r.URL.RequestURI()), html.EscapeString(r.Header.Get("X-Employee-Name")))
}

// seen returns the requests that reached the app so far.
func (a *legacyApp) seen() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*http.Request(nil), a.requests...)
}
