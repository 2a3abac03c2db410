// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// checkQuestion is one request to be judged.
type checkQuestion struct {
	site, path, method, client, claims string
	headers, set                       []string
}

// request is what a browser would send.
func (q *checkQuestion) request() (*http.Request, error) {
	site, err := url.Parse(q.site)
	if err != nil || site.Host == "" || (site.Scheme != "https" && site.Scheme != "http") || strings.Trim(site.Path, "/") != "" {
		return nil, fmt.Errorf("--site %q: write https://host or https://host:port, and the path with --path", q.site)
	}
	if !strings.HasPrefix(q.path, "/") {
		return nil, fmt.Errorf("--path %q: must begin with a slash", q.path)
	}
	if _, err := netip.ParseAddr(q.client); err != nil {
		return nil, fmt.Errorf("--client-ip %q: must be an IP address", q.client)
	}
	r, err := http.NewRequestWithContext(context.Background(), q.method, site.Scheme+"://"+site.Host+q.path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("--method and --path make no request: %w", err)
	}
	r.RequestURI, r.RemoteAddr = q.path, net.JoinHostPort(q.client, "40000")
	if site.Scheme == "https" {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, ServerName: site.Hostname()}
	}
	r.Header.Set("Accept", "text/html")
	for _, header := range q.headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, fmt.Errorf("--header %q: write 'Name: value'", header)
		}
		r.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return r, nil
}

// checkPlan is a config cut down to what decides, provisioned and never started.
type checkPlan struct {
	app     *App
	servers []*caddyhttp.Server // those that listen on the site's port come first
	folder  string              // where the keys go that the app makes for itself
	unknown map[string]error    // credentials whose manifest is not known here, and why
}

// planCheck cuts a config down and provisions what is left.
func planCheck(config []byte, set []string, port uint) (*checkPlan, error) {
	folder, err := os.MkdirTemp("", "verified-id-check")
	if err != nil {
		return nil, err
	}
	p := &checkPlan{folder: folder}
	reduced, err := reduceConfig(config, folder, set)
	if err == nil {
		err = p.provision(reduced, port)
	}
	if err == nil {
		p.learn(config)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// learn takes over what Caddy's own storage has of manifests, if it can be read here. Nobody is called.
func (p *checkPlan) learn(config []byte) {
	pins, err := p.app.pinsOf(nil)
	if err != nil || len(pins) == 0 {
		return
	}
	kept, err := commandAppOf(config)
	if err == nil {
		err = kept.readPins()
	}
	p.unknown = map[string]error{}
	for _, pin := range pins {
		why := err
		if why == nil {
			stored := kept.credentials[pin.credential].pin
			pin.current.Store(stored.current.Load())
			why = stored.damaged
		}
		if pin.current.Load() == nil {
			if why == nil {
				why = errors.New("it was not read yet, or could not be verified; Caddy's log says why")
			}
			p.unknown[pin.credential] = fmt.Errorf("credential %s: type and issuer are not known here, so no card opens anything: manifest %s: %w", pin.credential, pin.url, why)
		}
	}
}

// close gives back what the app has taken, and removes its keys.
func (p *checkPlan) close() {
	if p.app != nil {
		_ = p.app.Cleanup() // it has no way to fail
	}
	_ = os.RemoveAll(p.folder)
}

func (p *checkPlan) provision(config []byte, port uint) error {
	var cfg caddy.Config
	if err := caddy.StrictUnmarshalJSON(config, &cfg); err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	ctx, err := caddy.ProvisionContext(&cfg)
	if err != nil {
		return err
	}
	if p.app, err = configuredApp(ctx); err != nil {
		return err
	}
	loaded, err := ctx.App("http")
	if err != nil {
		return err
	}
	sites, ok := loaded.(*caddyhttp.App)
	if !ok {
		return fmt.Errorf("the app http is a %T", loaded)
	}
	var others []*caddyhttp.Server
	for _, name := range slices.Sorted(maps.Keys(sites.Servers)) {
		if server := sites.Servers[name]; listensOn(server, port) {
			p.servers = append(p.servers, server)
		} else {
			others = append(others, server)
		}
	}
	p.servers = append(p.servers, others...) // a proxy before Caddy may serve the site under another port
	return nil
}

func portOf(r *http.Request) uint {
	port := r.URL.Port()
	if port == "" && r.TLS != nil {
		port = "443"
	}
	if port == "" {
		port = "80"
	}
	address, err := caddy.ParseNetworkAddress(":" + port)
	if err != nil {
		return 0
	}
	return address.StartPort
}

func listensOn(server *caddyhttp.Server, port uint) bool {
	return slices.ContainsFunc(server.Listen, func(listen string) bool {
		address, err := caddy.ParseNetworkAddress(listen)
		return err == nil && address.StartPort <= port && port <= address.EndPort
	})
}
