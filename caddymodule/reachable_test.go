// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"testing"
)

func TestFindGates(t *testing.T) {
	gate := `{"handler":"verified_id"}`
	inside := func(match string) string {
		return `{"handler":"subroute","routes":[{"match":[` + match + `],"handle":[{"handler":"vars"},` + gate + `]}]}`
	}
	for name, c := range map[string]struct {
		handlers         []string
		found, reachable bool
	}{
		"none":                     {[]string{`{"handler":"file_server"}`}, false, false},
		"at the level of the site": {[]string{gate}, true, true},
		"inside a plain subroute":  {[]string{inside("")}, true, true},
		"inside another path":      {[]string{inside(`{"path":["/app/*"]}`)}, true, false},
		"inside everything":        {[]string{inside(`{"path":["/app/*","/*"]}`)}, true, true},
		"inside our own path":      {[]string{inside(`{"path":["/.verified-id/*"]}`)}, true, true},
		"inside another matcher":   {[]string{inside(`{"not":[{"path":["/open/*"]}]}`)}, true, true},
		"in both":                  {[]string{inside(`{"path":["/app/*"]}`), gate}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			var raw []json.RawMessage
			for _, handler := range c.handlers {
				raw = append(raw, json.RawMessage(handler))
			}
			if found, reachable := findGates(raw); found != c.found || reachable != c.reachable {
				t.Errorf("findGates = %v, %v, want %v, %v", found, reachable, c.found, c.reachable)
			}
		})
	}
}
