// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"bytes"
	"crypto"
	"crypto/sha1" //nolint:gosec // x5t is defined with SHA-1; it only names the certificate
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const defaultFederatedAudience = "api://AzureADTokenExchange"

// authenticateClient checks the secret or the assertion of a token request.
func (e *Emulator) authenticateClient(tenant string, form url.Values, path string) (*Client, *tokenError) {
	id := form.Get("client_id")
	i := slices.IndexFunc(e.cfg.Clients, func(c Client) bool { return strings.EqualFold(c.ID, id) && c.Tenant == tenant })
	if i < 0 {
		return nil, &tokenError{
			400, "unauthorized_client", 700016,
			fmt.Sprintf("Application with identifier '%s' was not found in the directory. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.", id),
		}
	}
	client := &e.cfg.Clients[i]
	if form.Has("client_assertion") {
		if form.Get("client_assertion_type") != assertionTypeJWT {
			return nil, &tokenError{400, "invalid_request", 900144, "The request body must contain the following parameter: 'client_assertion_type'."}
		}
		return client, e.checkAssertion(client, form.Get("client_assertion"), tenant, path)
	}
	secret := form.Get("client_secret")
	switch {
	case secret == "":
		return nil, &tokenError{401, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."}
	case client.Secret == "" || subtle.ConstantTimeCompare([]byte(secret), []byte(client.Secret)) != 1:
		return nil, &tokenError{401, "invalid_client", 7000215, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '" + id + "'."}
	case !client.SecretExpires.IsZero() && !e.Now().Before(client.SecretExpires):
		return nil, &tokenError{401, "invalid_client", 7000222, "The provided client secret keys for app '" + id + "' are expired."}
	}
	return client, nil
}

// checkAssertion takes a JWT signed with the client's certificate, or the token of a federated identity.
func (e *Emulator) checkAssertion(client *Client, assertion, tenant, path string) *tokenError {
	unverified := jwt.MapClaims{}
	header, _, err := jwt.NewParser(jwt.WithStrictDecoding()).ParseUnverified(assertion, unverified)
	if err != nil {
		return &tokenError{401, "invalid_client", 50027, "JWT token is invalid or malformed."}
	}
	issuer, _ := unverified.GetIssuer()   // a missing one matches nobody
	subject, _ := unverified.GetSubject() // a missing one matches nobody
	if i := slices.IndexFunc(client.Federated, func(f FederatedIdentity) bool { return f.Issuer == issuer }); i >= 0 {
		return e.checkFederated(client.Federated[i], assertion, subject)
	}
	if !strings.EqualFold(issuer, client.ID) {
		return &tokenError{401, "invalid_client", 700211, fmt.Sprintf("No matching federated identity record found for presented assertion issuer '%s'.", issuer)}
	}
	if !strings.EqualFold(subject, client.ID) {
		return &tokenError{401, "invalid_client", 700021, "Client assertion application identifier doesn't match 'client_id' parameter."}
	}
	certificate, err := client.certificate()
	if err != nil || certificate == nil || !namesCertificate(header.Header, certificate) {
		return &tokenError{401, "invalid_client", 700027, "The certificate with identifier used to sign the client assertion is not registered on application."}
	}
	_, err = jwt.Parse(assertion, func(*jwt.Token) (any, error) { return certificate.PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256", "PS256"}), jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(e.Now), jwt.WithExpirationRequired(), jwt.WithLeeway(skew))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) || errors.Is(err, jwt.ErrTokenNotValidYet) || errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return &tokenError{401, "invalid_client", 700024, "Client assertion is not within its valid time range."}
	case err != nil:
		return &tokenError{401, "invalid_client", 700027, "The certificate with identifier used to sign the client assertion is not registered on application. The signature is invalid."}
	}
	audience, _ := unverified.GetAudience() // a missing one equals no URL
	if len(audience) != 1 || !slices.Contains(e.tokenAudiences(tenant, path), audience[0]) {
		return &tokenError{401, "invalid_client", 700023, "Client assertion audience claim does not match Realm issuer."}
	}
	return nil
}

// tokenAudiences are the spellings of the token endpoint that a client assertion may be addressed to.
func (e *Emulator) tokenAudiences(tenant, path string) []string {
	return []string{
		e.cfg.TokenURL + path,
		e.cfg.TokenURL + "/" + tenant + "/oauth2/v2.0/token",
		e.cfg.TokenURL + "/" + tenant + "/v2.0",
	}
}

func (e *Emulator) checkFederated(identity FederatedIdentity, assertion, subject string) *tokenError {
	if identity.Subject != subject {
		return &tokenError{401, "invalid_client", 700213, fmt.Sprintf("No matching federated identity record found for presented assertion subject '%s'.", subject)}
	}
	audience := identity.Audience
	if audience == "" {
		audience = defaultFederatedAudience
	}
	_, err := jwt.Parse(assertion, func(*jwt.Token) (any, error) { return identity.publicKey() },
		jwt.WithValidMethods([]string{"RS256", "ES256"}), jwt.WithStrictDecoding(), jwt.WithTimeFunc(e.Now),
		jwt.WithExpirationRequired(), jwt.WithLeeway(skew), jwt.WithAudience(audience))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired) || errors.Is(err, jwt.ErrTokenNotValidYet) || errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return &tokenError{401, "invalid_client", 700024, "Client assertion is not within its valid time range."}
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return &tokenError{401, "invalid_client", 700212, "No matching federated identity record found for presented assertion audience."}
	case err != nil:
		return &tokenError{401, "invalid_client", 50013, "Assertion failed signature validation."}
	}
	return nil
}

// certificate returns the client's certificate, nil if it has none.
func (c *Client) certificate() (*x509.Certificate, error) {
	for rest := c.CertificatePEM; len(rest) > 0; {
		block, next := pem.Decode(rest)
		if block == nil {
			return nil, errors.New("CertificatePEM holds no certificate")
		}
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("reading CertificatePEM: %w", err)
			}
			return certificate, nil
		}
		rest = next
	}
	if len(bytes.TrimSpace(c.CertificatePEM)) > 0 {
		return nil, errors.New("CertificatePEM holds no certificate")
	}
	return nil, nil
}

func (f FederatedIdentity) publicKey() (crypto.PublicKey, error) {
	block, _ := pem.Decode(f.PublicKeyPEM)
	if block == nil {
		return nil, errors.New("PublicKeyPEM holds no key")
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("reading PublicKeyPEM: %w", err)
	}
	return key, nil
}

// namesCertificate says whether the header's x5t or x5t#S256 is the thumbprint of certificate. Entra's own library
// writes it in standard base64, the documents in base64url; both are taken.
func namesCertificate(header map[string]any, certificate *x509.Certificate) bool {
	sha1Sum, sha256Sum := sha1.Sum(certificate.Raw), sha256.Sum256(certificate.Raw) //nolint:gosec // see the import
	for name, sum := range map[string][]byte{"x5t": sha1Sum[:], "x5t#S256": sha256Sum[:]} {
		text, _ := header[name].(string) // anything else names nothing
		plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
		if b, err := base64.RawStdEncoding.DecodeString(plain); err == nil && text != "" && bytes.Equal(b, sum) {
			return true
		}
	}
	return false
}
