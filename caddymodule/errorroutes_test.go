// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// An error route hands a request with an empty Host, and the identity headers in it, to the app. The operator is told at
// load. TM-008.
func TestErrorRouteToAppWarns(t *testing.T) {
	const proxy, strip = `{"handler":"reverse_proxy"}`, `{"handler":"verified_id_strip"}`
	subroute := func(handlers string) string {
		return `{"handler":"subroute","routes":[{"handle":[` + handlers + `]}]}`
	}
	for name, c := range map[string]struct {
		handler string
		want    int
	}{
		"page only":      {`{"handler":"static_response"}`, 0},
		"proxy":          {proxy, 1},
		"nested proxy":   {subroute(proxy), 1},
		"stripped proxy": {subroute(strip + "," + proxy), 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := &caddyhttp.Server{Errors: &caddyhttp.HTTPErrorConfig{Routes: caddyhttp.RouteList{{HandlersRaw: []json.RawMessage{json.RawMessage(c.handler)}}}}}
			core, seen := observer.New(zapcore.WarnLevel)
			warnErrorRoutes(context.WithValue(t.Context(), caddyhttp.ServerCtxKey, server), zap.New(core))
			if seen.Len() != c.want {
				t.Errorf("%d warnings, want %d", seen.Len(), c.want)
			}
		})
	}
}
