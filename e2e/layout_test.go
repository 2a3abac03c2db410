// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"net/http"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// Caddy sorts directives, and handle and route come before reverse_proxy: a gate in the wrong place of that order lets
// everybody past. With try_files the gate sees /index.html in place of its own addresses. In each of these sites the
// visitor is stopped, gets in, and ends at the right address.
func TestEverySiteLayoutIsGated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		site string
		path string
	}{
		{name: "handle", site: "GATE\nhandle /payroll/* {\n\treverse_proxy APP\n}\nhandle {\n\trespond 404\n}", path: "/payroll/march?year=2026"},
		{name: "handle_path", site: "GATE\nhandle_path /payroll/* {\n\trewrite * /payroll{uri}\n\treverse_proxy APP\n}", path: "/payroll/march?year=2026"},
		{name: "route", site: "GATE\nroute {\n\treverse_proxy APP\n}", path: "/payroll/march?year=2026"},
		{name: "gate in a route", site: "route {\n\tGATE\n\treverse_proxy APP\n}", path: "/payroll/march?year=2026"},
		{name: "try_files", site: "GATE\ntry_files {path} /index.html\nreverse_proxy APP", path: "/index.html"},
		{name: "below respond", site: "GATE\nrespond /teapot 418\nreverse_proxy APP", path: "/payroll/march?year=2026"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, plan{site: test.site})
			for _, path := range []string{test.path, "/teapot", "/payroll/", "/index.html", "//payroll/march", "/payroll/%2e%2e/x"} {
				if status := w.ask(path); status != http.StatusUnauthorized {
					t.Errorf("a stranger asking for %s gets %d", path, status)
				}
			}
			w.expectNobodyIn()

			v := newVisitor(t)
			w.enter(v, test.path)
			w.expectIn(v, test.path)
		})
	}
}

// ask asks for a path as a program does, without a session, and returns the status.
func (w *world) ask(path string) int {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.origin+path, http.NoBody)
	if err != nil {
		w.t.Fatalf("asking for %s: %v", path, err)
	}
	response, err := w.client.Do(r)
	if err != nil {
		w.t.Fatalf("asking for %s: %v", path, err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// The personnel files behind the same site ask for a surer face. Who is in already steps up there, and stays in elsewhere.
func TestStricterRouteAsksOnceMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, plan{site: `@files path /files/*
verified_id @files employee {
	face_check 95
}
GATE
reverse_proxy APP`})
	v := newVisitor(t)
	w.enter(v, "/payroll")

	v.open(w.origin + "/files/ana?tab=2")
	v.click(haveCard)
	if outcome := w.share(w.scan(v), emulator.ShareOptions{FaceScore: 97}); !outcome.Accepted {
		t.Fatalf("the wallet says %+v", outcome)
	}
	w.expectIn(v, "/files/ana?tab=2")
	v.open(w.origin + "/payroll/again")
	w.expectIn(v, "/payroll/again")
}
