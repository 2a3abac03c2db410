// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// The gated site stays inside; Microsoft reaches a public one that serves the callback and the keys, and nothing else.
func TestCallbackOnAnotherSite(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	public := &Callback{app: app, logger: g.logger}
	send := func(method, path string, header http.Header, body string) (*httptest.ResponseRecorder, *upstream) {
		t.Helper()
		r := request(method, "https://public.contoso.example"+path, header)
		r.Body = readCloser{strings.NewReader(body)}
		w, u := httptest.NewRecorder(), &upstream{}
		if err := public.ServeHTTP(w, r, u); err != nil {
			w.Code = http.StatusNotFound
		}
		return w, u
	}
	b := newBrowser(t, g)
	id := b.begin("/")
	requestID, state, key := s.last(t)
	w, u := send("POST", "/.verified-id/callback", http.Header{"Content-Type": {"application/json"}, "Authorization": {key}}, verified(requestID, state))
	if w.Code != http.StatusOK || u.hits != 0 || statusOf(t, app, id) != verifier.StatusVerified {
		t.Errorf("callback: status %d, transaction %s", w.Code, statusOf(t, app, id))
	}
	if w, _ := send("GET", "/.verified-id/jwks.json", nil, ""); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"keys"`) {
		t.Errorf("jwks.json: status %d", w.Code)
	}
	for _, path := range []string{"/", "/.verified-id/start", "/.verified-id/session"} {
		if _, u := send("GET", path, nil, ""); u.hits != 1 {
			t.Errorf("%s did not pass through", path)
		}
	}
	if w, u := send("GET", "/.verified-id/callback", nil, ""); w.Code != http.StatusNotFound || u.hits != 0 {
		t.Errorf("GET callback: status %d with %d hits behind it", w.Code, u.hits)
	}
}
