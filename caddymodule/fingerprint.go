// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// fingerprint names the gate the same on every node and after every reload, as long as it demands the same.
func (g *Gate) fingerprint() string {
	demand := struct {
		Site         string
		Requirements []verifier.Requirement
		MaxAge       caddy.Duration
		Bind         *Bind
		StartFrom    []string `json:",omitempty"`
		Manifests    []string `json:",omitempty"`
	}{Site: g.site.origin.url, MaxAge: g.MaxAge, Bind: g.Bind, StartFrom: g.StartFrom}
	for _, w := range g.wants {
		r := w.requirement
		r.Keep = nil // what other gates keep does not make this a different gate
		demand.Requirements = append(demand.Requirements, r)
		if pin := w.credential.pin; pin != nil { // stands for what it says, which a node may not know yet
			demand.Manifests = append(demand.Manifests, pin.path)
		}
	}
	text, err := json.Marshal(demand)
	if err != nil {
		panic("verified_id: internal error: " + err.Error())
	}
	digest := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(digest[:12])
}

// tell logs which gate the audit log means by its fingerprint.
func (g *Gate) tell() {
	credentials := make([]string, 0, len(g.wants))
	for _, w := range g.wants {
		credentials = append(credentials, w.credential.name)
	}
	g.logger.Info("gate", zap.String("gate", g.id), zap.String("site", g.site.origin.url), zap.Strings("credentials", credentials),
		zap.Duration("max_age", time.Duration(g.MaxAge)))
}
