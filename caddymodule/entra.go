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
	"path/filepath"
	"runtime"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/entra"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// Entra is how access tokens for the Request Service are obtained. Exactly one of ClientSecret, ClientCertificate,
// ManagedIdentity and WorkloadIdentity is given.
type Entra struct {
	// Tenant that holds the authority: its id or one of its verified domains. Required with a secret or a certificate; a
	// workload identity finds it in its environment, a managed identity needs none. Placeholders are supported.
	Tenant string `json:"tenant,omitempty"`

	// Application (client) id of the app registration. Required with a secret or a certificate; a workload identity finds
	// it in its environment. Placeholders are supported.
	ClientID string `json:"client_id,omitempty"`

	// Client secret. Placeholders are supported; written into the config itself it is a warning at each load.
	ClientSecret string `json:"client_secret,omitempty"`

	// File with certificate and RSA private key, PEM or PKCS #12, mode 0600; its group may read it too with
	// group_readable_keys. Placeholders are supported.
	ClientCertificate string `json:"client_certificate,omitempty"`

	// Password of ClientCertificate, if that is PKCS #12. Placeholders are supported. Default: none.
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

// check judges which options go together.
func (e *Entra) check() error {
	ways := 0
	for _, given := range []bool{e.ClientSecret != "", e.ClientCertificate != "", e.ManagedIdentity, e.WorkloadIdentity} {
		if given {
			ways++
		}
	}
	switch named := e.ClientSecret != "" || e.ClientCertificate != ""; {
	case ways != 1:
		return fmt.Errorf("give exactly one of client_secret, client_certificate, managed_identity and workload_identity; it has %d", ways)
	case named && e.Tenant == "":
		return errors.New("the tenant is missing; write: entra contoso.onmicrosoft.com { … }")
	case named && e.ClientID == "":
		return errors.New("client_id is missing; add the application id of the app registration")
	case e.ManagedIdentity && e.ClientID != "":
		return errors.New("client_id is not used with managed_identity; write: managed_identity <client id>")
	case !e.ManagedIdentity && e.ManagedIdentityClientID != "":
		return errors.New("managed_identity_client_id needs managed_identity; add it, or remove the id")
	case e.ClientCertificate == "" && e.CertificatePassword != "":
		return errors.New("certificate_password needs client_certificate; add it, or remove the password")
	case e.ManagedIdentity && e.AuthorityHost != "":
		return errors.New("authority_host is not used with managed_identity, which the machine provides; remove it")
	}
	return nil
}

// config resolves the secrets.
func (e *Entra) config(roots *x509.CertPool, groupReads bool) (entra.Config, error) {
	cfg := entra.Config{ManagedIdentity: e.ManagedIdentity, WorkloadIdentity: e.WorkloadIdentity, RootCAs: roots}
	if err := e.check(); err != nil {
		return cfg, err
	}
	for _, field := range []struct {
		option, value string
		into          *string
		resolve       func(option, value string) (string, error)
	}{
		{"tenant", e.Tenant, &cfg.Tenant, resolve},
		{"client_id", e.ClientID, &cfg.ClientID, resolve},
		{"client_secret", e.ClientSecret, &cfg.ClientSecret, resolveSecret},
		{"certificate_password", e.CertificatePassword, &cfg.Password, resolveSecret},
		{"managed_identity", e.ManagedIdentityClientID, &cfg.ManagedIdentityClientID, resolve},
		{"authority_host", e.AuthorityHost, &cfg.AuthorityHost, resolve},
	} {
		if field.value == "" {
			continue
		}
		var err error
		if *field.into, err = field.resolve(field.option, field.value); err != nil {
			return cfg, err
		}
	}
	if cfg.AuthorityHost != "" && !strings.HasPrefix(strings.ToLower(cfg.AuthorityHost), "https://") {
		return cfg, optionError("authority_host", cfg.AuthorityHost, "must be an https URL: the secret goes there")
	}
	if e.ClientCertificate == "" {
		return cfg, nil
	}
	path, err := resolve("client_certificate", e.ClientCertificate)
	if err != nil {
		return cfg, err
	}
	if cfg.Certificate, err = readKeyFile(path, groupReads); err != nil {
		return cfg, fmt.Errorf("client_certificate: %w", err)
	}
	return cfg, nil
}

// pooledClient keeps the token cache and the back-off of one service and one identity across reloads.
type pooledClient struct {
	*verifier.Client
	tokens *entra.Source
}

// Destruct implements caddy.Destructor.
func (p pooledClient) Destruct() error {
	p.tokens.Close()
	return nil
}

var clientPool = caddy.NewUsagePool()

// provisionClient makes, or takes from the pool, the client of the Request Service. It does not call it.
func (a *App) provisionClient() error {
	if a.Entra == nil {
		return errors.New("entra is missing; add: entra <tenant> { client_id …; client_secret … }")
	}
	roots, caDigest, err := a.trustedRoots()
	if err != nil {
		return err
	}
	cfg, err := a.Entra.config(roots, a.GroupReadableKeys)
	if err != nil {
		return fmt.Errorf("entra: %w", err)
	}
	for option, value := range map[string]string{
		"client_secret": a.Entra.ClientSecret, "certificate_password": a.Entra.CertificatePassword,
	} {
		if inline(value) {
			a.logger.Warn("a secret stands in the config itself and shows in its dumps; use {env.NAME} or {file./path}", zap.String("option", option))
		}
	}
	service := a.Service
	if service != "" {
		if service, err = resolve("service", service); err != nil {
			return err
		}
	}
	// The permission for plain HTTP is part of the key: a config without it must not find the client of one with it.
	key := fmt.Sprintf("%s|%s|%s|%t", cfg.Key(), service, caDigest, a.InsecureLoopbackHTTP)
	shared, _, err := clientPool.LoadOrNew(key, func() (caddy.Destructor, error) {
		tokens, err := entra.New(cfg)
		switch {
		case err != nil && a.Entra.ClientCertificate != "":
			return nil, fmt.Errorf("entra: %w; client_certificate must hold a certificate and its RSA key, as PEM or PKCS #12 with the right password", err)
		case err != nil:
			return nil, fmt.Errorf("entra: %w", err)
		}
		client, err := verifier.NewClient(verifier.ClientConfig{
			ServiceURL: service, Tokens: tokens, RootCAs: roots, InsecureHTTP: a.InsecureLoopbackHTTP,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			tokens.Close()
			return nil, fmt.Errorf("service: %w", err)
		}
		return pooledClient{client, tokens}, nil
	})
	if err != nil {
		return err
	}
	a.client = shared.(pooledClient).Client //nolint:forcetypeassert // we put it there
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
	path, err := resolve("trusted_ca", a.TrustedCA)
	if err != nil {
		return nil, "", err
	}
	if holdsPEM(path) {
		return nil, "", errors.New("trusted_ca is a certificate itself; give the path of the file that holds it")
	}
	content, err := os.ReadFile(path) //nolint:gosec // a path from the config
	if err != nil {
		return nil, "", fmt.Errorf("trusted_ca: %w; correct the path, or make the file readable", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(content) {
		return nil, "", fmt.Errorf("trusted_ca: %s holds no PEM certificate; put the authority's certificate there", path)
	}
	digest := sha256.Sum256(content)
	return roots, hex.EncodeToString(digest[:8]), nil
}

// maxKeyFile bounds a file with a key, in bytes.
const maxKeyFile = 1 << 20

// readKeyFile reads a file with a private key and refuses one that other users of the machine can read, or whose
// group can, unless the operator has said that it may (TM-147). Its errors
// name the path only where there is such a directory: who writes {file./key.pem} hands over the key in place of its path,
// and a key belongs into no error.
func readKeyFile(path string, groupReads bool) ([]byte, error) {
	if holdsPEM(path) {
		return nil, errors.New("it is a key itself; give the path of the file that holds it, without {file.…}")
	}
	info, err := os.Stat(path)
	if err != nil {
		if directory, statErr := os.Stat(filepath.Dir(path)); statErr == nil && directory.IsDir() && filepath.Dir(path) != "." {
			return nil, fmt.Errorf("%w; correct the path, or make the file readable", err)
		}
		return nil, fmt.Errorf("there is no such file: %w; correct the path", withoutPath(err))
	}
	// Windows has no such modes; access there is a matter of the folder's list.
	mode := info.Mode().Perm()
	switch {
	case !info.Mode().IsRegular() || info.Size() > maxKeyFile:
		return nil, fmt.Errorf("%s is no file with a key", path)
	case mode&0o037 != 0 && runtime.GOOS != "windows":
		return nil, fmt.Errorf("%s has mode %04o; others could read the key. Run: chmod 600 %s", path, mode, path)
	case mode&0o040 != 0 && !groupReads && runtime.GOOS != "windows":
		return nil, fmt.Errorf("%s has mode %04o; its group can read the key. Run: chmod 600 %s; or, if Caddy reads it as a member of that group, write group_readable_keys", path, mode, path)
	}
	return os.ReadFile(path) //nolint:gosec // a path from the config
}

// holdsPEM says whether somebody has handed over a file's content in place of its path.
func holdsPEM(path string) bool {
	return strings.Contains(path, "-----BEGIN") || strings.ContainsAny(path, "\r\n")
}
