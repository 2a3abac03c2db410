// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// BenchmarkKickstart is what one kickstart costs the gate: the number behind its bound on signing.
func BenchmarkKickstart(b *testing.B) {
	for _, bits := range []int{2048, 3072, 4096} {
		b.Run(fmt.Sprint(bits), func(b *testing.B) {
			key, p := benchmarkKey(b, bits), partner(b, idvredirect.Hardened)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Kickstart(key, testRequestID, testRedirectURL, fixtureTime, rand.Reader); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify is what one token costs a partner, without the store.
func BenchmarkVerify(b *testing.B) {
	for _, bits := range []int{2048, 3072, 4096} {
		b.Run(fmt.Sprint(bits), func(b *testing.B) {
			key := benchmarkKey(b, bits)
			token, err := partner(b, idvredirect.Hardened).KickstartToken(key, testRequestID, testRedirectURL, fixtureTime, nil)
			if err != nil {
				b.Fatal(err)
			}
			cfg := verifyConfig(b, idvredirect.Hardened)
			cfg.Keys = idvredirect.PublicKeys{key.KeyID(): rsaPublic(key)}
			cfg.OneTime = alwaysFirst
			b.ReportAllocs()
			for b.Loop() {
				if _, err := idvredirect.Verify(b.Context(), token, cfg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerifyWithoutKeyID is the most a stranger can make a partner do: a token without kid, tried against as many keys
// as a set may have.
func BenchmarkVerifyWithoutKeyID(b *testing.B) {
	cfg := verifyConfig(b, idvredirect.Minimal)
	for i := range 15 {
		cfg.Keys[fmt.Sprint(i)] = rsaPublic(signingKey(1 + i%3))
	}
	p := partner(b, idvredirect.Minimal)
	token, err := p.KickstartToken(benchmarkKey(b, 2048), testRequestID, testRedirectURL, fixtureTime, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := idvredirect.Verify(b.Context(), token, cfg); !errors.Is(err, idvredirect.ErrSignature) {
			b.Fatal(err)
		}
	}
}

// BenchmarkJWKS is what one answer of the key-set endpoint costs, in the middle of a rotation.
func BenchmarkJWKS(b *testing.B) {
	set, err := idvredirect.NewKeySet(fixtureTime, signingKey(0), signingKey(1))
	if err != nil {
		b.Fatal(err)
	}
	if set, err = set.Rotate(fixtureTime, signingKey(2)); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		set.JWKS(fixtureTime)
	}
}

// BenchmarkCorrelationVector reads an incoming vector and makes the two that go on from it.
func BenchmarkCorrelationVector(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		v, err := idvredirect.ParseCorrelationVector(baseB + ".1.23")
		if err != nil {
			b.Fatal(err)
		}
		v.Extend().Increment()
	}
}

func benchmarkKey(b *testing.B, bits int) *idvredirect.SigningKey {
	b.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		b.Fatal(err)
	}
	key, err := idvredirect.ParseSigningKey(pkcs1(private))
	if err != nil {
		b.Fatal(err)
	}
	return key
}
