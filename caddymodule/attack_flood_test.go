// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/certmagic"
)

// A program without a browser throws its cookies away and asks for a link to the partner again and again, each of which costs
// the organisation money and us an RSA signature. TM-090, TM-123.
func TestKickstartFloodOfNewBrowsers(t *testing.T) {
	_, g, _ := partnerGate(t)
	sent := 0
	for range 40 {
		b := newBrowser(t, g)
		page, _ := b.open("/.verified-id/start")
		w := b.post("/.verified-id/idv", url.Values{"token": {tokenIn(t, page.Body.String())}, "credential": {"employee"}, "partner": {"vu"}})
		if _, has := b.cookies[g.site.journey.Name]; has && w.Code == http.StatusOK {
			sent++
		}
	}
	if sent > 20 {
		t.Errorf("one address was given %d links at once", sent)
	}
}

// readOnlyStorage cannot be written to.
type readOnlyStorage struct {
	certmagic.Storage
	stores int
}

func (s *readOnlyStorage) Lock(context.Context, string) error   { return nil }
func (s *readOnlyStorage) Unlock(context.Context, string) error { return nil }

func (s *readOnlyStorage) Store(context.Context, string, []byte) error {
	s.stores++
	return errors.New("read-only")
}

// Caddy's storage is read-only. Anybody who asks for the key set makes us make an RSA key, again and again. TM-123.
func TestKeySetFloodWithoutStorage(t *testing.T) {
	app, ctx := loadApp(t, testApp(onePartner))
	g := loadGate(t, ctx, "verified_id")
	storage := &readOnlyStorage{Storage: &certmagic.FileStorage{Path: t.TempDir()}}
	app.keys.kickstart.storage = storage
	for range 3 {
		serve(t, g, request("GET", testOrigin+"/.verified-id/jwks.json", nil))
	}
	if storage.stores != 1 {
		t.Errorf("%d keys were made for three readers, want 1", storage.stores)
	}
}

// onePartner is an option of the app.
const onePartner = "idv vu {\n url https://vu.example/start\n org_id contoso\n}"

// obedientStorage gives up when whoever asks does, as storages do that are asked over the network.
type obedientStorage struct{ certmagic.Storage }

func (s obedientStorage) Load(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Storage.Load(ctx, key)
}

// Somebody asks for the key set and hangs up, once a minute. That was taken for a storage that fails: nobody got the set, nor a
// link to a partner, for the next minute; and a set that is known was not read again, so that a rotation was missed. TM-123.
func TestReaderOfTheKeySetHangsUp(t *testing.T) {
	app, ctx := loadApp(t, testApp(onePartner))
	g := loadGate(t, ctx, "verified_id")
	app.keys.kickstart.storage = obedientStorage{&certmagic.FileStorage{Path: t.TempDir()}}
	r := request("GET", testOrigin+"/.verified-id/jwks.json", nil)
	gone, hangUp := context.WithCancel(r.Context())
	hangUp()
	serve(t, g, r.WithContext(gone))
	if w, _ := serve(t, g, request("GET", testOrigin+"/.verified-id/jwks.json", nil)); w.Code != http.StatusOK {
		t.Errorf("the next reader is answered %d", w.Code)
	}
}

// The key set of an installation without partners signs nothing; nobody needs it. TM-123.
func TestKeySetWithoutPartners(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id")
	serve(t, g, request("GET", testOrigin+"/.verified-id/jwks.json", nil))
	if _, err := app.keys.kickstart.storage.Load(t.Context(), storedKickstartPath); err == nil {
		t.Error("an anonymous visitor made us make and keep an RSA key")
	}
}

// The way back from a partner is open to everybody and may be repeated: it must not make an event, and so whatever the operator
// attached to it, each time. TM-095, TM-122.
func TestReturnFlood(t *testing.T) {
	x := attack(t, onePartner, gatedSite)
	g := x.gate(t, nil)
	j := journey{Visit: visit{Gate: g.id, ReturnTo: "/", Made: testNow}, Partner: "vu", Credential: "employee", RequestID: "r", Started: testNow}
	cookie := g.site.journey.Name + "=" + g.site.sealJSON(x.app.keys.journeys, j)
	for range 50 {
		x.raw(t, wireLines("GET /.verified-id/return HTTP/1.1", "Host: payroll.contoso.example", "Connection: close", "Cookie: "+cookie))
	}
	if got := strings.Count(x.logged(t), `"msg":"`+eventIDVReturned+`"`); got > 5 {
		t.Errorf("%d events for one journey", got)
	}
}

// The other login's user name is many kilobytes long: it must not become a transaction of many kilobytes, nor go to the service.
// TM-119.
func TestHugeBoundValue(t *testing.T) {
	app, ctx := loadApp(t, testApp(""))
	g := loadGate(t, ctx, "verified_id {\n bind mail {http.auth.user.id}\n}")
	s := newService(t, app)
	b := asUser(t, g, "ana@contoso.example")
	start, _ := b.open("/.verified-id/start")
	b.user = strings.Repeat("a", 12<<10)
	b.post("/.verified-id/request", url.Values{"token": {tokenIn(t, start.Body.String())}, "credential": {"employee"}})
	if s.calls() != 0 {
		t.Error("a value of 12 KiB was taken into a transaction and sent to the service")
	}
}

// A page, or a program with its cookie, asks for the state as fast as it can. TM-078.
func TestStatusPollFlood(t *testing.T) {
	_, g, _ := journeyGate(t, "", mailGate)
	b := newBrowser(t, g)
	id := b.begin("/")
	for range 100 {
		if w, _ := b.send("GET", "/.verified-id/status?t="+id, nil, nil); w.Code == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("100 polls in one instant were answered")
}
