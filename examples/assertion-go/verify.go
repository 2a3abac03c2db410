// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Verifier checks the assertions of one site.
type Verifier struct {
	Site   string // its origin, such as https://payroll.contoso.com
	Client *http.Client

	mu      sync.Mutex
	keys    map[string]*ecdsa.PublicKey
	fetched time.Time
}

// Claims are what an assertion says.
type Claims struct {
	jwt.RegisteredClaims

	Session    string `json:"sid"`
	VerifiedAt int64  `json:"auth_time"`
	Shown      struct {
		Credential string            `json:"credential"`
		Type       string            `json:"type"`
		Issuer     string            `json:"issuer"`
		Revocation string            `json:"revocation"`
		Device     string            `json:"device"`
		Claims     map[string]string `json:"claims"`
		FaceCheck  struct {
			Threshold int `json:"threshold"` // 0: no Face Check was demanded
		} `json:"face_check"`
	} `json:"verified_id"`
}

// Verify returns what the assertion says. With an error the request is nobody's.
func (v *Verifier) Verify(ctx context.Context, assertion string) (*Claims, error) {
	claims := new(Claims)
	_, err := jwt.ParseWithClaims(assertion, claims, func(token *jwt.Token) (any, error) {
		if token.Header["typ"] != "verified-id-assertion+jwt" || token.Header["crit"] != nil {
			return nil, errors.New("the token is no assertion")
		}
		kid, _ := token.Header["kid"].(string)
		return v.key(ctx, kid)
	},
		jwt.WithValidMethods([]string{"ES256"}),
		jwt.WithIssuer(v.Site+"/.verified-id"),
		jwt.WithAudience(v.Site),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(5*time.Second),
	)
	if err != nil {
		return nil, err
	}
	if claims.Subject == "" {
		return nil, errors.New("the assertion has no subject")
	}
	return claims, nil
}

// key finds a key of the site. The set is fetched when it is an hour old, or for a key that is not in it, but not more
// often than twice a minute, whoever invents key IDs.
func (v *Verifier) key(ctx context.Context, kid string) (*ecdsa.PublicKey, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	age := time.Since(v.fetched)
	if key := v.keys[kid]; key != nil && age < time.Hour {
		return key, nil
	}
	if age > 30*time.Second {
		v.fetched = time.Now()
		keys, err := v.fetch(context.WithoutCancel(ctx)) // for all who ask, whether this one waits or not
		if err != nil {
			return nil, err
		}
		v.keys = keys
	}
	if key := v.keys[kid]; key != nil {
		return key, nil
	}
	return nil, errors.New("the key is none of the site's")
}

func (v *Verifier) fetch(ctx context.Context) (map[string]*ecdsa.PublicKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Site+"/.verified-id/jwks.json", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := v.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetching the keys: %s", response.Status)
	}
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X, Y string }
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&set); err != nil {
		return nil, fmt.Errorf("reading the keys: %w", err)
	}
	keys := make(map[string]*ecdsa.PublicKey)
	for _, k := range set.Keys {
		if k.Kty != "EC" || k.Crv != "P-256" {
			continue // the keys that partners need stand there as well
		}
		x, errX := base64.RawURLEncoding.DecodeString(k.X)
		y, errY := base64.RawURLEncoding.DecodeString(k.Y)
		point := append(append([]byte{4}, x...), y...)
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err = errors.Join(errX, errY, err); err != nil {
			return nil, fmt.Errorf("reading the keys: %w", err)
		}
		keys[k.Kid] = key
	}
	return keys, nil
}
