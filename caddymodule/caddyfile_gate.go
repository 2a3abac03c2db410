// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

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
	gate, start := new(Gate), here(h.Dispenser)
	if err := checkOrder(h, start); err != nil {
		return nil, err
	}
	matcher, matched, err := h.MatcherToken()
	if err != nil {
		return nil, start.WrapErr(fmt.Errorf("verified_id: %w", err))
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
	if err := gate.checkAgainst(h, start); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, gate), nil
}

// answering are directives that answer a request, or hand it to what does. One of them before the gate lets everybody past.
var answering = []string{
	"handle", "handle_path", "route", "invoke", "reverse_proxy", "php_fastcgi", "file_server", "respond", "error", "metrics",
}

// checkOrder refuses an order of directives, given with the global option order, in which the gate comes too late (TM-115).
func checkOrder(h httpcaddyfile.Helper, start *caddyfile.Dispenser) error {
	order, ok := h.Option("order").([]string)
	if !ok {
		return nil // nobody touched it
	}
	gate := slices.Index(order, "verified_id")
	for _, directive := range answering {
		if i := slices.Index(order, directive); i >= 0 && i < gate {
			return start.Errf("the global option order puts verified_id behind %s, which would let everybody past; "+
				"remove it, or write: order verified_id after forward_auth", directive)
		}
	}
	return nil
}

// unmarshal reads the directive's tokens behind the matcher. Syntax:
//
//	verified_id [<matcher>] [<credential>...] {
//		max_age     <duration>
//		face_check  <threshold>
//		require     <claim> <value>...
//		bind        <claim> <value>
//		start_from  <ip or cidr>|private_ranges...
//		header      <name> <value>
//		headers     default|remote_user|x_forwarded|none
//		assertion   [<header>]
//		public      <path>...
//		optional
//		report_only
//		preflight
//	}
func (g *Gate) unmarshal(d *caddyfile.Dispenser) error {
	start := here(d)
	g.Credentials = append(g.Credentials, d.RemainingArgs()...)
	if err := readBlock(d, "verified_id", map[string]option{
		"max_age":     duration(&g.MaxAge, 0),
		"face_check":  {read: g.readFaceCheck},
		"require":     {repeats: true, read: g.readRequire},
		"bind":        {read: g.readBind},
		"start_from":  {repeats: true, read: g.readStartFrom},
		"header":      {repeats: true, read: g.readHeader},
		"headers":     oneArg(&g.HeaderPreset, oneOf("headers", "default", "remote_user", "x_forwarded", "none")),
		"assertion":   {read: g.readAssertion},
		"public":      args(&g.Public, checkPublic),
		"optional":    flag(&g.Optional),
		"preflight":   flag(&g.Preflight),
		"report_only": flag(&g.ReportOnly),
	}); err != nil {
		return err
	}
	if err := g.check(); err != nil {
		return start.WrapErr(fmt.Errorf("verified_id: %w", err))
	}
	return nil
}

func (g *Gate) readFaceCheck(d *caddyfile.Dispenser) error {
	return number(&g.FaceCheck, checkThreshold).read(d)
}

func (g *Gate) readRequire(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) < 2 {
		return d.Err("require: write require <claim> <value>..., for example: require department Payroll Finance")
	}
	if err := checkRule("require", words[0], words[1:]); err != nil {
		return d.WrapErr(err)
	}
	g.Require = append(g.Require, Rule{Claim: words[0], Values: words[1:]})
	return nil
}

func (g *Gate) readBind(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	if len(words) != 2 || words[0] == "" {
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
	header := Header{Name: words[0], Value: words[1]}
	names := []string{header.Name}
	for _, before := range g.Headers {
		names = append(names, before.Name)
	}
	if err := claimheader.CheckNames(names); err != nil {
		return d.WrapErr(err)
	}
	if _, err := parseHeader(header); err != nil {
		return d.WrapErr(fmt.Errorf("header %s: %w", header.Name, err))
	}
	g.Headers = append(g.Headers, header)
	return nil
}

func (g *Gate) readAssertion(d *caddyfile.Dispenser) error {
	words := d.RemainingArgs()
	switch len(words) {
	case 0:
		g.Assertion = defaultAssertionHeader
		return nil
	case 1:
		if err := claimheader.CheckName(words[0]); err != nil {
			return d.WrapErr(fmt.Errorf("assertion: %w", err))
		}
		g.Assertion = words[0]
		return nil
	}
	return d.Err("assertion: write assertion [<header>], for example: assertion X-Employee-Assertion")
}

// checkAgainst compares what the directive names with the global option, while the line is still known.
func (g *Gate) checkAgainst(h httpcaddyfile.Helper, start *caddyfile.Dispenser) error {
	option, ok := h.Option("verified_id").(httpcaddyfile.App)
	if !ok {
		return start.Err("verified_id needs the global option verified_id { … } at the top of the Caddyfile")
	}
	var app App
	if err := json.Unmarshal(option.Value, &app); err != nil {
		return start.WrapErr(err)
	}
	for i, name := range g.Credentials {
		switch {
		case strings.HasPrefix(name, "/") || strings.HasPrefix(name, "@") || name == "*":
			return start.Errf("verified_id has the matcher %q behind a credential; write the matcher first: verified_id %s <credential>", name, name)
		case app.Credentials[name] == nil:
			return start.Errf("credential %q is not defined; add: credential %s { type …; issuer … } to the global option verified_id", name, name)
		case slices.Contains(g.Credentials[:i], name):
			return start.Errf("credential %q is named twice; remove one", name)
		}
	}
	if len(g.Credentials) == 0 && len(app.Credentials) != 1 {
		return start.WrapErr(errNoCredential)
	}
	for name, c := range app.Credentials {
		if len(g.Credentials) > 0 && !slices.Contains(g.Credentials, name) {
			continue
		}
		face, err := app.faceCheckOf(c.withoutFiles())
		if err == nil {
			err = g.checkCredential(name, face)
		}
		if err != nil {
			return start.WrapErr(fmt.Errorf("verified_id: %w", err))
		}
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
