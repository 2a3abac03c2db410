// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// place is where a gate stands among the routes of its server, so that the server's gates can be asked about a request that
// never came to it.
type place struct {
	server *caddyhttp.Server
	// routes are those of the server up to the one that the gate stands in. Empty: nobody knows who leads to it, as with a
	// named route.
	routes caddyhttp.RouteList
	// inBlock: only some of the requests to the site come by, as in handle /app/*. Which ones, depends on what stands before.
	inBlock bool
	// errors: the gate stands in the server's error routes.
	errors bool
	// derived: the gate's matchers read what handlers before it make of a request, and these have seen another one.
	derived bool
}

// placeOf is the place of the gate that is being provisioned.
func placeOf(ctx caddy.Context) place {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return place{}
	}
	p := place{server: server}
	route := firstRaw(server.Routes)
	if route == nil {
		p.errors = provisioningRoute(ctx) != nil
		return p
	}
	for i := range server.Routes {
		if &server.Routes[i] == route {
			p.routes = server.Routes[:i+1]
		}
	}
	p.inBlock = route.Group != "" || !hostsOnly(route.MatcherSets)
	for _, module := range ctx.Modules() {
		switch module := module.(type) {
		case *caddyhttp.App, *Gate:
		case *caddyhttp.Subroute:
			inner := firstRaw(module.Routes)
			p.inBlock = p.inBlock || inner == nil || inner.Group != "" || len(inner.MatcherSets) > 0
		default: // such as handle_response of a proxy
			p.inBlock = true
		}
	}
	return p
}

func hostsOnly(sets caddyhttp.MatcherSets) bool {
	for _, set := range sets {
		for _, matcher := range set {
			if _, ok := matcher.(*caddyhttp.MatchHost); !ok {
				return false
			}
		}
	}
	return true
}

// takes says whether the server leads the request into the route that the gate stands in.
func (p place) takes(r *http.Request) (bool, error) {
	if len(p.routes) == 0 {
		return !p.errors, nil
	}
	last := len(p.routes) - 1
	for i := range p.routes[:last] {
		if !p.routes[i].Terminal {
			continue
		}
		if taken, err := p.routes[i].MatcherSets.AnyMatchWithError(r); taken || err != nil {
			return false, err
		}
	}
	return p.routes[last].MatcherSets.AnyMatchWithError(r)
}

// derivedPattern finds what a matcher reads, besides the parts of a request that have matchers of their own: variables, and
// placeholders.
var derivedPattern = regexp.MustCompile(`"vars(_regexp)?":|\bvars(_regexp)?\(|\{[A-Za-z_][\w.-]*\}`)

// askedPlaceholders begin those that a question answers like its request: of the request itself, of logins, and of this machine.
var askedPlaceholders = []string{"{http.request.", "{http.auth.", "{env.", "{file.", "{system.", "{time."}

// readsDerived says whether matchers depend on handlers such as vars and map, which have worked for the question and not for the
// request that it is about.
func readsDerived(matchers caddyhttp.RawMatcherSets) bool {
	text, err := json.Marshal(matchers)
	return err != nil || slices.ContainsFunc(derivedPattern.FindAllString(string(text), -1), func(found string) bool {
		return !slices.ContainsFunc(askedPlaceholders, func(known string) bool { return strings.HasPrefix(found, known) })
	})
}
