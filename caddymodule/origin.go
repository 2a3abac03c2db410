// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// origin is where browsers, partners and the Request Service reach a site: configured, never taken from a request.
type origin struct {
	url    string // https://host[:port], lower case, without a slash at the end
	host   string // without port; binds sealed values to the site
	secure bool
}

// parseOrigin accepts https://host[:port], and http://loopback[:port] where that is permitted.
func parseOrigin(raw string, loopbackHTTP bool) (origin, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/") {
		return origin{}, fmt.Errorf("%q is no origin; write https://host or https://host:port", raw)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(host) && loopbackHTTP:
	case u.Scheme == "http" && isLoopback(host):
		return origin{}, fmt.Errorf("%q is not https; for trying on this machine add insecure_loopback_http", raw)
	default:
		return origin{}, fmt.Errorf("%q is not https; cookies and personal data need TLS", raw)
	}
	port := u.Port()
	if (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80") {
		port = ""
	}
	name := host
	if strings.Contains(host, ":") {
		name = "[" + host + "]"
	}
	if port != "" {
		name += ":" + port
	}
	return origin{url: u.Scheme + "://" + name, host: host, secure: u.Scheme == "https"}, nil
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// siteOrigin finds the origin of the site whose gate is being provisioned. The public URL wins where the site serves it;
// else the site must have exactly one https host.
func siteOrigin(ctx context.Context, public origin) (origin, error) {
	hosts, port, tls := siteHosts(ctx)
	if public.url != "" {
		if len(hosts) == 0 || !tls || contains(hosts, public.host) {
			return public, nil
		}
		if len(hosts) > 1 {
			return origin{}, fmt.Errorf("public_url %s is none of this site's hosts (%s); give the site one host, or one of them as public_url",
				public.url, strings.Join(hosts, ", "))
		}
	}
	switch {
	case len(hosts) == 0:
		return origin{}, errors.New("the site has no host name of its own; set the global option verified_id { public_url https://… }")
	case !tls:
		return origin{}, fmt.Errorf("the site %s is not served over TLS; set verified_id { public_url https://… } to where a TLS proxy serves it", hosts[0])
	case len(hosts) > 1:
		return origin{}, fmt.Errorf("the site has several hosts (%s); set the global option verified_id { public_url https://… } to one of them", strings.Join(hosts, ", "))
	}
	address := hosts[0]
	if port != "" && port != "443" {
		address = net.JoinHostPort(address, port)
	}
	return parseOrigin("https://"+address, false)
}

// siteHosts reads the host names of the site being provisioned from the http app.
func siteHosts(ctx context.Context) (hosts []string, port string, tls bool) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil, "", false
	}
	tls = len(server.TLSConnPolicies) > 0
	if len(server.Listen) > 0 {
		if _, p, err := net.SplitHostPort(server.Listen[0]); err == nil {
			port = p
		}
	}
	route := provisioningRoute(ctx)
	if route == nil {
		return nil, port, tls
	}
	for _, set := range route.MatcherSets {
		for _, matcher := range set {
			if names, ok := matcher.(*caddyhttp.MatchHost); ok {
				for _, name := range *names {
					hosts = append(hosts, strings.ToLower(name))
				}
			}
		}
	}
	for _, host := range hosts {
		if strings.ContainsAny(host, "*{") {
			return nil, port, tls // a wildcard is no address of its own
		}
	}
	return hosts, port, tls
}

func contains(hosts []string, host string) bool {
	for _, h := range hosts {
		if h == host {
			return true
		}
	}
	return false
}
