// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
)

const jwkPrefix = "did:jwk:"

// newDIDJWK makes the DID that is nothing but its key.
func newDIDJWK(key publicKey) (did string, err error) {
	b, err := json.Marshal(key.jwk())
	if err != nil {
		return "", fmt.Errorf("making did:jwk: %w", err)
	}
	return jwkPrefix + base64.RawURLEncoding.EncodeToString(b), nil
}

// resolveDIDJWK reads the one key of a did:jwk, whose id is always "#0".
func resolveDIDJWK(did string) (didDocument, error) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimPrefix(did, jwkPrefix))
	if err != nil {
		return didDocument{}, fmt.Errorf("resolving did:jwk: %w", err)
	}
	var key jwk
	if err := jsonv2.Unmarshal(data, &key); err != nil {
		return didDocument{}, fmt.Errorf("resolving did:jwk: %w", err)
	}
	document := newDIDDocument(did)
	document.VerificationMethod = []verificationMethod{{ID: "#0", Controller: did, Type: "JsonWebKey2020", PublicKeyJWK: key}}
	document.Authentication = []string{"#0"}
	document.AssertionMethod = []string{"#0"}
	return document, nil
}
