// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
)

const (
	// defaultAssertionHeader is the header of the option assertion without a name.
	defaultAssertionHeader = headerPrefix + "Assertion"

	// assertionType is the typ of an assertion, so that no verifier takes another token for one (RFC 8725, section 3.11).
	assertionType = "verified-id-assertion+jwt"

	// assertionLifetime is how long an assertion is valid, and assertionReserve how much of that is left at least when the
	// app gets it. In between the same text is sent again.
	assertionLifetime = time.Minute
	assertionReserve  = 30 * time.Second
)

// assertion is what an app can check by itself (TM-009). docs/assertion.md is its specification.
type assertion struct {
	Issuer     string `json:"iss"`
	Audience   string `json:"aud"`
	Subject    string `json:"sub"`
	IssuedAt   int64  `json:"iat"`
	Expires    int64  `json:"exp"`
	Session    string `json:"sid"`
	VerifiedAt int64  `json:"auth_time"`
	Shown      shown  `json:"verified_id"`
}

// shown is the presentation that satisfied the gate. Dates are Unix seconds, as in all of the assertion.
type shown struct {
	Credential   string            `json:"credential"`
	Type         string            `json:"type"`
	Issuer       string            `json:"issuer"`
	LinkedDomain string            `json:"linked_domain,omitempty"`
	IssuedAt     int64             `json:"issued_at,omitempty"`
	ExpiresAt    int64             `json:"expires_at,omitempty"`
	Revocation   string            `json:"revocation"`
	FaceCheck    *faceBar          `json:"face_check,omitempty"`
	Device       string            `json:"device"`
	Claims       map[string]string `json:"claims"`
}

// faceBar is the threshold that the live face reached. The score itself is nobody's business.
type faceBar struct {
	Threshold int `json:"threshold"`
}

// provisionAssertion makes or reads the keys while the config is loaded, so that no request has to.
func (g *Gate) provisionAssertion() error {
	if g.Assertion == "" {
		return nil
	}
	if err := g.checkHeaders(); err != nil {
		return err
	}
	g.Assertion = http.CanonicalHeaderKey(g.Assertion)
	if _, err := g.app.keys.assertion.at(g.app.ctx, g.app.now()); err != nil {
		return fmt.Errorf("assertion: keys in Caddy's storage: %w", err)
	}
	return nil
}

// handOver writes the identity headers. With the option assertion, a request goes on with an assertion or not at all: an app
// that believed the other headers alone would have lost what the operator asked for.
func (g *Gate) handOver(r *http.Request, id identity, now time.Time) error {
	signed := ""
	if g.Assertion != "" {
		var err error
		if signed, err = g.assert(r.Context(), id, now); err != nil {
			g.logger.Error("no assertion, so the request is refused", zap.Error(err))
			return caddyhttp.Error(http.StatusInternalServerError, errAssertion)
		}
	}
	g.setHeaders(r.Header, id, signed)
	return nil
}

// assert is the assertion of an identity, signed once for a session and half a minute.
func (g *Gate) assert(ctx context.Context, id identity, now time.Time) (string, error) {
	keys, err := g.app.keys.assertion.current(ctx, now)
	if err != nil {
		return "", err
	}
	return g.app.assertions.get(keyOf(g, id), now, func() (string, error) {
		signed, err := keys.Signing(now).SignTyped(assertionType, g.assertion(id, now))
		if most := claimheader.MaxAll - len(g.Assertion); err == nil && len(signed) > most {
			err = fmt.Errorf("it has %d bytes and may have %d; keep fewer or shorter claims of credential %s", len(signed), most, id.presentation.Credential)
		}
		return signed, err
	})
}

// assertion says who passed this gate. It holds what the gate knows and nothing of the request.
func (g *Gate) assertion(id identity, now time.Time) assertion {
	p := id.presentation
	device, _ := id.value("device")
	out := assertion{
		Issuer: g.site.origin.url + basePath, Audience: g.site.origin.url, Subject: id.session.Subject,
		IssuedAt: now.Unix(), Expires: now.Add(assertionLifetime).Unix(),
		Session: id.session.ID, VerifiedAt: p.VerifiedAt.Unix(),
		Shown: shown{
			Credential: p.Credential, Type: p.Type, Issuer: p.Issuer, LinkedDomain: p.LinkedDomain,
			IssuedAt: unixOrZero(p.CredentialIssued), ExpiresAt: unixOrZero(p.CredentialExpires),
			Revocation: revocationState(id), Device: device, Claims: make(map[string]string, len(p.Claims)),
		},
	}
	if face := id.requirement.FaceCheck; face != nil {
		out.Shown.FaceCheck = &faceBar{Threshold: face.Threshold}
	}
	for _, claim := range p.Claims {
		out.Shown.Claims[claim.Name] = claim.Value
	}
	return out
}

// revocationState is what was known of the credential when it was presented.
func revocationState(id identity) string {
	switch {
	case id.presentation.Revoked:
		return "revoked"
	case id.requirement.AllowMissingStatus:
		return "unknown"
	}
	return "valid"
}

// unixOrZero keeps a date that the credential does not have out of the assertion.
func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
