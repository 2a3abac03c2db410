// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("verified_id", parseApp)
}

// parseApp reads the global option. A second one is an error: there is one identity towards Microsoft.
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		return nil, d.Err("the global option verified_id is given twice; put everything into one")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "verified_id", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	verified_id {
//		entra             <tenant> { … }
//		service           <url>
//		trusted_ca        <pem file>
//		authority         <did>
//		client_name       <text>
//		purpose           <text>
//		public_url        <origin>
//		credential        <name> { … }
//		idv               <name> { … }
//		session           { … }
//		store             <module> { … }
//		sealing_key       <base64>...
//		kickstart_key     <pem file>...
//		callback_header   authorization|api-key
//		limits            { … }
//		pages             { … }
//		insecure_loopback_http
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume option name
	if d.NextArg() {
		return d.Errf("verified_id takes no argument as a global option; remove %q", d.Val())
	}
	credential := option{repeats: true, block: true, read: a.readCredential}
	idv := option{repeats: true, block: true, read: a.readIDV}
	return readBlock(d, "verified_id", map[string]option{
		"entra":                  {block: true, read: a.readEntra},
		"service":                oneArg(&a.Service),
		"trusted_ca":             oneArg(&a.TrustedCA),
		"authority":              oneArg(&a.Authority, checkDID),
		"client_name":            oneArg(&a.ClientName, func(s string) error { return checkText("client_name", s, 1, 100) }),
		"purpose":                oneArg(&a.Purpose, func(s string) error { return checkText("purpose", s, 1, 200) }),
		"public_url":             oneArg(&a.PublicURL, func(s string) error { _, err := parseOrigin(s, true); return err }),
		"credential":             credential,
		"idv":                    idv,
		"session":                block("session", a.sessionOptions),
		"store":                  {block: true, read: a.readStore},
		"sealing_key":            args(&a.SealingKeys),
		"kickstart_key":          args(&a.KickstartKeys),
		"callback_header":        oneArg(&a.CallbackHeader, oneOf("callback_header", "authorization", "api-key")),
		"limits":                 block("limits", a.limitOptions),
		"pages":                  block("pages", a.pageOptions),
		"insecure_loopback_http": flag(&a.InsecureLoopbackHTTP),
	})
}

func (a *App) readEntra(d *caddyfile.Dispenser) error {
	e := &Entra{}
	a.Entra = e
	if d.NextArg() {
		e.Tenant = d.Val()
	}
	certificate := option{read: func(d *caddyfile.Dispenser) error {
		rest := d.RemainingArgs()
		if len(rest) == 0 || len(rest) > 2 {
			return d.Err("client_certificate needs a PEM file and, if the key has one, its password")
		}
		e.ClientCertificate = rest[0]
		if len(rest) == 2 {
			e.CertificatePassword = rest[1]
		}
		return nil
	}}
	managed := option{read: func(d *caddyfile.Dispenser) error {
		e.ManagedIdentity = true
		if d.NextArg() {
			e.ManagedIdentityClientID = d.Val()
		}
		return nil
	}}
	if d.NextArg() {
		return d.Errf("entra takes the tenant only; remove %q", d.Val())
	}
	if err := readBlock(d, "entra", map[string]option{
		"client_id":          oneArg(&e.ClientID),
		"client_secret":      oneArg(&e.ClientSecret),
		"client_certificate": certificate,
		"managed_identity":   managed,
		"workload_identity":  flag(&e.WorkloadIdentity),
		"authority_host":     oneArg(&e.AuthorityHost),
	}); err != nil {
		return err
	}
	ways := 0
	for _, given := range []bool{e.ClientSecret != "", e.ClientCertificate != "", e.ManagedIdentity, e.WorkloadIdentity} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return d.Errf("entra needs exactly one of client_secret, client_certificate, managed_identity, workload_identity; it has %d", ways)
	case !e.ManagedIdentity && e.Tenant == "":
		return d.Err("entra needs the tenant: entra contoso.onmicrosoft.com { … }")
	case (e.ClientSecret != "" || e.ClientCertificate != "") && e.ClientID == "":
		return d.Err("entra needs client_id, the application id of the app registration")
	}
	return nil
}

func (a *App) readStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("store needs the name of a store, for example: store memory")
	}
	name := d.Val()
	unmarshaler, err := caddyfile.UnmarshalModule(d, "http.verified_id.stores."+name)
	if err != nil {
		return err
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(unmarshaler, "store", name, nil)
	return nil
}

func (a *App) sessionOptions() map[string]option {
	s := &SessionConfig{}
	a.Session = s
	bounded := func(name string, into *caddy.Duration) option {
		return option{read: func(d *caddyfile.Dispenser) error {
			if err := duration(into).read(d); err != nil {
				return err
			}
			if err := atMost("session "+name, maxSessionLifetime, *into); err != nil {
				return d.WrapErr(err)
			}
			return nil
		}}
	}
	return map[string]option{
		"lifetime":              bounded("lifetime", &s.Lifetime),
		"idle":                  bounded("idle", &s.Idle),
		"cross_device_lifetime": bounded("cross_device_lifetime", &s.CrossDeviceLifetime),
		"same_device_only":      flag(&s.SameDeviceOnly),
	}
}

func (a *App) limitOptions() map[string]option {
	l := &Limits{}
	a.Limits = l
	return map[string]option{
		"starts_per_client":  number(&l.StartsPerClient),
		"starts_per_second":  fraction(&l.StartsPerSecond),
		"pending":            number(&l.Pending),
		"pending_per_client": number(&l.PendingPerClient),
		"streams":            number(&l.Streams),
	}
}

func (a *App) pageOptions() map[string]option {
	p := &Pages{}
	a.Pages = p
	return map[string]option{
		"brand":     oneArg(&p.Brand),
		"logo":      oneArg(&p.Logo),
		"colour":    oneArg(&p.Colour),
		"language":  oneArg(&p.Language, oneOf("language", "en", "de")),
		"templates": oneArg(&p.Templates),
	}
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*App)(nil)
