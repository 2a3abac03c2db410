// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const ofAna = "c3ViamVjdC1vZi1hbmEtMQ"

// started makes the app the one that the admin API speaks to.
func started(t *testing.T, app *App) {
	t.Helper()
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := app.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// askRevoke asks as the command does, and returns the status.
func askRevoke(t *testing.T, method, contentType, body string) (int, error) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, revokePath, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	err := adminRevoke(w, r)
	if refused, ok := errors.AsType[caddy.APIError](err); ok {
		return refused.HTTPStatus, refused.Err
	}
	return w.Code, err
}

// The help desk hears that Ana was talked into scanning a code, and puts the session out that came of it. Everything that the
// operator may name ends what it names at once, and one event says so, with the keyed subject at most. TM-142, TM-156.
func TestOperatorPutsSomebodyOut(t *testing.T) {
	for _, c := range []struct{ body, kind, field, value string }{
		{`{"session":"c2Vzc2lvbi1vZi1hbmEtMQ"}`, "session", "session_id", "c2Vzc2lvbi1vZi1hbmEtMQ"},
		{`{"subject":"` + ofAna + `"}`, "subject", "subject", ofAna},
		{`{"issuer":"` + testIssuer + `"}`, "issuer", "issuer", testIssuer},
		{`{"credential":"employee"}`, "credential", "credential", "employee"},
		{`{"all":true}`, "all", "", ""},
	} {
		t.Run(c.kind, func(t *testing.T) {
			app, ctx := loadApp(t, testApp(""))
			g := loadGate(t, ctx, "verified_id")
			started(t, app)
			heard := listen(t, app)
			held, _ := sessionOf(g, presentation(g))
			held.ID, held.Subject = "c2Vzc2lvbi1vZi1hbmEtMQ", ofAna
			cookie := g.site.session.Name + "=" + g.site.seal(held)
			other := *held
			other.Created = testNow.Add(1e9)
			other.ID, other.Seen = "YW5vdGhlci1zZXNzaW9uMQ", other.Created
			other.Presentations = []verifier.Presentation{presentation(g)}
			other.Presentations[0].VerifiedAt = other.Created
			later := g.site.session.Name + "=" + g.site.seal(&other)
			if status, err := askRevoke(t, "POST", "application/json", c.body); status != http.StatusOK || err != nil {
				t.Fatalf("%s: status %d, %v", c.body, status, err)
			}
			if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(cookie))); u.hits != 0 {
				t.Error("the session lives on")
			}
			if _, u := serve(t, g, request("GET", testOrigin+"/", withCookie(later))); u.hits != 1 {
				t.Error("a session that began later is refused")
			}
			data := heard.next(t, eventRevoked)
			if data["kind"] != c.kind || data["kept"] != true || c.field != "" && data[c.field] != c.value {
				t.Errorf("told as %v", data)
			}
			restarted := newNode(t, app.ctx.Storage(), &node{app, g})
			if restarted.admits(t, cookie) {
				t.Error("a restart has brought the session back")
			}
		})
	}
}

// A misspelled name that ended nobody, and looked as if it had, is worse than an error. Each mistake says what is wrong.
func TestOperatorsMistakesAreTold(t *testing.T) {
	if status, err := askRevoke(t, "POST", "application/json", `{"all":true}`); status != http.StatusNotFound {
		t.Errorf("without a running config: status %d, %v", status, err)
	}
	app, _ := loadApp(t, testApp(""))
	started(t, app)
	for _, c := range []struct {
		method, contentType, body string
		status                    int
		says                      string
	}{
		{"GET", "application/json", ``, http.StatusMethodNotAllowed, "use POST"},
		{"POST", "text/plain", `{"all":true}`, http.StatusUnsupportedMediaType, "application/json"},
		{"POST", "", `{"all":true}`, http.StatusUnsupportedMediaType, "application/json"},
		{"POST", "application/json", ``, 400, "reading"},
		{"POST", "application/json", `{}`, 400, "exactly one"},
		{"POST", "application/json", `{"all":false}`, 400, "exactly one"},
		{"POST", "application/json", `{"all":true,"issuer":"` + testIssuer + `"}`, 400, "2 given"},
		{"POST", "application/json", `{"everybody":true}`, 400, "unknown field"},
		{"POST", "application/json", `{"all":true}{"all":true}`, 400, "more than one"},
		{"POST", "application/json", `{"session":"` + strings.Repeat("x", 20<<10) + `"}`, 400, "too large"},
		{"POST", "application/json", `{"session":"a session"}`, 400, "session_started"},
		{"POST", "application/json", `{"subject":"did:ion:ana"}`, 400, "not a DID"},
		{"POST", "application/json", `{"issuer":"did:web:elsewhere.example"}`, 400, testIssuer},
		{"POST", "application/json", `{"credential":"Employee"}`, 400, "employee"},
	} {
		status, err := askRevoke(t, c.method, c.contentType, c.body)
		if status != c.status || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %s %.60s: status %d, %v, want %d and %q", c.method, c.contentType, c.body, status, err, c.status, c.says)
		}
	}
	if n := app.store.revoked.count(); n != 0 {
		t.Errorf("%d revocations came of mistakes", n)
	}
	app.kept = keepRevocations(&app.store.revoked, &brokenStorage{FileStorage: newStorage(t), broken: true}, app.keys.ring, clockNow)
	if status, err := askRevoke(t, "POST", "application/json", `{"all":true}`); status != http.StatusServiceUnavailable || !errors.Is(err, errBroken) {
		t.Errorf("without a storage: status %d, %v", status, err)
	}
}

// Ana's presentation has been verified, and Mallory's browser has not fetched the result yet when the operator puts Ana out.
// Fetching it then is no new beginning. TM-156.
func TestResultFetchedAfterTheRevocation(t *testing.T) {
	app, g, s := journeyGate(t, "", mailGate)
	started(t, app)
	b := newBrowser(t, g)
	id := b.verifyAt(s, "/")
	setNow(testNow.Add(10e9))
	if status, err := askRevoke(t, "POST", "application/json", `{"subject":"`+app.keys.subjectOf("did:ion:ana")+`"}`); status != http.StatusOK {
		t.Fatalf("status %d, %v", status, err)
	}
	setNow(testNow.Add(20e9))
	b.finish(id)
	if _, u := b.open("/"); u.hits != 0 {
		t.Error("the result of before opens the app")
	}
	setNow(testNow.Add(30e9))
	b.finish(b.verifyAt(s, "/"))
	if _, u := b.open("/"); u.hits != 1 {
		t.Error("a new verification does not open the app")
	}
}

// The command asks the running Caddy and says what it did, or why not, with the exit status that scripts look at.
func TestRevokeCommand(t *testing.T) {
	app, _ := loadApp(t, testApp(""))
	started(t, app)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := adminRevoke(w, r); err != nil {
			var refused caddy.APIError
			errors.As(err, &refused)
			w.WriteHeader(refused.HTTPStatus)
			fmt.Fprintf(w, `{"error":%q}`, refused.Err)
		}
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	for _, c := range []struct {
		args []string
		says string
		ok   bool
	}{
		{[]string{"--all"}, "Ended: all sessions, as far as begun until 2026-01-15T10:02:00Z", true},
		{[]string{"--subject", ofAna}, "Ended: all sessions of subject " + ofAna, true},
		{[]string{"--session", "-c2Vzc2lvbi1vZi1hbmEtM"}, "Ended: session -c2V", true},
		{[]string{"--credential", "employee"}, "Ended: all sessions with credential employee", true},
		{[]string{"--issuer", testIssuer}, "Ended: all sessions with a credential of " + testIssuer, true},
		{[]string{}, "at least one of the flags", false},
		{[]string{"--all", "--subject", ofAna}, "if any flags in the group", false},
		{[]string{"--session", ""}, "the value is empty", false},
		{[]string{"--all=false"}, "the value is empty", false},
		{[]string{"--all", "everybody"}, "unknown command", false},
		{[]string{"--credential", "nobody"}, "there are: employee", false},
		{[]string{"--all", "--config", "no-such-file"}, "finding the admin API", false},
	} {
		var out bytes.Buffer
		cmd := revokeCommand()
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		if len(c.args) < 3 {
			c.args = append(c.args, "--address", address)
		}
		cmd.SetArgs(c.args)
		err := cmd.Execute()
		if said := out.String() + fmt.Sprint(err); (err == nil) != c.ok || !strings.Contains(said, c.says) {
			t.Errorf("%q: %v, want %q:\n%s", c.args, err, c.says, said)
		}
	}
	if _, there := caddycmd.Commands()["verified-id"]; !there {
		t.Error("caddy does not know the command verified-id")
	}
}
