// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/entra"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Entra is how access tokens for the Request Service are obtained. Exactly one of ClientSecret, ClientCertificate,
// ManagedIdentity and WorkloadIdentity is given.
type Entra struct {
	// Tenant that holds the authority: its id or one of its verified domains. Required except with a managed identity.
	Tenant string `json:"tenant,omitempty"`

	// Application (client) id of the app registration. Required except with a managed identity.
	ClientID string `json:"client_id,omitempty"`

	// Client secret. Placeholders are supported; written into the config itself it is a warning at each load.
	ClientSecret string `json:"client_secret,omitempty"`

	// PEM file with certificate and private key.
	ClientCertificate string `json:"client_certificate,omitempty"`

	// Password of the private key in ClientCertificate. Placeholders are supported. Default: none.
	CertificatePassword string `json:"certificate_password,omitempty"`

	// Use the managed identity of the Azure machine.
	ManagedIdentity bool `json:"managed_identity,omitempty"`

	// Client id of a user-assigned managed identity. Default: the system-assigned one.
	ManagedIdentityClientID string `json:"managed_identity_client_id,omitempty"`

	// Use the federated token of the Kubernetes pod (AZURE_FEDERATED_TOKEN_FILE and its companions).
	WorkloadIdentity bool `json:"workload_identity,omitempty"`

	// Base URL of the token endpoint, for other clouds and the emulator. https. Default: the public cloud.
	AuthorityHost string `json:"authority_host,omitempty"`
}

// config resolves the secrets.
func (e *Entra) config(roots *x509.CertPool) (entra.Config, error) {
	cfg := entra.Config{
		ManagedIdentity: e.ManagedIdentity, ManagedIdentityClientID: e.ManagedIdentityClientID,
		WorkloadIdentity: e.WorkloadIdentity, RootCAs: roots,
	}
	var err error
	for _, field := range []struct {
		option, value string
		into          *string
	}{
		{"tenant", e.Tenant, &cfg.Tenant},
		{"client_id", e.ClientID, &cfg.ClientID},
		{"authority_host", e.AuthorityHost, &cfg.AuthorityHost},
	} {
		if field.value == "" {
			continue
		}
		if *field.into, err = resolve(field.option, field.value); err != nil {
			return cfg, err
		}
	}
	if e.ClientSecret != "" {
		if cfg.ClientSecret, err = resolveSecret("client_secret", e.ClientSecret); err != nil {
			return cfg, err
		}
	}
	if e.ClientCertificate != "" {
		path, err := resolve("client_certificate", e.ClientCertificate)
		if err != nil {
			return cfg, err
		}
		if cfg.Certificate, err = readKeyFile(path); err != nil {
			return cfg, fmt.Errorf("client_certificate: %w", err)
		}
		if e.CertificatePassword != "" {
			if cfg.CertificatePassword, err = resolveSecret("certificate_password", e.CertificatePassword); err != nil {
				return cfg, err
			}
		}
	}
	return cfg, nil
}

// pooledClient keeps the token cache and the back-off of one service and one identity across reloads.
type pooledClient struct{ *verifier.Client }

// Destruct implements caddy.Destructor.
func (pooledClient) Destruct() error { return nil }

var clientPool = caddy.NewUsagePool()

// provisionClient makes, or takes from the pool, the client of the Request Service. It does not call it.
func (a *App) provisionClient() error {
	if a.Entra == nil {
		return errors.New("entra is missing; add: entra <tenant> { client_id …; client_secret … }")
	}
	roots, caDigest, err := a.trustedRoots()
	if err != nil {
		return fmt.Errorf("trusted_ca: %w", err)
	}
	cfg, err := a.Entra.config(roots)
	if err != nil {
		return fmt.Errorf("entra: %w", err)
	}
	if inline(a.Entra.ClientSecret) {
		a.logger.Warn("client_secret stands in the config itself and shows in its dumps; use {env.NAME} or {file./path}")
	}
	tokens, err := entra.New(cfg)
	if err != nil {
		return fmt.Errorf("entra: %w", err)
	}
	service := a.Service
	if service != "" {
		if service, err = resolve("service", service); err != nil {
			return err
		}
	}
	key := tokens.Key() + "|" + service + "|" + caDigest
	shared, _, err := clientPool.LoadOrNew(key, func() (caddy.Destructor, error) {
		client, err := verifier.NewClient(verifier.ClientConfig{
			ServiceURL: service, Tokens: tokens, RootCAs: roots, InsecureHTTP: a.InsecureLoopbackHTTP,
			Logger: slog.New(slog.DiscardHandler),
		})
		return pooledClient{client}, err
	})
	if err != nil {
		return fmt.Errorf("service: %w", err)
	}
	a.client = shared.(pooledClient).Client
	a.release(clientPool, key)
	return nil
}

// release gives a pooled part back when this config ends.
func (a *App) release(pool *caddy.UsagePool, key string) {
	a.releases = append(a.releases, func() {
		if _, err := pool.Delete(key); err != nil {
			a.logger.Error("releasing a shared part", zap.Error(err))
		}
	})
}

func (a *App) trustedRoots() (*x509.CertPool, string, error) {
	if a.TrustedCA == "" {
		return nil, "", nil
	}
	path, err := resolve("file", a.TrustedCA)
	if err != nil {
		return nil, "", err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, "", fmt.Errorf("%s holds no PEM certificate", path)
	}
	digest := sha256.Sum256(content)
	return roots, hex.EncodeToString(digest[:8]), nil
}

// readKeyFile reads a file with a private key and refuses one that other users of the machine can read (TM-147).
func readKeyFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o037 != 0 {
		return nil, fmt.Errorf("%s has mode %04o; others could read the key. Run: chmod 600 %s", path, mode, path)
	}
	return os.ReadFile(path)
}
