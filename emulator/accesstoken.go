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

// accessTokenClaims are the claims of an access token that the services read.
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

// mintAccessToken makes a token for one of the two services, with the roles that the client has there.
func (e *Emulator) mintAccessToken(client *Client, app string, asserted bool) (string, error) {
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
		"aud": app, "iss": e.tokenIssuer(client.Tenant), "idp": e.tokenIssuer(client.Tenant),
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(e.cfg.TokenLifetime).Unix(),
		"appid": client.ID, "appidacr": appidacr, "oid": oid, "sub": oid, "roles": client.rolesAt(app),
		"tid": client.Tenant, "uti": e.rand.hex(11), "ver": "1.0",
	})
	token.Header["kid"] = tokenKeyID
	signed, err := token.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("signing access token: %w", err)
	}
	return signed, nil
}

// rolesAt are the roles of a client at one service: each has its own, and a token tells those of its audience only.
func (c *Client) rolesAt(app string) []string {
	return slices.DeleteFunc(slices.Clone(c.Roles), func(role string) bool { return (role == RoleNetworkRead) != (app == adminServiceApp) })
}

// authorize checks an access token that one of the roles at a service must be in, and returns the tenant it speaks for. The
// service reads the tenant from the token, there is none in the URL.
func (e *Emulator) authorize(r *http.Request, app string, roles ...string) (tenant string, err error) {
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
	case len(claims.Audience) != 1 || claims.Audience[0] != app:
		return "", unauthorized("Provided access token has a wrong audience")
	case claims.Issuer != e.tokenIssuer(claims.TID):
		return "", unauthorized("Provided access token has a wrong issuer")
	case len(claims.Roles) == 0:
		return "", unauthorized("Provided access token contains no roles")
	case !slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(claims.Roles, role) }):
		return "", &serviceError{
			status: http.StatusForbidden, inner: codeToken, target: "access_token",
			message: noAcceptableRoles(roles...),
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
