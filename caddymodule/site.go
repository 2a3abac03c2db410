// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
)

// basePath is where our own endpoints live on every gated site.
const basePath = "/.verified-id"

// site is one origin with gates: its cookies, and the name that sealed values are bound to.
type site struct {
	app     *App
	origin  origin
	session session.CookieConfig
	binding session.CookieConfig
	journey session.CookieConfig
	// sessionBinding ties sealed sessions to this site, so that another site with the same keys refuses them (TM-021), or to
	// the domain whose sites share one.
	sessionBinding string
	pageBinding    string // the same for page tokens and journeys
}

// siteOf describes an origin. Cookies carry the __Host- prefix on https; on loopback over plain HTTP, where browsers
// ignore the prefix in silence, they have other names, so that one can never be taken for the other (TM-018, TM-019).
func (a *App) siteOf(from origin) *site {
	port := ""
	if from.port != "" { // browsers send a host's cookies to all of its ports
		port = "-" + from.port
	}
	name := func(what string) session.CookieConfig {
		if from.secure {
			return session.CookieConfig{Name: "__Host-verified-id" + port + what, Secure: true}
		}
		return session.CookieConfig{Name: "insecure-verified-id" + port + what}
	}
	s := &site{app: a, origin: from, session: name(""), binding: name("-binding"), journey: name("-journey")}
	s.pageBinding = session.AD(from.url)
	s.sessionBinding = session.AD(s.session.Name, from.url)
	if domain := a.Session.CookieDomain; domain != "" && from.under(domain) {
		s.session = session.CookieConfig{Name: sharedCookie, Domain: domain, Secure: true}
		s.sessionBinding = session.AD(s.session.Name, domain)
	}
	return s
}

// ownCookie says whether a cookie is one of ours, of either kind, and so none of the app's business.
func ownCookie(name string) bool {
	if name == sharedCookie {
		return true
	}
	rest, ok := strings.CutPrefix(name, "__Host-verified-id")
	if !ok {
		if rest, ok = strings.CutPrefix(name, "insecure-verified-id"); !ok {
			return false
		}
	}
	if port, after, _ := strings.Cut(strings.TrimPrefix(rest, "-"), "-"); port != "" && strings.Trim(port, "0123456789") == "" {
		rest = ""
		if after != "" {
			rest = "-" + after
		}
	}
	return rest == "" || rest == "-binding" || rest == "-journey"
}

// gateRegistry knows all gates of one config: which headers they set, and which one a page token speaks of.
type gateRegistry struct {
	mu    sync.Mutex
	gates map[string]*Gate
	order map[*caddyhttp.Server][]*Gate // in the order in which requests meet them
	names map[string]struct{}
	list  atomic.Pointer[[]string] // the names, sorted
	strip atomic.Pointer[claimheader.Strip]
	// asserts says that one of the gates hands assertions over.
	asserts atomic.Bool
}

func newGateRegistry() *gateRegistry {
	r := &gateRegistry{gates: map[string]*Gate{}, order: map[*caddyhttp.Server][]*Gate{}, names: map[string]struct{}{}}
	r.list.Store(new([]string))
	r.strip.Store(claimheader.NewStrip([]string{headerPrefix}, nil))
	return r
}

// add takes a gate in. What one gate sets, no client may say anywhere: sites share apps.
func (r *gateRegistry) add(g *Gate) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gates[g.id] = g
	r.order[g.place.server] = append(r.order[g.place.server], g)
	for _, header := range g.headers {
		r.names[header.name] = struct{}{}
	}
	if g.Assertion != "" {
		r.names[g.Assertion] = struct{}{}
		r.asserts.Store(true)
	}
	names := slices.Sorted(maps.Keys(r.names))
	r.list.Store(&names)
	r.strip.Store(claimheader.NewStrip([]string{headerPrefix}, names))
}

// placed are the gates of a server, in order.
func (r *gateRegistry) placed(server *caddyhttp.Server) []*Gate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.order[server]
}

// copyIdentity copies the headers that gates have set in a request.
func (r *gateRegistry) copyIdentity(to, from http.Header) {
	for _, name := range *r.list.Load() {
		if values := from[name]; len(values) > 0 {
			to[name] = values
		}
	}
}

// stripFrom removes the identity headers from a request.
func (r *gateRegistry) stripFrom(header http.Header) { r.strip.Load().From(header) }

// asserting says whether one of the gates hands assertions over, so that their keys are made and published.
func (r *gateRegistry) asserting() bool { return r.asserts.Load() }

// get finds the gate that a page token or a transaction names. It is nil when the policy has changed since.
func (r *gateRegistry) get(id string) *Gate {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gates[id]
}
