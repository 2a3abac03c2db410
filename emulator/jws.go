// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
)

// signedToken is a compact JWS taken apart. Its payload is worth nothing before verify.
type signedToken struct {
	alg, kid  string
	payload   []byte
	input     string
	signature []byte
}

// signToken makes a compact JWS of payload. kid is the full DID URL of the key.
func signToken(key privateKey, kid string, payload any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": key.alg(), "kid": kid, "typ": "JWT"})
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(body)
	signature, err := key.sign(input)
	if err != nil {
		return "", fmt.Errorf("signing token: %w", err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// parseToken takes a token apart strictly: three parts, canonical base64url, no duplicate members, no "crit".
// The members jwk, jku, x5c and x5u are never looked at: keys come from DID documents only.
func parseToken(token string) (signedToken, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return signedToken{}, fmt.Errorf("reading token: %d parts, want 3", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		b, err := base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || len(b) == 0 {
			return signedToken{}, fmt.Errorf("reading token: part %d is not base64url", i+1)
		}
		decoded[i] = b
	}
	var header struct {
		Alg  string `json:"alg"`
		Kid  string `json:"kid"`
		Typ  string `json:"typ"`
		Crit any    `json:"crit"`
	}
	if err := jsonv2.Unmarshal(decoded[0], &header); err != nil {
		return signedToken{}, fmt.Errorf("reading token header: %w", err)
	}
	switch {
	case header.Crit != nil:
		return signedToken{}, errors.New("reading token header: crit is not supported")
	case header.Typ != "" && header.Typ != "JWT":
		return signedToken{}, errors.New("reading token header: typ is not JWT")
	case header.Kid == "":
		return signedToken{}, errors.New("reading token header: no kid")
	}
	return signedToken{
		alg: header.Alg, kid: header.Kid,
		payload: decoded[1], input: parts[0] + "." + parts[1], signature: decoded[2],
	}, nil
}

// did returns the DID that the key id belongs to.
func (t signedToken) did() string {
	did, _, _ := strings.Cut(t.kid, "#")
	return did
}

// claims decodes the payload, with exact names and without duplicates.
func (t signedToken) claims(into any) error {
	if err := jsonv2.Unmarshal(t.payload, into); err != nil {
		return fmt.Errorf("reading token claims: %w", err)
	}
	return nil
}

func (t signedToken) verify(key publicKey) error { return key.verify(t.alg, t.input, t.signature) }
