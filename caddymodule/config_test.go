// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func init() {
	caddy.RegisterModule(probe{})
}

// probe is an app that looks at the config it is part of once everything else in it has been provisioned. Caddy then cleans
// up instead of starting: nothing listens, nobody is called.
type probe struct{}

// inspect is what the probe of the config being provisioned does.
var inspect func(caddy.Context)

// CaddyModule returns the Caddy module information.
func (probe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "verified_id_test_probe", New: func() caddy.Module { return probe{} }}
}

// errProbeStart is what comes of starting the probe.
var errProbeStart error

// Start implements caddy.App; it runs only where a test has a config started.
func (probe) Start() error { return errProbeStart }

// Stop implements caddy.App.
func (probe) Stop() error { return nil }

// Provision has the other apps provisioned first.
func (probe) Provision(ctx caddy.Context) error {
	for _, app := range []string{"verified_id", "http"} {
		if _, err := ctx.AppIfConfigured(app); err != nil && !errors.Is(err, caddy.ErrNotConfigured) {
			return err
		}
	}
	inspect(ctx)
	return nil
}

// machine is a machine on which configs are loaded: its storage and its log.
type machine struct{ storage, log string }

func newMachine(t testing.TB) machine {
	t.Helper()
	dir := storageDir(t)
	return machine{storage: filepath.Join(dir, "storage"), log: filepath.Join(dir, "log")}
}

// load takes a config through everything that happens before Caddy listens, shows it provisioned to look, and has Caddy
// clean up. The error is what the operator reads.
func (m machine) load(t testing.TB, config []byte, look func(caddy.Context)) error {
	t.Helper()
	cfg, err := m.config(config)
	if err != nil {
		t.Fatalf("reading the config: %v\n%s", err, config)
	}
	before := inspect
	defer func() { inspect = before }()
	inspect = look
	if look == nil {
		inspect = func(caddy.Context) {}
	}
	return caddy.Validate(cfg)
}

func (m machine) config(config []byte) (*caddy.Config, error) {
	cfg := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, cfg); err != nil {
		return nil, err
	}
	cfg.Admin = &caddy.AdminConfig{Disabled: true}
	cfg.StorageRaw = mustJSON(map[string]string{"module": "file_system", "root": m.storage})
	output := map[string]string{"output": "discard"}
	if m.log != "" {
		output = map[string]string{"output": "file", "filename": m.log}
	}
	cfg.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		"default": {BaseLog: caddy.BaseLog{WriterRaw: mustJSON(output), Level: "DEBUG"}},
	}}
	if cfg.AppsRaw == nil {
		cfg.AppsRaw = caddy.ModuleMap{}
	}
	cfg.AppsRaw["verified_id_test_probe"] = json.RawMessage("{}")
	return cfg, nil
}

// logged is what was logged on the machine so far, at every level.
func (m machine) logged(t testing.TB) string {
	t.Helper()
	content, err := os.ReadFile(m.log)
	if err != nil {
		t.Fatalf("reading the log: %v", err)
	}
	return string(content)
}

func mustJSON(value any) json.RawMessage {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return raw
}

// adaptText is the JSON of a Caddyfile that adapts.
func adaptText(t testing.TB, text string) []byte {
	t.Helper()
	adapter := caddyfile.Adapter{ServerType: httpcaddyfile.ServerType{}}
	config, _, err := adapter.Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatalf("adapting: %v\n%s", err, text)
	}
	return config
}

// parts of a Caddyfile that loads. The secret is in the environment; see setSecret.
const (
	entraPart = `entra contoso.example {
		client_id     11111111-2222-3333-4444-555555555555
		client_secret {env.VERIFIED_ID_TEST_SECRET}
	}
	`
	whoPart = `authority   ` + testIssuer + `
	client_name "Contoso Payroll"
	`
	credentialPart = `credential employee {
		type   VerifiedEmployee
		issuer ` + testIssuer + `
	}
	`
	sitePart = `payroll.contoso.example {
		verified_id
		respond "the app"
	}
	`
)

// caddyfileOf is a Caddyfile with options of the app and with sites.
func caddyfileOf(options, sites string) string {
	return "{\nverified_id {\n" + entraPart + whoPart + credentialPart + options + "\n}\n}\n" + sites
}

const testSecret = "a secret for tests only"

func setSecret(t testing.TB) {
	t.Helper()
	t.Setenv("VERIFIED_ID_TEST_SECRET", testSecret)
}

// appOf is our app in a provisioned config.
func appOf(t testing.TB, ctx caddy.Context) *App {
	t.Helper()
	loaded, err := ctx.App("verified_id")
	if err != nil {
		t.Fatalf("finding the app: %v", err)
	}
	app, ok := loaded.(*App)
	if !ok {
		t.Fatalf("the app is a %T", loaded)
	}
	return app
}

// writeFile writes a file that only its owner can read.
func writeFile(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// wantError complains about an error that does not say what it must, or says what it must not.
func wantError(t testing.TB, err error, canaries []string, wants ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("it loads; want an error with %q", wants)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q, want one with %q", err, want)
		}
	}
	for _, canary := range canaries {
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), canary) {
			t.Errorf("error %q holds the secret %q", err, canary)
		}
	}
}

// The parts themselves load, or every failure below would mean nothing.
func TestPlainConfigLoads(t *testing.T) {
	setSecret(t)
	seen := false
	err := newMachine(t).load(t, adaptText(t, caddyfileOf("", sitePart)), func(ctx caddy.Context) {
		seen = true
		if got := len(appOf(t, ctx).gates.gates); got != 1 {
			t.Errorf("%d gates, want 1", got)
		}
	})
	if err != nil || !seen {
		t.Fatalf("loading: %v, looked at: %v", err, seen)
	}
}
