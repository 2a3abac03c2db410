// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/certmagic"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// configFlags are the flags by which a command finds its config.
type configFlags struct{ file, adapter string }

func (f *configFlags) add(cmd *cobra.Command) {
	cmd.PersistentFlags().StringVarP(&f.file, "config", "c", "", "Configuration file (default: the Caddyfile here)")
	cmd.PersistentFlags().StringVarP(&f.adapter, "adapter", "a", "", "Name of config adapter")
}

// load reads the config as JSON.
func (f *configFlags) load() ([]byte, error) {
	content, _, _, err := caddycmd.LoadConfig(f.file, f.adapter)
	if err != nil {
		return nil, err
	}
	if content == nil {
		return nil, errors.New("no config: there is no Caddyfile here; name one with --config")
	}
	return caddy.RemoveMetaFields(content), nil
}

// commandApp is our app as the config has it, with Caddy's own storage, for commands that work with its keys. Nothing else of the
// config is provisioned: no site, no certificate, no secret but the keys that are asked for.
func (f *configFlags) commandApp() (*App, error) {
	content, err := f.load()
	if err != nil {
		return nil, err
	}
	return commandAppOf(content)
}

func commandAppOf(config []byte) (*App, error) {
	app, storage, err := readApp(config)
	if err != nil {
		return nil, err
	}
	quiet := &caddy.CustomLog{BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output": "discard"}`)}}
	app.ctx, err = caddy.ProvisionContext(&caddy.Config{
		Admin: &caddy.AdminConfig{Disabled: true}, StorageRaw: storage,
		Logging: &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": quiet}},
	})
	return app, err
}

// readApp is our app as the config has it, and the config of Caddy's storage, with nothing provisioned.
func readApp(content []byte) (app *App, storage json.RawMessage, err error) {
	var config struct {
		Storage json.RawMessage            `json:"storage"`
		Apps    map[string]json.RawMessage `json:"apps"`
	}
	if err := json.Unmarshal(content, &config); err != nil {
		return nil, nil, fmt.Errorf("reading the config: %w", err)
	}
	if config.Apps["verified_id"] == nil {
		return nil, nil, errors.New("the config has no global option verified_id { … }")
	}
	app = &App{now: time.Now, logger: zap.NewNop()}
	if err := caddy.StrictUnmarshalJSON(config.Apps["verified_id"], app); err != nil {
		return nil, nil, fmt.Errorf("reading the config: %w", err)
	}
	return app, config.Storage, nil
}

// commandKeys are the keys of one kind, kickstart or assertion, with the set that is in use. A command never makes the first one:
// another user than the one Caddy runs as has another storage, and a key made there would be known to nobody.
func (a *App) commandKeys(kind string) (*signingKeys, *idvredirect.KeySet, error) {
	keys := &signingKeys{storage: a.ctx.Storage()}
	var err error
	switch kind {
	case "kickstart":
		keys.path, keys.generate = storedKickstartPath, generateKickstartKey
		keys.configured, err = a.configuredKeySet("kickstart_key", a.KickstartKeys, idvredirect.ParseSigningKey)
	case "assertion":
		keys.path, keys.generate = storedAssertionPath, idvredirect.GenerateAssertionKey
		keys.configured, err = a.configuredKeySet("assertion_key", a.AssertionKeys, idvredirect.ParseAssertionKey)
	default:
		return nil, nil, fmt.Errorf("--kind %q: write kickstart, assertion or sealing", kind)
	}
	if err != nil || keys.configured != nil {
		return keys, keys.configured, err
	}
	set, found, err := keys.stored(a.ctx)
	if err == nil && !found {
		err = noStoredKeys(keys.storage)
	}
	return keys, set, err
}

func noStoredKeys(storage certmagic.Storage) error {
	where := fmt.Sprintf("%T", storage) // its fields may hold a password
	if named, ok := storage.(fmt.Stringer); ok {
		where = named.String()
	}
	return fmt.Errorf("there are no such keys in Caddy's storage, %s. Caddy makes them at their first use. If it has, run this as "+
		"the user that Caddy runs as, with the same environment and --config", where)
}

// gatedOrigins are the origins of the sites with gates, as the config's routes have them.
func gatedOrigins(config []byte) ([]string, error) {
	plan, err := planCheck(config, nil, 443)
	if err != nil {
		return nil, err
	}
	defer plan.close()
	return plan.app.gates.origins(), nil
}

// origins are those of the sites with gates, sorted.
func (r *gateRegistry) origins() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string]bool{}
	for _, gate := range r.gates {
		found[gate.site.origin.url] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// all are all gates, in an order that lasts.
func (r *gateRegistry) all() []*Gate {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*Gate
	for _, id := range slices.Sorted(maps.Keys(r.gates)) {
		out = append(out, r.gates[id])
	}
	return out
}
