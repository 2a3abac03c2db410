// SPDX-License-Identifier: Apache-2.0

package caddyemulator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Parts of the emulator that a site can show.
const (
	partService = "service"
	partWallet  = "wallet"
	partPartner = "partner"
)

// Handler puts parts of the emulator into a site. Paths that belong to none of them go on to
// the next handler.
type Handler struct {
	// What to show:
	//
	// - `service`: the Request Service, below /v1.0/, /beta/, /.well-known/ and /domains/;
	// - `wallet`: the wallet, below /wallet; / leads there;
	// - `partner`: the identity-verification partner, all paths.
	//
	// Default: service and wallet.
	Parts []string `json:"parts,omitempty"`

	app     *App
	ctx     caddy.Context
	service http.Handler
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.verified_id_emulator",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision finds the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	loaded, err := ctx.App("verified_id_emulator")
	if err != nil {
		return fmt.Errorf("loading app: %w", err)
	}
	app, ok := loaded.(*App)
	if !ok {
		return fmt.Errorf("app verified_id_emulator is a %T", loaded)
	}
	h.app, h.ctx = app, ctx
	if len(h.Parts) == 0 {
		h.Parts = []string{partService, partWallet}
	}
	h.service = app.core.ServiceHandler()
	return nil
}

// Validate checks the parts.
func (h *Handler) Validate() error {
	for i, part := range h.Parts {
		switch {
		case !slices.Contains([]string{partService, partWallet, partPartner}, part):
			return fmt.Errorf("unknown part %q; there are service, wallet and partner", part)
		case slices.Contains(h.Parts[:i], part):
			return fmt.Errorf("part %q is named twice", part)
		}
	}
	if h.shows(partPartner) && len(h.Parts) > 1 {
		return errors.New("the partner needs a site of its own")
	}
	if h.shows(partPartner) && h.app.partner == nil {
		return errors.New("there is no partner; add partner { organisation … } to the global option verified_id_emulator")
	}
	return nil
}

// ServeHTTP hands the request to the part it belongs to.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	// Pages wait for events as long as their visitors do. They must not hold up a reload.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	r = r.WithContext(ctx)

	switch {
	case h.shows(partPartner):
		h.app.partner.ServeHTTP(w, r)
	case h.shows(partWallet) && r.URL.Path == "/":
		http.Redirect(w, r, "/wallet", http.StatusFound)
	case h.shows(partWallet) && (r.URL.Path == "/wallet" || strings.HasPrefix(r.URL.Path, "/wallet/")):
		h.app.core.wallet.ServeHTTP(w, r)
	case h.shows(partService) && serviceOwns(r.URL.Path):
		h.service.ServeHTTP(w, r)
	default:
		return next.ServeHTTP(w, r)
	}
	return nil
}

func (h *Handler) shows(part string) bool { return slices.Contains(h.Parts, part) }

// serviceOwns tells whether a path is the Request Service's, or that of a document it hosts.
func serviceOwns(path string) bool {
	lower := strings.ToLower(path)
	for _, prefix := range []string{"/v1.0/", "/beta/", "/.well-known/", "/domains/"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
