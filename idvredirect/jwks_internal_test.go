// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"os"
	"testing"
)

// TM-087: the key ID is the RFC 7638 thumbprint. The vector is the key of RFC 7638, section 3.1, with the thumbprint that
// the RFC prints.
func TestKeyIDIsRFC7638Thumbprint(t *testing.T) {
	t.Parallel()
	const (
		modulus = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3" +
			"oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ" +
			"vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
		want = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
	)
	raw, err := base64.RawURLEncoding.DecodeString(modulus)
	if err != nil {
		t.Fatal(err)
	}
	key := newJWK(&rsa.PublicKey{N: new(big.Int).SetBytes(raw), E: 65537})
	if key.KeyID != want {
		t.Errorf("newJWK(…).KeyID = %q, want %q", key.KeyID, want)
	}
}

// The published example has its thumbprint for a kid, and comes out of our writer byte for byte but for blanks.
func TestExampleKeySet(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/kickstart-jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseJWKS(data)
	if err != nil {
		t.Fatal(err)
	}
	for kid, key := range keys {
		if got := newJWK(key).KeyID; got != kid {
			t.Errorf("newJWK(…).KeyID = %q, want %q", got, kid)
		}
	}
}
