// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/caddymodule"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func init() {
	caddy.RegisterModule(Module{})
}

// Module keeps visits that are under way, one-time marks and revocations in Redis 6.2 or newer or in Valkey, where every node
// finds them: a visit may begin on one node, be called back on another and end on a third. Sessions are not kept there, and go
// on when it is down; nobody new gets in until it is back.
//
// What is kept is sealed and its names are hashed, so whoever reads the store learns nothing and whoever writes to it makes no
// result. All nodes need the same keys: a Caddy storage that they share.
//
// Secrets and paths accept the placeholders `{env.*}` and `{file.*}`, read when the config is loaded. Loading connects to
// nobody.
type Module struct {
	// Where the store listens: host:port, or unix//path for a socket. With Sentinel the addresses of the sentinels, with Cluster
	// those of some of its nodes, which name the others. Required. Placeholders are supported.
	Addresses []string `json:"addresses,omitempty"`

	// Name under which the sentinels know the master. They are asked where it is. Default: no Sentinel.
	Sentinel string `json:"sentinel,omitempty"`

	// User at the sentinels, whose users are their own. Default: none.
	SentinelUsername string `json:"sentinel_username,omitempty"`

	// Password at the sentinels. Placeholders are supported. Default: none.
	SentinelPassword string `json:"sentinel_password,omitempty"`

	// The addresses are nodes of a Redis Cluster.
	Cluster bool `json:"cluster,omitempty"`

	// Number of the database. A cluster has only 0. Default: 0.
	Database int `json:"database,omitempty"`

	// What all names in the store begin with, followed by a colon. Installations that share a store need different ones.
	// Default: verified-id.
	Prefix string `json:"prefix,omitempty"`

	// User of the store's access list. Needs a password. Default: the store's default user.
	Username string `json:"username,omitempty"`

	// Password. Written into the config itself it is a warning at each load. Default: none.
	Password string `json:"password,omitempty"`

	// File with the password, read anew for each connection, so that a password is changed without a reload. Not together with
	// a password.
	PasswordFile string `json:"password_file,omitempty"`

	// Encrypt the connections, with the system's certificate authorities. The other TLS options imply it.
	TLS bool `json:"tls,omitempty"`

	// PEM file of certificate authorities trusted in place of the system's.
	TLSCA string `json:"tls_ca,omitempty"`

	// PEM file of a certificate that the store may ask for, read anew for each connection. Needs tls_client_key.
	TLSClientCertificate string `json:"tls_client_certificate,omitempty"`

	// PEM file with the key of tls_client_certificate, mode 0600, read anew for each connection.
	TLSClientKey string `json:"tls_client_key,omitempty"`

	// Name in the store's certificates. Default: the host that is connected to, as the address, the sentinels or the cluster
	// name it.
	TLSServerName string `json:"tls_server_name,omitempty"`

	// Permit connections to other machines without TLS. The password and the times and sizes of what is stored can be read on
	// the way. Without it such an address stops the load, and a connection to one that a sentinel or a cluster names is closed
	// before anything is sent. Logged as a warning at each load.
	InsecurePlaintext bool `json:"insecure_plaintext,omitempty"`

	settings *settings
}

// CaddyModule returns the Caddy module information.
func (Module) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.verified_id.stores.redis", New: func() caddy.Module { return new(Module) }}
}

// Provision resolves secrets and checks every setting.
func (m *Module) Provision(ctx caddy.Context) error {
	for option, value := range map[string]string{"password": m.Password, "sentinel_password": m.SentinelPassword} {
		if caddymodule.Inline(value) {
			ctx.Logger().Warn("a secret stands in the config itself and shows in its dumps; use {env.NAME} or {file./path}", zap.String("option", option))
		}
	}
	var err error
	m.settings, err = m.resolve()
	return err
}

// Weakenings are the options in use that weaken what the gate promises.
func (m *Module) Weakenings() []string {
	if m.InsecurePlaintext {
		return []string{"insecure_plaintext"}
	}
	return nil
}

// StoreKey implements caddymodule.StoreModule.
func (m *Module) StoreKey(cfg caddymodule.StoreConfig) string {
	mac := hmac.New(sha256.New, cfg.NameKey)
	if err := json.NewEncoder(mac).Encode([]any{m.settings, cfg.GroupReadableKeys}); err != nil {
		panic("redisstore: internal error: " + err.Error()) // strings, numbers and bools
	}
	return "redis " + hex.EncodeToString(mac.Sum(nil))
}

// OpenStore implements caddymodule.StoreModule.
func (m *Module) OpenStore(cfg caddymodule.StoreConfig) (verifier.Store, error) {
	client, err := m.settings.connect(cfg.GroupReadableKeys)
	if err != nil {
		return nil, err
	}
	log := newFollowingLog(cfg.Logger)
	store, err := New(Config{
		Client: client, Prefix: m.settings.Prefix, NameKey: cfg.NameKey, Sealer: cfg.Sealer,
		MaxPending: cfg.Pending, MaxPendingPerClient: cfg.PendingPerClient, Logger: slog.New(log),
	})
	if err != nil {
		_ = client.Close() // it has connected to nobody
		return nil, fmt.Errorf("redis: %w", err)
	}
	return &openStore{Store: store, log: log}, nil
}

// Reconfigure implements caddymodule.StoreModule.
func (m *Module) Reconfigure(store verifier.Store, cfg caddymodule.StoreConfig) {
	if open, ok := store.(*openStore); ok {
		open.Resize(cfg.Pending, cfg.PendingPerClient)
		open.SetSealer(cfg.Sealer)
		open.log.follow(cfg.Logger)
	}
}

// openStore is a store whose log follows the config that runs.
type openStore struct {
	*Store
	log *followingLog
}

// Interface guards.
var (
	_ caddy.Provisioner       = (*Module)(nil)
	_ caddyfile.Unmarshaler   = (*Module)(nil)
	_ caddymodule.StoreModule = (*Module)(nil)
)
