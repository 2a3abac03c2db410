// SPDX-License-Identifier: Apache-2.0

package partner_test

import (
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/emulator/partner"
)

// TestKickstartTokenAttacks goes through what strangers, careless relying parties and other
// organisations may send. Each token is good but for one thing, and the page must name
// exactly that. Covers the partner's side of TM-087, TM-088, TM-094.
func TestKickstartTokenAttacks(t *testing.T) {
	t.Parallel()

	with := func(change func(jwt.MapClaims)) func(*testing.T) string {
		return func(t *testing.T) string {
			claims := minimal()
			change(claims)
			return sign(t, orgKey(), map[string]any{"kid": "key-1"}, claims)
		}
	}
	set := func(name string, value any) func(*testing.T) string {
		return with(func(c jwt.MapClaims) { c[name] = value })
	}
	without := func(name string) func(*testing.T) string {
		return with(func(c jwt.MapClaims) { delete(c, name) })
	}
	header := func(name string, value any) func(*testing.T) string {
		return func(t *testing.T) string {
			return sign(t, orgKey(), map[string]any{"kid": "key-1", name: value}, minimal())
		}
	}

	tests := []struct {
		name  string
		token func(*testing.T) string
		want  []string // checks that fail; none: accepted
	}{
		{"good", with(func(jwt.MapClaims) {}), nil},
		{"good without kid, as published", func(t *testing.T) string { return sign(t, orgKey(), nil, minimal()) }, nil},
		{"good without typ", header("typ", nil), []string{"header"}},
		{"no token", func(*testing.T) string { return "" }, []string{"form"}},
		{"no JWT", func(*testing.T) string { return "hello" }, []string{"form"}},
		{"huge", func(*testing.T) string { return strings.Repeat("a", 9<<10) }, []string{"form"}},
		{"padded base64", func(t *testing.T) string {
			h, rest, _ := strings.Cut(sign(t, orgKey(), nil, minimal()), ".")
			return h + "=." + rest
		}, []string{"form"}},
		{"a claim twice", func(t *testing.T) string {
			return signRaw(t, `{"alg":"RS256","typ":"JWT"}`,
				`{"OrgId":"mallory","OrgId":"contoso","RequestId":"twice","exp":1768471620,"redirectUrl":"https://payroll.contoso.example/.verified-id/return"}`)
		}, []string{"form"}},
		{"claims not an object", func(t *testing.T) string { return signRaw(t, `{"alg":"RS256"}`, `[1]`) }, []string{"form"}},

		{"algorithm none", func(t *testing.T) string {
			token, err := jwt.NewWithClaims(jwt.SigningMethodNone, minimal()).SignedString(jwt.UnsafeAllowNoneSignatureType)
			if err != nil {
				t.Fatal(err)
			}
			return token + "x"
		}, []string{"algorithm"}},
		{"algorithm none, empty signature", func(t *testing.T) string {
			token, err := jwt.NewWithClaims(jwt.SigningMethodNone, minimal()).SignedString(jwt.UnsafeAllowNoneSignatureType)
			if err != nil {
				t.Fatal(err)
			}
			return token
		}, []string{"algorithm"}},
		{"HS256 keyed with the public key", func(t *testing.T) string {
			der, err := x509.MarshalPKIXPublicKey(&orgKey().PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, minimal()).SignedString(
				pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
			if err != nil {
				t.Fatal(err)
			}
			return text
		}, []string{"algorithm"}},
		{"RS256 in name, HMAC in truth", func(*testing.T) string {
			signed := unsigned(`{"alg":"RS256","typ":"JWT"}`, minimal())
			mac := hmac.New(sha256.New, orgKey().N.Bytes())
			mac.Write([]byte(signed))
			return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		}, []string{"signature"}},
		{"RS512", func(t *testing.T) string {
			text, err := jwt.NewWithClaims(jwt.SigningMethodRS512, minimal()).SignedString(orgKey())
			if err != nil {
				t.Fatal(err)
			}
			return text
		}, []string{"algorithm"}},
		{"PS256", func(t *testing.T) string {
			text, err := jwt.NewWithClaims(jwt.SigningMethodPS256, minimal()).SignedString(orgKey())
			if err != nil {
				t.Fatal(err)
			}
			return text
		}, []string{"algorithm"}},
		{"crit", header("crit", []string{"b64"}), []string{"header"}},
		{"access token type", header("typ", "at+jwt"), []string{"header"}},

		{"key of somebody else under our kid", func(t *testing.T) string {
			return sign(t, otherKey(), map[string]any{"kid": "key-1"}, minimal())
		}, []string{"signature"}},
		{"key of somebody else without kid", func(t *testing.T) string { return sign(t, otherKey(), nil, minimal()) }, []string{"signature"}},
		{"unknown kid", func(t *testing.T) string {
			return sign(t, orgKey(), map[string]any{"kid": "key-2"}, minimal())
		}, []string{"signature"}},
		{"key in the header", func(t *testing.T) string {
			return sign(t, otherKey(), map[string]any{"jwk": json.RawMessage(publicJWK(otherKey()))}, minimal())
		}, []string{"signature"}},
		{"key set of the attacker's choice", func(t *testing.T) string {
			return sign(t, otherKey(), map[string]any{"jku": "https://mallory.example/jwks.json"}, minimal())
		}, []string{"signature"}},
		{"claims exchanged under the signature", func(t *testing.T) string {
			parts := strings.Split(sign(t, orgKey(), nil, minimal()), ".")
			other := minimal()
			return unsigned(`{"alg":"RS256","typ":"JWT"}`, other) + "." + parts[2]
		}, []string{"signature"}},

		{"other organisation", set("OrgId", "fabrikam"), []string{"organisation"}},
		{"organisation in other case", set("OrgId", "Contoso"), []string{"organisation"}},
		{"organisation missing", without("OrgId"), []string{"claims", "organisation"}},
		{"claim name in other case", with(func(c jwt.MapClaims) { c["orgId"] = c["OrgId"]; delete(c, "OrgId") }), []string{"claims", "organisation", "extra-claims"}},

		{"RequestId missing", without("RequestId"), []string{"claims", "request-id"}},
		{"RequestId a number", set("RequestId", 7), []string{"claims", "request-id"}},
		{"RequestId with a line break", set("RequestId", "a\r\nb"), []string{"request-id"}},
		{"RequestId too long", set("RequestId", strings.Repeat("a", 129)), []string{"request-id"}},

		{"expired", set("exp", start.Unix()), []string{"expiry"}},
		{"valid for an hour", set("exp", start.Add(time.Hour).Unix()), []string{"lifetime"}},
		{"valid for ever", without("exp"), []string{"claims"}},
		{"expiry a text", set("exp", "1768471620"), []string{"claims"}},
		{"expiry beyond all time", set("exp", 1e300), []string{"claims"}},
		{"exactly fifteen minutes", set("exp", start.Add(15*time.Minute).Unix()), nil},
		{"a second more", set("exp", start.Add(15*time.Minute+time.Second).Unix()), []string{"lifetime"}},

		{"back to another site", set("redirectUrl", "https://mallory.example/.verified-id/return"), []string{"redirect"}},
		{"back to another site behind a user name", set("redirectUrl", "https://payroll.contoso.example@mallory.example/.verified-id/return"), []string{"redirect"}},
		{"back to a longer host", set("redirectUrl", "https://payroll.contoso.example.mallory.example/.verified-id/return"), []string{"redirect"}},
		{"back without TLS", set("redirectUrl", "http://payroll.contoso.example/.verified-id/return"), []string{"redirect"}},
		{"back to another path", set("redirectUrl", "https://payroll.contoso.example/.verified-id/returned"), []string{"redirect"}},
		{"back to a longer path", set("redirectUrl", "https://payroll.contoso.example/.verified-id/return/../../x"), []string{"redirect"}},
		{"back to a script", set("redirectUrl", "javascript:alert(1)"), []string{"redirect"}},
		{"back with a fragment", set("redirectUrl", "https://payroll.contoso.example/.verified-id/return#x"), []string{"redirect"}},
		{"back with a query of its own", set("redirectUrl", "https://payroll.contoso.example/.verified-id/return?j=1"), nil},
		{"back to nowhere", without("redirectUrl"), []string{"claims", "redirect"}},

		{"a fifth claim", set("email", "ana@contoso.example"), []string{"extra-claims"}},
		{"registered claims that strict mode does not name", set("iss", "https://payroll.contoso.example"), []string{"extra-claims"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c *partner.Config) { c.Organisations[0].RefuseExtraClaims = true })
			token := test.token(t)
			p := f.arrive(t, token)
			if len(test.want) == 0 {
				if p.status != http.StatusSeeOther {
					t.Fatalf("status = %d, want 303; failed: %v", p.status, failedChecks(p.body))
				}
				return
			}
			if got := failedChecks(p.body); p.status != http.StatusForbidden || !slices.Equal(got, test.want) {
				t.Errorf("status, failed checks = %d, %v, want 403, %v", p.status, got, test.want)
			}
			if p.header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control = %q", p.header.Get("Cache-Control"))
			}
		})
	}
}

// TestExtraClaimsAreToleratedByDefault: the published text does not forbid them.
func TestExtraClaimsAreToleratedByDefault(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	claims := minimal()
	claims["iss"] = "https://payroll.contoso.example"
	f.begin(t, claims)
}

// TestReplayedKickstartToken: whoever reads a kickstart link in a log or over a shoulder comes
// second, and the second is refused (TM-088: one-time is the partner's only defence).
func TestReplayedKickstartToken(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := sign(t, orgKey(), nil, minimal())
	if p := f.arrive(t, token); p.status != http.StatusSeeOther {
		t.Fatalf("first use = %d, want 303", p.status)
	}
	p := f.arrive(t, token)
	if got := failedChecks(p.body); p.status != http.StatusForbidden || !slices.Equal(got, []string{"once"}) {
		t.Errorf("second use = %d, %v, want 403, [once]", p.status, got)
	}
}

// TestRefusedTokenIsNotUsedUp: a wrong copy of a token must not use up the right one.
func TestRefusedTokenIsNotUsedUp(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	claims := minimal()
	if p := f.arrive(t, sign(t, otherKey(), nil, claims)); p.status != http.StatusForbidden {
		t.Fatalf("forged = %d, want 403", p.status)
	}
	f.begin(t, claims)
}

// TestTwoTokenParameters: one parser takes the first, another the last; refuse both.
func TestTwoTokenParameters(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	token := sign(t, orgKey(), nil, minimal())
	if p := f.get(t, "/contoso/?token="+token+"&token="+token); p.status != http.StatusForbidden {
		t.Errorf("status = %d, want 403", p.status)
	}
}

// TestHardenedMode: the further claims are demanded, and made out to us.
func TestHardenedMode(t *testing.T) {
	t.Parallel()
	full := func(f *fixture) jwt.MapClaims {
		c := minimal()
		c["iss"], c["aud"] = "https://payroll.contoso.example", f.server.URL
		c["iat"], c["nbf"], c["jti"] = start.Unix(), start.Add(-30*time.Second).Unix(), "one"
		return c
	}
	tests := []struct {
		name   string
		kid    any
		change func(jwt.MapClaims)
		want   []string
	}{
		{"good", "key-1", func(jwt.MapClaims) {}, nil},
		{"audience in an array", "key-1", func(c jwt.MapClaims) { c["aud"] = []any{c["aud"]} }, nil},
		{"no kid", nil, func(jwt.MapClaims) {}, []string{"key-id"}},
		{"token for another partner", "key-1", func(c jwt.MapClaims) { c["aud"] = "https://other-idv.example" }, []string{"audience"}},
		{"token for two partners", "key-1", func(c jwt.MapClaims) { c["aud"] = []any{c["aud"], "https://other-idv.example"} }, []string{"audience"}},
		{"other issuer", "key-1", func(c jwt.MapClaims) { c["iss"] = "https://mallory.example" }, []string{"issuer"}},
		{"issued in the future", "key-1", func(c jwt.MapClaims) { c["iat"] = start.Add(2 * time.Minute).Unix() }, []string{"issued-at"}},
		{"not valid yet", "key-1", func(c jwt.MapClaims) { c["nbf"] = start.Add(2 * time.Minute).Unix() }, []string{"not-before"}},
		{"minimal", "key-1", func(c jwt.MapClaims) {
			for _, name := range []string{"iss", "aud", "iat", "nbf", "jti"} {
				delete(c, name)
			}
		}, []string{"issuer", "audience", "issued-at", "not-before", "token-id"}},
		{"a claim beyond", "key-1", func(c jwt.MapClaims) { c["email"] = "ana@contoso.example" }, []string{"extra-claims"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c *partner.Config) {
				c.Organisations[0].Mode = partner.Hardened
				c.Organisations[0].RefuseExtraClaims = true
				c.Organisations[0].Issuer = "https://payroll.contoso.example"
			})
			claims := full(f)
			test.change(claims)
			var header map[string]any
			if test.kid != nil {
				header = map[string]any{"kid": test.kid}
			}
			p := f.arrive(t, sign(t, orgKey(), header, claims))
			if got := failedChecks(p.body); !slices.Equal(got, test.want) {
				t.Errorf("status, failed checks = %d, %v, want %v", p.status, got, test.want)
			}
		})
	}
}

// TestWorkedTokens: tokens made by another program are understood.
func TestWorkedTokens(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file string
		mode partner.Mode
	}{{"kickstart-jwt-minimal.json", partner.Strict}, {"kickstart-jwt-hardened.json", partner.Hardened}} {
		t.Run(test.file, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, func(c *partner.Config) {
				o := &c.Organisations[0]
				o.ID, o.Mode, o.RefuseExtraClaims = "contoso-payroll", test.mode, true
				o.Audience = "https://www.fabrikam-idv.example"
				o.RedirectURLs = []string{"https://payroll.contoso.example/.verifiedid/return"}
			})
			f.site.keySet.Store(string(readTestdata(t, "kickstart-jwks.json")))
			var token struct{ Compact string }
			if err := json.Unmarshal(readTestdata(t, test.file), &token); err != nil {
				t.Fatal(err)
			}
			if p := f.get(t, "/contoso-payroll/?token="+token.Compact); p.status != http.StatusSeeOther {
				t.Errorf("status = %d, want 303; failed: %v", p.status, failedChecks(p.body))
			}
		})
	}
}

func readTestdata(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func publicJWK(key *rsa.PrivateKey) string {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal([]byte(keySet(map[string]*rsa.PrivateKey{"key-1": key})), &set); err != nil {
		panic(err)
	}
	return string(set.Keys[0])
}

func unsigned(header string, claims jwt.MapClaims) string {
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(text)
}

func signRaw(t *testing.T, header, payload string) string {
	t.Helper()
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	signature, err := jwt.SigningMethodRS256.Sign(signed, orgKey())
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
