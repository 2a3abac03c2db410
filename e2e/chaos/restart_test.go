// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/internal/faultproxy"
)

// Somebody has logged out. A node is killed, and starts again while it cannot reach the store, or after the store was flushed: a copy
// of the cookie is worth nothing there either.
func TestLogoutHoldsOnANodeThatStartsWithoutItsStore(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(w *world) error{
		"unreachable": func(w *world) error { return w.store.proxies[1].Set(faultproxy.Fault{Refuse: true}) },
		"flushed": func(w *world) error {
			_, err := w.store.server.Try("FLUSHALL")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2, true, 1)
			p, err := w.newPerson("Ana", rand.New(rand.NewPCG(1, 1))) //nolint:gosec // G404: conduct, not secrets
			if err != nil {
				t.Fatal(err)
			}
			if v := p.enter(t.Context()); v == nil || v.Outcome != Entered {
				t.Fatalf("the visit ended as %+v", v)
			}
			thief := p.copied()
			if a := p.send(t.Context(), request{step: StepLogout, path: "/.verified-id/logout", form: map[string][]string{}}); a.Status != http.StatusOK {
				t.Fatalf("logging out: %d %s", a.Status, a.Page)
			}
			if err := lose(w); err != nil {
				t.Fatal(err)
			}
			w.nodes[1].kill()
			w.nodes[1].start()
			for range 3 {
				a := p.send(t.Context(), request{step: StepStale, path: "/payroll", script: true, browser: thief, node: w.nodes[1]})
				if a.Status != http.StatusUnauthorized {
					t.Errorf("a copied cookie of a session that was logged out is answered %d", a.Status)
				}
			}
		})
	}
}
