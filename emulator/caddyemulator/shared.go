// SPDX-License-Identifier: Apache-2.0

package caddyemulator

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
	"github.com/caddy-verified-id/caddy-verified-id/emulator/walletweb"
)

// pool keeps emulators and partners across reloads: a new config is provisioned before the old
// one is cleaned up, so what both use is never dropped. A key is the settings that make the
// thing; other settings make another thing.
var pool = caddy.NewUsagePool()

// core is the emulator with its wallet's pages.
type core struct {
	*emulator.Emulator

	wallet *walletweb.Wallet
}

// Destruct ends what the emulator has under way.
func (c *core) Destruct() error { return c.Close() }

// sharedPartner is a partner with its visitors.
type sharedPartner struct {
	*partner.Partner

	tokens *http.Client
}

// Destruct drops idle connections; the rest of a partner is memory.
func (p *sharedPartner) Destruct() error {
	p.tokens.CloseIdleConnections()
	return nil
}

func (a *App) coreKey() (string, error) {
	persona, _, err := a.persona()
	if err != nil {
		return "", fmt.Errorf("partner: %w", err)
	}
	key, err := json.Marshal(struct {
		PublicURL, TokenURL string
		Cards               []string
		Anywhere            bool
		Persona             partner.Persona
	}{a.PublicURL, a.TokenURL, a.Cards, a.InsecureListenAnywhere, persona})
	if err != nil {
		return "", fmt.Errorf("naming the emulator: %w", err)
	}
	return "core " + string(key), nil
}

func (a *App) shareCore(logger *slog.Logger) (*core, error) {
	key, err := a.coreKey()
	if err != nil {
		return nil, err
	}
	shared, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return a.newCore(logger) })
	if err != nil {
		return nil, err
	}
	a.poolKeys = append(a.poolKeys, key)
	c, ok := shared.(*core)
	if !ok {
		return nil, fmt.Errorf("the pool holds a %T under an emulator's key", shared)
	}
	return c, nil
}

func (a *App) newCore(logger *slog.Logger) (*core, error) {
	cfg, err := a.emulatorConfig()
	if err != nil {
		return nil, err
	}
	cfg.Logger = logger
	e, err := emulator.New(cfg)
	if err != nil {
		return nil, err
	}
	for _, card := range a.Cards {
		if _, err := e.IssueTo(e.Wallet(), card, nil); err != nil {
			return nil, fmt.Errorf("card: %w", err)
		}
	}
	pages, err := walletweb.New(walletweb.Config{Emulator: e, AllowNonLoopback: a.InsecureListenAnywhere, Logger: logger})
	if err != nil {
		return nil, err
	}
	return &core{Emulator: e, wallet: pages}, nil
}

func (a *App) sharePartner(logger *slog.Logger) (*partner.Partner, error) {
	settings, err := json.Marshal(a.Partner)
	if err != nil {
		return nil, fmt.Errorf("naming the partner: %w", err)
	}
	key := "partner " + string(settings) + " of " + a.poolKeys[0]
	shared, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return a.newPartner(logger) })
	if err != nil {
		return nil, err
	}
	a.poolKeys = append(a.poolKeys, key)
	p, ok := shared.(*sharedPartner)
	if !ok {
		return nil, fmt.Errorf("the pool holds a %T under a partner's key", shared)
	}
	return p.Partner, nil
}
