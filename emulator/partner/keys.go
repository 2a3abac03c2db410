// SPDX-License-Identifier: Apache-2.0

package partner

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"sync"
	"time"
)

const (
	minKeyBits = 2048

	// keysFresh is how long a key set is used without asking again.
	keysFresh = 5 * time.Minute

	// keysRetry is the shortest time between two fetches that a token's unknown kid causes:
	// otherwise every forged token would make us call the relying party.
	keysRetry = 10 * time.Second

	maxKeySetBytes = 256 << 10
)

type signingKey struct {
	id     string // kid; empty when the key came without
	public *rsa.PublicKey
}

// keySource holds an organisation's public keys: handed over once, or fetched from its
// jwks.json and kept.
type keySource struct {
	client *http.Client
	url    string // empty: the keys are fixed

	mu      sync.Mutex
	keys    []signingKey
	fetched time.Time // last successful fetch
	tried   time.Time // last attempt
}

// candidates returns the keys that may have made a token whose header names keyID. Without a
// kid, as in the published minimal form, that is every key. An unknown kid, and a token
// without kid when the set has grown old, cause a new fetch.
func (s *keySource) candidates(ctx context.Context, keyID string, now time.Time) ([]*rsa.PublicKey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	found := s.named(keyID)
	stale := s.url != "" && now.Sub(s.fetched) >= keysFresh
	unknown := s.url != "" && len(found) == 0 && now.Sub(s.tried) >= keysRetry
	if !stale && !unknown {
		return found, nil
	}
	s.tried = now
	keys, err := fetchKeys(ctx, s.client, s.url)
	if err != nil {
		if len(found) > 0 {
			return found, nil // an old key is better than an outage
		}
		return nil, err
	}
	s.keys, s.fetched = keys, now
	return s.named(keyID), nil
}

func (s *keySource) named(keyID string) []*rsa.PublicKey {
	var found []*rsa.PublicKey
	for _, k := range s.keys {
		if keyID == "" || k.id == "" || k.id == keyID {
			found = append(found, k.public)
		}
	}
	return found
}

func fetchKeys(ctx context.Context, client *http.Client, url string) ([]signingKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("fetching key set: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetching key set: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching key set: %s answered %d", url, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySetBytes+1))
	if err != nil {
		return nil, fmt.Errorf("fetching key set: %w", err)
	}
	if len(body) > maxKeySetBytes {
		return nil, fmt.Errorf("fetching key set: more than %d bytes", maxKeySetBytes)
	}
	return parseKeySet(body)
}

// parseKeySet reads the RSA signing keys of a JWK set (RFC 7517). Keys of other kinds are
// passed over; a private key in a public set, and a short one, spoil the whole.
func parseKeySet(text []byte) ([]signingKey, error) {
	var set struct {
		Keys []struct {
			Kty string `json:"kty"`
			Kid string `json:"kid"`
			Use string `json:"use"`
			Alg string `json:"alg"`
			N   string `json:"n"`
			E   string `json:"e"`
			D   string `json:"d"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil {
		return nil, fmt.Errorf("reading key set: %w", err)
	}
	var keys []signingKey
	for _, k := range set.Keys {
		if k.D != "" {
			return nil, errors.New("reading key set: it holds a private key")
		}
		if k.Kty != "RSA" || (k.Use != "" && k.Use != "sig") || (k.Alg != "" && k.Alg != "RS256") {
			continue
		}
		public, err := rsaKey(k.N, k.E)
		if err != nil {
			return nil, fmt.Errorf("reading key set: key %q: %w", k.Kid, err)
		}
		keys = append(keys, signingKey{id: k.Kid, public: public})
	}
	if len(keys) == 0 {
		return nil, errors.New("reading key set: no RSA signing key in it")
	}
	return keys, nil
}

func rsaKey(modulus, exponent string) (*rsa.PublicKey, error) {
	n, err := base64.RawURLEncoding.DecodeString(modulus)
	if err != nil {
		return nil, fmt.Errorf("modulus: %w", err)
	}
	e, err := base64.RawURLEncoding.DecodeString(exponent)
	if err != nil {
		return nil, fmt.Errorf("exponent: %w", err)
	}
	exp := new(big.Int).SetBytes(e)
	if !exp.IsInt64() || exp.Int64() < 3 || exp.Int64() > 1<<31-1 || exp.Bit(0) == 0 {
		return nil, errors.New("exponent out of range")
	}
	return checkedKey(&rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exp.Int64())})
}

func checkedKey(key *rsa.PublicKey) (*rsa.PublicKey, error) {
	if bits := key.N.BitLen(); bits < minKeyBits {
		return nil, fmt.Errorf("%d bits, at least %d needed", bits, minKeyBits)
	}
	return key, nil
}

// parseKeyPEM reads one RSA public key, as "PUBLIC KEY", "RSA PUBLIC KEY" or "CERTIFICATE".
func parseKeyPEM(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("reading key: no PEM block")
	}
	var key any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("reading key: a %s is no public key", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("reading key: %w", err)
	}
	public, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("reading key: not RSA")
	}
	return checkedKey(public)
}
