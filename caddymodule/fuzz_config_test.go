// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// FuzzCaddyfile: any text as the global option and as the directive. It never panics, and what it is read as survives being written
// as JSON, the form in which Caddy loads it: the same options, and the same judgement. TM-149.
func FuzzCaddyfile(f *testing.F) {
	files, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) == 0 {
		f.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		text, _, _ := strings.Cut(string(content), "----------\n")
		for _, part := range strings.SplitAfter(text, "verified_id")[1:] {
			f.Add("verified_id" + part)
		}
	}
	f.Add(testApp(""))
	f.Fuzz(func(t *testing.T, text string) {
		tokens, err := caddyfile.Tokenize([]byte(text), "Caddyfile")
		if err != nil || len(text) > 64<<10 {
			return
		}
		app := new(App)
		if app.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)) == nil {
			sameAsJSON(t, app, new(App))
		}
		gate := new(Gate)
		if gate.UnmarshalCaddyfile(caddyfile.NewDispenser(tokens)) == nil {
			again := new(Gate)
			sameAsJSON(t, gate, again)
			if err := again.check(); err != nil {
				t.Fatalf("the directive is read, and its JSON refused: %v", err)
			}
		}
	})
}

// sameAsJSON writes one as JSON, reads that into another, and compares what both write.
func sameAsJSON(t *testing.T, one, another any) {
	t.Helper()
	written := mustJSON(one)
	if err := caddy.StrictUnmarshalJSON(written, another); err != nil {
		t.Fatalf("%s is not read again: %v", written, err)
	}
	if again := mustJSON(another); !bytes.Equal(again, written) {
		t.Fatalf("%s comes back as %s", written, again)
	}
}

// FuzzConfigJSON: any JSON as the app and as its gate. Loading it never panics, and what loads keeps its promises: it has accepted
// issuers, a bounded session, an origin with TLS, and lets nobody past without identity but where it says so. TM-006, TM-048, TM-149.
func FuzzConfigJSON(f *testing.F) {
	setSecret(f)
	setNow(testNow)
	key := `"c29tZSBieXRlcyBvZiBhIHNlYWxpbmcga2V5IGZvciB0ZXN0cw=="`
	app := func(part string) string {
		return `{"entra":{"tenant":"contoso.example","client_id":"11111111-2222-3333-4444-555555555555","client_secret":"{env.VERIFIED_ID_TEST_SECRET}"},` +
			`"authority":"` + testIssuer + `","client_name":"Contoso Payroll","sealing_keys":[` + key + `],"public_url":"` + testOrigin + `",` + part + `}`
	}
	credential := func(part string) string {
		return `"credentials":{"employee":{"type":"VerifiedEmployee","issuers":["` + testIssuer + `"]` + part + `}}`
	}
	sound := app(credential(""))
	for _, part := range []string{
		"", `,"issuers":[]`, `,"issuers":null`, `,"Issuers":[""]`, `,"face_check":{"off":true}`, `,"face_check":{"threshold":49}`, `,"face_check":null`,
		`,"insecure_allow_revoked":true`, `,"insecure_skip_linked_domain":true`, `,"keep":["photo"]`, `,"keep":["mail"]`, `,"type":"VerifiableCredential"`,
		`,"constraints":[{}]`, `,"max_credential_age":-1`, `,"max_credential_age":1e30`, `,"linked_domains":["contoso.com"]`, `,"purpose":"\u202e"`,
	} {
		f.Add([]byte(app(credential(part))), []byte(`{}`))
	}
	for _, part := range []string{
		`"session":{"lifetime":"48h"}`, `"session":{"lifetime":-1}`, `"session":{"lifetime":"1h","idle":"2h"}`, `"session":{"same_device_only":true}`,
		`"limits":{"pending":-1}`, `"limits":{"starts_per_second":1e308}`, `"store":{"store":"memory"}`, `"store":{}`, `"public_url":"http://x.example"`,
		`"insecure_loopback_http":true,"public_url":"http://localhost:1"`, `"authority":null`, `"idv":{"p":null}`, `"credentials":{"employee":null}`,
		`"pages":{"colour":"blue"}`, `"callback_header":"x"`, `"sealing_keys":[""]`, `"service":"http://x"`,
	} {
		f.Add([]byte(app(credential("")+","+part)), []byte(`{}`))
	}
	for _, gate := range []string{
		`{"optional":true}`, `{"report_only":true}`, `{"optional":true,"report_only":true}`, `{"public":["/*"]}`, `{"public":["/health","/assets/*"]}`, `{"public":[""]}`,
		`{"require":[{"claim":"role","values":[]}]}`, `{"require":[{"claim":"photo","values":["a"]}]}`, `{"bind":{"claim":"mail"}}`, `{"face_check":100}`,
		`{"bind":{"claim":"mail","value":"{http.auth.user.id}"}}`, `{"max_age":-1}`, `{"headers":[{"name":"X-Mail","value":"{claim.mail}"}]}`, `{"credentials":["x"]}`,
		`{"headers":[{"name":"Host","value":"{subject}"}]}`, `{"header_preset":"all"}`, `null`, `[]`, `{"Optional":true}`, `{"handler":"static_response"}`,
	} {
		f.Add([]byte(sound), []byte(gate))
	}
	m := machine{storage: filepath.Join(f.TempDir(), "storage")}
	loads := false
	if err := m.load(f, configOf(json.RawMessage(sound), object{}), func(caddy.Context) { loads = true }); err != nil || !loads {
		f.Fatalf("what the seeds are made of does not load: %v", err)
	}
	f.Fuzz(func(t *testing.T, appText, gateText []byte) {
		var gate object
		if json.Unmarshal(gateText, &gate) != nil || !json.Valid(appText) || len(appText) > 64<<10 {
			return
		}
		if gate == nil {
			gate = object{}
		}
		delete(gate, "match") // Caddy's matchers are not the subject
		_ = m.load(t, configOf(appText, gate), func(ctx caddy.Context) { checkPromises(t, appOf(t, ctx)) })
	})
}

// configOf is a config with the app and, below the host, the gate.
func configOf(app json.RawMessage, gate object) []byte {
	gate["handler"] = "verified_id"
	return mustJSON(object{"apps": object{"verified_id": app, "http": object{"servers": object{"srv": object{
		"listen": []string{":443"}, "routes": []object{{"match": []object{{"host": []string{"payroll.contoso.example"}}}, "handle": []object{gate}}},
	}}}}})
}

// checkPromises complains about a loaded config that promises less than any config may.
func checkPromises(t *testing.T, app *App) {
	t.Helper()
	if s := app.Session; s.Lifetime <= 0 || time.Duration(s.Lifetime) > 24*time.Hour || s.Idle <= 0 || s.Idle > s.Lifetime || s.CrossDeviceLifetime > s.Lifetime {
		t.Fatalf("the session is %+v", s)
	}
	if len(app.credentials) == 0 || len(app.gates.gates) == 0 {
		t.Fatalf("%d credentials and %d gates", len(app.credentials), len(app.gates.gates))
	}
	for name, c := range app.credentials {
		if c.base.FaceCheck == nil && !app.Credentials[name].FaceCheck.Off || len(c.base.AcceptedIssuers) == 0 || c.base.Type == "" {
			t.Fatalf("credential %s demands %+v", name, c.base)
		}
		if err := c.requirement(0, nil).Validate(); err != nil {
			t.Fatalf("credential %s: %v", name, err)
		}
	}
	for _, g := range app.gates.gates {
		if len(g.wants) == 0 || !g.site.origin.secure && !app.InsecureLoopbackHTTP {
			t.Fatalf("the gate of %s demands %d credentials", g.site.origin.url, len(g.wants))
		}
		_, up := serve(t, g, request(http.MethodGet, g.site.origin.url+"/private;x", nil))
		if up.hits > 0 && !g.Optional && !g.ReportOnly {
			t.Fatalf("anybody passes the gate %s", mustJSON(g))
		}
	}
}
