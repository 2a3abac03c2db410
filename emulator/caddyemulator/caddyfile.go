// SPDX-License-Identifier: Apache-2.0

package caddyemulator

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("verified_id_emulator", parseApp)
	httpcaddyfile.RegisterHandlerDirective("verified_id_emulator", parseHandler)
	httpcaddyfile.RegisterDirectiveOrder("verified_id_emulator", httpcaddyfile.Before, "respond")
}

func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the global option verified_id_emulator is given twice; put everything into one")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "verified_id_emulator", Value: caddyconfig.JSON(app, nil)}, nil
}

func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	handler := new(Handler)
	if err := handler.UnmarshalCaddyfile(h.Dispenser); err != nil {
		return nil, err
	}
	if h.Option("verified_id_emulator") == nil {
		return nil, h.Err("verified_id_emulator needs the global option verified_id_emulator at the top of the Caddyfile")
	}
	return handler, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	verified_id_emulator {
//		public_url  <origin>
//		token_url   <https origin>
//		card        <type>...
//		partner {
//			public_url    <origin>
//			persona       <partner> [own|customer]
//			name          <text>
//			pin
//			organisation  <id> [<site origin>] { … }
//		}
//		insecure_listen_anywhere
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume option name
	return block(d, map[string]reader{
		"public_url": text(&a.PublicURL),
		"token_url":  text(&a.TokenURL),
		"card":       texts(&a.Cards),
		"partner": func(d *caddyfile.Dispenser) error {
			a.Partner = new(Partner)
			return a.Partner.unmarshal(d)
		},
		"insecure_listen_anywhere": flag(&a.InsecureListenAnywhere),
	})
}

func (p *Partner) unmarshal(d *caddyfile.Dispenser) error {
	return block(d, map[string]reader{
		"public_url": text(&p.PublicURL),
		"persona": func(d *caddyfile.Dispenser) error {
			if err := text(&p.Persona)(d); err != nil {
				return err
			}
			if d.NextArg() {
				p.Issuing = d.Val()
			}
			return nil
		},
		"name": text(&p.Name),
		"pin":  flag(&p.PIN),
		"organisation": func(d *caddyfile.Dispenser) error {
			o := new(Organisation)
			p.Organisations = append(p.Organisations, o)
			return o.unmarshal(d)
		},
	}, "organisation")
}

// unmarshal reads the rest of
//
//	organisation <id> [<site origin>] {
//		name          <text>
//		jwks_url      <url>
//		public_key    <pem file>
//		redirect_url  <url>...
//		card          <type>...
//		mode          strict|hardened
//		refuse_extra_claims
//		plain_return
//		fault         expired|replayed|organisation|key|callback
//	}
func (o *Organisation) unmarshal(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("organisation needs the OrgId of the site's tokens, for example: organisation contoso http://localhost:8080")
	}
	o.ID = d.Val()
	if d.NextArg() {
		o.Site = d.Val()
	}
	return block(d, map[string]reader{
		"name":                text(&o.Name),
		"jwks_url":            text(&o.JWKSURL),
		"public_key":          text(&o.PublicKey),
		"redirect_url":        texts(&o.RedirectURLs),
		"card":                texts(&o.Cards),
		"mode":                text(&o.Mode),
		"refuse_extra_claims": flag(&o.RefuseExtraClaims),
		"plain_return":        flag(&o.PlainReturn),
		"fault":               text(&o.Fault),
	})
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	verified_id_emulator [<matcher>] [service] [wallet] | partner
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	h.Parts = append(h.Parts, d.RemainingArgs()...)
	return block(d, nil)
}

// reader reads the arguments of one option.
type reader func(*caddyfile.Dispenser) error

// block reads the options of a block, each at most once but for those named in repeats.
func block(d *caddyfile.Dispenser, options map[string]reader, repeats ...string) error {
	if d.NextArg() {
		return d.Errf("unexpected %q", d.Val())
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		read, known := options[name]
		if !known {
			return d.Errf("unrecognized option %q", name)
		}
		if seen[name] && !slices.Contains(repeats, name) {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := read(d); err != nil {
			return err
		}
		if d.NextArg() {
			return d.Errf("%s: unexpected %q", name, d.Val())
		}
	}
	return nil
}

func text(into *string) reader {
	return func(d *caddyfile.Dispenser) error {
		if !d.NextArg() || d.Val() == "" {
			return d.ArgErr()
		}
		*into = d.Val()
		return nil
	}
}

func texts(into *[]string) reader {
	return func(d *caddyfile.Dispenser) error {
		if *into = d.RemainingArgs(); len(*into) == 0 {
			return d.ArgErr()
		}
		return nil
	}
}

func flag(into *bool) reader {
	return func(*caddyfile.Dispenser) error {
		*into = true
		return nil
	}
}

// Interface guards.
var (
	_ caddyfile.Unmarshaler = (*App)(nil)
	_ caddyfile.Unmarshaler = (*Handler)(nil)
)
