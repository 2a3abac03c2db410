// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// warnErrorRoutes warns of error routes that hand requests to an app without verified_id_strip. They run without the gate,
// for a request with an empty Host even before any route, and with whatever identity headers the client sent (TM-008).
func warnErrorRoutes(ctx context.Context, logger *zap.Logger) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok || server.Errors == nil {
		return
	}
	for _, route := range server.Errors.Routes {
		if proxies, strips := findProxies(route.HandlersRaw); proxies && !strips {
			logger.Warn("handle_errors proxies to an app without verified_id_strip; clients can send it identity headers. " +
				"Write verified_id_strip first in that handle_errors")
			return
		}
	}
}

// findProxies looks through error routes, whose handlers are loaded after ours, for one that proxies and one that strips.
func findProxies(handlers []json.RawMessage) (proxies, strips bool) {
	for _, raw := range handlers {
		handler := parseHandler(raw)
		proxies = proxies || handler.Handler == "reverse_proxy"
		strips = strips || handler.Handler == "verified_id_strip"
		for _, route := range handler.Routes {
			p, s := findProxies(route.Handle)
			proxies, strips = proxies || p, strips || s
		}
	}
	return proxies, strips
}
