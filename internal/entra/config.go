// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
)

// What tokens can be asked for: the apps "Verifiable Credentials Service Request" and "Verifiable Credentials Service Admin", the
// same in every tenant.
const (
	RequestScope = "3db474b9-6a0c-4840-96ac-1fceb342124f/.default"
	AdminScope   = "6a8b4b39-c021-437c-b060-5a14a3fd65f3/.default"
)

// roles are the app roles by which the scopes are of use to us.
var roles = map[string]string{
	RequestScope: "VerifiableCredential.Create.PresentRequest",
	AdminScope:   "VerifiableCredential.Network.Read",
}

// Config says who asks, and how it proves that. Exactly one of ClientSecret, Certificate, ManagedIdentity and
// WorkloadIdentity is set.
type Config struct {
	// Scope is whom the tokens are for: [RequestScope], the default, or [AdminScope].
	Scope string

	// Tenant is the ID or a verified domain of the tenant that owns the Verified ID authority. Required with a secret or a
	// certificate; unused with a managed identity; with a workload identity it defaults to the environment's AZURE_TENANT_ID.
	Tenant string

	// ClientID is the application's ID. Required with a secret or a certificate; with a workload identity it defaults to the
	// environment's AZURE_CLIENT_ID.
	ClientID string

	// ClientSecret is a secret of the app.
	ClientSecret string

	// Certificate is a certificate of the app with its private key, in PEM or PKCS#12. Password opens it, if it needs one.
	Certificate []byte
	Password    string

	// ManagedIdentity takes the identity of the machine: the system-assigned one, or the user-assigned one with the client
	// ID ManagedIdentityClientID.
	ManagedIdentity         bool
	ManagedIdentityClientID string

	// WorkloadIdentity takes the federated token that Kubernetes, or whoever set AZURE_FEDERATED_TOKEN_FILE, provides.
	WorkloadIdentity bool

	// AuthorityHost is the base URL of Entra, https, for tests and other clouds. Nothing else is asked whether it is
	// genuine. Default: the public cloud; with a workload identity the environment's AZURE_AUTHORITY_HOST first.
	AuthorityHost string

	// RootCAs are the authorities that vouch for Entra. Nil: those of the system.
	RootCAs *x509.CertPool

	// Logger hears of renewals in the background that fail. Nil: nobody does.
	Logger *slog.Logger

	// Now is the clock. Nil: [time.Now].
	Now func() time.Time
}

// Key returns a hash that is the same for two configurations that would get the same tokens the same way, so that the cache of
// one may serve the other after a reload. It covers all but RootCAs, Logger and Now; whoever sets RootCAs adds to the key
// what those were read from. The hash does not give the secret away, but is nothing to show either.
func (c Config) Key() string {
	hash := sha256.New()
	for _, part := range []string{
		"entra 2", c.scope(), c.Tenant, c.ClientID, c.ClientSecret, string(c.Certificate), c.Password,
		fmt.Sprint(c.ManagedIdentity), c.ManagedIdentityClientID, fmt.Sprint(c.WorkloadIdentity), c.AuthorityHost,
	} {
		_ = binary.Write(hash, binary.BigEndian, uint64(len(part)))
		_, _ = hash.Write([]byte(part))
	}
	return hex.EncodeToString(hash.Sum(nil))
}

func (c Config) scope() string { return cmp.Or(c.Scope, RequestScope) }

// validate judges without touching network or files.
func (c Config) validate() error {
	ways := 0
	for _, set := range []bool{c.ClientSecret != "", len(c.Certificate) > 0, c.ManagedIdentity, c.WorkloadIdentity} {
		if set {
			ways++
		}
	}
	switch {
	case roles[c.scope()] == "":
		return errors.New("the scope is neither the Request Service's nor the Admin API's")
	case ways != 1:
		return errors.New("exactly one of client secret, certificate, managed identity and workload identity must be set")
	case (c.ClientSecret != "" || len(c.Certificate) > 0) && (c.Tenant == "" || c.ClientID == ""):
		return errors.New("tenant or client ID is missing")
	case c.Password != "" && len(c.Certificate) == 0:
		return errors.New("there is a password, but no certificate")
	case c.ManagedIdentityClientID != "" && !c.ManagedIdentity:
		return errors.New("there is a managed identity's client ID, but no managed identity")
	case c.ManagedIdentity && c.AuthorityHost != "":
		return errors.New("a managed identity has no authority host")
	}
	if c.AuthorityHost == "" {
		return nil
	}
	authority, err := url.Parse(c.AuthorityHost)
	if err != nil || authority.Scheme != "https" || authority.Host == "" || authority.User != nil ||
		authority.RawQuery != "" || authority.Fragment != "" || authority.Path != "" && authority.Path != "/" {
		return errors.New("authority host is not an https URL without path")
	}
	return nil
}

// httpClient makes the client for all requests of a source.
func (c Config) httpClient() *http.Client {
	transport := patience.NewTransport(c.RootCAs)
	if c.ManagedIdentity {
		// The identity service lives on the machine itself; a proxy must not see its tokens.
		transport.Base.Proxy = nil
	}
	return &http.Client{
		Transport: &limitedTransport{transport},
		// A redirect would carry the secret to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newCredential makes a credential with an empty token cache of its own.
func (c Config) newCredential(client *http.Client) (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{
		Transport: client,
		Retry: policy.RetryOptions{
			MaxRetries: patience.TokenRetries, TryTimeout: patience.TokenTry,
			RetryDelay: patience.TokenRetry, MaxRetryDelay: patience.TokenLongestRetry,
		},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
	own := c.AuthorityHost != ""
	switch {
	case own:
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: c.AuthorityHost}
	case !c.WorkloadIdentity:
		// Said explicitly, or azidentity would look for AZURE_AUTHORITY_HOST, which nobody expects of a configuration file.
		options.Cloud = cloud.AzurePublic
	}
	switch {
	case c.ClientSecret != "":
		return azidentity.NewClientSecretCredential(c.Tenant, c.ClientID, c.ClientSecret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
	case len(c.Certificate) > 0:
		certificates, key, err := azidentity.ParseCertificates(c.Certificate, []byte(c.Password))
		if err != nil {
			return nil, err
		}
		return azidentity.NewClientCertificateCredential(c.Tenant, c.ClientID, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: own})
	case c.ManagedIdentity:
		managed := azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		if c.ManagedIdentityClientID != "" {
			managed.ID = azidentity.ClientID(c.ManagedIdentityClientID)
		}
		return azidentity.NewManagedIdentityCredential(&managed)
	}
	return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
		ClientOptions: options, DisableInstanceDiscovery: own, TenantID: c.Tenant, ClientID: c.ClientID,
	})
}
