// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"golang.org/x/net/publicsuffix"

	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// sharedCookie holds the session of all sites under a cookie domain. Browsers keep it to https; that it comes from one host alone,
// as __Host- would say, is what the operator has given up.
const sharedCookie = "__Secure-verified-id"

// checkCookieDomain refuses what no browser takes as a domain of cookies, and what others own parts of.
func checkCookieDomain(domain string) error {
	if (session.CookieConfig{Name: sharedCookie, Domain: domain, Secure: true}).Validate() != nil {
		return optionError("session cookie_domain", domain, "must be a domain in lower case such as corp.example, without a dot in front, a port or an address")
	}
	if _, err := publicsuffix.EffectiveTLDPlusOne(domain); err != nil {
		return optionError("session cookie_domain", domain, "is a public suffix, under which others have sites; use a domain of your own below it")
	}
	return nil
}

// under says whether cookies of the domain reach the origin.
func (o origin) under(domain string) bool {
	return o.secure && (o.host == domain || strings.HasSuffix(o.host, "."+domain))
}

// checkShared refuses a site that a shared session would not reach: its visitors would verify again and again.
func (a *App) checkShared(ctx caddy.Context, from origin) error {
	domain := a.Session.CookieDomain
	if domain == "" {
		return nil
	}
	if !from.secure {
		return fmt.Errorf("session cookie_domain %s: the site %s is not https, and shares no session", domain, from.url)
	}
	hosts, _, _ := siteHosts(ctx)
	for _, host := range append(hosts, from.host) {
		if !(origin{host: strings.TrimSuffix(host, "."), secure: true}).under(domain) {
			return fmt.Errorf("session cookie_domain %s: the gated site %s lies outside; gate it in another Caddy, or use a domain above both", domain, host)
		}
	}
	return nil
}
