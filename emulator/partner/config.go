// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/internal/frame"
)

// DefaultMaxTokenLifetime is how far ahead a kickstart token may end.
const DefaultMaxTokenLifetime = 15 * time.Minute

// Config sets up a [Partner].
type Config struct {
	// Name the pages show. Default: "Fabrikam Identity Check".
	Name string

	// PublicURL is the origin people and the Request Service reach the partner at, without a
	// path. http is accepted for loopback hosts only. Required.
	PublicURL string

	// Organisations that may send people. At least one.
	Organisations []Organisation

	// ServiceURL is the base of the Request Service that issues the cards, without a path:
	// "http://localhost:8090". Required.
	ServiceURL string

	// Credentials the partner issues. The first one is offered first. At least one.
	Credentials []Credential

	// WalletURL is a page that opens a wallet link given in its query parameter "link", for
	// people whose wallet is the emulator's page. Empty: only the QR code and the deep link
	// are shown.
	WalletURL string

	// PIN asks the wallet for a four-digit number that the page shows.
	PIN bool

	// AllowNonLoopback lets other machines in. Without it the pages answer loopback addresses
	// and loopback names only.
	AllowNonLoopback bool

	// HTTPClient fetches key sets and calls the service. Default: 10 s timeout, no redirects.
	HTTPClient *http.Client

	// TokenClient reaches the token endpoint, which often has a certificate of its own
	// authority. Default: HTTPClient.
	TokenClient *http.Client

	// Now is the clock. Default: time.Now.
	Now func() time.Time

	// Rand makes identifiers and keys. Default: crypto/rand.
	Rand io.Reader

	// Logger gets one line per visit and refusal, without tokens and particulars. Default:
	// discard.
	Logger *slog.Logger
}

// Mode is how much of a kickstart token is demanded.
type Mode string

const (
	// Strict demands what Microsoft's integration guidance describes: an RS256 signature and
	// OrgId, RequestId, exp, redirectUrl.
	Strict Mode = "strict"

	// Hardened also demands kid, iss, aud, iat, nbf and jti.
	Hardened Mode = "hardened"
)

// Organisation is a relying party that has signed up with the partner.
type Organisation struct {
	// ID is the OrgId of its tokens and the first segment of its start page's path: lower-case
	// letters, digits and hyphens.
	ID string

	// Name the pages show: "Contoso Payroll". Default: the ID.
	Name string

	// JWKSURL is where its public keys are published. Exactly one of JWKSURL and PublicKey.
	JWKSURL string

	// PublicKey is its RSA key of at least 2048 bits as PEM, handed over once.
	PublicKey []byte

	// RedirectURLs the tokens may name, at least one. Scheme, host and path must be equal; a
	// token may add a query of its own.
	RedirectURLs []string

	// Credentials that its people may choose from, by type; the first one is offered first.
	// Default: all of the partner's, in their order.
	Credentials []string

	// Mode of the check. Default: [Strict].
	Mode Mode

	// RefuseExtraClaims refuses tokens with claims the mode does not name.
	RefuseExtraClaims bool

	// Issuer that iss must equal in [Hardened] mode. Empty: any.
	Issuer string

	// Audience that aud must equal in [Hardened] mode. Default: the partner's PublicURL.
	Audience string

	// MaxTokenLifetime is how far ahead a token may end. Default:
	// [DefaultMaxTokenLifetime].
	MaxTokenLifetime time.Duration

	// PlainReturn sends people back to the redirectUrl as it is, without RequestId.
	PlainReturn bool

	// Fault makes the partner do something wrong. Default: nothing.
	Fault Fault
}

// organisation is a checked one.
type organisation struct {
	Organisation

	keys   *keySource
	offers []Credential
}

// Reserved first segments never meet an ID: those begin with a hyphen.
var organisationID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

func (c *Config) withDefaults() Config {
	d := *c
	if d.Name == "" {
		d.Name = "Fabrikam Identity Check"
	}
	if d.HTTPClient == nil {
		d.HTTPClient = &http.Client{
			Timeout:       10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	if d.TokenClient == nil {
		d.TokenClient = d.HTTPClient
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Rand == nil {
		d.Rand = rand.Reader
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	return d
}

func (c *Config) validate() error {
	if err := checkOrigin(c.PublicURL); err != nil {
		return fmt.Errorf("public URL %q: %w", c.PublicURL, err)
	}
	if len(c.Organisations) == 0 {
		return errors.New("no organisations")
	}
	if len(c.Credentials) == 0 {
		return errors.New("no credentials")
	}
	for _, cred := range c.Credentials {
		if err := cred.validate(); err != nil {
			return fmt.Errorf("credential %q: %w", cred.Type, err)
		}
	}
	if err := checkOrigin(c.ServiceURL); err != nil {
		return fmt.Errorf("service URL %q: %w", c.ServiceURL, err)
	}
	return nil
}

func newOrganisation(o Organisation, c Config) (*organisation, error) {
	if !organisationID.MatchString(o.ID) {
		return nil, errors.New("its ID is not lower-case letters, digits and hyphens")
	}
	if o.Name == "" {
		o.Name = o.ID
	}
	if o.Mode == "" {
		o.Mode = Strict
	}
	if o.Mode != Strict && o.Mode != Hardened {
		return nil, fmt.Errorf("unknown mode %q", o.Mode)
	}
	if err := o.Fault.validate(); err != nil {
		return nil, err
	}
	if o.Audience == "" {
		o.Audience = c.PublicURL
	}
	if o.MaxTokenLifetime <= 0 {
		o.MaxTokenLifetime = DefaultMaxTokenLifetime
	}
	if len(o.RedirectURLs) == 0 {
		return nil, errors.New("no redirect URLs")
	}
	for _, raw := range o.RedirectURLs {
		if err := checkURL(raw); err != nil {
			return nil, fmt.Errorf("redirect URL %q: %w", raw, err)
		}
	}

	offers, err := offersFor(o, c.Credentials)
	if err != nil {
		return nil, err
	}
	keys := &keySource{client: c.HTTPClient, url: o.JWKSURL}
	switch {
	case (o.JWKSURL == "") == (len(o.PublicKey) == 0):
		return nil, errors.New("exactly one of JWKS URL and public key is needed")
	case o.JWKSURL != "":
		if err := checkURL(o.JWKSURL); err != nil {
			return nil, fmt.Errorf("JWKS URL %q: %w", o.JWKSURL, err)
		}
	default:
		public, err := parseKeyPEM(o.PublicKey)
		if err != nil {
			return nil, err
		}
		keys.keys = []signingKey{{public: public}}
	}
	return &organisation{Organisation: o, keys: keys, offers: offers}, nil
}

func offersFor(o Organisation, all []Credential) ([]Credential, error) {
	if len(o.Credentials) == 0 {
		return all, nil
	}
	var offers []Credential
	for _, name := range o.Credentials {
		i := slices.IndexFunc(all, func(c Credential) bool { return c.Type == name })
		if i < 0 {
			return nil, fmt.Errorf("the partner issues no %q", name)
		}
		offers = append(offers, all[i])
	}
	return offers, nil
}

// checkOrigin accepts https://host[:port], and http for loopback hosts.
func checkOrigin(raw string) error {
	if err := checkURL(raw); err != nil {
		return err
	}
	if u, _ := url.Parse(raw); u.Path != "" || u.RawQuery != "" {
		return errors.New("an origin has no path and no query")
	}
	return nil
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("a host and neither user nor fragment are needed")
	case u.Scheme == "https" || (u.Scheme == "http" && frame.Loopback(u.Hostname())):
		return nil
	}
	return errors.New("https is needed, or http on a loopback host")
}
