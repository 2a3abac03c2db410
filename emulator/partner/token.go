// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"
)

// maxTokenBytes bounds what is looked at. A hardened token with a 4096-bit key is about 1.3 KB.
const maxTokenBytes = 8 << 10

// Kickstart is what an accepted kickstart token says.
type Kickstart struct {
	// OrgID is the organisation, as agreed at onboarding.
	OrgID string

	// RequestID is the relying party's name for this visit; it works once.
	RequestID string

	// RedirectURL is where the person goes afterwards.
	RedirectURL string

	// Expires is the end of the token's life.
	Expires time.Time
}

// parsedToken is a token whose form is right and whose signature is not yet looked at.
type parsedToken struct {
	raw     string
	header  map[string]any
	claims  map[string]any
	said    string // header and payload, indented, for the page
	keyID   string
	problem string // why header or claims are unusable; empty when they are
}

// parseToken takes a compact JWT apart without believing any of it. It refuses what parsers
// are known to disagree on: a name that occurs twice, padded or non-canonical base64, and
// anything but an object.
func parseToken(raw string) parsedToken {
	t := parsedToken{raw: raw}
	switch {
	case raw == "":
		t.problem = "The link carries no token parameter."
		return t
	case len(raw) > maxTokenBytes:
		t.problem = fmt.Sprintf("The token has %d bytes; the limit here is %d.", len(raw), maxTokenBytes)
		return t
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.problem = fmt.Sprintf("A signed token has three parts with dots between them; this one has %d.", len(parts))
		return t
	}
	header, err := decodeObject(parts[0])
	if err != nil {
		t.problem = "Its first part, the header, " + err.Error() + "."
		return t
	}
	claims, err := decodeObject(parts[1])
	if err != nil {
		t.problem = "Its second part, the claims, " + err.Error() + "."
		return t
	}
	t.header, t.claims = header, claims
	t.keyID, _ = header["kid"].(string)
	t.said = indented(header) + "\n" + indented(claims)
	return t
}

func decodeObject(part string) (map[string]any, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		return nil, errors.New("is not base64url without padding")
	}
	// This JSON package, unlike the standard one, refuses a member name that occurs twice.
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil || object == nil {
		return nil, errors.New("is not one JSON object with each name once")
	}
	return object, nil
}

func indented(object map[string]any) string {
	text, err := json.Marshal(object, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return "(not printable)"
	}
	return string(text)
}

// examine checks a kickstart token for one organisation and reports every check, also those
// behind the first that failed, as far as they can be made. The returned kickstart is
// meaningful only if report.ok(). Spending the RequestId is left to the caller, as the last
// check of all: a token that is refused for another reason is not used up.
func (o *organisation) examine(ctx context.Context, raw string, now time.Time) (Kickstart, report) {
	t := parseToken(raw)
	r := report{said: t.said}

	r.add(checkForm, t.problem == "", t.problem)
	if t.problem != "" {
		return Kickstart{}, r
	}

	alg, _ := t.header["alg"].(string)
	r.add(checkAlgorithm, alg == jwt.SigningMethodRS256.Alg(), fmt.Sprintf("The header's alg is %s.", shown(t.header["alg"])))
	_, critical := t.header["crit"]
	typ, typed := t.header["typ"]
	r.add(checkHeader, !critical && (!typed || typ == "JWT"),
		"The header has crit, or a typ other than JWT.")
	if alg == jwt.SigningMethodRS256.Alg() {
		problem := o.verifySignature(ctx, t, now)
		r.add(checkSignature, problem == "", problem)
	}

	k := o.examineClaims(&r, t.claims, now)
	if o.Mode == Hardened {
		o.examineHardened(&r, t, now)
	}
	if o.RefuseExtraClaims {
		extra := o.extraClaims(t.claims)
		r.add(checkExtra, len(extra) == 0, "It also has: "+strings.Join(extra, ", ")+".")
	}
	return k, r
}

// verifySignature returns why the signature does not hold, or "".
func (o *organisation) verifySignature(ctx context.Context, t parsedToken, now time.Time) string {
	candidates, err := o.keys.candidates(ctx, t.keyID, now)
	if err != nil {
		return "The organisation's keys cannot be had: " + err.Error() + "."
	}
	if len(candidates) == 0 {
		return fmt.Sprintf("No key of the organisation has the kid %s.", shown(t.header["kid"]))
	}
	// The claims are judged one by one elsewhere, so that all mistakes show at once.
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS256"}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	for _, key := range candidates {
		if _, err := parser.Parse(t.raw, func(*jwt.Token) (any, error) { return key, nil }); err == nil {
			return ""
		}
	}
	return fmt.Sprintf("None of the %d keys that came into question made it.", len(candidates))
}
