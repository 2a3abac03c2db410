// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// origin is where browsers, partners and the Request Service reach a site: configured, never taken from a request.
type origin struct {
	url    string // https://host[:port], lower case, without a slash at the end
	port   string // empty where it is the scheme's own
	host   string // without port; binds sealed values to the site
	secure bool
}

// parseOrigin accepts https://host[:port], and http://loopback[:port] where that is permitted. The result is what browsers
// write: lower case, without a dot at the end and without the scheme's own port (TM-118).
func parseOrigin(raw string, loopbackHTTP bool) (origin, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || (u.Path != "" && u.Path != "/") {
		return origin{}, fmt.Errorf("%q is no origin; write https://host or https://host:port", raw)
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	name, ok := hostInURL(host)
	if !ok {
		return origin{}, fmt.Errorf("%q names no single host; write https://host, without wildcards and in ASCII (xn--…)", raw)
	}
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopback(host) && loopbackHTTP:
	case u.Scheme == "http" && isLoopback(host):
		return origin{}, fmt.Errorf("%q is not https; for trying on this machine add insecure_loopback_http", raw)
	default:
		return origin{}, fmt.Errorf("%q is not https; cookies and personal data need TLS", raw)
	}
	port := u.Port()
	if port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return origin{}, fmt.Errorf("%q: the port must be a number from 1 to 65535", raw)
		}
		port = strconv.FormatUint(number, 10)
	}
	if (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80") {
		port = ""
	}
	if port != "" {
		name += ":" + port
	}
	return origin{url: u.Scheme + "://" + name, port: port, host: host, secure: u.Scheme == "https"}, nil
}

// hostInURL is a host name or IP address as it stands in a URL.
func hostInURL(host string) (string, bool) {
	if !strings.Contains(host, ":") {
		return host, validHost(host)
	}
	ip, err := netip.ParseAddr(host)
	return "[" + host + "]", err == nil && ip.Zone() == ""
}

// hostname is the host of a Host header, without its port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.Trim(strings.ToLower(host), "[]")
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
func siteOrigin(ctx caddy.Context, public origin) (origin, error) {
	hosts, port, tls := siteHosts(ctx)
	if public.url != "" {
		if len(hosts) == 0 || !tls || slices.Contains(hosts, public.host) {
			return public, nil
		}
		if len(hosts) > 1 {
			return origin{}, fmt.Errorf("public_url %s is none of this site's hosts (%s); give the site one host, or one of them as public_url",
				public.url, strings.Join(hosts, ", "))
		}
	}
	address := ""
	if len(hosts) > 0 {
		address, _ = hostInURL(hosts[0])
	}
	if port != "" {
		address += ":" + port
	}
	switch {
	case len(hosts) == 0:
		return origin{}, errors.New("the site has no host name of its own; set the global option verified_id { public_url https://… }")
	case !tls && isLoopback(hosts[0]):
		return origin{}, fmt.Errorf("the site %s is not served over TLS; for trying on this machine set verified_id { public_url http://%s } "+
			"and insecure_loopback_http", hosts[0], address)
	case !tls:
		return origin{}, fmt.Errorf("the site %s is not served over TLS; set verified_id { public_url https://… } to where a TLS proxy serves it", hosts[0])
	case len(hosts) > 1:
		return origin{}, fmt.Errorf("the site has several hosts (%s); set the global option verified_id { public_url https://… } to one of them", strings.Join(hosts, ", "))
	}
	return parseOrigin("https://"+address, false)
}

// siteHosts reads the host names of the site being provisioned from the http app, and the port that clients use; empty
// means the usual one.
func siteHosts(ctx caddy.Context) (hosts []string, port string, tls bool) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil, "", false
	}
	tls = len(server.TLSConnPolicies) > 0
	port = clientPort(ctx, server)
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

// clientPort is the port of the server's first TLS listener as clients see it. The global option https_port says where Caddy
// listens while clients go on using 443, so that port counts as the usual one; the HTTP port never speaks TLS.
func clientPort(ctx caddy.Context, server *caddyhttp.Server) string {
	plain, usual := caddyhttp.DefaultHTTPPort, caddyhttp.DefaultHTTPSPort
	for _, module := range ctx.Modules() {
		if app, ok := module.(*caddyhttp.App); ok {
			plain, usual = cmp.Or(app.HTTPPort, plain), cmp.Or(app.HTTPSPort, usual)
		}
	}
	for _, listen := range server.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		switch {
		case err != nil || address.IsUnixNetwork() || address.IsFdNetwork() || address.StartPort == uint(plain):
			continue
		case address.StartPort == uint(usual):
			return ""
		default:
			return strconv.FormatUint(uint64(address.StartPort), 10)
		}
	}
	return ""
}
