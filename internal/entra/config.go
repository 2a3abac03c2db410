// SPDX-License-Identifier: Apache-2.0

package entra

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Scope is the Request Service as Entra ID knows it ("Verifiable Credentials Service Request").
const Scope = "3db474b9-6a0c-4840-96ac-1fceb342124f/.default"

// Config says who we are towards Entra ID. Exactly one of ClientSecret, Certificate, ManagedIdentity and WorkloadIdentity is
// given.
type Config struct {
	// Tenant that owns the verifier's authority: its id or a verified domain. Not used with ManagedIdentity.
	Tenant string

	// ClientID is the application id of the app registration. Not used with ManagedIdentity; optional with
	// WorkloadIdentity, whose environment names it.
	ClientID string

	// ClientSecret of the application.
	ClientSecret string

	// Certificate and private key, PEM or PKCS #12, and the password of the latter.
	Certificate         []byte
	CertificatePassword string

	// ManagedIdentity of the Azure machine; ManagedIdentityClientID picks a user-assigned one.
	ManagedIdentity         bool
	ManagedIdentityClientID string

	// WorkloadIdentity: the federated token of the pod, named by AZURE_FEDERATED_TOKEN_FILE.
	WorkloadIdentity bool

	// AuthorityHost is the https base of the token endpoint. Empty: the public cloud.
	AuthorityHost string

	// RootCAs are trusted for AuthorityHost. Nil: the system's.
	RootCAs *x509.CertPool

	// Now is the clock. Nil: time.Now.
	Now func() time.Time
}

// Times for one call of the token endpoint.
const (
	connectTimeout = 5 * time.Second
	callTimeout    = 10 * time.Second
	tokenRetries   = 2
)

var errWays = errors.New("give exactly one of client_secret, client_certificate, managed_identity, workload_identity")

func (c Config) check() error {
	ways := 0
	for _, given := range []bool{c.ClientSecret != "", len(c.Certificate) > 0, c.ManagedIdentity, c.WorkloadIdentity} {
		if given {
			ways++
		}
	}
	switch {
	case ways != 1:
		return errWays
	case !c.ManagedIdentity && !c.WorkloadIdentity && c.Tenant == "":
		return errors.New("the tenant is missing")
	case !c.ManagedIdentity && !c.WorkloadIdentity && c.ClientID == "":
		return errors.New("client_id is missing; it is the application id of the app registration")
	}
	if c.AuthorityHost == "" {
		return nil
	}
	u, err := url.Parse(c.AuthorityHost)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return fmt.Errorf("authority_host %q must be https://host", c.AuthorityHost)
	}
	return nil
}

// key names the identity without giving its secrets away.
func (c Config) key() string {
	hash := sha256.New()
	for _, part := range []string{
		c.Tenant, c.ClientID, c.ClientSecret, string(c.Certificate), c.CertificatePassword,
		fmt.Sprint(c.ManagedIdentity), c.ManagedIdentityClientID, fmt.Sprint(c.WorkloadIdentity), c.AuthorityHost,
	} {
		fmt.Fprintf(hash, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// credential makes a credential with an empty cache.
func (c Config) credential() (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{
		Transport: c.client(),
		Retry:     policy.RetryOptions{MaxRetries: tokenRetries, TryTimeout: callTimeout, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second},
	}
	if c.AuthorityHost != "" {
		options.Cloud = cloud.Configuration{ActiveDirectoryAuthorityHost: strings.TrimSuffix(c.AuthorityHost, "/") + "/"}
	}
	private := c.AuthorityHost != "" // asking the public cloud about a host it does not know would leave the machine for nothing
	switch {
	case c.ClientSecret != "":
		return azidentity.NewClientSecretCredential(c.Tenant, c.ClientID, c.ClientSecret,
			&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: private})
	case len(c.Certificate) > 0:
		certificates, key, err := azidentity.ParseCertificates(c.Certificate, []byte(c.CertificatePassword))
		if err != nil {
			return nil, errors.New("the certificate file must hold a PEM certificate and its RSA private key") // the cause may quote the file
		}
		return azidentity.NewClientCertificateCredential(c.Tenant, c.ClientID, certificates, key,
			&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: private})
	case c.ManagedIdentity:
		managed := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		if c.ManagedIdentityClientID != "" {
			managed.ID = azidentity.ClientID(c.ManagedIdentityClientID)
		}
		return azidentity.NewManagedIdentityCredential(managed)
	default:
		return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: options, DisableInstanceDiscovery: private, TenantID: c.Tenant, ClientID: c.ClientID,
		})
	}
}

// client is an own client, with time-outs and without redirects: a token request must not follow anybody (TM-125).
func (c Config) client() *http.Client {
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout: connectTimeout,
			TLSClientConfig:     &tls.Config{RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
			ForceAttemptHTTP2:   true,
			IdleConnTimeout:     time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
