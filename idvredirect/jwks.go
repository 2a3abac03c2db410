// SPDX-License-Identifier: Apache-2.0

package idvredirect

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	jsonv2 "github.com/go-json-experiment/json"
)

const (
	// maxKeys bounds a key set, ours and a fetched one: a token without kid is tried against each.
	maxKeys = 16

	// maxKeySetBytes bounds a fetched key set before it is parsed.
	maxKeySetBytes = 64 << 10
)

// jwk is the public half of one key as published, in the order of RFC 7517's examples. There is no field that could
// carry a private member.
type jwk struct {
	KeyType   string `json:"kty"`
	Modulus   string `json:"n,omitempty"`
	Exponent  string `json:"e,omitempty"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

func newJWK(public *rsa.PublicKey) jwk {
	k := jwk{
		KeyType:   "RSA",
		Modulus:   base64.RawURLEncoding.EncodeToString(public.N.Bytes()),
		Exponent:  base64.RawURLEncoding.EncodeToString(big.NewInt(int64(public.E)).Bytes()),
		Use:       "sig",
		Algorithm: "RS256",
	}
	// RFC 7638, section 3.2: the required members only, in lexical order, without blanks.
	k.KeyID = thumbprint(`{"e":"` + k.Exponent + `","kty":"RSA","n":"` + k.Modulus + `"}`)
	return k
}

// newECJWK is the same for a P-256 key.
func newECJWK(public *ecdsa.PublicKey) (jwk, error) {
	point, err := public.Bytes() // 4, x and y, 32 bytes each
	if err != nil {
		return jwk{}, fmt.Errorf("%w: encoding: %w", ErrSigningKey, err)
	}
	k := jwk{
		KeyType:   "EC",
		Curve:     "P-256",
		X:         base64.RawURLEncoding.EncodeToString(point[1:33]),
		Y:         base64.RawURLEncoding.EncodeToString(point[33:]),
		Use:       "sig",
		Algorithm: "ES256",
	}
	k.KeyID = thumbprint(`{"crv":"P-256","kty":"EC","x":"` + k.X + `","y":"` + k.Y + `"}`)
	return k, nil
}

func thumbprint(members string) string {
	sum := sha256.Sum256([]byte(members))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// marshalJWKS writes the set; keys is not nil.
func marshalJWKS(keys []jwk) []byte {
	// Strings of base64url cannot fail to marshal.
	data, err := json.Marshal(struct {
		Keys []jwk `json:"keys"`
	}{keys})
	if err != nil {
		panic("idvredirect: marshalling a key set: " + err.Error())
	}
	return data
}

// PublicKeys are the keys of one relying party by key ID, as [VerifyConfig] wants them. Never mix the keys of two
// relying parties: each could then speak for the other.
type PublicKeys map[string]*rsa.PublicKey

// ParseJWKS reads a published key set (RFC 7517). Keys of other kinds, uses and algorithms are skipped; what is left must
// be RSA keys of [MinKeyBits] to [MaxKeyBits] with distinct key IDs, at least one, at most 16. A set that holds a private
// member is refused as a whole: its keys are public knowledge now and no signature by them means anything. Errors wrap
// [ErrPublicKeys].
//
// Fetch the set over https from the address agreed at onboarding, never from an address found in a token, and keep it
// for at most [JWKSMaxAge].
func ParseJWKS(data []byte) (PublicKeys, error) {
	if len(data) > maxKeySetBytes {
		return nil, fmt.Errorf("%w: the set has more than %d bytes", ErrPublicKeys, maxKeySetBytes)
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := jsonv2.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("%w: the set is not a JSON object with an array of keys, or names a member twice", ErrPublicKeys)
	}
	keys := make(PublicKeys)
	for _, member := range set.Keys {
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, found := member[private]; found {
				return nil, fmt.Errorf("%w: the set publishes private key material; its owner must make new keys", ErrPublicKeys)
			}
		}
		if !forRS256(member) {
			continue
		}
		public, err := publicKey(member)
		if err != nil {
			return nil, err
		}
		kid, ok := member["kid"].(string)
		if !ok || kid == "" || len(kid) > maxKeyIDBytes {
			return nil, fmt.Errorf("%w: a key has no usable kid", ErrPublicKeys)
		}
		if _, twice := keys[kid]; twice {
			return nil, fmt.Errorf("%w: two keys share one kid", ErrPublicKeys)
		}
		keys[kid] = public
	}
	if err := keys.check(); err != nil {
		return nil, err
	}
	return keys, nil
}

// check says whether every key is one that Verify may use.
func (k PublicKeys) check() error {
	if len(k) == 0 {
		return fmt.Errorf("%w: no RSA key for RS256 among them", ErrPublicKeys)
	}
	if len(k) > maxKeys {
		return fmt.Errorf("%w: more than %d keys", ErrPublicKeys, maxKeys)
	}
	for _, public := range k {
		if public == nil || public.N == nil || public.N.BitLen() < MinKeyBits || public.N.BitLen() > MaxKeyBits {
			return fmt.Errorf("%w: an RSA key must have %d to %d bits", ErrPublicKeys, MinKeyBits, MaxKeyBits)
		}
		if public.E < 3 || public.E%2 == 0 {
			return fmt.Errorf("%w: an RSA key has an exponent that cannot be right", ErrPublicKeys)
		}
	}
	return nil
}

// sorted returns the keys in a fixed order, so that the work for a token without kid does not depend on map order.
func (k PublicKeys) sorted() []*rsa.PublicKey {
	ids := make([]string, 0, len(k))
	for id := range k {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	keys := make([]*rsa.PublicKey, len(ids))
	for i, id := range ids {
		keys[i] = k[id]
	}
	return keys
}

// forRS256 tells our kind of key from others that may stand in the same set.
func forRS256(member map[string]any) bool {
	if member["kty"] != "RSA" {
		return false
	}
	if use, set := member["use"]; set && use != "sig" {
		return false
	}
	algorithm, set := member["alg"]
	return !set || algorithm == "RS256"
}

func publicKey(member map[string]any) (*rsa.PublicKey, error) {
	modulus, err := bigInt(member["n"])
	if err != nil {
		return nil, err
	}
	exponent, err := bigInt(member["e"])
	if err != nil {
		return nil, err
	}
	if exponent.BitLen() > 31 {
		return nil, fmt.Errorf("%w: an RSA key has an exponent that cannot be right", ErrPublicKeys)
	}
	return &rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, nil
}

func bigInt(member any) (*big.Int, error) {
	text, _ := member.(string)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) == 0 {
		return nil, fmt.Errorf("%w: an RSA key has a number that is not base64url", ErrPublicKeys)
	}
	return new(big.Int).SetBytes(raw), nil
}
