// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// revokeNow is what the operator says: it ends all sessions of the kind and value that began until now. Values that
// end nothing, because they are misspelled, are errors.
func (a *App) revokeNow(ctx context.Context, kind verifier.RevocationKind, value string) (verifier.Revocation, error) {
	if err := a.checkRevocation(kind, value); err != nil {
		return verifier.Revocation{}, &mistakeError{err}
	}
	now := a.now()
	r := verifier.Revocation{Kind: kind, Value: value, Since: now, Until: now.Add(verifier.FinishGrace + maxSessionLifetime + 2*clockSkew)}
	err := a.end(ctx, r)
	data := map[string]any{"kind": string(kind), "kept": err == nil}
	if field := revokedField[kind]; field != "" {
		data[field] = value
	}
	a.event(eventRevoked, data)
	return r, err
}

// revokedField names the value of a revocation in events and the log.
var revokedField = map[verifier.RevocationKind]string{
	verifier.RevokeSession: "session_id", verifier.RevokeSubject: "subject",
	verifier.RevokeIssuer: "issuer", verifier.RevokeCredential: "credential",
}

// opaquePattern is what session IDs and subjects look like: 16 bytes as base64url.
var opaquePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)

func (a *App) checkRevocation(kind verifier.RevocationKind, value string) error {
	switch kind {
	case verifier.RevokeSession:
		if !opaquePattern.MatchString(value) {
			return errors.New("session: not a session ID, which is 22 letters, digits, - and _; it is session_id in the log line session_started")
		}
	case verifier.RevokeSubject:
		if !opaquePattern.MatchString(value) {
			return errors.New("subject: not a subject, which is 22 letters, digits, - and _; it is subject in the log line session_started and {subject} in headers, not a DID and not a claim")
		}
	case verifier.RevokeIssuer:
		issuers := map[string]bool{}
		for _, c := range a.credentials {
			for _, issuer := range c.issuers() {
				issuers[issuer] = true
			}
		}
		return inConfig("issuer", value, issuers)
	case verifier.RevokeCredential:
		names := map[string]bool{}
		for name := range a.credentials {
			names[name] = true
		}
		return inConfig("credential", value, names)
	case verifier.RevokeAll:
	}
	return nil
}

func inConfig(option, value string, known map[string]bool) error {
	if known[value] {
		return nil
	}
	return fmt.Errorf("%s %q is not in the config, so no session can rest on it; there are: %s", option, value,
		strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

// mistakeError is an error of whoever asked.
type mistakeError struct{ error }

func (e *mistakeError) Unwrap() error { return e.error }

// runningApps are the apps of this process that have been started; two of them for the moment of a reload.
type runningApps struct {
	mu   sync.Mutex
	apps []*App
}

var running runningApps

func (r *runningApps) set(a *App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps = append(r.apps, a)
}

func (r *runningApps) unset(a *App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apps = slices.DeleteFunc(r.apps, func(one *App) bool { return one == a })
}

// newest is the app that was started last, or nil.
func (r *runningApps) newest() *App {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.apps) == 0 {
		return nil
	}
	return r.apps[len(r.apps)-1]
}
