// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

const (
	revokePath = "/verified_id/revoke"

	// maxRevokeBody bounds what POST /verified_id/revoke reads, in bytes.
	maxRevokeBody = 16 << 10
)

// revokeRequest says whom to put out. Exactly one field is set.
type revokeRequest struct {
	// ID of one session, as in the event session_started.
	Session string `json:"session,omitempty"`

	// Keyed name of a person's wallet, as in the event session_started and in {subject}: all sessions of this holder.
	Subject string `json:"subject,omitempty"`

	// DID: all sessions that hold a credential of this issuer.
	Issuer string `json:"issuer,omitempty"`

	// Name in the config: all sessions that hold a credential presented under it.
	Credential string `json:"credential,omitempty"`

	// Everybody.
	All bool `json:"all,omitempty"`
}

// revocation returns what is asked for.
func (r revokeRequest) revocation() (kind verifier.RevocationKind, value string, err error) {
	all := ""
	if r.All {
		all = "all"
	}
	given := 0
	for _, one := range []struct {
		kind  verifier.RevocationKind
		value string
	}{
		{verifier.RevokeSession, r.Session},
		{verifier.RevokeSubject, r.Subject},
		{verifier.RevokeIssuer, r.Issuer},
		{verifier.RevokeCredential, r.Credential},
		{verifier.RevokeAll, all},
	} {
		if one.value != "" {
			kind, value = one.kind, one.value
			given++
		}
	}
	if given != 1 {
		return "", "", fmt.Errorf("give exactly one of session, subject, issuer, credential and all; %d given", given)
	}
	if kind == verifier.RevokeAll {
		value = ""
	}
	return kind, value, nil
}

// revokeAnswer says what was ended.
type revokeAnswer struct {
	Kind  string    `json:"kind"`
	Since time.Time `json:"began_until"` // sessions that began until then have ended
}

// adminRevoke ends sessions that have begun: one, or those of a subject, an issuer, a credential, or all. Sessions that begin
// later are good: to keep somebody out, revoke the credential at its issuer as well. It answers when the revocation is kept,
// so that it outlives this process; other nodes hear of it within 5 seconds.
//
// 400: what is asked for cannot end anything. 503: this process has ended the sessions and cannot keep that; it goes on
// trying.
func adminRevoke(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("method %s is not allowed; use POST", r.Method)}
	}
	// A page in a browser on this machine cannot send this type without being asked first, and is refused then.
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return caddy.APIError{HTTPStatus: http.StatusUnsupportedMediaType, Err: errors.New("the body must be application/json")}
	}
	app := running.newest()
	if app == nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("verified_id is not in the running config")}
	}
	var asked revokeRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRevokeBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&asked); err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("reading the request: %w", err)}
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: errors.New("reading the request: more than one JSON value")}
	}
	kind, value, err := asked.revocation()
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	done, err := app.revokeNow(r.Context(), kind, value)
	if _, mistake := errors.AsType[*mistakeError](err); mistake {
		return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: err}
	}
	if err != nil {
		return caddy.APIError{HTTPStatus: http.StatusServiceUnavailable, Err: fmt.Errorf("ended on this node only; it goes on trying to tell the others, and would forget it in a restart until then: %w", err)}
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(revokeAnswer{string(done.Kind), done.Since.UTC().Truncate(time.Second)})
}
