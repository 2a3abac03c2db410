// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"net/http"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestForeignAccessTokens mints tokens with the right key that are for something or somebody else.
func TestForeignAccessTokens(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	o := openByHand(t, &now)
	key, err := tokenKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(jwt.MapClaims)
		good   bool
	}{
		"good":              {func(jwt.MapClaims) {}, true},
		"for Graph":         {func(c jwt.MapClaims) { c["aud"] = "https://graph.example" }, false},
		"for the Admin API": {func(c jwt.MapClaims) { c["aud"] = adminServiceApp }, false},
		"for two":           {func(c jwt.MapClaims) { c["aud"] = []string{requestServiceApp, "https://graph.example"} }, false},
		"for nobody":        {func(c jwt.MapClaims) { delete(c, "aud") }, false},
		"of other tenant":   {func(c jwt.MapClaims) { c["tid"] = PartnerTenant }, false},
		"without end":       {func(c jwt.MapClaims) { delete(c, "exp") }, false},
		"not yet valid":     {func(c jwt.MapClaims) { c["nbf"] = now.Add(time.Hour).Unix() }, false},
	} {
		claims := jwt.MapClaims{
			"aud": requestServiceApp, "iss": o.e.tokenIssuer(DemoTenant), "tid": DemoTenant, "roles": []string{RoleCreateAll},
			"nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		c.change(claims)
		token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		if _, err := o.e.authorize(request, requestServiceApp, RoleCreateAll, RolePresentRequest); (err == nil) != c.good {
			t.Errorf("%s: authorize() = %v, want good %v", name, err, c.good)
		}
	}
}
