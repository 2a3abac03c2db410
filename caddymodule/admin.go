// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI is our part of Caddy's admin API.
//
//   - GET /verified_id/status says whether the stores answer, how many revocations this process knows of, and how many status
//     streams are open. Counts only: the admin port is often shared.
//   - POST /verified_id/revoke ends sessions at once; see adminRevoke.
type adminAPI struct{}

// CaddyModule returns the Caddy module information.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.verified_id", New: func() caddy.Module { return new(adminAPI) }}
}

// Routes returns the endpoints.
func (adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{
		{Pattern: "/verified_id/status", Handler: caddy.AdminHandlerFunc(adminStatus)},
		{Pattern: revokePath, Handler: caddy.AdminHandlerFunc(adminRevoke)},
	}
}

// status is the answer of the admin endpoint.
type status struct {
	Stores  []storeStatus `json:"stores"`
	Streams int           `json:"streams"`
}

// storeStatus is what the admin endpoint says of one store.
type storeStatus struct {
	Answers     bool `json:"answers"`
	Revocations int  `json:"revocations"`
}

func adminStatus(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("method %s is not allowed; use GET", r.Method)}
	}
	out := status{Stores: []storeStatus{}}
	storePool.Range(func(_, value any) bool {
		if store, ok := value.(*sharedStore); ok {
			_, err := store.Get(r.Context(), "no-such-transaction")
			out.Stores = append(out.Stores, storeStatus{
				Answers: err == nil || errors.Is(err, verifier.ErrNotFound), Revocations: store.revoked.count(),
			})
		}
		return true
	})
	limiterPool.Range(func(_, value any) bool {
		if l, ok := value.(*limiter); ok {
			out.Streams += l.openStreams()
		}
		return true
	})
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(out)
}

// Interface guards.
var _ caddy.AdminRouter = (*adminAPI)(nil)
