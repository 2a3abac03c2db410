// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

func init() {
	caddy.RegisterModule(Callback{})
	httpcaddyfile.RegisterHandlerDirective("verified_id_callback", parseCallback)
	// Before every login: the Request Service and partners cannot log in.
	httpcaddyfile.RegisterDirectiveOrder("verified_id_callback", httpcaddyfile.Before, "basic_auth")
}

// Callback serves only what machines ask for: the callback of the Request Service and the public keys, under
// `/.verified-id/`. It belongs on a public site when the gated one cannot be reached from the internet, with that site's
// address as the app's public_url; and into a site where basic_auth or forward_auth stands before the gate and would ask
// Microsoft to log in. Everything else passes through untouched.
type Callback struct {
	app    *App
	logger *zap.Logger
}

// CaddyModule returns the Caddy module information.
func (Callback) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.verified_id_callback", New: func() caddy.Module { return new(Callback) }}
}

// Provision finds the app.
func (c *Callback) Provision(ctx caddy.Context) error {
	app, err := configuredApp(ctx)
	c.app, c.logger = app, ctx.Logger()
	return err
}

// ServeHTTP answers the callback and the key set, and hands on all else.
func (c *Callback) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) (err error) {
	path, own := ownPath(r)
	if !own || (path != "/callback" && path != "/jwks.json") {
		return next.ServeHTTP(w, r)
	}
	defer func() {
		if recover() != nil {
			c.logger.Error("panic", zap.Stack("stack"))
			err = caddyhttp.Error(http.StatusInternalServerError, errPanic)
		}
	}()
	v := &visitRequest{site: c.app.siteOf(c.app.publicOrigin), logger: c.logger, w: w, r: r, now: c.app.now()}
	switch {
	case path == "/callback" && r.Method == http.MethodPost:
		v.callback()
	case path == "/jwks.json" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		v.jwks()
	default:
		return caddyhttp.Error(http.StatusNotFound, errors.New("no such endpoint"))
	}
	return nil
}

// parseCallback reads the directive. Syntax: verified_id_callback [<matcher>]
func parseCallback(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	callback := new(Callback)
	return callback, callback.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens; it has no options.
func (c *Callback) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	return readBlock(d, "verified_id_callback", nil)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Callback)(nil)
	_ caddyhttp.MiddlewareHandler = (*Callback)(nil)
	_ caddyfile.Unmarshaler       = (*Callback)(nil)
)
