// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/json"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// forge builds a token from any header and claims, really signed by RS256.
func forge(t testing.TB, key *rsa.PrivateKey, header, claims string) string {
	t.Helper()
	signed := base64URL([]byte(header)) + "." + base64URL([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64URL(signature)
}

// soundClaims are the claims of a hardened token, as JSON, with changes; a nil takes one away.
func soundClaims(t testing.TB, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"OrgId": testOrgID, "RequestId": testRequestID, "exp": fixtureTime.Unix() + 300, "redirectUrl": testRedirectURL,
		"iss": testIssuer, "aud": testAudience, "iat": fixtureTime.Unix(), "nbf": fixtureTime.Unix() - 30, "jti": "x",
	}
	for name, value := range changes {
		claims[name] = value
		if value == nil {
			delete(claims, name)
		}
	}
	data, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func soundHeader() string { return `{"alg":"RS256","typ":"JWT","kid":"` + signingKey(0).KeyID() + `"}` }

// TM-153: the confusion set. Each of these has let strangers in somewhere: a token without signature, one "signed" by
// HMAC with the public key that everybody has, one under an algorithm nobody agreed to, one that brings or names its own
// key.
func TestAlgorithmAndKeyConfusion(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	claims := soundClaims(t, nil)
	kid := signingKey(0).KeyID()
	header := func(members string) string { return `{"typ":"JWT",` + members + `}` }
	withMAC := func(header string, secret []byte) string {
		signed := base64URL([]byte(header)) + "." + base64URL([]byte(claims))
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(signed))
		return signed + "." + base64URL(mac.Sum(nil))
	}
	signed := func(header string, hash crypto.Hash, pss bool) string {
		text := base64URL([]byte(header)) + "." + base64URL([]byte(claims))
		digest := sha256.Sum256([]byte(text))
		sum := digest[:]
		if hash == crypto.SHA512 {
			long := sha512.Sum512([]byte(text))
			sum = long[:]
		}
		var signature []byte
		var err error
		if pss {
			signature, err = rsa.SignPSS(rand.Reader, private, hash, sum, nil)
		} else {
			signature, err = rsa.SignPKCS1v15(nil, private, hash, sum)
		}
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64URL(signature)
	}
	pkix, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1Public := x509.MarshalPKCS1PublicKey(&private.PublicKey)
	foreign := rsaKeys()[1]
	jwk, err := json.Marshal(member(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	hmacHeader := header(`"alg":"HS256","kid":"` + kid + `"`)
	good := forge(t, private, soundHeader(), claims)
	unsigned := good[:strings.LastIndexByte(good, '.')+1]

	for _, test := range []struct {
		name, token string
		want        error
	}{
		{"none", base64URL([]byte(header(`"alg":"none"`))) + "." + base64URL([]byte(claims)) + ".", idvredirect.ErrAlgorithm},
		{"None with a signature", forge(t, private, header(`"alg":"None"`), claims), idvredirect.ErrAlgorithm},
		{"no algorithm", forge(t, private, header(`"kid":"`+kid+`"`), claims), idvredirect.ErrAlgorithm},
		{"algorithm null", forge(t, private, header(`"alg":null`), claims), idvredirect.ErrAlgorithm},
		{"algorithm in a list", forge(t, private, header(`"alg":["RS256"]`), claims), idvredirect.ErrAlgorithm},
		{"algorithm in lower case", forge(t, private, header(`"alg":"rs256"`), claims), idvredirect.ErrAlgorithm},
		{"algorithm with a blank", forge(t, private, header(`"alg":"RS256 "`), claims), idvredirect.ErrAlgorithm},
		{"HS256 with the PEM public key", withMAC(hmacHeader, block("PUBLIC KEY", pkix)), idvredirect.ErrAlgorithm},
		{"HS256 with the PKCS#1 PEM public key", withMAC(hmacHeader, block("RSA PUBLIC KEY", pkcs1Public)), idvredirect.ErrAlgorithm},
		{"HS256 with the DER public key", withMAC(hmacHeader, pkix), idvredirect.ErrAlgorithm},
		{"HS256 with the modulus", withMAC(hmacHeader, private.N.Bytes()), idvredirect.ErrAlgorithm},
		{"HS256 with nothing", withMAC(hmacHeader, nil), idvredirect.ErrAlgorithm},
		{"HMAC under RS256", withMAC(soundHeader(), block("PUBLIC KEY", pkix)), idvredirect.ErrSignature},
		{"RS512", signed(header(`"alg":"RS512","kid":"`+kid+`"`), crypto.SHA512, false), idvredirect.ErrAlgorithm},
		{"RS512 under RS256", signed(soundHeader(), crypto.SHA512, false), idvredirect.ErrSignature},
		{"PS256", signed(header(`"alg":"PS256","kid":"`+kid+`"`), crypto.SHA256, true), idvredirect.ErrAlgorithm},
		{"PS256 under RS256", signed(soundHeader(), crypto.SHA256, true), idvredirect.ErrSignature},
		{"algorithm twice", forge(t, private, `{"alg":"RS256","alg":"none","typ":"JWT"}`, claims), idvredirect.ErrMalformed},
		{"own key in jwk", forge(t, foreign, header(`"alg":"RS256","jwk":`+string(jwk)), claims), idvredirect.ErrHeader},
		{"own key under jku", forge(t, foreign, header(`"alg":"RS256","jku":"https://evil.example/jwks"`), claims), idvredirect.ErrHeader},
		{"own key under x5u", forge(t, foreign, header(`"alg":"RS256","x5u":"https://evil.example/cert"`), claims), idvredirect.ErrHeader},
		{"own key in x5c", forge(t, foreign, header(`"alg":"RS256","x5c":["AA"]`), claims), idvredirect.ErrHeader},
		{"crit", forge(t, private, header(`"alg":"RS256","crit":["exp"]`), claims), idvredirect.ErrHeader},
		{"empty crit", forge(t, private, header(`"alg":"RS256","crit":[]`), claims), idvredirect.ErrHeader},
		{"unencoded payload", forge(t, private, header(`"alg":"RS256","b64":false`), claims), idvredirect.ErrHeader},
		{"compressed", forge(t, private, header(`"alg":"RS256","zip":"DEF"`), claims), idvredirect.ErrHeader},
		{"nested token", forge(t, private, header(`"alg":"RS256","cty":"JWT"`), claims), idvredirect.ErrHeader},
		{"other type", forge(t, private, `{"alg":"RS256","typ":"at+jwt"}`, claims), idvredirect.ErrHeader},
		{"no type", forge(t, private, `{"alg":"RS256"}`, claims), idvredirect.ErrHeader},
		{"kid is a path", forge(t, private, header(`"alg":"RS256","kid":"../../dev/null"`), claims), idvredirect.ErrUnknownKey},
		{"kid is a query", forge(t, private, header(`"alg":"RS256","kid":"' OR 1=1 --"`), claims), idvredirect.ErrUnknownKey},
		{"kid is an address", forge(t, foreign, header(`"alg":"RS256","kid":"https://evil.example"`), claims), idvredirect.ErrUnknownKey},
		{"kid is empty", forge(t, private, header(`"alg":"RS256","kid":""`), claims), idvredirect.ErrHeader},
		{"kid is null", forge(t, private, header(`"alg":"RS256","kid":null`), claims), idvredirect.ErrHeader},
		{"kid is a number", forge(t, private, header(`"alg":"RS256","kid":1`), claims), idvredirect.ErrHeader},
		{"kid is long", forge(t, private, header(`"alg":"RS256","kid":"`+strings.Repeat("a", 129)+`"`), claims), idvredirect.ErrHeader},
		{"kid has a NUL", forge(t, private, header(`"alg":"RS256","kid":"a\u0000"`), claims), idvredirect.ErrHeader},
		{"unknown kid, known key", forge(t, private, header(`"alg":"RS256","kid":"other"`), claims), idvredirect.ErrUnknownKey},
		{"known kid, other key", forge(t, foreign, soundHeader(), claims), idvredirect.ErrSignature},
		{"header in upper case", forge(t, private, `{"ALG":"RS256","TYP":"JWT"}`, claims), idvredirect.ErrAlgorithm},
		{"header is a list", forge(t, private, `["RS256"]`, claims), idvredirect.ErrMalformed},
		{"header is null", forge(t, private, `null`, claims), idvredirect.ErrMalformed},
		{"no signature", unsigned, idvredirect.ErrMalformed},
		{"short signature", unsigned + "AAAA", idvredirect.ErrSignature},
		{"zero signature", unsigned + base64URL(make([]byte, 256)), idvredirect.ErrSignature},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := verifyConfig(t, idvredirect.Hardened)
			refused(t, cfg, test.token, test.want)
		})
	}
	if _, err := idvredirect.Verify(t.Context(), good, verifyConfig(t, idvredirect.Hardened)); err != nil {
		t.Errorf("the token all these were made from is refused: %v", err)
	}
}

// Two programs that take the same bytes for different tokens are two tokens: one is checked, the other is used.
func TestMalformedTokens(t *testing.T) {
	t.Parallel()
	private := rsaKeys()[0]
	claims := soundClaims(t, nil)
	good := forge(t, private, soundHeader(), claims)
	parts := strings.Split(good, ".")
	// 256 bytes leave two spare bits in the last character; changing them changes the text and not the bytes.
	spare := good[:len(good)-1] + string(good[len(good)-1]+1)

	for _, test := range []struct {
		name, token string
		want        error
	}{
		{"empty", "", idvredirect.ErrMalformed},
		{"one part", parts[0], idvredirect.ErrMalformed},
		{"two parts", parts[0] + "." + parts[1], idvredirect.ErrMalformed},
		{"four parts", good + ".", idvredirect.ErrMalformed},
		{"dots", strings.Repeat(".", idvredirect.MaxTokenBytes), idvredirect.ErrMalformed},
		{"padded", good + "=", idvredirect.ErrMalformed},
		{"spare bits", spare, idvredirect.ErrMalformed},
		{"line end inside", good[:10] + "\n" + good[10:], idvredirect.ErrMalformed},
		{"line end behind", good + "\n", idvredirect.ErrMalformed},
		{"blank before", " " + good, idvredirect.ErrMalformed},
		{"standard alphabet", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"x": "\u00ff\u00fe~~~"})) + "+", idvredirect.ErrMalformed},
		{"bearer", "Bearer " + good, idvredirect.ErrMalformed},
		{"too large", strings.Repeat("a", idvredirect.MaxTokenBytes+1), idvredirect.ErrTooLarge},
		{"too large but sound", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"x": strings.Repeat("a", 8000)})), idvredirect.ErrTooLarge},
		{"claims no object", forge(t, private, soundHeader(), `[]`), idvredirect.ErrMalformed},
		{"claims null", forge(t, private, soundHeader(), `null`), idvredirect.ErrMalformed},
		{"claims cut off", forge(t, private, soundHeader(), claims[:len(claims)-1]), idvredirect.ErrMalformed},
		{"something behind the claims", forge(t, private, soundHeader(), claims+"{}"), idvredirect.ErrMalformed},
		{"claim twice", forge(t, private, soundHeader(), `{"OrgId":"evil",`+claims[1:]), idvredirect.ErrMalformed},
		{"claim twice, escaped", forge(t, private, soundHeader(), `{"\u004frgId":"evil",`+claims[1:]), idvredirect.ErrMalformed},
		{"claim in other case", forge(t, private, soundHeader(), `{"orgid":"evil",`+claims[1:]), idvredirect.ErrMalformed},
		{"claim with a long s", forge(t, private, soundHeader(), `{"iſs":"evil",`+claims[1:]), idvredirect.ErrMalformed},
		{"claim null", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"aud": json.RawMessage("null")})), idvredirect.ErrMalformed},
		{"claim not UTF-8", forge(t, private, soundHeader(), "{\"x\":\"\xff\","+claims[1:]), idvredirect.ErrMalformed},
		{"organisation a number", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"OrgId": 1})), idvredirect.ErrMalformed},
		{"audience a list", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"aud": []string{testAudience}})), idvredirect.ErrMalformed},
		{"expiry a string", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"exp": "1768471500"})), idvredirect.ErrMalformed},
		{"expiry a fraction", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"exp": 1768471500.5})), idvredirect.ErrMalformed},
		{"expiry beyond 64 bits", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"exp": json.RawMessage("9223372036854775808")})), idvredirect.ErrMalformed},
		{"request ID with a line end", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"RequestId": testRequestID + "\n"})), idvredirect.ErrMalformed},
		{"short request ID", forge(t, private, soundHeader(), soundClaims(t, map[string]any{"RequestId": "1"})), idvredirect.ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			refused(t, verifyConfig(t, idvredirect.Hardened), test.token, test.want)
		})
	}
}
