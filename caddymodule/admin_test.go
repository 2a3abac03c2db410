// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func TestAdminStatus(t *testing.T) {
	loadApp(t, testApp(""))
	w := httptest.NewRecorder()
	if err := adminStatus(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/verified_id/status", http.NoBody)); err != nil {
		t.Fatal(err)
	}
	var got status
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Stores) == 0 || !got.Stores[0].Answers {
		t.Errorf("status %s (%v), want a store that answers", w.Body, err)
	}
	err := adminStatus(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/verified_id/status", http.NoBody))
	var refused caddy.APIError
	if !errors.As(err, &refused) || refused.HTTPStatus != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, want 405", err)
	}
}
