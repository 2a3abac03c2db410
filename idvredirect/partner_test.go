// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// TM-088: the partners were promised these claims and this header, with this spelling, and nothing else. A strict partner
// refuses a token with one name too many; one about the person would be in the partner's logs. RS256 by the key that is
// published under the kid (TM-087).
func TestExactClaimSet(t *testing.T) {
	t.Parallel()
	key := signingKey(0)
	random := bytes.Repeat([]byte{7}, 16)
	minimal := map[string]any{
		"OrgId": testOrgID, "RequestId": testRequestID, "exp": json.Number("1768471500"), "redirectUrl": testRedirectURL,
	}
	hardened := map[string]any{
		"OrgId": testOrgID, "RequestId": testRequestID, "exp": json.Number("1768471500"), "redirectUrl": testRedirectURL,
		"iss": testIssuer, "aud": testAudience, "iat": json.Number("1768471200"), "nbf": json.Number("1768471170"),
		"jti": base64URL(random),
	}
	for _, test := range []struct {
		name           string
		claims         idvredirect.ClaimSet
		header, wanted map[string]any
	}{
		{"minimal", idvredirect.Minimal, map[string]any{"alg": "RS256", "typ": "JWT"}, minimal},
		{"hardened", idvredirect.Hardened, map[string]any{"alg": "RS256", "typ": "JWT", "kid": key.KeyID()}, hardened},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			location, err := partner(t, test.claims).Kickstart(key, testRequestID, testRedirectURL, fixtureTime, bytes.NewReader(random))
			if err != nil {
				t.Fatalf("Kickstart = %v", err)
			}
			u, err := url.Parse(location)
			if err != nil {
				t.Fatal(err)
			}
			token := u.Query().Get("token")
			if want := strings.Replace(testStartURL, "{token}", token, 1); location != want {
				t.Errorf("Kickstart = %q, want %q", location, want)
			}
			header, claims := decode(t, token)
			if got := object(t, header); !reflect.DeepEqual(got, test.header) {
				t.Errorf("header = %v, want %v", got, test.header)
			}
			if got := object(t, claims); !reflect.DeepEqual(got, test.wanted) {
				t.Errorf("claims = %v, want %v", got, test.wanted)
			}
			dot := strings.LastIndexByte(token, '.')
			if err := jwt.SigningMethodRS256.Verify(token[:dot], unbase64(t, token[dot+1:]), rsaPublic(key)); err != nil {
				t.Errorf("the signature does not match the key: %v", err)
			}
		})
	}
}

// A JSON writer that escapes for HTML, or a redirect URL with a query, must not change what the partner reads.
func TestRedirectURLArrivesUnchanged(t *testing.T) {
	t.Parallel()
	const redirect = "https://payroll.contoso.example/return?a=1&b=%2F"
	token, err := partner(t, idvredirect.Minimal).KickstartToken(signingKey(0), testRequestID, redirect, fixtureTime, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, claims := decode(t, token)
	if got := object(t, claims)["redirectUrl"]; got != redirect {
		t.Errorf("redirectUrl = %q, want %q", got, redirect)
	}
}

// TM-050: two tokens for one visit still have two IDs.
func TestTokenIDIsFresh(t *testing.T) {
	t.Parallel()
	seen := make(map[any]bool)
	for range 20 {
		_, claims := decode(t, kickstartToken(t, idvredirect.Hardened))
		id, _ := object(t, claims)["jti"].(string)
		if len(id) != 22 || seen[id] {
			t.Fatalf("jti = %q, want 22 new characters", id)
		}
		seen[id] = true
	}
}

// TM-050: a request ID has 128 random bits.
func TestRequestIDIsFresh(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		id, err := idvredirect.NewRequestID(nil)
		if err != nil || len(unbase64(t, id)) != 16 || seen[id] {
			t.Fatalf("NewRequestID = %q, %v, want 16 new bytes", id, err)
		}
		seen[id] = true
	}
	broken := iotest.ErrReader(errors.New("no randomness"))
	if id, err := idvredirect.NewRequestID(broken); id != "" || !errors.Is(err, idvredirect.ErrKickstart) {
		t.Errorf("NewRequestID = %q, %v, want ErrKickstart", id, err)
	}
	if id, err := idvredirect.NewRequestID(strings.NewReader("too short")); id != "" || err == nil {
		t.Errorf("NewRequestID = %q, %v, want an error", id, err)
	}
	p := partner(t, idvredirect.Hardened)
	if token, err := p.Kickstart(signingKey(0), testRequestID, testRedirectURL, fixtureTime, broken); token != "" || !errors.Is(err, idvredirect.ErrKickstart) {
		t.Errorf("Kickstart = %q, %v, want ErrKickstart", token, err)
	}
}

// TM-088: 5 minutes unless the operator says otherwise, and never more than 15.
func TestLifetime(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		lifetime time.Duration
		want     json.Number // exp; empty: refused
	}{
		{0, "1768471500"},
		{time.Second, "1768471201"},
		{15 * time.Minute, "1768472100"},
		{15*time.Minute + time.Second, ""},
		{24 * time.Hour, ""},
		{-time.Second, ""},
		{1500 * time.Millisecond, ""},
	} {
		p := partner(t, idvredirect.Minimal)
		p.Lifetime = test.lifetime
		token, err := p.KickstartToken(signingKey(0), testRequestID, testRedirectURL, fixtureTime.Add(900*time.Millisecond), nil)
		if test.want == "" {
			if token != "" || !errors.Is(err, idvredirect.ErrPartner) {
				t.Errorf("lifetime %v: KickstartToken = %q, %v, want ErrPartner", test.lifetime, token, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("lifetime %v: KickstartToken = %v", test.lifetime, err)
		}
		_, claims := decode(t, token)
		if got := object(t, claims)["exp"]; got != test.want {
			t.Errorf("lifetime %v: exp = %v, want %v", test.lifetime, got, test.want)
		}
	}
}

func TestUnusablePartners(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*idvredirect.Partner)
		want   string
	}{
		{"no URL", func(p *idvredirect.Partner) { p.URL = nil }, "no start URL"},
		{"no organisation", func(p *idvredirect.Partner) { p.OrgID = "" }, "organisation ID"},
		{"organisation with a line end", func(p *idvredirect.Partner) { p.OrgID = "a\nb" }, "organisation ID"},
		{"organisation of blanks", func(p *idvredirect.Partner) { p.OrgID = " " }, "organisation ID"},
		{"long organisation", func(p *idvredirect.Partner) { p.OrgID = strings.Repeat("a", 257) }, "organisation ID"},
		{"no issuer", func(p *idvredirect.Partner) { p.Issuer = "" }, "need an issuer"},
		{"odd audience", func(p *idvredirect.Partner) { p.Audience = "ä" }, "audience"},
		{"unknown claim set", func(p *idvredirect.Partner) { p.Claims = 7 }, "hardened or minimal"},
	} {
		p := partner(t, idvredirect.Hardened)
		test.change(&p)
		err := p.Validate()
		if !errors.Is(err, idvredirect.ErrPartner) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "fabrikam") {
			t.Errorf("%s: Validate = %v, want ErrPartner with %q and the name", test.name, err, test.want)
		}
		if location, err := p.Kickstart(signingKey(0), testRequestID, testRedirectURL, fixtureTime, nil); location != "" || !errors.Is(err, idvredirect.ErrPartner) {
			t.Errorf("%s: Kickstart = %q, %v, want ErrPartner", test.name, location, err)
		}
	}
	minimal := partner(t, idvredirect.Minimal)
	minimal.Issuer = ""
	if err := minimal.Validate(); err != nil {
		t.Errorf("Validate without an issuer = %v, want nil for minimal claims", err)
	}
}

// TM-089: the redirect URL is one fixed https URL. A caller who makes it from a request header hands visitors to whoever
// sends the header; what such a header can put in is refused here as a second line.
func TestUnusableKickstarts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                   string
		key                    *idvredirect.SigningKey
		requestID, redirectURL string
	}{
		{"no key", nil, testRequestID, testRedirectURL},
		{"zero key", &idvredirect.SigningKey{}, testRequestID, testRedirectURL},
		{"no request ID", signingKey(0), "", testRedirectURL},
		{"guessable request ID", signingKey(0), "1", testRedirectURL},
		{"long request ID", signingKey(0), strings.Repeat("a", 129), testRedirectURL},
		{"request ID with a blank", signingKey(0), testRequestID + " ", testRedirectURL},
		{"request ID with a quote", signingKey(0), testRequestID + `"`, testRedirectURL},
		{"no redirect URL", signingKey(0), testRequestID, ""},
		{"relative redirect URL", signingKey(0), testRequestID, "/return"},
		{"redirect URL over http", signingKey(0), testRequestID, "http://payroll.contoso.example/return"},
		{"redirect URL over http on loopback", signingKey(0), testRequestID, "http://localhost/return"},
		{"redirect URL with user information", signingKey(0), testRequestID, "https://a@b.example/"},
		{"redirect URL with a fragment", signingKey(0), testRequestID, "https://b.example/#x"},
		{"redirect URL with a line end", signingKey(0), testRequestID, "https://b.example/\r\nA: b"},
		{"script", signingKey(0), testRequestID, "javascript:alert(1)"},
	} {
		location, err := partner(t, idvredirect.Hardened).Kickstart(test.key, test.requestID, test.redirectURL, fixtureTime, nil)
		if location != "" || !errors.Is(err, idvredirect.ErrKickstart) {
			t.Errorf("%s: Kickstart = %q, %v, want ErrKickstart", test.name, location, err)
		}
	}
}

func TestKickstartOverHTTPOnLoopback(t *testing.T) {
	t.Parallel()
	p := partner(t, idvredirect.Hardened)
	p.URL = template(t, "http://localhost:8092/start", "", idvredirect.InsecureLoopbackHTTP())
	if _, err := p.Kickstart(signingKey(0), testRequestID, "http://localhost:8080/return", fixtureTime, nil); err != nil {
		t.Errorf("Kickstart = %v", err)
	}
	if location, err := p.Kickstart(signingKey(0), testRequestID, "http://payroll.example/return", fixtureTime, nil); location != "" || !errors.Is(err, idvredirect.ErrKickstart) {
		t.Errorf("Kickstart = %q, %v, want ErrKickstart", location, err)
	}
}

func TestParseClaimSet(t *testing.T) {
	t.Parallel()
	for _, set := range []idvredirect.ClaimSet{idvredirect.Hardened, idvredirect.Minimal} {
		if got, err := idvredirect.ParseClaimSet(set.String()); got != set || err != nil {
			t.Errorf("ParseClaimSet(%q) = %v, %v", set, got, err)
		}
	}
	for _, word := range []string{"", "Hardened", "both", "unknown"} {
		if got, err := idvredirect.ParseClaimSet(word); !errors.Is(err, idvredirect.ErrPartner) {
			t.Errorf("ParseClaimSet(%q) = %v, %v, want ErrPartner", word, got, err)
		}
	}
	if got := idvredirect.ClaimSet(7).String(); got != "unknown" {
		t.Errorf("ClaimSet(7).String() = %q, want unknown", got)
	}
}
