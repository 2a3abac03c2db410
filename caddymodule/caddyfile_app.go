// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"slices"
	"strings"

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
		d.Next() // to the line of the second one
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
//		subject_key       <base64>
//		kickstart_key     <pem file>...
//		assertion_key     <pem file>...
//		group_readable_keys
//		forward_auth
//		callback_header   authorization|api-key
//		limits            { … }
//		pages             { … }
//		insecure_loopback_http
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume option name
	start := here(d)
	if d.NextArg() {
		return d.Errf("verified_id takes no argument as a global option; remove %q", d.Val())
	}
	var later laterChecks
	credential := func(d *caddyfile.Dispenser) error { return a.readCredential(d, &later) }
	if err := readBlock(d, "verified_id", map[string]option{
		"entra":                  {block: true, read: a.readEntra},
		"service":                oneReference(&a.Service, checkBaseURL("service")),
		"trusted_ca":             oneReference(&a.TrustedCA),
		"authority":              oneArg(&a.Authority, checkDID("authority")),
		"client_name":            oneArg(&a.ClientName, checkTextOf("client_name", 100)),
		"purpose":                oneArg(&a.Purpose, checkTextOf("purpose", 200)),
		"public_url":             oneReference(&a.PublicURL, checkPublicURL),
		"credential":             {repeats: true, block: true, read: credential},
		"idv":                    {repeats: true, block: true, read: a.readIDV},
		"session":                block("session", a.sessionOptions, a.checkSession),
		"store":                  {block: true, read: a.readStore},
		"sealing_key":            references(&a.SealingKeys),
		"subject_key":            OneSecret(&a.SubjectKey),
		"kickstart_key":          references(&a.KickstartKeys),
		"assertion_key":          references(&a.AssertionKeys),
		"group_readable_keys":    flag(&a.GroupReadableKeys),
		"forward_auth":           flag(&a.ForwardAuth),
		"callback_header":        oneArg(&a.CallbackHeader, oneOf("callback_header", "authorization", "api-key")),
		"limits":                 block("limits", a.limitOptions, none),
		"pages":                  block("pages", a.pageOptions, none),
		"insecure_loopback_http": flag(&a.InsecureLoopbackHTTP),
	}); err != nil {
		return err
	}
	if err := later.run(); err != nil {
		return err
	}
	return a.checkComplete(start)
}

// checkComplete says which required option is missing.
func (a *App) checkComplete(start *caddyfile.Dispenser) error {
	switch {
	case a.Entra == nil:
		return start.Err("verified_id: entra is missing; add: entra <tenant> { client_id …; client_secret … }")
	case a.Authority == "":
		return start.Err("verified_id: authority is missing; add the verifier's DID: authority did:web:verifiedid.contoso.com")
	case a.ClientName == "":
		return start.Err("verified_id: client_name is missing; add what the wallet calls this site: client_name \"Contoso Payroll\"")
	case len(a.Credentials) == 0:
		return start.Err("verified_id: no credential is defined; add: credential <name> { type …; issuer … }")
	}
	return nil
}

func none() error { return nil }

func checkPublicURL(value string) error {
	if _, err := parseOrigin(value, true); err != nil {
		return fmt.Errorf("public_url: %w", err)
	}
	return nil
}

// readEntra reads
//
//	entra [<tenant>] {
//		client_id          <id>
//		client_secret      <secret>
//		client_certificate <file> [<password>]
//		managed_identity   [<client id>]
//		workload_identity
//		authority_host     <url>
//	}
func (a *App) readEntra(d *caddyfile.Dispenser) error {
	start := here(d)
	e := &Entra{}
	a.Entra = e
	if d.NextArg() {
		if err := takeReference(d, "entra", &e.Tenant, nil); err != nil {
			return err
		}
	}
	if d.NextArg() {
		return d.Errf("entra takes the tenant only; remove %q", d.Val())
	}
	secret := oneReference(&e.ClientSecret)
	secret.secret = true
	if err := readBlock(d, "entra", map[string]option{
		"client_id":          oneReference(&e.ClientID),
		"client_secret":      secret,
		"client_certificate": {read: e.readCertificate, secret: true},
		"managed_identity":   {read: e.readManagedIdentity},
		"workload_identity":  flag(&e.WorkloadIdentity),
		"authority_host":     oneReference(&e.AuthorityHost, checkBaseURL("authority_host")),
	}); err != nil {
		return err
	}
	if err := e.check(); err != nil {
		return start.WrapErr(fmt.Errorf("entra: %w", err))
	}
	return nil
}

func (e *Entra) readCertificate(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("client_certificate needs a file (PEM or PKCS #12) and, if that has one, its password")
	}
	if err := takeReference(d, "client_certificate", &e.ClientCertificate, nil); err != nil {
		return err
	}
	if !d.NextArg() {
		return nil
	}
	return takeReference(d, "client_certificate", &e.CertificatePassword, nil)
}

func (e *Entra) readManagedIdentity(d *caddyfile.Dispenser) error {
	e.ManagedIdentity = true
	if !d.NextArg() {
		return nil
	}
	return takeReference(d, "managed_identity", &e.ManagedIdentityClientID, nil)
}

func (a *App) readStore(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Errf("store needs the name of a store; this build has %s", strings.Join(knownStores(), ", "))
	}
	name := d.Val()
	if !slices.Contains(knownStores(), name) {
		mend := ""
		if name == "redis" {
			mend = "; build Caddy with --with github.com/caddy-verified-id/caddy-verified-id/redisstore as well, see xcaddy.md"
		}
		return d.Errf("store %q is unknown; this build has %s%s", name, strings.Join(knownStores(), ", "), mend)
	}
	unmarshaler, err := caddyfile.UnmarshalModule(d, storeNamespace+"."+name)
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(unmarshaler, "store", name, nil)
	return nil
}

const storeNamespace = "http.verified_id.stores"

func knownStores() []string {
	var names []string
	for _, module := range caddy.GetModules(storeNamespace) {
		names = append(names, module.ID.Name())
	}
	slices.Sort(names)
	return names
}

// sessionOptions are
//
//	session {
//		lifetime              <duration>
//		idle                  <duration>
//		cross_device_lifetime <duration>
//		cookie_domain         <domain>
//		same_device_only
//		cancel_on_second_scan
//	}
func (a *App) sessionOptions() map[string]option {
	s := &SessionConfig{}
	a.Session = s
	return map[string]option{
		"lifetime":              duration(&s.Lifetime, maxSessionLifetime),
		"idle":                  duration(&s.Idle, maxSessionLifetime),
		"cross_device_lifetime": duration(&s.CrossDeviceLifetime, maxSessionLifetime),
		"cookie_domain":         oneArg(&s.CookieDomain, checkCookieDomain),
		"cancel_on_second_scan": flag(&s.CancelOnSecondScan),
		"same_device_only":      flag(&s.SameDeviceOnly),
	}
}

// checkSession judges the times together, with the defaults for those not given.
func (a *App) checkSession() error {
	complete := *a.Session
	return complete.withDefaults()
}

// limitOptions are
//
//	limits {
//		starts_per_client   <number>
//		starts_per_second   <number>
//		pending             <number>
//		pending_per_client  <number>
//		streams             <number>
//		face_checks_per_day <number>
//	}
func (a *App) limitOptions() map[string]option {
	l := &Limits{}
	a.Limits = l
	return map[string]option{
		"starts_per_client":   number(&l.StartsPerClient, checkLimit("starts_per_client")),
		"starts_per_second":   fraction(&l.StartsPerSecond, checkStartsPerSecond),
		"pending":             number(&l.Pending, checkLimit("pending")),
		"pending_per_client":  number(&l.PendingPerClient, checkLimit("pending_per_client")),
		"streams":             number(&l.Streams, checkLimit("streams")),
		"face_checks_per_day": number(&l.FaceChecksPerDay, checkLimit("face_checks_per_day")),
	}
}

// pageOptions are
//
//	pages {
//		brand     <text>
//		logo      <file>
//		colour    "#rrggbb"
//		language  en|de
//		templates <directory>
//	}
func (a *App) pageOptions() map[string]option {
	p := &Pages{}
	a.Pages = p
	return map[string]option{
		"brand":     oneArg(&p.Brand, checkTextOf("brand", 100)),
		"logo":      oneArg(&p.Logo, checkLogoName),
		"colour":    {read: p.readColour},
		"language":  oneArg(&p.Language, oneOf("language", "en", "de")),
		"templates": oneArg(&p.Templates),
	}
}

// readColour knows why a colour is missing: without quotes it is a comment.
func (p *Pages) readColour(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err(`option "colour" needs a value in quotes, because # begins a comment: colour "#1d4ed8"`)
	}
	return takeLiteral(d, "colour", &p.Colour, []func(string) error{checkColour})
}

// Interface guards.
var _ caddyfile.Unmarshaler = (*App)(nil)
