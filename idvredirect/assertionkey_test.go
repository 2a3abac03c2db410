// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

func assertionKey(t *testing.T) *idvredirect.SigningKey {
	t.Helper()
	key, err := idvredirect.GenerateAssertionKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// An app passes the assertion it was handed to a partner as a kickstart, or a partner the kickstart to an app. Either kind has
// keys, an algorithm and a typ of its own, and no key of one kind can be made to sign the other. TM-153.
func TestAssertionIsNoKickstart(t *testing.T) {
	t.Parallel()
	key := assertionKey(t)
	_, claims := decode(t, kickstartToken(t, idvredirect.Hardened))
	var payload map[string]any
	if err := json.Unmarshal(claims, &payload); err != nil {
		t.Fatal(err)
	}
	token, err := key.SignTyped("verified-id-assertion+jwt", payload)
	if err != nil {
		t.Fatalf("SignTyped = %v", err)
	}
	header, signed := decode(t, token)
	want := map[string]any{"alg": "ES256", "typ": "verified-id-assertion+jwt", "kid": key.KeyID()}
	if got := object(t, header); !reflect.DeepEqual(got, want) {
		t.Errorf("header = %v, want %v", got, want)
	}
	if got := object(t, signed); got["iss"] != testIssuer {
		t.Errorf("claims = %v, want those that were signed", got)
	}
	dot := strings.LastIndexByte(token, '.')
	if err := jwt.SigningMethodES256.Verify(token[:dot], unbase64(t, token[dot+1:]), key.Public()); err != nil {
		t.Errorf("the signature does not verify: %v", err)
	}

	if _, err := idvredirect.Verify(t.Context(), token, verifyConfig(t, idvredirect.Hardened)); !errors.Is(err, idvredirect.ErrAlgorithm) {
		t.Errorf("Verify = %v, want ErrAlgorithm", err)
	}
	if token, err := signingKey(0).SignTyped("verified-id-assertion+jwt", payload); token != "" || !errors.Is(err, idvredirect.ErrSigningKey) {
		t.Errorf("SignTyped with an RSA key = %q, %v, want ErrSigningKey", token, err)
	}
	p := partner(t, idvredirect.Hardened)
	if token, err := p.KickstartToken(key, testRequestID, testRedirectURL, fixtureTime, nil); token != "" || !errors.Is(err, idvredirect.ErrKickstart) {
		t.Errorf("KickstartToken with an assertion key = %q, %v, want ErrKickstart", token, err)
	}
	if set, err := idvredirect.NewKeySet(fixtureTime, signingKey(0), key); set != nil || !errors.Is(err, idvredirect.ErrKeySet) {
		t.Errorf("NewKeySet of both kinds = %v, %v, want ErrKeySet", set, err)
	}
}

func TestSignTypedRefuses(t *testing.T) {
	t.Parallel()
	key := assertionKey(t)
	for _, typ := range []string{"", "JWT", "jwt", "at", "a\nb+jwt"} {
		if token, err := key.SignTyped(typ, map[string]any{}); token != "" || !errors.Is(err, idvredirect.ErrSigningKey) {
			t.Errorf("SignTyped(%q) = %q, %v, want ErrSigningKey", typ, token, err)
		}
	}
	if token, err := key.SignTyped("assertion+jwt", map[string]any{"x": make(chan int)}); token != "" || !errors.Is(err, idvredirect.ErrSigningKey) {
		t.Errorf("SignTyped of a channel = %q, %v, want ErrSigningKey", token, err)
	}
}

// A stored set of assertion keys comes back as it was, and one address publishes both kinds without either reader stumbling
// over the other.
func TestKeySetOfAssertionKeys(t *testing.T) {
	t.Parallel()
	first, second := assertionKey(t), assertionKey(t)
	set, err := idvredirect.NewKeySet(fixtureTime, first)
	if err != nil {
		t.Fatal(err)
	}
	if set, err = set.Rotate(fixtureTime, second); err != nil {
		t.Fatal(err)
	}
	state, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	stored := new(idvredirect.KeySet)
	if err := json.Unmarshal(state, stored); err != nil {
		t.Fatalf("reading what was stored: %v", err)
	}
	if got := stored.Signing(fixtureTime).KeyID(); got != first.KeyID() {
		t.Errorf("the stored set signs with %s, want %s", got, first.KeyID())
	}

	kickstart, err := idvredirect.NewKeySet(fixtureTime, signingKey(0))
	if err != nil {
		t.Fatal(err)
	}
	published := idvredirect.JWKS(fixtureTime, kickstart, stored)
	var keys struct {
		Keys []map[string]string `json:"keys"`
	}
	if err := json.Unmarshal(published, &keys); err != nil || len(keys.Keys) != 3 {
		t.Fatalf("published %s (%v), want three keys", published, err)
	}
	point, err := first.Public().(*ecdsa.PublicKey).Bytes() //nolint:forcetypeassert // it was generated so
	if err != nil {
		t.Fatal(err)
	}
	got := keys.Keys[1]
	if x, y := unbase64(t, got["x"]), unbase64(t, got["y"]); !bytes.Equal(point[1:], append(x, y...)) {
		t.Errorf("published %v, not the key's point", got)
	}
	delete(got, "x")
	delete(got, "y")
	if want := map[string]string{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": first.KeyID()}; !reflect.DeepEqual(got, want) {
		t.Errorf("published %v, want %v and the point", got, want)
	}
	forPartners, err := idvredirect.ParseJWKS(published)
	if err != nil || len(forPartners) != 1 || forPartners[signingKey(0).KeyID()] == nil {
		t.Errorf("partners read %d keys (%v), want the one for kickstart tokens", len(forPartners), err)
	}
}

func TestParseAssertionKey(t *testing.T) {
	t.Parallel()
	block := func(kind string, der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	on := func(curve elliptic.Curve) *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	p256, p384 := on(elliptic.P256()), on(elliptic.P384())
	pkcs8, pkcs8Err := x509.MarshalPKCS8PrivateKey(p256)
	sec1, sec1Err := x509.MarshalECPrivateKey(p256)
	large, largeErr := x509.MarshalPKCS8PrivateKey(p384)
	public, publicErr := x509.MarshalPKIXPublicKey(&p256.PublicKey)
	good := block("PRIVATE KEY", pkcs8, pkcs8Err)
	for _, test := range []struct {
		name string
		pem  []byte
		ok   bool
	}{
		{"PKCS#8", good, true},
		{"SEC 1", block("EC PRIVATE KEY", sec1, sec1Err), true},
		{"another curve", block("PRIVATE KEY", large, largeErr), false},
		{"RSA", pkcs1(rsaKeys()[0]), false},
		{"public", block("PUBLIC KEY", public, publicErr), false},
		{"damaged", block("PRIVATE KEY", pkcs8[:40], nil), false},
		{"two", append(bytes.Clone(good), good...), false},
		{"no PEM", []byte("secret"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key, err := idvredirect.ParseAssertionKey(test.pem)
			switch {
			case test.ok && (err != nil || !p256.PublicKey.Equal(key.Public())):
				t.Errorf("ParseAssertionKey = %v, %v, want the key", key, err)
			case !test.ok && (!errors.Is(err, idvredirect.ErrSigningKey) || key != nil):
				t.Errorf("ParseAssertionKey = %v, %v, want ErrSigningKey", key, err)
			}
		})
	}
}
