// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const howToMakeAssertionKey = "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out assertion.pem"

// ParseAssertionKey reads one P-256 private key from PEM, in PKCS#8 ("PRIVATE KEY") or SEC 1 ("EC PRIVATE KEY") form, not
// encrypted. Errors wrap [ErrSigningKey], say how to make a key, and hold no part of the input.
func ParseAssertionKey(data []byte) (*SigningKey, error) {
	block, err := onlyBlock(data, howToMakeAssertionKey)
	if err != nil {
		return nil, err
	}
	var key any
	if block.Type == "EC PRIVATE KEY" {
		key, err = x509.ParseECPrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if err != nil || !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: assertions are signed with ES256, which needs a P-256 private key that is not encrypted; %s", ErrSigningKey, howToMakeAssertionKey)
	}
	return newAssertionKey(private)
}

// GenerateAssertionKey makes a P-256 key. It takes some microseconds.
func GenerateAssertionKey() (*SigningKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("%w: generating: %w", ErrSigningKey, err)
	}
	return newAssertionKey(private)
}

func newAssertionKey(private *ecdsa.PrivateKey) (*SigningKey, error) {
	public, err := newECJWK(&private.PublicKey)
	if err != nil {
		return nil, err
	}
	return &SigningKey{private: private, method: jwt.SigningMethodES256, jwk: public}, nil
}

// parseEitherKey reads a key of a stored set, which says by itself what it is.
func parseEitherKey(data []byte) (*SigningKey, error) {
	if key, err := ParseAssertionKey(data); err == nil {
		return key, nil
	}
	return ParseSigningKey(data)
}

// SignTyped signs a token that is no kickstart token, such as the assertion a gate hands to the app behind it: ES256, with
// the key ID and the given typ in the header, and claims as encoding/json writes them. typ must be the token's own and end in
// "+jwt" (RFC 8725, section 3.11), such as "verified-id-assertion+jwt". Kickstart tokens have another algorithm, another typ
// and other keys, so neither passes for the other. Errors wrap [ErrSigningKey]: an RSA key, another typ, claims that cannot
// be marshalled.
func (k SigningKey) SignTyped(typ string, claims any) (string, error) {
	if !strings.HasSuffix(typ, "+jwt") || !plainText(typ, maxKeyIDBytes) {
		return "", fmt.Errorf("%w: a token needs a type of its own that ends in +jwt", ErrSigningKey)
	}
	if k.method != jwt.SigningMethodES256 {
		return "", fmt.Errorf("%w: only kickstart tokens are signed with an RSA key", ErrSigningKey)
	}
	return k.sign(typ, k.KeyID(), claims)
}
