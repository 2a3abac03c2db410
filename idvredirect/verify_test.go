// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// refused fails the test unless Verify refuses the token for the reason, and did not use it up.
func refused(t *testing.T, cfg idvredirect.VerifyConfig, token string, want error) {
	t.Helper()
	marks := &countingStore{}
	cfg.OneTime = marks
	claims, err := idvredirect.Verify(t.Context(), token, cfg)
	if claims != (idvredirect.Claims{}) || !errors.Is(err, want) || !errors.Is(err, idvredirect.ErrToken) {
		t.Errorf("Verify = %+v, %v, want %v", claims, err, want)
	}
	if marks.used > 0 {
		t.Error("a refused token was marked as used")
	}
	if err != nil && (strings.Contains(err.Error(), "evil") || strings.Contains(err.Error(), testOrgID)) {
		t.Errorf("%q repeats the token", err)
	}
}

type countingStore struct{ used int }

func (s *countingStore) Use(context.Context, string, time.Time) (bool, error) {
	s.used++
	return true, nil
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, set := range []idvredirect.ClaimSet{idvredirect.Hardened, idvredirect.Minimal} {
		claims, err := idvredirect.Verify(t.Context(), kickstartToken(t, set), verifyConfig(t, set))
		if err != nil {
			t.Fatalf("%v: Verify = %v", set, err)
		}
		if claims.OrgID != testOrgID || claims.RequestID != testRequestID || claims.RedirectURL != testRedirectURL || !claims.Expires.Equal(fixtureTime.Add(5*time.Minute)) {
			t.Errorf("%v: Verify = %+v", set, claims)
		}
	}
}

// TM-094, TM-153: a token of a sound signature is still refused when it is for another partner, by another organisation,
// sends the visitor elsewhere, or lives too long.
func TestClaimsOfSoundTokens(t *testing.T) {
	t.Parallel()
	now := fixtureTime.Unix()
	for _, test := range []struct {
		name    string
		changes map[string]any
		want    error // nil: accepted
	}{
		{"as it is", nil, nil},
		{"unknown claim", map[string]any{"nonce": "x"}, nil},
		{"no expiry", map[string]any{"exp": nil}, idvredirect.ErrMissingClaim},
		{"no organisation", map[string]any{"OrgId": nil}, idvredirect.ErrMissingClaim},
		{"empty organisation", map[string]any{"OrgId": ""}, idvredirect.ErrMissingClaim},
		{"no request ID", map[string]any{"RequestId": nil}, idvredirect.ErrMissingClaim},
		{"no redirect URL", map[string]any{"redirectUrl": nil}, idvredirect.ErrMissingClaim},
		{"no issuer", map[string]any{"iss": nil}, idvredirect.ErrMissingClaim},
		{"no audience", map[string]any{"aud": nil}, idvredirect.ErrMissingClaim},
		{"no issue time", map[string]any{"iat": nil}, idvredirect.ErrMissingClaim},
		{"no not-before", map[string]any{"nbf": nil}, idvredirect.ErrMissingClaim},
		{"no token ID", map[string]any{"jti": nil}, idvredirect.ErrMissingClaim},
		{"expired within the skew", map[string]any{"exp": now - 59}, nil},
		{"expired", map[string]any{"exp": now - 60}, idvredirect.ErrExpired},
		{"expired long ago", map[string]any{"exp": 0}, idvredirect.ErrExpired},
		{"expired before all time", map[string]any{"exp": json.RawMessage("-9223372036854775808")}, idvredirect.ErrExpired},
		{"longest life", map[string]any{"exp": now + 900}, nil},
		{"longer than its issue time allows", map[string]any{"exp": now + 901}, idvredirect.ErrLifetime},
		{"ends too far ahead", map[string]any{"exp": now + 961, "iat": now + 60}, idvredirect.ErrLifetime},
		{"never ends", map[string]any{"exp": json.RawMessage("9223372036854775807")}, idvredirect.ErrLifetime},
		{"issued within the skew ahead", map[string]any{"iat": now + 60}, nil},
		{"issued in the future", map[string]any{"iat": now + 61}, idvredirect.ErrNotYetValid},
		{"issued before all time", map[string]any{"iat": json.RawMessage("-9223372036854775808")}, idvredirect.ErrLifetime},
		{"valid within the skew ahead", map[string]any{"nbf": now + 60}, nil},
		{"not valid yet", map[string]any{"nbf": now + 61}, idvredirect.ErrNotYetValid},
		{"other issuer", map[string]any{"iss": testIssuer + "/"}, idvredirect.ErrIssuer},
		{"other audience", map[string]any{"aud": "https://other-idv.example"}, idvredirect.ErrAudience},
		{"audience in other case", map[string]any{"aud": strings.ToUpper(testAudience)}, idvredirect.ErrAudience},
		{"other organisation", map[string]any{"OrgId": "evil"}, idvredirect.ErrOrgID},
		{"organisation with a prefix in common", map[string]any{"OrgId": testOrgID + "2"}, idvredirect.ErrOrgID},
		{"other redirect URL", map[string]any{"redirectUrl": "https://evil.example/"}, idvredirect.ErrRedirectURL},
		{"redirect URL with more behind it", map[string]any{"redirectUrl": testRedirectURL + "/../x"}, idvredirect.ErrRedirectURL},
		{"redirect URL with a query", map[string]any{"redirectUrl": testRedirectURL + "?a"}, idvredirect.ErrRedirectURL},
		{"redirect URL in other case", map[string]any{"redirectUrl": strings.ToUpper(testRedirectURL)}, idvredirect.ErrRedirectURL},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			token := forge(t, rsaKeys()[0], soundHeader(), soundClaims(t, test.changes))
			if test.want != nil {
				refused(t, verifyConfig(t, idvredirect.Hardened), token, test.want)
				return
			}
			if _, err := idvredirect.Verify(t.Context(), token, verifyConfig(t, idvredirect.Hardened)); err != nil {
				t.Errorf("Verify = %v, want nil", err)
			}
		})
	}
}

// Where minimal claims are agreed, further claims may be absent, but not wrong.
func TestMinimalConfigChecksWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		changes map[string]any
		want    error
	}{
		{"audience of another partner", map[string]any{"aud": "https://other-idv.example"}, idvredirect.ErrAudience},
		{"other issuer", map[string]any{"iss": "https://evil.example"}, idvredirect.ErrIssuer},
		{"issued in the future", map[string]any{"iat": fixtureTime.Unix() + 61}, idvredirect.ErrNotYetValid},
		{"longer than its issue time allows", map[string]any{"exp": fixtureTime.Unix() + 901}, idvredirect.ErrLifetime},
	} {
		token := forge(t, rsaKeys()[0], soundHeader(), soundClaims(t, test.changes))
		refused(t, verifyConfig(t, idvredirect.Minimal), token, test.want)
	}
	cfg := verifyConfig(t, idvredirect.Minimal)
	cfg.Issuer, cfg.Audience = "", ""
	refused(t, cfg, forge(t, rsaKeys()[0], soundHeader(), soundClaims(t, nil)), idvredirect.ErrIssuer)
}

func TestConfiguredMaxLifetime(t *testing.T) {
	t.Parallel()
	cfg := verifyConfig(t, idvredirect.Minimal)
	cfg.MaxLifetime = 2 * time.Minute
	refused(t, cfg, kickstartToken(t, idvredirect.Minimal), idvredirect.ErrLifetime)
	refused(t, cfg, kickstartToken(t, idvredirect.Hardened), idvredirect.ErrLifetime)
}

// TM-093: a token without kid is tried against all published keys, and no other.
func TestTokenWithoutKeyID(t *testing.T) {
	t.Parallel()
	cfg := verifyConfig(t, idvredirect.Minimal)
	for i := 1; i < 3; i++ {
		cfg.Keys[signingKey(i).KeyID()] = rsaPublic(signingKey(i))
	}
	p := partner(t, idvredirect.Minimal)
	for i := range 4 {
		id, err := idvredirect.NewRequestID(nil)
		if err != nil {
			t.Fatal(err)
		}
		token, err := p.KickstartToken(signingKey(i), id, testRedirectURL, fixtureTime, nil)
		if err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			refused(t, cfg, token, idvredirect.ErrSignature)
			continue
		}
		if _, err := idvredirect.Verify(t.Context(), token, cfg); err != nil {
			t.Errorf("key %d: Verify = %v", i, err)
		}
	}
}

// A partner mixes up two customers: a token of the one, with the organisation of the other, by the key of the one.
func TestOneCustomerCannotSpeakForAnother(t *testing.T) {
	t.Parallel()
	other := verifyConfig(t, idvredirect.Minimal)
	other.Keys = idvredirect.PublicKeys{signingKey(1).KeyID(): rsaPublic(signingKey(1))}
	other.OrgIDs = []string{"fabrikam"}
	p := partner(t, idvredirect.Minimal)
	p.OrgID = "fabrikam"
	token, err := p.KickstartToken(signingKey(0), testRequestID, testRedirectURL, fixtureTime, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, other, token, idvredirect.ErrSignature)
	refused(t, verifyConfig(t, idvredirect.Minimal), token, idvredirect.ErrOrgID)
}

// A config that checks less than it seems to accepts nothing.
func TestUnusableVerifyConfigs(t *testing.T) {
	t.Parallel()
	small := smallKey().PublicKey
	for _, test := range []struct {
		name   string
		change func(*idvredirect.VerifyConfig)
		want   string
	}{
		{"no keys", func(c *idvredirect.VerifyConfig) { c.Keys = nil }, "no RSA key"},
		{"nil key", func(c *idvredirect.VerifyConfig) { c.Keys = idvredirect.PublicKeys{"a": nil} }, "bits"},
		{"empty key", func(c *idvredirect.VerifyConfig) { c.Keys = idvredirect.PublicKeys{"a": {}} }, "bits"},
		{"small key", func(c *idvredirect.VerifyConfig) { c.Keys = idvredirect.PublicKeys{"a": &small} }, "bits"},
		{"no organisation", func(c *idvredirect.VerifyConfig) { c.OrgIDs = nil }, "OrgIDs"},
		{"empty organisation", func(c *idvredirect.VerifyConfig) { c.OrgIDs = []string{""} }, "OrgIDs"},
		{"no redirect URL", func(c *idvredirect.VerifyConfig) { c.RedirectURLs = nil }, "RedirectURLs"},
		{"no store", func(c *idvredirect.VerifyConfig) { c.OneTime = nil }, "OneTime"},
		{"no issuer", func(c *idvredirect.VerifyConfig) { c.Issuer = "" }, "Issuer"},
		{"no audience", func(c *idvredirect.VerifyConfig) { c.Audience = "" }, "Audience"},
		{"unknown claim set", func(c *idvredirect.VerifyConfig) { c.Claims = 7 }, "Claims"},
		{"negative lifetime", func(c *idvredirect.VerifyConfig) { c.MaxLifetime = -1 }, "MaxLifetime"},
		{"long lifetime", func(c *idvredirect.VerifyConfig) { c.MaxLifetime = time.Hour }, "MaxLifetime"},
	} {
		cfg := verifyConfig(t, idvredirect.Hardened)
		test.change(&cfg)
		claims, err := idvredirect.Verify(t.Context(), kickstartToken(t, idvredirect.Hardened), cfg)
		if claims != (idvredirect.Claims{}) || !errors.Is(err, idvredirect.ErrVerifyConfig) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Verify = %+v, %v, want ErrVerifyConfig with %q", test.name, claims, err, test.want)
		}
	}
}

// Without Now it is the clock's time: the fixture's token has long expired by it.
func TestVerifyDefaultClock(t *testing.T) {
	t.Parallel()
	cfg := verifyConfig(t, idvredirect.Minimal)
	cfg.Now = nil
	p := partner(t, idvredirect.Minimal)
	token, err := p.KickstartToken(signingKey(0), testRequestID, testRedirectURL, time.Now(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := idvredirect.Verify(t.Context(), token, cfg); err != nil {
		t.Errorf("Verify = %v", err)
	}
}
