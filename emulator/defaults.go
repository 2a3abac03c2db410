// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Defaults of [Config].
const (
	defaultTokenLifetime   = 3599 * time.Second
	defaultRequestLifetime = 300 * time.Second
	defaultCardValidity    = 180 * 24 * time.Hour
	callTimeout            = 10 * time.Second
)

// withDefaults fills in what cfg leaves open and judges the result.
func withDefaults(cfg Config) (Config, error) {
	if cfg.Tenant == "" {
		cfg.Tenant = DemoTenant
	}
	if cfg.TenantDomain == "" {
		cfg.TenantDomain = DemoTenantDomain
	}
	if cfg.Clients == nil {
		cfg.Clients = defaultClients()
	}
	if cfg.Authorities == nil {
		cfg.Authorities = defaultAuthorities()
	}
	if cfg.Contracts == nil {
		cfg.Contracts = defaultContracts(cfg.Authorities)
	}
	if cfg.TokenLifetime == 0 {
		cfg.TokenLifetime = defaultTokenLifetime
	}
	if cfg.RequestLifetime == 0 {
		cfg.RequestLifetime = defaultRequestLifetime
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	// The slices are copied: defaults go into them, and a configuration belongs to its caller.
	cfg.Clients = slices.Clone(cfg.Clients)
	cfg.Authorities = slices.Clone(cfg.Authorities)
	cfg.Contracts = slices.Clone(cfg.Contracts)
	return cfg, errors.Join(checkPlaces(&cfg), checkAuthorities(&cfg), checkContracts(&cfg), checkClients(&cfg))
}

func checkPlaces(cfg *Config) error {
	public, err := checkOrigin(cfg.PublicURL, "http", "https")
	if err != nil {
		return fmt.Errorf("PublicURL %q: %w", cfg.PublicURL, err)
	}
	token, err := checkOrigin(cfg.TokenURL, "https")
	if err != nil {
		return fmt.Errorf("TokenURL %q: %w", cfg.TokenURL, err)
	}
	cfg.PublicURL, cfg.TokenURL = public.String(), token.String()
	for _, host := range []string{public.Hostname(), token.Hostname()} {
		if isMicrosoft(host) {
			return fmt.Errorf("host %q is the real service's", host)
		}
		if !cfg.AllowNonLoopback && !isLoopback(host) {
			return fmt.Errorf("host %q is not of this machine; set AllowNonLoopback to let others in", host)
		}
	}
	if !isReserved(cfg.TenantDomain) {
		return fmt.Errorf("TenantDomain %q could be a real one: the emulator takes reserved names only", cfg.TenantDomain)
	}
	if _, err := uuid.Parse(cfg.Tenant); err != nil {
		return fmt.Errorf("tenant %q is not a GUID", cfg.Tenant)
	}
	if cfg.TokenLifetime < time.Second || cfg.RequestLifetime < time.Second {
		return errors.New("TokenLifetime and RequestLifetime must be a second or more")
	}
	return nil
}

func checkAuthorities(cfg *Config) error {
	if len(cfg.Authorities) == 0 {
		return errors.New("no authority is configured")
	}
	seen := map[string]bool{}
	for i := range cfg.Authorities {
		a := &cfg.Authorities[i]
		host, err := didWebHost(a.DID)
		if err != nil {
			return fmt.Errorf("authority %d: %w", i+1, err)
		}
		if seen[a.DID] {
			return fmt.Errorf("authority %s is configured twice", a.DID)
		}
		seen[a.DID] = true
		if a.Tenant == "" {
			a.Tenant = cfg.Tenant
		}
		if a.Name == "" {
			a.Name = host
		}
		if a.LinkedDomain == "" {
			a.LinkedDomain = "https://" + host
		}
		origin, err := checkOrigin(a.LinkedDomain, "https")
		if err != nil {
			return fmt.Errorf("authority %s: linked domain %q: %w", a.DID, a.LinkedDomain, err)
		}
		if !isReserved(origin.Hostname()) {
			return fmt.Errorf("authority %s: linked domain %q could be a real one", a.DID, a.LinkedDomain)
		}
		// Microsoft writes origins with a slash at the end, in DID documents and did-configuration alike.
		a.LinkedDomain = origin.String() + "/"
		switch a.KeyAlg {
		case "":
			a.KeyAlg = P256
		case P256, P256K:
		default:
			return fmt.Errorf("authority %s: key algorithm %q is neither %s nor %s", a.DID, a.KeyAlg, P256, P256K)
		}
	}
	return nil
}

func checkContracts(cfg *Config) error {
	seen := map[string]bool{}
	for i := range cfg.Contracts {
		c := &cfg.Contracts[i]
		if c.Type == "" {
			return fmt.Errorf("contract %d has no type", i+1)
		}
		if !slices.ContainsFunc(cfg.Authorities, func(a Authority) bool { return a.DID == c.Issuer }) {
			return fmt.Errorf("contract %s: issuer %q is not an authority of this emulator", c.Type, c.Issuer)
		}
		if c.ID == "" {
			c.ID = uuid.NewSHA1(uuid.NameSpaceURL, []byte(c.Issuer+"#"+c.Type)).String()
		}
		c.ID = strings.ToLower(c.ID)
		if seen[c.ID] {
			return fmt.Errorf("contract %s of %s is configured twice", c.Type, c.Issuer)
		}
		seen[c.ID] = true
		if c.Validity == 0 {
			c.Validity = defaultCardValidity
		}
		if c.Display.Locale == "" {
			c.Display.Locale = "en-US"
		}
		if c.Display.Title == "" {
			c.Display.Title = c.Type
		}
		c.Claims = slices.Clone(c.Claims)
		if err := checkClaimRules(c); err != nil {
			return fmt.Errorf("contract %s: %w", c.Type, err)
		}
	}
	return nil
}

func checkClaimRules(c *Contract) error {
	indexed := 0
	hasPhoto := c.PhotoClaim == ""
	for i := range c.Claims {
		rule := &c.Claims[i]
		if rule.Name == "" {
			return fmt.Errorf("claim %d has no name", i+1)
		}
		if rule.Output == "" {
			rule.Output = rule.Name
		}
		if rule.Label == "" {
			rule.Label = rule.Output
		}
		if rule.Type == "" {
			rule.Type = "String"
		}
		if rule.Indexed {
			indexed++
		}
		hasPhoto = hasPhoto || rule.Output == c.PhotoClaim
	}
	if indexed > 1 {
		return errors.New("more than one claim is indexed")
	}
	if !hasPhoto {
		return fmt.Errorf("photo claim %q is not among its claims", c.PhotoClaim)
	}
	return nil
}

func checkClients(cfg *Config) error {
	for i := range cfg.Clients {
		c := &cfg.Clients[i]
		if c.ID == "" {
			return fmt.Errorf("client %d has no id", i+1)
		}
		if c.Tenant == "" {
			c.Tenant = cfg.Tenant
		}
		if c.Roles == nil {
			c.Roles = []string{RoleCreateAll, RoleNetworkRead}
		}
		if _, err := c.certificate(); err != nil {
			return fmt.Errorf("client %s: %w", c.ID, err)
		}
		for _, f := range c.Federated {
			if _, err := f.publicKey(); err != nil {
				return fmt.Errorf("client %s: federated identity of %s: %w", c.ID, f.Issuer, err)
			}
		}
	}
	return nil
}

// callbackClient makes the client for callbacks and for the wallet. A relying party that redirects is a mistake
// to be seen, not to be followed.
func callbackClient(given *http.Client) *http.Client {
	client := &http.Client{Timeout: callTimeout}
	if given != nil {
		*client = *given
	} else {
		client.Transport = &http.Transport{
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     30 * time.Second,
			ForceAttemptHTTP2:   true,
		}
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}
