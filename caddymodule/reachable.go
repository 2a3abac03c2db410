// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// errHidden is a site all of whose gates stand inside blocks for other paths: visitors would be sent to pages that nobody
// serves.
var errHidden = errors.New("verified_id stands inside a block for other paths, such as handle /app/*, so its own pages under " +
	basePath + "/ would never be reached; write it at the level of the site, with the matcher: verified_id /app/* …")

// errShadowed is a gate that never runs.
var errShadowed = errors.New("verified_id stands behind a handler that answers every request, such as respond in a route block, " +
	"so it would never run and everybody would get past; write it first")

// checkReachable looks through the site that is being provisioned for one gate that requests for our own pages reach, and
// for a gate that no request reaches.
func checkReachable(ctx context.Context) error {
	route := provisioningRoute(ctx)
	if route == nil {
		return nil // a named route, or no server at all: nothing to look at
	}
	found := findGates(route.HandlersRaw)
	switch {
	case found.shadowed:
		return errShadowed
	case found.gate && !found.reachable:
		return errHidden
	}
	return nil
}

// provisioningRoute is the route of the server whose handlers are being loaded: Caddy provisions a server's routes in order
// and keeps a route's raw handlers until they are loaded, so it is the first that still has them.
func provisioningRoute(ctx context.Context) *caddyhttp.Route {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return nil
	}
	if route := firstRaw(server.Routes); route != nil {
		return route
	}
	if server.Errors != nil { // error routes come after all others
		return firstRaw(server.Errors.Routes)
	}
	return nil
}

func firstRaw(routes caddyhttp.RouteList) *caddyhttp.Route {
	for i := range routes {
		if route := &routes[i]; len(route.HandlersRaw) > 0 && len(route.Handlers) == 0 {
			return route
		}
	}
	return nil
}

// rawRoute is what findGates reads of a route's JSON.
type rawRoute struct {
	Match  []map[string]json.RawMessage `json:"match"`
	Handle []json.RawMessage            `json:"handle"`
}

// gates is what findGates has found: a gate; one that requests for our own pages reach; one behind a handler that answers
// everything.
type gates struct{ gate, reachable, shadowed bool }

func findGates(handlers []json.RawMessage) (found gates) {
	answered := false
	for _, raw := range handlers {
		handler := parseHandler(raw)
		if handler.Handler == "verified_id" {
			return gates{gate: true, reachable: true, shadowed: found.shadowed || answered}
		}
		behind := false
		for _, route := range handler.Routes {
			inner := findGates(route.Handle)
			found.gate = found.gate || inner.gate
			found.reachable = found.reachable || (inner.reachable && route.admitsOwnPages())
			found.shadowed = found.shadowed || inner.shadowed || (inner.gate && (behind || answered))
			behind = behind || (len(route.Match) == 0 && !inner.gate && answers(route.Handle))
		}
		answered = answered || answers([]json.RawMessage{raw})
	}
	return found
}

// rawHandler is what we read of a handler's JSON.
type rawHandler struct {
	Handler        string          `json:"handler"`
	Routes         []rawRoute      `json:"routes"`
	HandleResponse json.RawMessage `json:"handle_response"`
}

func parseHandler(raw json.RawMessage) (handler rawHandler) {
	if json.Unmarshal(raw, &handler) != nil {
		return rawHandler{}
	}
	return handler
}

// answers says whether no request gets past these handlers.
func answers(handlers []json.RawMessage) bool {
	for _, raw := range handlers {
		handler := parseHandler(raw)
		switch {
		case handler.Handler == "static_response",
			handler.Handler == "reverse_proxy" && handler.HandleResponse == nil: // forward_auth has one, and goes on
			return true
		}
		for _, route := range handler.Routes {
			if len(route.Match) == 0 && answers(route.Handle) {
				return true
			}
		}
	}
	return false
}

// admitsOwnPages says whether the route can be taken by a request for our own pages. Only plain path matchers are judged;
// what else a matcher asks for is given the benefit of the doubt.
func (r rawRoute) admitsOwnPages() bool {
	for _, set := range r.Match {
		var paths []string
		if raw, has := set["path"]; !has || json.Unmarshal(raw, &paths) != nil {
			return true
		}
		for _, path := range paths {
			if prefix, wild := strings.CutSuffix(path, "*"); wild && strings.HasPrefix(basePath+"/start", prefix) {
				return true
			}
		}
	}
	return len(r.Match) == 0
}
