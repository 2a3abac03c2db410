// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	minRequestIDBytes = 22 // 128 bits in base64url
	maxRequestIDBytes = 128
	maxOrgIDBytes     = 256
	maxURLBytes       = 2048
	maxKeyIDBytes     = 128

	tokenType = "JWT"

	// notBeforeMargin puts nbf before now, for partners whose clock is a little behind and who allow no skew.
	notBeforeMargin = 30 * time.Second
)

// minimalClaims are the claims every partner was promised, in the order and the spelling of the integration guidance:
// two names upper camel, redirectUrl lower camel, exp registered.
type minimalClaims struct {
	OrgID       string `json:"OrgId"`
	RequestID   string `json:"RequestId"`
	Expires     int64  `json:"exp"`
	RedirectURL string `json:"redirectUrl"`
}

// hardenedClaims have no omitempty: a hardened token with one of them missing must not be possible.
type hardenedClaims struct {
	minimalClaims
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	IssuedAt  int64  `json:"iat"`
	NotBefore int64  `json:"nbf"`
	ID        string `json:"jti"`
}

// KickstartToken signs the token that [Partner.Kickstart] puts in the URL, with the same arguments and errors. For
// partners who are handed the token by another way than a redirect.
func (p Partner) KickstartToken(key *SigningKey, requestID, redirectURL string, now time.Time, random io.Reader) (string, error) {
	if err := p.Validate(); err != nil {
		return "", err
	}
	if key == nil || key.private == nil {
		return "", fmt.Errorf("%w: there is no signing key", ErrKickstart)
	}
	if key.method != jwt.SigningMethodRS256 {
		return "", fmt.Errorf("%w: the partners expect RS256, and an assertion key signs only assertions", ErrKickstart)
	}
	if !validRequestID(requestID) {
		return "", fmt.Errorf("%w: a request ID has %d to %d letters, digits and -._~+/ (take it from NewRequestID)", ErrKickstart, minRequestIDBytes, maxRequestIDBytes)
	}
	if err := checkRedirectURL(redirectURL, p.URL.insecure); err != nil {
		return "", err
	}
	lifetime := p.Lifetime
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	claims := minimalClaims{
		OrgID:       p.OrgID,
		RequestID:   requestID,
		Expires:     now.Unix() + int64(lifetime/time.Second),
		RedirectURL: redirectURL,
	}
	if p.Claims == Minimal {
		return key.sign(tokenType, "", claims)
	}

	var id [16]byte
	if err := fill(random, id[:]); err != nil {
		return "", fmt.Errorf("%w: drawing a token ID: %w", ErrKickstart, err)
	}
	audience := p.Audience
	if audience == "" {
		audience = p.URL.Origin()
	}
	return key.sign(tokenType, key.KeyID(), hardenedClaims{
		minimalClaims: claims,
		Issuer:        p.Issuer,
		Audience:      audience,
		IssuedAt:      now.Unix(),
		NotBefore:     now.Add(-notBeforeMargin).Unix(),
		ID:            base64.RawURLEncoding.EncodeToString(id[:]),
	})
}

// signedClaims lets the JWT library marshal a payload in the order of its struct. The embedded, empty claims only answer
// the library's interface, which is for verifying.
type signedClaims struct {
	jwt.MapClaims
	payload any
}

// MarshalJSON marshals the payload alone.
func (c signedClaims) MarshalJSON() ([]byte, error) { return json.Marshal(c.payload) }

// sign returns the compact form. kid is left out when empty.
func (k SigningKey) sign(typ, kid string, payload any) (string, error) {
	token := &jwt.Token{
		Header: map[string]any{"alg": k.method.Alg(), "typ": typ},
		Claims: signedClaims{payload: payload},
		Method: k.method,
	}
	if kid != "" {
		token.Header["kid"] = kid
	}
	signed, err := token.SignedString(k.private)
	if err != nil {
		return "", fmt.Errorf("%w: signing: %w", ErrSigningKey, err)
	}
	return signed, nil
}

// validRequestID allows what survives unquoted in a log, a URL and a header: base64url, base64, hex, UUIDs, vectors.
func validRequestID(id string) bool {
	if len(id) < minRequestIDBytes || len(id) > maxRequestIDBytes {
		return false
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == '~', c == '+', c == '/':
		default:
			return false
		}
	}
	return true
}

// plainText says whether s has 1 to limit bytes of printable ASCII, with blanks inside only.
func plainText(s string, limit int) bool {
	if s == "" || len(s) > limit || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

func fill(random io.Reader, buffer []byte) error {
	if random == nil {
		random = rand.Reader
	}
	_, err := io.ReadFull(random, buffer)
	return err
}
