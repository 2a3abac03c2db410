// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

func init() {
	caddy.RegisterModule(Strip{})
	httpcaddyfile.RegisterHandlerDirective("verified_id_strip", parseStrip)
	// Before every login, which would believe the headers and be shown the cookies.
	httpcaddyfile.RegisterDirectiveOrder("verified_id_strip", httpcaddyfile.Before, "basic_auth")
}

// Strip removes every identity header, and our cookies, from a request and lets it go on. It belongs into handle_errors
// and into sites that share an app with a gated one: error routes run without the gate, for instance for a request
// with an empty Host, and an app behind them would believe what the client wrote. In a site where forward_auth stands
// before the gate it keeps both from the other login's service; the gate still finds the session.
type Strip struct {
	app *App
}

// CaddyModule returns the Caddy module information.
func (Strip) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.verified_id_strip", New: func() caddy.Module { return new(Strip) }}
}

// Provision finds the app, which knows the headers of all gates.
func (s *Strip) Provision(ctx caddy.Context) error {
	app, err := configuredApp(ctx)
	s.app = app
	return err
}

// ServeHTTP removes and goes on.
func (s *Strip) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	s.app.gates.stripFrom(r.Header)
	claimheader.HopByHop(r)
	takeCookies(r)
	return next.ServeHTTP(w, r)
}

// parseStrip reads the directive. Syntax: verified_id_strip [<matcher>]
func parseStrip(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	strip := new(Strip)
	return strip, strip.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens; it has no options.
func (s *Strip) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	return readBlock(d, "verified_id_strip", nil)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Strip)(nil)
	_ caddyhttp.MiddlewareHandler = (*Strip)(nil)
	_ caddyfile.Unmarshaler       = (*Strip)(nil)
)
