// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"strconv"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// followedConfig stands for a store module and shows which config the store was told of last.
type followedConfig struct {
	MemoryStore
	StoreConfig
}

// Reconfigure implements StoreModule.
func (f *followedConfig) Reconfigure(_ verifier.Store, cfg StoreConfig) { f.StoreConfig = cfg }

// A config is good, and another part of it does not start: its port is taken, or Caddy's own admin endpoint cannot be set up. Our app was
// started before that. The config that goes on keeps its store as it was: with the dead one's sealer it would seal for a ring that nobody
// follows any more, a leaked key with it, and the command line would speak to an app that serves nobody. TM-138.
func TestConfigThatDoesNotStartLeavesTheStoreToTheOldOne(t *testing.T) {
	setSecret(t)
	m := newMachine(t)
	off := caddy.AdminConfig{Disabled: true, Config: &caddy.ConfigSettings{Persist: new(bool)}}
	noAdmin := off
	noAdmin.Remote = &caddy.RemoteAdmin{Listen: "127.0.0.1:1-2"} // no address of one endpoint
	config := func(pending int, admin caddy.AdminConfig) []byte {
		cfg, err := m.config(adaptText(t, caddyfileOf("limits {\npending "+strconv.Itoa(pending)+"\n}", "")))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Admin = &admin
		return mustJSON(cfg)
	}
	followed, before := new(followedConfig), inspect
	inspect = func(ctx caddy.Context) { appOf(t, ctx).storeModule = followed }
	t.Cleanup(func() {
		inspect, errProbeStart = before, nil
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := caddy.Load(config(7, off), true); err != nil {
		t.Fatal(err)
	}
	goesOn := running.newest()

	// Caddy starts the probe before us or after, as it happens to choose, and the admin endpoint always after us.
	dead := [][]byte{config(1, noAdmin)}
	for range 20 {
		dead = append(dead, config(2, off))
	}
	for i, config := range dead {
		if i > 0 {
			errProbeStart = errors.New("address already in use")
		}
		if err := caddy.Load(config, true); err == nil {
			t.Fatalf("load %d: it starts", i)
		}
		if running.newest() != goesOn {
			t.Fatalf("load %d: the app that others speak to is not the one that runs", i)
		}
		if followed.Pending != 7 || followed.Sealer != goesOn.storeConfig.Sealer || followed.Logger != goesOn.storeConfig.Logger {
			t.Fatalf("load %d: the store follows a config with pending %d, and the one that runs says 7", i, followed.Pending)
		}
	}
}
