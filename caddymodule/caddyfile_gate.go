// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

func init() {
	httpcaddyfile.RegisterDirective("verified_id", parseGate)
	// After every login that bind may look at, before handle, route, respond and everything else that answers. Ordered
	// just before reverse_proxy, a handle block would run first and let everybody past.
	httpcaddyfile.RegisterDirectiveOrder("verified_id", httpcaddyfile.After, "forward_auth")
}

// parseGate reads the directive. The matcher becomes part of the gate instead of its route, so that it decides who must
// be verified and never hides our own endpoints.
func parseGate(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	gate := new(Gate)
	matcher, matched, err := h.MatcherToken()
	if err != nil {
		return nil, err
	}
	if matched {
		if matcher != nil {
			gate.MatcherSetsRaw = caddyhttp.RawMatcherSets{matcher}
		}
	} else {
		h.Reset()
		h.Next()
	}
	if err := gate.unmarshal(h.Dispenser); err != nil {
		return nil, err
	}
	if err := gate.checkAgainst(h); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, gate), nil
}

// unmarshal reads the directive's tokens behind the matcher. Syntax:
//
//	verified_id [<matcher>] [<credential>...] {
//		max_age     <duration>
//		face_check  <threshold>
//		require     <claim> <value>...
//		bind        <claim> <value>
//		header      <name> <value>
//		headers     default|remote_user|x_forwarded|none
//		public      <path>...
//		optional
//		report_only
//	}
func (g *Gate) unmarshal(d *caddyfile.Dispenser) error {
	g.Credentials = append(g.Credentials, d.RemainingArgs()...)
	return readBlock(d, "verified_id", map[string]option{
		"max_age":     duration(&g.MaxAge),
		"face_check":  {read: g.readFaceCheck},
		"require":     {repeats: true, read: g.readRequire},
		"bind":        {read: g.readBind},
		"header":      {repeats: true, read: g.readHeader},
		"headers":     oneArg(&g.HeaderPreset, oneOf("headers", "default", "remote_user", "x_forwarded", "none")),
		"public":      args(&g.Public, checkPublic),
		"optional":    flag(&g.Optional),
		"report_only": flag(&g.ReportOnly),
	})
}

func (g *Gate) readFaceCheck(d *caddyfile.Dispenser) error {
	if err := number(&g.FaceCheck).read(d); err != nil {
		return err
	}
	if err := checkThreshold(g.FaceCheck); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

func (g *Gate) readRequire(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) < 2 {
		return d.Err("require: write require <claim> <value>...")
	}
	g.Require = append(g.Require, Rule{Claim: words[0], Values: words[1:]})
	return nil
}

func (g *Gate) readBind(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) != 2 {
		return d.Err("bind: write bind <claim> <value>, for example: bind mail {http.auth.user.id}")
	}
	g.Bind = &Bind{Claim: words[0], Value: words[1]}
	return nil
}

func (g *Gate) readHeader(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) != 2 {
		return d.Err("header: write header <name> <value>, for example: header X-Employee-Mail {claim.mail}")
	}
	if err := claimheader.CheckName(words[0]); err != nil {
		return d.WrapErr(err)
	}
	header := Header{Name: words[0], Value: words[1]}
	if _, err := parseHeader(header); err != nil {
		return d.Errf("header %s: %v", words[0], err)
	}
	g.Headers = append(g.Headers, header)
	return nil
}

// checkAgainst compares what the directive names with the global option, while the line is still known.
func (g *Gate) checkAgainst(h httpcaddyfile.Helper) error {
	option, ok := h.Option("verified_id").(httpcaddyfile.App)
	if !ok {
		return h.Err("verified_id needs the global option verified_id { … } at the top of the Caddyfile")
	}
	var app App
	if err := json.Unmarshal(option.Value, &app); err != nil {
		return h.WrapErr(err)
	}
	for i, name := range g.Credentials {
		if app.Credentials[name] == nil {
			return h.Errf("credential %q is not defined; add: credential %s { type …; issuer … } to the global option verified_id", name, name)
		}
		if slices.Contains(g.Credentials[:i], name) {
			return h.Errf("credential %q is named twice", name)
		}
	}
	if len(g.Credentials) == 0 && len(app.Credentials) != 1 {
		return h.WrapErr(errNoCredential)
	}
	if g.Optional && g.ReportOnly {
		return h.Err("optional and report_only contradict each other; remove one")
	}
	return nil
}

// UnmarshalCaddyfile sets up the gate from Caddyfile tokens; see the directive for the syntax.
func (g *Gate) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	return g.unmarshal(d)
}

// Interface guards.
var (
	_ caddyfile.Unmarshaler = (*Gate)(nil)
	_ caddy.Module          = (*Gate)(nil)
)
