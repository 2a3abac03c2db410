// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// fixtureTime is when the vectors under testdata were made.
var fixtureTime = time.Unix(1768471200, 0)

const (
	testOrgID       = "contoso-payroll"
	testRequestID   = "k7WqzT0eRkGmX2bVd9LfHA"
	testRedirectURL = "https://payroll.contoso.example/.verified-id/return"
	testIssuer      = "https://payroll.contoso.example"
	testStartURL    = "https://www.fabrikam-idv.example/contoso/?token={token}"
	testAudience    = "https://www.fabrikam-idv.example"
)

// Making RSA keys is slow: all tests share these.
var (
	rsaKeys = sync.OnceValue(func() [4]*rsa.PrivateKey {
		var keys [4]*rsa.PrivateKey
		for i := range keys {
			keys[i] = mustKey(idvredirect.MinKeyBits)
		}
		return keys
	})
	signingKeys = sync.OnceValue(func() (keys [4]*idvredirect.SigningKey) {
		for i, key := range rsaKeys() {
			var err error
			if keys[i], err = idvredirect.ParseSigningKey(pkcs1(key)); err != nil {
				panic(err)
			}
		}
		return keys
	})
	smallKey = sync.OnceValue(func() *rsa.PrivateKey { return mustKey(1024) })
)

// rsaPublic is the public half of a key that signs kickstart tokens.
func rsaPublic(key *idvredirect.SigningKey) *rsa.PublicKey {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok {
		panic("no RSA key")
	}
	return public
}

func mustKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// signingKey returns one of four keys.
func signingKey(i int) *idvredirect.SigningKey { return signingKeys()[i] }

func pkcs1(key *rsa.PrivateKey) []byte {
	return block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
}

func pkcs8(tb testing.TB, key any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatalf("MarshalPKCS8PrivateKey = %v", err)
	}
	return block("PRIVATE KEY", der)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func template(tb testing.TB, raw, parameter string, options ...idvredirect.URLOption) *idvredirect.URLTemplate {
	tb.Helper()
	parsed, err := idvredirect.ParseURLTemplate(raw, parameter, options...)
	if err != nil {
		tb.Fatalf("ParseURLTemplate(%q, %q) = %v", raw, parameter, err)
	}
	return parsed
}

// partner returns a sound partner; tests change one thing in it.
func partner(tb testing.TB, claims idvredirect.ClaimSet) idvredirect.Partner {
	tb.Helper()
	return idvredirect.Partner{
		Name: "fabrikam", URL: template(tb, testStartURL, ""), OrgID: testOrgID, Issuer: testIssuer, Claims: claims,
	}
}

// kickstartToken signs a token of the sound partner at the fixture time.
func kickstartToken(tb testing.TB, claims idvredirect.ClaimSet) string {
	tb.Helper()
	token, err := partner(tb, claims).KickstartToken(signingKey(0), testRequestID, testRedirectURL, fixtureTime, nil)
	if err != nil {
		tb.Fatalf("KickstartToken = %v", err)
	}
	return token
}

// verifyConfig accepts what kickstartToken makes.
func verifyConfig(tb testing.TB, claims idvredirect.ClaimSet) idvredirect.VerifyConfig {
	tb.Helper()
	key := signingKey(0)
	clock := func() time.Time { return fixtureTime }
	return idvredirect.VerifyConfig{
		Keys:         idvredirect.PublicKeys{key.KeyID(): rsaPublic(key)},
		OrgIDs:       []string{testOrgID},
		RedirectURLs: []string{testRedirectURL},
		OneTime:      idvredirect.NewMemoryOneTimeStore(0, clock),
		Claims:       claims,
		Issuer:       testIssuer,
		Audience:     testAudience,
		Now:          clock,
	}
}

// decode returns the two JSON parts of a token.
func decode(tb testing.TB, token string) (header, claims []byte) {
	tb.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		tb.Fatalf("token has %d parts, want 3", len(parts))
	}
	return unbase64(tb, parts[0]), unbase64(tb, parts[1])
}

func unbase64(tb testing.TB, part string) []byte {
	tb.Helper()
	data, err := base64.RawURLEncoding.Strict().DecodeString(part)
	if err != nil {
		tb.Fatalf("decoding %q: %v", part, err)
	}
	return data
}

// object decodes a JSON object with its numbers as they are written.
func object(tb testing.TB, data []byte) map[string]any {
	tb.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil {
		tb.Fatalf("decoding %s: %v", data, err)
	}
	return members
}

func base64URL(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
