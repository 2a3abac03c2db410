// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-verified-id/caddy-verified-id/caddymodule"
)

// UnmarshalCaddyfile sets up the store from Caddyfile tokens. Syntax:
//
//	store redis {
//		address                <host:port or unix//path>...
//		sentinel               <master name>
//		sentinel_username      <user>
//		sentinel_password      <secret>
//		cluster
//		database               <number>
//		prefix                 <text>
//		username               <user>
//		password               <secret>
//		password_file          <file>
//		tls
//		tls_ca                 <pem file>
//		tls_client_certificate <pem file> <key file>
//		tls_server_name        <name>
//		insecure_plaintext
//	}
func (m *Module) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume the store's name
	start := caddyfile.NewDispenser([]caddyfile.Token{d.Token()})
	start.Next()
	if d.NextArg() {
		return d.Err("redis takes a block only; write the address as an option in it: address redis.internal:6379")
	}
	if err := caddymodule.ReadBlock(d, "store "+d.Val(), map[string]caddymodule.Option{
		"address":                caddymodule.References(&m.Addresses, checkAddress),
		"sentinel":               caddymodule.OneReference(&m.Sentinel),
		"sentinel_username":      caddymodule.OneReference(&m.SentinelUsername),
		"sentinel_password":      caddymodule.OneSecret(&m.SentinelPassword),
		"cluster":                caddymodule.Flag(&m.Cluster),
		"database":               caddymodule.Number(&m.Database, checkDatabase),
		"prefix":                 caddymodule.OneArg(&m.Prefix, checkPrefix),
		"username":               caddymodule.OneReference(&m.Username),
		"password":               caddymodule.OneSecret(&m.Password),
		"password_file":          caddymodule.OneReference(&m.PasswordFile),
		"tls":                    caddymodule.Flag(&m.TLS),
		"tls_ca":                 caddymodule.OneReference(&m.TLSCA),
		"tls_client_certificate": caddymodule.TwoReferences(&m.TLSClientCertificate, &m.TLSClientKey),
		"tls_server_name":        caddymodule.OneReference(&m.TLSServerName),
		"insecure_plaintext":     caddymodule.Flag(&m.InsecurePlaintext),
	}); err != nil {
		return err
	}
	if err := m.checkWritten(); err != nil {
		return start.WrapErr(err)
	}
	return nil
}

// checkWritten judges what can be judged before placeholders are replaced.
func (m *Module) checkWritten() error {
	if err := m.check(); err != nil {
		return err
	}
	written := slices.DeleteFunc(slices.Clone(m.Addresses), caddymodule.HasPlaceholder)
	return checkTogether(written, m.Sentinel != "", m.Cluster, m.encrypted(), m.InsecurePlaintext)
}
