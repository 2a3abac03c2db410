// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-verified-id/caddy-verified-id/internal/claimheader"
	"github.com/caddy-verified-id/caddy-verified-id/internal/session"
	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// headerPrefix is the namespace of ours that no client may write to.
const headerPrefix = "X-Verified-Id-"

// Header is one request header for the app. In its value `{claim.<name>}`, `{subject}`, `{issuer}`, `{type}`,
// `{credential}`, `{verified_at}`, `{face_score}`, `{session_id}` and `{device}` stand for what was verified; all else is
// literal. A header one of whose claims is missing is not sent.
type Header struct {
	// Name of the header.
	Name string `json:"name,omitempty"`

	// What the app reads in it.
	Value string `json:"value,omitempty"`
}

// headerPresets are the sets of headers that apps commonly read.
var headerPresets = map[string][]Header{
	"default": {
		{"X-Verified-Id-Subject", "{subject}"},
		{"X-Verified-Id-Issuer", "{issuer}"},
		{"X-Verified-Id-Type", "{type}"},
		{"X-Verified-Id-Credential", "{credential}"},
		{"X-Verified-Id-Verified-At", "{verified_at}"},
	},
	"remote_user": {{"Remote-User", "{subject}"}},
	"x_forwarded": {{"X-Forwarded-User", "{subject}"}},
	"none":        {},
}

// headerTemplate is a Header taken apart at load time.
type headerTemplate struct {
	name  string // canonical
	parts []headerPart
	// separators are the characters, besides letters, digits and blanks, that the literal parts have: in a value between them
	// they are encoded, or a claim could pose as the next one.
	separators string
}

// headerPart is a literal, or the name of a value.
type headerPart struct{ literal, value string }

// provisionHeaders takes the headers apart, checks their names (TM-006) and makes the credentials keep what they use.
func (g *Gate) provisionHeaders() error {
	preset := g.HeaderPreset
	if preset == "" {
		preset = "default"
	}
	headers, ok := headerPresets[preset]
	if !ok {
		return optionError("headers", preset, "must be default, remote_user, x_forwarded or none")
	}
	seen := map[string]string{}
	for i, h := range slices.Concat(headers, g.Headers) {
		if own := i >= len(headers); own {
			if err := claimheader.CheckName(h.Name); err != nil {
				return fmt.Errorf("header: %w", err)
			}
		}
		folded := claimheader.Fold(h.Name)
		if other, twice := seen[folded]; twice {
			return fmt.Errorf("header %q: %q is set already and an app cannot tell them apart", h.Name, other)
		}
		seen[folded] = h.Name
		template, err := parseHeader(h)
		if err != nil {
			return fmt.Errorf("header %s: %w", h.Name, err)
		}
		for _, part := range template.parts {
			if claim, ok := strings.CutPrefix(part.value, "claim."); ok {
				for _, w := range g.wants {
					w.credential.keepFor(claim)
				}
			}
		}
		g.headers = append(g.headers, template)
	}
	return nil
}

func parseHeader(h Header) (headerTemplate, error) {
	out := headerTemplate{name: http.CanonicalHeaderKey(h.Name)}
	rest := h.Value
	if strings.TrimSpace(rest) != rest {
		return out, fmt.Errorf("the value %q begins or ends with a blank; remove it", rest)
	}
	if rest == "" {
		return out, fmt.Errorf("the value is empty; write for example {claim.mail}")
	}
	for rest != "" {
		open := strings.IndexByte(rest, '{')
		if open != 0 {
			if open < 0 {
				open = len(rest)
			}
			if strings.ContainsFunc(rest[:open], func(r rune) bool { return r < ' ' || r > '~' || r == '%' }) {
				return out, fmt.Errorf("the text %q may have printable ASCII only, and no percent sign, which marks encoded characters", rest[:open])
			}
			out.parts = append(out.parts, headerPart{literal: rest[:open]})
			out.separators += strings.Map(separator, rest[:open])
			rest = rest[open:]
			continue
		}
		end := strings.IndexByte(rest, '}')
		if end < 0 {
			return out, fmt.Errorf("%q has no closing brace", rest)
		}
		name := strings.TrimPrefix(rest[1:end], "http.verified_id.")
		name = strings.Replace(name, "claims.", "claim.", 1)
		if !knownValue(name) {
			return out, fmt.Errorf("{%s} is unknown; use {claim.<name>}, {subject}, {issuer}, {type}, {credential}, {verified_at}, {face_score}, {session_id} or {device}", rest[1:end])
		}
		out.parts = append(out.parts, headerPart{value: name})
		rest = rest[end+1:]
	}
	return out, nil
}

// separator keeps the characters that may part one claim from the next.
func separator(r rune) rune {
	if r == ' ' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
		return -1
	}
	return r
}

// encode is the value as it stands between literals.
func (t *headerTemplate) encode(value string) string {
	encoded := claimheader.Encode(value)
	if t.separators == "" || !strings.ContainsAny(encoded, t.separators) {
		return encoded
	}
	var b strings.Builder
	for i := range len(encoded) {
		if strings.IndexByte(t.separators, encoded[i]) >= 0 {
			fmt.Fprintf(&b, "%%%02X", encoded[i])
		} else {
			b.WriteByte(encoded[i])
		}
	}
	return b.String()
}

func knownValue(name string) bool {
	switch name {
	case "subject", "issuer", "type", "credential", "verified_at", "face_score", "session_id", "device":
		return true
	}
	claim, ok := strings.CutPrefix(name, "claim.")
	return ok && claim != "" && !strings.ContainsAny(claim, "{}")
}

// identity is who passed: one presentation of a session, and the demand that it meets.
type identity struct {
	session      *session.Session
	presentation *verifier.Presentation
	requirement  *verifier.Requirement
}

// value is the raw value of a name that knownValue knows, and whether there is one.
func (id identity) value(name string) (string, bool) {
	p := id.presentation
	switch name {
	case "subject":
		return id.session.Subject, true
	case "issuer":
		return p.Issuer, true
	case "type":
		return p.Type, true
	case "credential":
		return p.Credential, true
	case "verified_at":
		return p.VerifiedAt.UTC().Format(time.RFC3339), true
	case "face_score":
		if !p.FaceChecked {
			return "", false
		}
		return strconv.FormatFloat(p.FaceScore, 'f', -1, 64), true
	case "session_id":
		return id.session.ID, true
	case "device":
		if p.CrossDevice {
			return "cross", true
		}
		return "same", true
	}
	if claim, ok := strings.CutPrefix(name, "claim."); ok {
		return p.Claim(claim)
	}
	return "", false
}

// setHeaders writes the identity headers. The client's were removed before. A value is encoded and never cut: one that
// is too long, or would make all of them too long, is left out (TM-013). The assertion, empty without that option, comes first.
func (g *Gate) setHeaders(h http.Header, id identity, assertion string) {
	values := make([]string, len(g.headers)+1)
	total := 0
	if g.Assertion != "" {
		total = len(g.Assertion) + len(assertion)
		values[len(g.headers)] = assertion // a slice of its own: handlers behind us may change a header in place
		h[g.Assertion] = values[len(g.headers):]
	}
	for i := range g.headers {
		template := &g.headers[i]
		value, ok := template.render(id)
		if !ok || len(value) > claimheader.MaxHeader || total+len(template.name)+len(value) > claimheader.MaxAll {
			delete(h, template.name) // an earlier gate's value is not this gate's
			if ok {
				g.logger.Warn("header left out: its value is too long", zap.String("header", template.name), zap.Int("bytes", len(value)))
			}
			continue
		}
		total += len(template.name) + len(value)
		values[i] = value
		h[template.name] = values[i : i+1 : i+1]
	}
}

// render is the encoded value; a template of one part costs no allocation where the value needs no encoding.
func (t *headerTemplate) render(id identity) (string, bool) {
	if len(t.parts) == 1 && t.parts[0].value != "" {
		value, ok := id.value(t.parts[0].value)
		return claimheader.Encode(value), ok
	}
	var b strings.Builder
	for _, part := range t.parts {
		if part.value == "" {
			b.WriteString(part.literal)
			continue
		}
		value, ok := id.value(part.value)
		if !ok {
			return "", false
		}
		b.WriteString(t.encode(value))
	}
	return b.String(), true
}

// identityVar holds, as a *identity, who the request is, so that the innermost gate decides.
const identityVar = "verified_id.identity"

// setPlaceholders makes the identity readable for handlers and logs behind the gate. Values are looked up when they are
// asked for; a login that stands before us keeps {http.auth.user.id}.
func setPlaceholders(r *http.Request, passed identity) {
	if earlier, ok := caddyhttp.GetVar(r.Context(), identityVar).(*identity); ok {
		*earlier = passed
		return
	}
	id := &passed
	caddyhttp.SetVar(r.Context(), identityVar, id)
	replacerOf(r).Map(func(key string) (any, bool) {
		if id.session == nil {
			return nil, false
		}
		if key == "http.auth.user.id" {
			return id.session.Subject, true
		}
		name, ok := strings.CutPrefix(key, "http.verified_id.")
		if !ok {
			return nil, false
		}
		name = strings.Replace(name, "claims.", "claim.", 1)
		if !knownValue(name) {
			return nil, false
		}
		value, _ := id.value(name)
		return value, true
	})
}
