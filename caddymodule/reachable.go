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

// checkReachable looks through the site that is being provisioned for one gate that requests for our own pages reach.
func checkReachable(ctx context.Context) error {
	route := provisioningRoute(ctx)
	if route == nil {
		return nil // a named route, or no server at all: nothing to look at
	}
	found, reachable := findGates(route.HandlersRaw)
	if found && !reachable {
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
	for i := range server.Routes {
		if route := &server.Routes[i]; len(route.HandlersRaw) > 0 && len(route.Handlers) == 0 {
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

func findGates(handlers []json.RawMessage) (found, reachable bool) {
	for _, raw := range handlers {
		var handler struct {
			Handler string     `json:"handler"`
			Routes  []rawRoute `json:"routes"`
		}
		if json.Unmarshal(raw, &handler) != nil {
			continue
		}
		if handler.Handler == "verified_id" {
			return true, true
		}
		for _, route := range handler.Routes {
			inner, reached := findGates(route.Handle)
			found = found || inner
			reachable = reachable || (reached && route.admitsOwnPages())
		}
	}
	return found, reachable
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
