// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// patientStore answers no look-up before its caller leaves.
type patientStore struct{ verifier.Store }

func (patientStore) Get(ctx context.Context, _ string) (verifier.Transaction, error) {
	<-ctx.Done()
	return verifier.Transaction{}, ctx.Err()
}

// A stranger asks for a callback or a page that waits and resets the stream, again and again; no limit comes first. Each was an outage of the
// store in the log and in the metrics, which woke the operator. One that nobody has caused is still told. TM-143.
func TestHangingUpIsNoOutage(t *testing.T) {
	app, g, _ := journeyGate(t, "", mailGate)
	app.store.Store = patientStore{app.store.Store}
	browser := withCookie(g.site.binding.Name+"="+strings.Repeat("x", bindingBytes), "Sec-Fetch-Site", "same-origin")
	asks := map[string]*http.Request{
		"callback": request("POST", testOrigin+basePath+"/callback", http.Header{"Authorization": {"no.key"}}),
		"wait":     request("GET", testOrigin+basePath+"/wait?t=none", browser),
		"status":   request("GET", testOrigin+basePath+"/status?t=none", browser),
		"events":   request("GET", testOrigin+basePath+"/events?t=none", browser),
	}
	for name, r := range asks {
		log := watchLog(g)
		gone, hangUp := context.WithCancel(r.Context())
		hangUp()
		serve(t, g, r.WithContext(gone))
		if lines := log.above(); len(lines) != 0 || !strings.Contains(log.text(), "reading a transaction") {
			t.Errorf("%s: one who hangs up is told of: %q", name, lines)
		}
	}
	if n := counted(t, app, "caddy_verified_id_callbacks_total", "store"); n != 0 {
		t.Errorf("%v outages are counted", n)
	}
	app.store.Store = &downStore{Store: app.store.Store, down: verifier.ErrStoreUnavailable}
	for name, r := range asks {
		log := watchLog(g)
		serve(t, g, freshRequest(r, r.Header))
		if lines := log.above(); len(lines) != 1 || !strings.HasPrefix(lines[0], "reading a transaction") {
			t.Errorf("%s: during an outage the log says %q", name, lines)
		}
	}
	if n := counted(t, app, "caddy_verified_id_callbacks_total", "store"); n != 1 {
		t.Errorf("%v outages are counted, want one", n)
	}
}
