// SPDX-License-Identifier: Apache-2.0

package network

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/caddy-verified-id/caddy-verified-id/internal/patience"
	"github.com/caddy-verified-id/caddy-verified-id/internal/serviceurl"
)

// DefaultServiceURL is the service for all regions.
const DefaultServiceURL = "https://verifiedid.did.msidentity.com"

// maxAnswer bounds the answer to one call, in bytes.
const maxAnswer = 1 << 20

// MaxIssuers is how many issuers a search tells at most. There may be more when it tells as many.
const MaxIssuers = 15

// ErrNoRole says that the service refuses the app.
var ErrNoRole = errors.New("the app may not read the Network. Grant it the application permission VerifiableCredential.Network.Read of " +
	`"Verifiable Credentials Service Admin" (6a8b4b39-c021-437c-b060-5a14a3fd65f3), with admin consent; it may take some minutes to work`)

// ErrNotFound says that there is no such issuer.
var ErrNotFound = errors.New("the Network does not have this issuer")

// TokenSource provides access tokens for the Admin API. rejected is empty.
type TokenSource interface {
	Token(ctx context.Context, rejected string) (string, error)
}

// Config configures a [Client].
type Config struct {
	// ServiceURL is the base URL of the service. https, see InsecureHTTP for the exception. Default: [DefaultServiceURL].
	ServiceURL string

	// Tokens provides access tokens. Required.
	Tokens TokenSource

	// RootCAs are the authorities that vouch for the service. Nil: those of the system.
	RootCAs *x509.CertPool

	// InsecureHTTP allows ServiceURL to be http:// if its host is a loopback address or localhost. It is for the emulator.
	InsecureHTTP bool
}

// Client asks the Network. Make one with [New].
type Client struct {
	service *url.URL
	tokens  TokenSource
	http    *http.Client
}

// New returns a client. It makes no call.
func New(config Config) (*Client, error) {
	service, err := serviceurl.Parse(cmp.Or(config.ServiceURL, DefaultServiceURL), config.InsecureHTTP)
	if err != nil {
		return nil, err
	}
	transport := patience.NewTransport(config.RootCAs)
	transport.Base.DisableKeepAlives = true
	return &Client{service: service, tokens: config.Tokens, http: &http.Client{
		Timeout: patience.NetworkCall, Transport: transport,
		// A redirect would carry the token to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Search returns the issuers with the text in a linked domain, at most [MaxIssuers]. The text is a domain, a part of one, or an
// address, of which the host is taken. leftOut is how many the answer has besides that cannot be used.
func (c *Client) Search(ctx context.Context, text string) (found []Issuer, leftOut int, err error) {
	domain, err := domainPart(text)
	if err != nil {
		return nil, 0, err
	}
	target := c.service.JoinPath("/v1.0/verifiableCredentialsNetwork/authorities")
	target.RawQuery = "filter=" + strings.ReplaceAll(url.QueryEscape("linkeddomainurls like "+domain), "+", "%20")
	content, err := c.get(ctx, target)
	if err != nil {
		return nil, 0, err
	}
	return parseIssuers(content)
}

// Types returns what an issuer has published.
func (c *Client) Types(ctx context.Context, issuer Issuer) ([]CredentialType, error) {
	if !idPattern.MatchString(issuer.TenantID) || !idPattern.MatchString(issuer.ID) {
		return nil, errors.New("an issuer has the ids of its tenant and of itself")
	}
	content, err := c.get(ctx, c.service.JoinPath("/v1.0/tenants", issuer.TenantID, "verifiableCredentialsNetwork/authorities", issuer.ID, "contracts/"))
	if err != nil {
		return nil, err
	}
	return parseTypes(content)
}

// domainPart is what a search may ask for. The filter's language has words, quotes and wildcards, and no documented way to
// escape one; no domain needs any, so none gets there.
func domainPart(text string) (string, error) {
	domain := strings.TrimSpace(text)
	if strings.Contains(domain, "://") {
		u, err := url.Parse(domain)
		if err != nil {
			return "", fmt.Errorf("%q is no address", text)
		}
		domain = u.Hostname()
	}
	if domain == "" || len(domain) > 253 {
		return "", errors.New("issuers are found by a part of their domain; write one, such as contoso")
	}
	for _, r := range domain {
		if r != '.' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) || r == unicode.ReplacementChar {
			return "", fmt.Errorf("%q cannot be a part of a domain, for its %q. Issuers are found by their domain, not by their name: write "+
				"a part of it, such as contoso", text, r)
		}
	}
	return strings.ToLower(domain), nil
}

func (c *Client) get(ctx context.Context, target *url.URL) ([]byte, error) {
	token, err := c.tokens.Token(ctx, "")
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("the Network API answered %d: %w", response.StatusCode, ErrNoRole)
	case response.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%w; search for a part of its domain", ErrNotFound)
	case response.StatusCode != http.StatusOK:
		return nil, newStatusError(response.StatusCode, content)
	case err != nil:
		return nil, fmt.Errorf("reading the answer of the Network API: %w", err)
	case len(content) > maxAnswer:
		return nil, errors.New("the answer of the Network API is longer than a megabyte")
	}
	return content, nil
}
