// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const (
	testIssuer = "did:web:verifiedid.contoso.example"
	testOrigin = "https://payroll.contoso.example"
)

// testApp is a complete app in the form that operators write; options are added to it.
func testApp(options string) string {
	return `verified_id {
		entra contoso.example {
			client_id     11111111-2222-3333-4444-555555555555
			client_secret {env.VERIFIED_ID_TEST_SECRET}
		}
		authority   ` + testIssuer + `
		client_name "Contoso Payroll"
		public_url  ` + testOrigin + `
		credential employee {
			type       VerifiedEmployee
			issuer     ` + testIssuer + `
			face_check photo 80
		}
		` + options + `
	}`
}

// loadApp provisions an app with its own storage and clock.
func loadApp(t testing.TB, text string) (*App, caddy.Context) {
	t.Helper()
	t.Setenv("VERIFIED_ID_TEST_SECRET", "a secret for tests only")
	app := new(App)
	if err := app.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		t.Fatalf("reading the app: %v", err)
	}
	ctx := provisionApp(t, app)
	loaded, err := ctx.App("verified_id")
	if err != nil {
		t.Fatalf("loading the app: %v", err)
	}
	app, ok := loaded.(*App)
	if !ok {
		t.Fatalf("the app is a %T", loaded)
	}
	setNow(testNow)
	app.now = clockNow
	app.limiter = newLimiter(app.Limits) // others' tests use the pooled one
	app.faceChecks = newFaceChecks(0)
	app.store = newSharedStore(verifier.NewMemoryStore(verifier.MemoryConfig{Now: clockNow}), clockNow)
	t.Cleanup(func() {
		if err := app.store.Destruct(); err != nil {
			t.Error(err)
		}
	})
	return app, ctx
}

// testClock is the clock of the tests, in nanoseconds; they run one after the other.
var testClock atomic.Int64

func setNow(now time.Time) { testClock.Store(now.UnixNano()) }

func clockNow() time.Time { return time.Unix(0, testClock.Load()).UTC() }

// testNow is when everything in these tests happens.
var testNow = time.Date(2026, 1, 15, 10, 2, 0, 0, time.UTC)

func provisionApp(t testing.TB, app *App) caddy.Context {
	t.Helper()
	raw, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	storage, err := json.Marshal(map[string]string{"module": "file_system", "root": storageDir(t)})
	if err != nil {
		t.Fatal(err)
	}
	off := &caddy.AdminConfig{Disabled: true}
	ctx, err := caddy.ProvisionContext(&caddy.Config{Admin: off, StorageRaw: storage, AppsRaw: caddy.ModuleMap{"verified_id": raw}})
	if err != nil {
		t.Fatalf("provisioning: %v", err)
	}
	cancelling, cancel := caddy.NewContext(ctx)
	t.Cleanup(cancel)
	return cancelling
}

// loadGate provisions a gate of an app.
func loadGate(t testing.TB, ctx caddy.Context, text string) *Gate {
	t.Helper()
	gate := new(Gate)
	if err := gate.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
		t.Fatalf("reading the gate: %v", err)
	}
	if err := gate.Provision(ctx); err != nil {
		t.Fatalf("provisioning the gate: %v", err)
	}
	return gate
}

// request is a request as Caddy hands it to a handler.
func request(method, target string, header http.Header) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), method, target, http.NoBody)
	maps.Copy(r.Header, header)
	repl := caddy.NewReplacer()
	ctx := context.WithValue(r.Context(), caddy.ReplacerCtxKey, repl)
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.7"})
	original := *r
	ctx = context.WithValue(ctx, caddyhttp.OriginalRequestCtxKey, original)
	return r.WithContext(ctx)
}

// upstream stands for the app behind the gate and remembers what reached it.
type upstream struct {
	seen *http.Request
	hits int
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	u.hits++
	u.seen = r
	w.WriteHeader(http.StatusOK)
	return nil
}

// presentation is what the employee of these tests presented.
func presentation(g *Gate, claims ...verifier.Claim) verifier.Presentation {
	return verifier.Presentation{
		Credential: "employee", Type: "VerifiedEmployee", Issuer: testIssuer, Claims: claims,
		VerifiedAt: testNow.Add(-time.Minute), FaceChecked: true, FaceScore: 91.5,
		CredentialExpires: testNow.Add(24 * time.Hour), Policy: g.wants[0].requirement.Policy(),
	}
}

// sessionOf is a session with the presentations, and its cookie for the gate's site.
func sessionOf(g *Gate, presentations ...verifier.Presentation) (*session.Session, string) {
	s := &session.Session{
		ID: "a-session", Created: testNow.Add(-time.Minute), Seen: testNow.Add(-time.Minute), Expires: testNow.Add(time.Hour),
		Subject: "subject-of-ana", Presentations: presentations,
	}
	return s, g.site.session.Name + "=" + g.site.seal(s)
}

// serve runs one request through the gate.
func serve(t testing.TB, g *Gate, r *http.Request) (*httptest.ResponseRecorder, *upstream) {
	t.Helper()
	w, u := httptest.NewRecorder(), &upstream{}
	if err := g.ServeHTTP(w, r, u); err != nil {
		var handler caddyhttp.HandlerError
		errors.As(err, &handler)
		w.Code = handler.StatusCode
	}
	return w, u
}

// withOriginal is the request with another original request, as after a rewrite.
func withOriginal(r *http.Request, original http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), caddyhttp.OriginalRequestCtxKey, original))
}

// freshRequest is a copy with its own header, variables and replacer, as each request has.
func freshRequest(template *http.Request, header http.Header) *http.Request {
	ctx := context.WithValue(template.Context(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{caddyhttp.ClientIPVarKey: "192.0.2.7"})
	r := template.WithContext(ctx)
	r.Header = header.Clone()
	return r
}

// storageDir is a folder for Caddy's storage. It is removed as soon as nothing is written to it any more: configs that end do not wait for
// what they write in the background.
func storageDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "storage-") //nolint:usetesting // whose folder must be removable at once
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for range 100 {
			if err = os.RemoveAll(dir); err == nil {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
		t.Error(err)
	})
	return dir
}
