// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	k1ecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/golang-jwt/jwt/v5"
)

// jwk is an elliptic-curve public key as JSON. The members stand in the order of RFC 7638, which makes the
// encoding of a key without other members its thumbprint's input.
type jwk struct {
	Crv string `json:"crv"`
	Kty string `json:"kty"`
	X   string `json:"x"`
	Y   string `json:"y"`
	// D is read only to refuse keys that carry their private part.
	D string `json:"d,omitempty"`
}

// privateKey signs with ES256 or ES256K; exactly one of the two keys is set.
type privateKey struct {
	p256 *ecdsa.PrivateKey
	k1   *secp256k1.PrivateKey
}

// publicKey verifies ES256 or ES256K; exactly one of the two keys is set.
type publicKey struct {
	p256 *ecdsa.PublicKey
	k1   *secp256k1.PublicKey
}

// newPrivateKey draws keys from rand by itself, because the standard library's generator ignores the reader.
func newPrivateKey(alg KeyAlg, rand *random) privateKey {
	for {
		seed := rand.bytes(32)
		if alg == P256K {
			var scalar secp256k1.ModNScalar
			if overflow := scalar.SetByteSlice(seed); !overflow && !scalar.IsZero() {
				return privateKey{k1: secp256k1.NewPrivateKey(&scalar)}
			}
			continue
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed); err == nil {
			return privateKey{p256: key}
		}
	}
}

func (k privateKey) alg() string {
	if k.k1 != nil {
		return "ES256K"
	}
	return "ES256"
}

func (k privateKey) public() publicKey {
	if k.k1 != nil {
		return publicKey{k1: k.k1.PubKey()}
	}
	return publicKey{p256: &k.p256.PublicKey}
}

// sign returns r and s, 32 bytes each, as JOSE wants them.
func (k privateKey) sign(input string) ([]byte, error) {
	if k.k1 != nil {
		digest := sha256.Sum256([]byte(input))
		signature := k1ecdsa.Sign(k.k1, digest[:])
		r, s := signature.R(), signature.S()
		rb, sb := r.Bytes(), s.Bytes()
		return append(rb[:], sb[:]...), nil
	}
	return jwt.SigningMethodES256.Sign(input, k.p256)
}

func (k publicKey) alg() string {
	if k.k1 != nil {
		return "ES256K"
	}
	return "ES256"
}

func (k publicKey) jwk() jwk {
	var point []byte
	crv := string(P256)
	if k.k1 != nil {
		point, crv = k.k1.SerializeUncompressed(), string(P256K)
	} else {
		b, err := k.p256.Bytes()
		if err != nil {
			panic("emulator: " + err.Error()) // the key was made or checked here
		}
		point = b
	}
	return jwk{
		Kty: "EC", Crv: crv,
		X: base64.RawURLEncoding.EncodeToString(point[1:33]),
		Y: base64.RawURLEncoding.EncodeToString(point[33:65]),
	}
}

var errSignature = errors.New("signature does not verify")

// verify checks a signature over input. The algorithm must be the key's own: a token does not choose it.
func (k publicKey) verify(alg, input string, signature []byte) error {
	if alg != k.alg() {
		return fmt.Errorf("algorithm %q does not fit the key, which is for %s", alg, k.alg())
	}
	if len(signature) != 64 {
		return fmt.Errorf("signature has %d bytes, want 64 (r and s)", len(signature))
	}
	if k.k1 == nil {
		if err := jwt.SigningMethodES256.Verify(input, signature, k.p256); err != nil {
			return errSignature
		}
		return nil
	}
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(signature[:32]) || s.SetByteSlice(signature[32:]) {
		return errSignature
	}
	digest := sha256.Sum256([]byte(input))
	if !k1ecdsa.NewSignature(&r, &s).Verify(digest[:], k.k1) {
		return errSignature
	}
	return nil
}

// publicKey checks that the point is on the curve and that no private part came along.
func (j jwk) publicKey() (publicKey, error) {
	if j.D != "" {
		return publicKey{}, errors.New("reading JWK: it holds a private key")
	}
	x, errX := base64.RawURLEncoding.Strict().DecodeString(j.X)
	y, errY := base64.RawURLEncoding.Strict().DecodeString(j.Y)
	if j.Kty != "EC" || errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return publicKey{}, errors.New("reading JWK: not an elliptic-curve point of 2×32 bytes")
	}
	point := append(append([]byte{4}, x...), y...)
	switch KeyAlg(j.Crv) {
	case P256:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return publicKey{}, fmt.Errorf("reading JWK: %w", err)
		}
		return publicKey{p256: key}, nil
	case P256K:
		key, err := secp256k1.ParsePubKey(point)
		if err != nil {
			return publicKey{}, fmt.Errorf("reading JWK: %w", err)
		}
		return publicKey{k1: key}, nil
	default:
		return publicKey{}, fmt.Errorf("reading JWK: curve %q is not supported", j.Crv)
	}
}

// thumbprint is RFC 7638.
func (j jwk) thumbprint() (string, error) {
	public := jwk{Crv: j.Crv, Kty: j.Kty, X: j.X, Y: j.Y}
	b, err := json.Marshal(public)
	if err != nil {
		return "", fmt.Errorf("making thumbprint: %w", err)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}
