// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Events, which Caddy's events app hands to whoever subscribed, and which the audit log has under the same names. They name
// no holder but by the keyed subject, and carry no claim. docs/audit.md describes them.
const (
	eventRequested      = "presentation_requested"
	eventRetrieved      = "presentation_retrieved"
	eventVerified       = "presentation_verified"
	eventRefused        = "presentation_refused"
	eventIDVStarted     = "idv_started"
	eventIDVReturned    = "idv_returned"
	eventSessionStarted = "session_started"
	eventSessionEnded   = "session_ended"
	eventRevoked        = "session_revoked" // by the operator; one event, however many sessions it ends

	eventManifestChanged = "manifest_changed" // a credential's manifest names another type or issuer than is pinned

	// eventFaceCheckBudget: four fifths, or all, of the day's Face Checks are spent.
	eventFaceCheckBudget = "face_check_budget"
)

func (a *App) provisionEvents() error {
	loaded, err := a.ctx.App("events")
	if err != nil {
		return fmt.Errorf("getting the events app: %w", err)
	}
	events, ok := loaded.(*caddyevents.App)
	if !ok {
		return fmt.Errorf("the events app is a %T", loaded)
	}
	a.events = events
	return nil
}

// auditLog is the name of the logger below the app's, verified_id.audit in all, so that operators can give it a file of its own.
const auditLog = "audit"

// visitFields are on every event of a visit, which is every one but those of the operator, of manifests and of the day's budget.
var visitFields = []string{"client_ip", "correlation_vector", "site"}

// eventFields are what an event may carry. Another field is not emitted: what nobody has described may be personal.
var eventFields = map[string][]string{
	eventRequested:       {"credential", "request_id"},
	eventRetrieved:       {"credential", "first_scan", "request_id", "retrievals"},
	eventVerified:        {"credential", "request_id", "subject"},
	eventRefused:         {"credential", "reason", "request_id"},
	eventIDVStarted:      {"credential", "kickstart_id", "partner"},
	eventIDVReturned:     {"credential", "partner"},
	eventSessionStarted:  {"credential", "cross_device", "gate", "request_id", "session_id", "subject"},
	eventSessionEnded:    {"reason", "session_id", "subject"},
	eventManifestChanged: {"credential", "issuer"},
	eventRevoked:         {"credential", "issuer", "kept", "kind", "session_id", "subject"},
	eventFaceCheckBudget: {"budget", "spent"},
}

// event tells what happened on this visit. Subscribers run apart from the request: neither a wallet nor a browser waits for
// them.
func (v *visitRequest) event(name string, data map[string]any) {
	data["correlation_vector"] = v.vector
	data["client_ip"] = clientOf(v.r)
	data["site"] = v.origin.url
	v.app.event(name, data)
}

func (a *App) event(name string, data map[string]any) {
	maps.DeleteFunc(data, func(field string, _ any) bool {
		return !slices.Contains(eventFields[name], field) && !slices.Contains(visitFields, field)
	})
	if a.events.ShouldEmit(name) {
		go a.events.Emit(a.ctx, name, maps.Clone(data))
	}
	if c := a.logger.Named(auditLog).Check(zapcore.InfoLevel, name); c != nil {
		fields := make([]zap.Field, 0, len(data))
		for _, key := range slices.Sorted(maps.Keys(data)) {
			switch value := data[key].(type) {
			case string:
				fields = append(fields, zap.String(key, value))
			case bool:
				fields = append(fields, zap.Bool(key, value))
			case int:
				fields = append(fields, zap.Int(key, value))
			}
		}
		c.Write(fields...)
	}
}
