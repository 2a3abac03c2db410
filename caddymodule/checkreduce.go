// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// What becomes of a config's handlers when it is only checked: routing and gates stay, what would answer is replaced by an
// empty answer, and everything else is left out.
var (
	checkKeeps = map[string]bool{
		"subroute": true, "invoke": true, "rewrite": true, "vars": true, "map": true, "headers": true, "error": true,
		"verified_id": true, "verified_id_strip": true, "verified_id_callback": true,
	}
	checkAnswers = map[string]bool{"reverse_proxy": true, "file_server": true, "static_response": true, "metrics": true, "acme_server": true}
)

// reduceConfig cuts a config down to its gates and the routes to them, so that it can be provisioned on a machine that has
// neither its secrets nor its storage, and can reach nobody.
func reduceConfig(config []byte, folder string, set []string) ([]byte, error) {
	var in struct {
		Apps map[string]map[string]any `json:"apps"`
	}
	if err := json.Unmarshal(config, &in); err != nil {
		return nil, fmt.Errorf("reading the config: %w", err)
	}
	app, sites := in.Apps["verified_id"], in.Apps["http"]
	if app == nil {
		return nil, errors.New("the config has no global option verified_id { … }, so there is nothing to check")
	}
	if sites == nil {
		return nil, errors.New("the config has no sites")
	}
	app["entra"] = map[string]any{"tenant": "check.invalid", "client_id": "check", "client_secret": "{env.PATH}"}
	for _, secret := range []string{"store", "sealing_keys", "subject_key", "kickstart_keys", "assertion_keys", "trusted_ca"} {
		delete(app, secret)
	}
	placeholders, err := setPlaceholder(set)
	if err != nil {
		return nil, err
	}
	reduced, _ := reduceRoutes(sites).(map[string]any)
	if servers, ok := reduced["servers"].(map[string]any); ok && placeholders != nil {
		for _, server := range servers {
			if server, ok := server.(map[string]any); ok {
				routes, _ := server["routes"].([]any)
				server["routes"] = append([]any{map[string]any{"handle": []any{placeholders}}}, routes...)
			}
		}
	}
	return json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}},
		"storage": map[string]any{"module": "file_system", "root": folder},
		"apps":    map[string]any{"verified_id": app, "http": reduced},
	})
}

// reduceRoutes walks through anything and reduces each list of handlers that it meets.
func reduceRoutes(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if handlers, ok := value.([]any); ok && key == "handle" {
				v[key] = reduceHandlers(handlers)
				continue
			}
			v[key] = reduceRoutes(value)
		}
	case []any:
		for i := range v {
			v[i] = reduceRoutes(v[i])
		}
	}
	return v
}

func reduceHandlers(handlers []any) []any {
	out := []any{}
	for _, h := range handlers {
		handler, ok := h.(map[string]any)
		if !ok {
			continue
		}
		name, _ := handler["handler"].(string)
		switch {
		case checkKeeps[name]:
			out = append(out, reduceRoutes(handler))
		case name == "reverse_proxy" && handler["handle_response"] != nil && handler["rewrite"] != nil:
			// forward_auth: another login, which counts as passed
		case checkAnswers[name]:
			out = append(out, map[string]any{"handler": "static_response", "status_code": 200})
		}
	}
	return out
}

// setPlaceholder is a handler that sets the placeholders which a handler left out would have set.
func setPlaceholder(set []string) (map[string]any, error) {
	var names, values []any
	for _, assignment := range set {
		name, value, ok := strings.Cut(assignment, "=")
		if name = strings.Trim(name, "{}"); !ok || name == "" {
			return nil, fmt.Errorf("--set %q: write name=value, for example http.auth.user.id=ana", assignment)
		}
		names, values = append(names, "{"+name+"}"), append(values, value)
	}
	if names == nil {
		return nil, nil
	}
	return map[string]any{"handler": "map", "source": "{http.request.method}", "destinations": names, "defaults": values}, nil
}
