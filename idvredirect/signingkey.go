// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// MinKeyBits is the smallest RSA modulus accepted, for signing and for verifying (RFC 7518, section 3.3).
	MinKeyBits = 2048

	// MaxKeyBits is the largest one accepted. A larger key makes a start URL that partners cut off, and costs minutes of
	// CPU time to whoever is made to use it.
	MaxKeyBits = 8192

	// GeneratedKeyBits is the size that [GenerateSigningKey] makes.
	GeneratedKeyBits = 3072
)

// howToMakeKey ends the errors about key files that can only be replaced.
const howToMakeKey = "make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out kickstart.pem"

const redactedKey = "[signing key redacted]"

// SigningKey is a private key that signs tokens, with the key ID it is published under. It is of one of two kinds, and
// neither signs what the other does: RSA keys ([ParseSigningKey], [GenerateSigningKey]) sign kickstart tokens, elliptic-curve
// keys ([ParseAssertionKey], [GenerateAssertionKey]) sign assertions.
//
// Printing or logging one in any way shows [redactedKey] and nothing else; the only way to the private key is
// [SigningKey.PEM]. It is immutable and safe for concurrent use. The zero value is not usable.
type SigningKey struct {
	private crypto.Signer
	method  jwt.SigningMethod
	jwk     jwk
}

// ParseSigningKey reads one RSA private key of [MinKeyBits] to [MaxKeyBits] from PEM, in PKCS#8 ("PRIVATE KEY") or
// PKCS#1 ("RSA PRIVATE KEY") form, not encrypted. Text around the block is ignored, a second block is not. Errors wrap
// [ErrSigningKey], say what was found instead and how to make a key, and hold no part of the input.
func ParseSigningKey(data []byte) (*SigningKey, error) {
	block, err := onlyBlock(data, howToMakeKey)
	if err != nil {
		return nil, err
	}
	private, err := parsePrivateBlock(block)
	if err != nil {
		return nil, err
	}
	return newSigningKey(private)
}

func onlyBlock(data []byte, howToMake string) (*pem.Block, error) {
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%w: no PEM block found; %s", ErrSigningKey, howToMake)
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, fmt.Errorf("%w: more than one PEM block; put each key in a file of its own", ErrSigningKey)
	}
	return block, nil
}

// GenerateSigningKey makes a key of [GeneratedKeyBits]. random is there for programs built with the GODEBUG setting
// cryptocustomrand=1; since Go 1.26 the standard library otherwise draws from the system, whatever it is given. nil is
// allowed. It takes some hundred milliseconds, sometimes seconds.
func GenerateSigningKey(random io.Reader) (*SigningKey, error) {
	private, err := rsa.GenerateKey(random, GeneratedKeyBits)
	if err != nil {
		return nil, fmt.Errorf("%w: generating: %w", ErrSigningKey, err)
	}
	return newSigningKey(private)
}

// KeyID returns the RFC 7638 thumbprint (SHA-256, base64url) of the public key: the kid of tokens and key sets.
func (k SigningKey) KeyID() string { return k.jwk.KeyID }

// Public returns the public half: an [*rsa.PublicKey] or an [*ecdsa.PublicKey].
func (k SigningKey) Public() crypto.PublicKey { return k.private.Public() }

// PEM returns the private key as a PKCS#8 PEM block, for storage that only its owner can read.
func (k SigningKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("%w: encoding: %w", ErrSigningKey, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// String is redacted, so that no key ever gets into a log by way of a format verb.
func (SigningKey) String() string { return redactedKey }

// GoString is redacted, as [SigningKey.String] is.
func (SigningKey) GoString() string { return redactedKey }

// Format is redacted for every verb: %d and %x would otherwise walk into the fields, past String and GoString.
func (SigningKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redactedKey) }

// LogValue is redacted, as [SigningKey.String] is.
func (SigningKey) LogValue() slog.Value { return slog.StringValue(redactedKey) }

func newSigningKey(private *rsa.PrivateKey) (*SigningKey, error) {
	switch bits := private.N.BitLen(); {
	case bits < MinKeyBits:
		return nil, fmt.Errorf("%w: an RSA key of %d bits is too small, %d is the least; %s", ErrSigningKey, bits, MinKeyBits, howToMakeKey)
	case bits > MaxKeyBits:
		return nil, fmt.Errorf("%w: an RSA key of %d bits is too large, %d is the most; %s", ErrSigningKey, bits, MaxKeyBits, howToMakeKey)
	}
	return &SigningKey{private: private, method: jwt.SigningMethodRS256, jwk: newJWK(&private.PublicKey)}, nil
}

func parsePrivateBlock(block *pem.Block) (*rsa.PrivateKey, error) {
	switch {
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		return nil, fmt.Errorf("%w: the key is encrypted with a passphrase; decrypt it with: openssl pkey -in key.pem -out kickstart.pem", ErrSigningKey)
	case block.Type == "RSA PRIVATE KEY":
		private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%w: the block says RSA PRIVATE KEY, but its content is no readable PKCS#1 key; %s", ErrSigningKey, howToMakeKey)
		}
		return private, nil
	case block.Type == "PRIVATE KEY":
		return parsePKCS8(block.Bytes)
	case block.Type == "EC PRIVATE KEY":
		return nil, wrongKind("an elliptic-curve key")
	case block.Type == "CERTIFICATE":
		return nil, wrongKind("a certificate, not its private key")
	case strings.HasSuffix(block.Type, "PUBLIC KEY"):
		return nil, wrongKind("a public key")
	case block.Type == "OPENSSH PRIVATE KEY":
		return nil, wrongKind("an OpenSSH key")
	}
	return nil, wrongKind("something else")
}

func parsePKCS8(der []byte) (*rsa.PrivateKey, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: the block says PRIVATE KEY, but its content is no readable PKCS#8 key; %s", ErrSigningKey, howToMakeKey)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		return nil, wrongKind("an elliptic-curve key")
	case ed25519.PrivateKey:
		return nil, wrongKind("an Ed25519 key")
	}
	return nil, wrongKind("a key of another kind")
}

func wrongKind(found string) error {
	return fmt.Errorf("%w: the partners expect RS256, which needs an RSA private key, but this is %s; %s", ErrSigningKey, found, howToMakeKey)
}
