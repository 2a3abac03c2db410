// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

const tokenKeyID = "emulator-signing-key-1"

// accessTokenClaims are the claims of an access token that the Request Service reads.
type accessTokenClaims struct {
	jwt.RegisteredClaims

	Roles []string `json:"roles"`
	TID   string   `json:"tid"`
}

// tokenKey is the RSA key of every token endpoint of this process, made when the first token is wanted: making one
// takes longer than a whole test. Emulators know their own tokens by the issuer.
var tokenKey = sync.OnceValues(func() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making token key: %w", err)
	}
	return key, nil
})

func (e *Emulator) tokenIssuer(tenant string) string { return e.cfg.TokenURL + "/" + tenant + "/" }

func (e *Emulator) mintAccessToken(client *Client, asserted bool) (string, error) {
	key, err := tokenKey()
	if err != nil {
		return "", err
	}
	now := e.Now()
	appidacr := "1" // a secret
	if asserted {
		appidacr = "2" // a certificate or a federated token
	}
	// The object id of the service principal: any stable one will do.
	oid := uuid.NewSHA1(uuid.NameSpaceOID, []byte(client.Tenant+client.ID)).String()
	// A map, because the library would write the one audience as an array.
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"aud": requestServiceApp, "iss": e.tokenIssuer(client.Tenant), "idp": e.tokenIssuer(client.Tenant),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(e.cfg.TokenLifetime).Unix(),
		"appid": client.ID, "appidacr": appidacr, "oid": oid, "sub": oid, "roles": client.Roles,
		"tid": client.Tenant, "uti": e.rand.hex(11), "ver": "1.0",
	})
	token.Header["kid"] = tokenKeyID
	signed, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("signing access token: %w", err)
	}
	return signed, nil
}

// authorize checks the access token of a request API and returns the tenant it speaks for. The service reads the
// tenant from the token, there is none in the URL.
func (e *Emulator) authorize(r *http.Request, role string) (tenant string, err error) {
	scheme, raw, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return "", unauthorized("Access token is missing")
	}
	key, err := tokenKey()
	if err != nil {
		return "", err
	}
	var claims accessTokenClaims
	_, err = jwt.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithStrictDecoding(), jwt.WithTimeFunc(e.Now), jwt.WithExpirationRequired())
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", unauthorized("Provided access token has expired")
	case err != nil:
		return "", unauthorized("Provided access token is not valid")
	case len(claims.Audience) != 1 || claims.Audience[0] != requestServiceApp:
		return "", unauthorized("Provided access token has a wrong audience")
	case claims.Issuer != e.tokenIssuer(claims.TID):
		return "", unauthorized("Provided access token has a wrong issuer")
	case len(claims.Roles) == 0:
		return "", unauthorized("Provided access token contains no roles")
	case !slices.Contains(claims.Roles, role) && !slices.Contains(claims.Roles, RoleCreateAll):
		return "", &serviceError{
			status: http.StatusForbidden, inner: codeToken, target: "access_token",
			message: noAcceptableRoles(RoleCreateAll, role),
		}
	}
	return claims.TID, nil
}

func unauthorized(message string) *serviceError {
	return &serviceError{status: http.StatusUnauthorized, inner: codeToken, message: message, target: "access_token"}
}

func noAcceptableRoles(roles ...string) string {
	return `No acceptable roles were found in access token, required roles are ["` + strings.Join(roles, `", "`) + `"]`
}

// serveTokenKeys publishes the key that signs access tokens.
func (e *Emulator) serveTokenKeys(w http.ResponseWriter, _ *http.Request) error {
	key, err := tokenKey()
	if err != nil {
		return err
	}
	encode := base64.RawURLEncoding.EncodeToString
	writeJSON(w, http.StatusOK, map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": tokenKeyID,
		"n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes()),
	}}})
	return nil
}
