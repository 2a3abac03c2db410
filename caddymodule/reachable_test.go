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
		handlers []string
		want     gates
	}{
		"none":                     {[]string{`{"handler":"file_server"}`}, gates{}},
		"at the level of the site": {[]string{gate}, gates{gate: true, reachable: true}},
		"inside a plain subroute":  {[]string{inside("")}, gates{gate: true, reachable: true}},
		"inside another path":      {[]string{inside(`{"path":["/app/*"]}`)}, gates{gate: true}},
		"inside everything":        {[]string{inside(`{"path":["/app/*","/*"]}`)}, gates{gate: true, reachable: true}},
		"inside our own path":      {[]string{inside(`{"path":["/.verified-id/*"]}`)}, gates{gate: true, reachable: true}},
		"inside another matcher":   {[]string{inside(`{"not":[{"path":["/open/*"]}]}`)}, gates{gate: true, reachable: true}},
		"behind respond":           {[]string{`{"handler":"subroute","routes":[{"handle":[{"handler":"static_response"}]},{"handle":[` + gate + `]}]}`}, gates{gate: true, reachable: true, shadowed: true}},
		"behind a handle block":    {[]string{`{"handler":"subroute","routes":[{"handle":[{"handler":"subroute","routes":[{"handle":[{"handler":"reverse_proxy"}]}]}]},{"handle":[` + gate + `]}]}`}, gates{gate: true, reachable: true, shadowed: true}},
		"behind a path's respond":  {[]string{`{"handler":"subroute","routes":[{"match":[{"path":["/health"]}],"handle":[{"handler":"static_response"}]},{"handle":[` + gate + `]}]}`}, gates{gate: true, reachable: true}},
		"before respond":           {[]string{gate, `{"handler":"static_response"}`}, gates{gate: true, reachable: true}},
		"in both":                  {[]string{inside(`{"path":["/app/*"]}`), gate}, gates{gate: true, reachable: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var raw []json.RawMessage
			for _, handler := range c.handlers {
				raw = append(raw, json.RawMessage(handler))
			}
			if got := findGates(raw); got != c.want {
				t.Errorf("findGates = %+v, want %+v", got, c.want)
			}
		})
	}
}
