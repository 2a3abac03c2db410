// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

func TestParseJWKS(t *testing.T) {
	t.Parallel()
	good := member(t, 0)
	with := func(changes map[string]any) map[string]any {
		out := maps.Clone(good)
		for name, value := range changes {
			if value == nil {
				delete(out, name)
				continue
			}
			out[name] = value
		}
		return out
	}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	curve := map[string]any{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "curve"}
	many := make([]map[string]any, 17)
	for i := range many {
		many[i] = with(map[string]any{"kid": fmt.Sprint(i)})
	}

	for _, test := range []struct {
		name string
		keys []map[string]any
		want string // a part of the error; empty: one key
	}{
		{"as published", []map[string]any{good}, ""},
		{"without alg and use", []map[string]any{with(map[string]any{"alg": nil, "use": nil})}, ""},
		{"with a certificate chain", []map[string]any{with(map[string]any{"x5c": []string{"AA"}, "x5t": "AA"})}, ""},
		{"among others", []map[string]any{curve, good, with(map[string]any{"alg": "PS256", "kid": "b"}), with(map[string]any{"use": "enc", "kid": "c"})}, ""},
		{"none", nil, "no RSA key"},
		{"only others", []map[string]any{curve}, "no RSA key"},
		{"symmetric", []map[string]any{good, {"kty": "oct", "k": "c2VjcmV0"}}, "private key material"},
		{"no kid", []map[string]any{with(map[string]any{"kid": nil})}, "no usable kid"},
		{"kid twice", []map[string]any{good, good}, "share one kid"},
		{"kid no string", []map[string]any{with(map[string]any{"kid": 1})}, "no usable kid"},
		{"too many", many, "more than 16"},
		{"small", []map[string]any{with(map[string]any{"n": number(smallKey().N)})}, "2048 to 8192 bits"},
		{"huge", []map[string]any{with(map[string]any{"n": number(new(big.Int).Lsh(big.NewInt(1), 8192))})}, "2048 to 8192 bits"},
		{"even exponent", []map[string]any{with(map[string]any{"e": "AQAC"})}, "exponent"},
		{"exponent one", []map[string]any{with(map[string]any{"e": "AQ"})}, "exponent"},
		{"huge exponent", []map[string]any{with(map[string]any{"e": "AQAAAAAB"})}, "exponent"},
		{"no modulus", []map[string]any{with(map[string]any{"n": nil})}, "not base64url"},
		{"padded modulus", []map[string]any{with(map[string]any{"n": "AQAB=="})}, "not base64url"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(map[string]any{"keys": test.keys})
			if err != nil {
				t.Fatal(err)
			}
			keys, err := idvredirect.ParseJWKS(data)
			if test.want == "" {
				if err != nil || len(keys) != 1 {
					t.Fatalf("ParseJWKS = %d keys, %v, want one key", len(keys), err)
				}
				return
			}
			if keys != nil || !errors.Is(err, idvredirect.ErrPublicKeys) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("ParseJWKS = %v, %v, want ErrPublicKeys with %q", keys, err, test.want)
			}
		})
	}
}

func TestParseJWKSMalformed(t *testing.T) {
	t.Parallel()
	for _, data := range []string{"", "null", "[]", "{}", `{"keys":[1]}`, `{"keys":[],"keys":[]}`, `{"keys":[]} x`} {
		if keys, err := idvredirect.ParseJWKS([]byte(data)); keys != nil || !errors.Is(err, idvredirect.ErrPublicKeys) {
			t.Errorf("ParseJWKS(%.20q) = %v, %v, want ErrPublicKeys", data, keys, err)
		}
	}
}

func TestParseJWKSTooLarge(t *testing.T) {
	t.Parallel()
	set, err := idvredirect.NewKeySet(fixtureTime, signingKey(0))
	if err != nil {
		t.Fatal(err)
	}
	data := append(set.JWKS(fixtureTime), bytes.Repeat([]byte(" "), 64<<10)...)
	if keys, err := idvredirect.ParseJWKS(data); keys != nil || !errors.Is(err, idvredirect.ErrPublicKeys) {
		t.Errorf("ParseJWKS = %v, %v, want ErrPublicKeys", keys, err)
	}
}

// A relying party publishes its private key by mistake. Whoever reads the set can now sign in its name, so the partner
// must stop believing signatures by it, and say so.
func TestKeySetWithPrivateKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		key := member(t, 0)
		key[name] = "AA"
		data, err := json.Marshal(map[string]any{"keys": []any{key}})
		if err != nil {
			t.Fatal(err)
		}
		if keys, err := idvredirect.ParseJWKS(data); keys != nil || !errors.Is(err, idvredirect.ErrPublicKeys) {
			t.Errorf("ParseJWKS with %s = %v, %v, want ErrPublicKeys", name, keys, err)
		}
	}
}

// member is one key as we publish it.
func member(t *testing.T, i int) map[string]any {
	t.Helper()
	set, err := idvredirect.NewKeySet(fixtureTime, signingKey(i))
	if err != nil {
		t.Fatal(err)
	}
	var published struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(set.JWKS(fixtureTime), &published); err != nil {
		t.Fatal(err)
	}
	return published.Keys[0]
}
