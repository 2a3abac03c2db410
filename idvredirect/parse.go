// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"encoding/base64"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxTokenBytes is the size above which a token is refused unread. The largest token we can sign has some 6 KiB.
const MaxTokenBytes = 8 << 10

// tokenHeader is what a header may have. jwk, jku, x5u and x5c would let a token bring its own key, and crit asks for an
// extension that we do not have.
type tokenHeader struct {
	keyID    string
	hasKeyID bool
}

// tokenClaims are the claims we know. A pointer tells an absent claim from an empty one.
type tokenClaims struct {
	OrgID       *string `json:"OrgId"`
	RequestID   *string `json:"RequestId"`
	Expires     *int64  `json:"exp"`
	RedirectURL *string `json:"redirectUrl"`
	Issuer      *string `json:"iss"`
	Audience    *string `json:"aud"`
	IssuedAt    *int64  `json:"iat"`
	NotBefore   *int64  `json:"nbf"`
	ID          *string `json:"jti"`
}

// knownClaims are the names of tokenClaims in lower case, and as they must be written.
var knownClaims = map[string]string{
	"orgid": "OrgId", "requestid": "RequestId", "redirecturl": "redirectUrl", "exp": "exp",
	"iss": "iss", "aud": "aud", "iat": "iat", "nbf": "nbf", "jti": "jti",
}

// rawToken is a token taken apart; nothing in it has been verified.
type rawToken struct {
	header    tokenHeader
	claims    tokenClaims
	signed    string // what the signature is over
	signature []byte
}

// parseToken takes a token apart by the strictest reading: three parts of unpadded base64url without spare bits, JSON
// objects in UTF-8, no name twice. Two programs that read it cannot then differ on what it says.
func parseToken(token string) (rawToken, error) {
	if len(token) > MaxTokenBytes {
		return rawToken{}, ErrTooLarge
	}
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return rawToken{}, ErrMalformed
	}
	raw := rawToken{signed: token[:len(parts[0])+1+len(parts[1])]}
	header, err := decodePart(parts[0])
	if err != nil {
		return rawToken{}, err
	}
	if err := raw.parseHeader(header); err != nil {
		return rawToken{}, err
	}
	claims, err := decodePart(parts[1])
	if err != nil {
		return rawToken{}, err
	}
	if err := raw.parseClaims(claims); err != nil {
		return rawToken{}, err
	}
	if raw.signature, err = decodePart(parts[2]); err != nil {
		return rawToken{}, err
	}
	return raw, nil
}

func decodePart(part string) ([]byte, error) {
	// The decoder skips line ends, so that two texts would be one token.
	if strings.ContainsAny(part, "\r\n") {
		return nil, ErrMalformed
	}
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil || len(decoded) == 0 {
		return nil, ErrMalformed
	}
	return decoded, nil
}

// parseHeader looks at alg first, so that a foreign algorithm is called one whatever else the header has.
func (t *rawToken) parseHeader(data []byte) error {
	var members map[string]any
	if err := jsonv2.Unmarshal(data, &members); err != nil || members == nil {
		return ErrMalformed
	}
	if members["alg"] != "RS256" {
		return ErrAlgorithm
	}
	if members["typ"] != tokenType {
		return ErrHeader
	}
	delete(members, "alg")
	delete(members, "typ")
	if kid, found := members["kid"]; found {
		text, ok := kid.(string)
		if !ok || !plainText(text, maxKeyIDBytes) {
			return ErrHeader
		}
		t.header = tokenHeader{keyID: text, hasKeyID: true}
		delete(members, "kid")
	}
	if len(members) > 0 {
		return ErrHeader
	}
	return nil
}

// parseClaims tolerates claims it does not know, as RFC 7519 asks, but none that is a known one in other letters: a
// reader that ignores case would take it for the real one.
func (t *rawToken) parseClaims(data []byte) error {
	var members map[string]jsontext.Value
	if err := jsonv2.Unmarshal(data, &members); err != nil || members == nil {
		return ErrMalformed
	}
	for name, value := range members {
		// There and back, because some letters outside ASCII are capitals of letters within: ſ of s.
		written, known := knownClaims[strings.ToLower(strings.ToUpper(name))]
		if known && (name != written || value.Kind() == 'n') {
			return ErrMalformed
		}
	}
	if err := jsonv2.Unmarshal(data, &t.claims); err != nil {
		return ErrMalformed
	}
	return nil
}

// public returns the claims in the form Verify gives out.
func (t *rawToken) public() Claims {
	return Claims{
		OrgID:       deref(t.claims.OrgID),
		RequestID:   deref(t.claims.RequestID),
		RedirectURL: deref(t.claims.RedirectURL),
		Expires:     unix(t.claims.Expires),
		Issuer:      deref(t.claims.Issuer),
		Audience:    deref(t.claims.Audience),
		IssuedAt:    unix(t.claims.IssuedAt),
		NotBefore:   unix(t.claims.NotBefore),
		ID:          deref(t.claims.ID),
		KeyID:       t.header.keyID,
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func unix(seconds *int64) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return time.Unix(*seconds, 0).UTC()
}
