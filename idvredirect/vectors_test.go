// SPDX-License-Identifier: Apache-2.0

package idvredirect_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/idvredirect"
)

// vector is one of the example tokens.
type vector struct {
	Header  json.RawMessage `json:"header"`
	Payload json.RawMessage `json:"payload"`
	Compact string          `json:"compact"`
	URL     string          `json:"url"`
}

func readVector(t testing.TB, name string) vector {
	t.Helper()
	var v vector
	if err := json.Unmarshal(readFile(t, name), &v); err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	return v
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// vectorConfig is what the partner of the vectors knows, at a time after they were made.
func vectorConfig(t testing.TB, claims idvredirect.ClaimSet, after time.Duration) idvredirect.VerifyConfig {
	t.Helper()
	keys, err := idvredirect.ParseJWKS(readFile(t, "kickstart-jwks.json"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := verifyConfig(t, claims)
	cfg.Keys = keys
	cfg.RedirectURLs = []string{"https://payroll.contoso.example/.verifiedid/return"}
	cfg.Now = func() time.Time { return fixtureTime.Add(after) }
	cfg.OneTime = idvredirect.NewMemoryOneTimeStore(0, cfg.Now)
	return cfg
}

// The tokens of the working reference, which were signed by another program, pass at their time and not after it.
func TestVerifyVectors(t *testing.T) {
	t.Parallel()
	minimal := idvredirect.Claims{
		OrgID: "contoso-payroll", RequestID: "k7WqzT0eRkGmX2bVd9LfHA.1", Expires: time.Unix(1768471500, 0).UTC(),
		RedirectURL: "https://payroll.contoso.example/.verifiedid/return",
	}
	hardened := minimal
	hardened.Issuer, hardened.Audience = testIssuer, testAudience
	hardened.IssuedAt, hardened.NotBefore = time.Unix(1768471200, 0).UTC(), time.Unix(1768471170, 0).UTC()
	hardened.ID, hardened.KeyID = "Jx4dP8sTz1QmWv6RbN0cKg", "LO7lPA1v0oEYajvUbDWVEuQkrvNftk-Tcatbl3oE80o"

	for _, test := range []struct {
		name, file string
		set        idvredirect.ClaimSet
		after      time.Duration
		want       idvredirect.Claims
		err        error
	}{
		{"minimal", "kickstart-jwt-minimal.json", idvredirect.Minimal, 2 * time.Minute, minimal, nil},
		{"hardened", "kickstart-jwt-hardened.json", idvredirect.Hardened, 2 * time.Minute, hardened, nil},
		{"hardened where minimal is agreed", "kickstart-jwt-hardened.json", idvredirect.Minimal, 2 * time.Minute, hardened, nil},
		{"minimal where hardened is agreed", "kickstart-jwt-minimal.json", idvredirect.Hardened, 2 * time.Minute, idvredirect.Claims{}, idvredirect.ErrMissingClaim},
		{"minimal, too late", "kickstart-jwt-minimal.json", idvredirect.Minimal, 6 * time.Minute, idvredirect.Claims{}, idvredirect.ErrExpired},
		{"hardened, too late", "kickstart-jwt-hardened.json", idvredirect.Hardened, 6 * time.Minute, idvredirect.Claims{}, idvredirect.ErrExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := readVector(t, test.file)
			got, err := idvredirect.Verify(t.Context(), v.Compact, vectorConfig(t, test.set, test.after))
			if got != test.want || !errors.Is(err, test.err) {
				t.Errorf("Verify = %+v, %v\nwant %+v, %v", got, err, test.want, test.err)
			}
		})
	}
}

// Given what the vectors were made from, we make the same ones: the claims byte for byte, the URL but for the signature.
func TestKickstartMakesVectors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		file string
		set  idvredirect.ClaimSet
	}{
		{"kickstart-jwt-minimal.json", idvredirect.Minimal},
		{"kickstart-jwt-hardened.json", idvredirect.Hardened},
	} {
		v := readVector(t, test.file)
		var payload struct {
			RequestID   string `json:"RequestId"`
			RedirectURL string `json:"redirectUrl"`
		}
		if err := json.Unmarshal(v.Payload, &payload); err != nil {
			t.Fatal(err)
		}
		id := bytes.NewReader(unbase64(t, "Jx4dP8sTz1QmWv6RbN0cKg"))
		location, err := partner(t, test.set).Kickstart(signingKey(0), payload.RequestID, payload.RedirectURL, fixtureTime, id)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(location)
		if err != nil {
			t.Fatal(err)
		}
		token := u.Query().Get("token")
		if got, want := strings.Split(token, ".")[1], strings.Split(v.Compact, ".")[1]; got != want {
			t.Errorf("%s: claims = %s, want %s", test.file, got, want)
		}
		if got, want := strings.Replace(location, token, "", 1), strings.Replace(v.URL, v.Compact, "", 1); got != want {
			t.Errorf("%s: URL = %s, want %s", test.file, got, want)
		}
		header, _ := decode(t, token)
		got, want := object(t, header), object(t, v.Header)
		if _, found := want["kid"]; found {
			want["kid"] = signingKey(0).KeyID()
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: header = %v, want %v", test.file, got, want)
		}
	}
}
