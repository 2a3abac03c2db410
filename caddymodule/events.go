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

// Events, which Caddy's events app hands to whoever subscribed, and which stand in the log under the same names. They name
// no holder but by the keyed subject, and carry no claim.
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

// event tells what happened on this visit. Subscribers run apart from the request: neither a wallet nor a browser waits for
// them.
func (v *visitRequest) event(name string, data map[string]any) {
	data["correlation_vector"] = v.vector
	data["client_ip"] = clientOf(v.r)
	v.app.event(v.logger, name, data)
}

func (a *App) event(logger *zap.Logger, name string, data map[string]any) {
	if a.events.ShouldEmit(name) {
		go a.events.Emit(a.ctx, name, maps.Clone(data))
	}
	if c := logger.Check(zapcore.InfoLevel, name); c != nil {
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
