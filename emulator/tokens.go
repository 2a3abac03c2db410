// SPDX-License-Identifier: Apache-2.0

package emulator

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const (
	// The app ids of "Verifiable Credentials Service Request" and "… Admin", the audiences of access tokens.
	requestServiceApp = "3db474b9-6a0c-4840-96ac-1fceb342124f"
	adminServiceApp   = "6a8b4b39-c021-437c-b060-5a14a3fd65f3"
	assertionTypeJWT  = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
)

// TokenHandler serves /{tenant}/oauth2/v2.0/token and the discovery documents that MSAL reads first. MSAL, and so
// azidentity, accepts https only: serve it with [CA.TLSConfig].
func (e *Emulator) TokenHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/{tenant}/oauth2/v2.0/token", e.endpoint("POST", APIToken, maxAPIBody, e.serveToken))
	for _, path := range []string{"/{tenant}/v2.0/.well-known/openid-configuration", "/{tenant}/.well-known/openid-configuration"} {
		mux.Handle(path, e.endpoint("GET", APIDiscovery, maxAPIBody, e.serveOpenIDConfiguration))
	}
	mux.Handle("/{tenant}/discovery/v2.0/keys", e.endpoint("GET", APIDiscovery, maxAPIBody, e.serveTokenKeys))
	mux.Handle("/common/discovery/instance", e.endpoint("GET", APIDiscovery, maxAPIBody, e.serveInstanceDiscovery))
	mux.Handle("/", e.endpoint("", "", maxAPIBody, func(http.ResponseWriter, *http.Request) error {
		return notFound("", "The resource was not found.")
	}))
	return e.guard(mux)
}

// tokenError is an error as Entra's token endpoint answers it.
type tokenError struct {
	status  int
	name    string // for example invalid_client
	code    int    // the number after AADSTS
	message string
}

func (err *tokenError) Error() string { return fmt.Sprintf("AADSTS%d: %s", err.code, err.message) }

// tokenResponse is a success of the token endpoint.
type tokenResponse struct {
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	ExtExpiresIn int64  `json:"ext_expires_in"`
	AccessToken  string `json:"access_token"`
}

// tokenErrorBody is a failure of the token endpoint.
type tokenErrorBody struct {
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
	ErrorCodes       []int  `json:"error_codes"`
	Timestamp        string `json:"timestamp"`
	TraceID          string `json:"trace_id"`
	CorrelationID    string `json:"correlation_id"`
}

func (e *Emulator) serveToken(w http.ResponseWriter, r *http.Request) error {
	token, failure := e.grant(r)
	if failure != nil {
		e.writeTokenError(w, failure)
		return nil
	}
	lifetime := int64(e.cfg.TokenLifetime.Seconds())
	writeJSON(w, http.StatusOK, tokenResponse{
		TokenType: "Bearer", ExpiresIn: lifetime, ExtExpiresIn: lifetime, AccessToken: token,
	})
	return nil
}

// grant judges a token request and mints the token.
func (e *Emulator) grant(r *http.Request) (string, *tokenError) {
	tenant, ok := e.tenants[strings.ToLower(r.PathValue("tenant"))]
	if !ok {
		return "", &tokenError{
			400, "invalid_request", 90002,
			fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.", r.PathValue("tenant")),
		}
	}
	if mediaType(r) != "application/x-www-form-urlencoded" || r.ParseForm() != nil {
		return "", &tokenError{400, "invalid_request", 900144, "The request body must contain the following parameter: 'grant_type'."}
	}
	form := r.PostForm
	for _, name := range []string{"grant_type", "client_id", "scope"} {
		if form.Get(name) == "" {
			return "", &tokenError{400, "invalid_request", 900144, fmt.Sprintf("The request body must contain the following parameter: '%s'.", name)}
		}
	}
	if form.Get("grant_type") != "client_credentials" {
		return "", &tokenError{400, "unsupported_grant_type", 70003, fmt.Sprintf("The app requested an unsupported grant type '%s'.", form.Get("grant_type"))}
	}
	client, failure := e.authenticateClient(tenant, form, r.URL.Path)
	if failure != nil {
		return "", failure
	}
	app, failure := appOfScope(form.Get("scope"))
	if failure != nil {
		return "", failure
	}
	token, err := e.mintAccessToken(client, app, form.Has("client_assertion"))
	if err != nil {
		e.log.Error("minting access token failed", "error", err)
		return "", &tokenError{500, "server_error", 90033, "A transient error has occurred. Please try again."}
	}
	return token, nil
}

// appOfScope takes the scope of one of the two services, with the OpenID scopes that MSAL adds.
func appOfScope(scope string) (app string, failure *tokenError) {
	for part := range strings.FieldsSeq(scope) {
		resource, byDefault := strings.CutSuffix(part, "/.default")
		switch {
		case part == "openid" || part == "offline_access" || part == "profile":
		case !byDefault:
			return "", &tokenError{400, "invalid_scope", 1002012, fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", scope)}
		case resource != requestServiceApp && resource != adminServiceApp:
			return "", &tokenError{400, "invalid_resource", 500011, fmt.Sprintf("The resource principal named %s was not found in the tenant.", resource)}
		case app != "" && app != resource:
			return "", &tokenError{400, "invalid_scope", 70011, fmt.Sprintf("The provided value for the input parameter 'scope' is not valid. One or more scopes in '%s' are not compatible with each other.", scope)}
		default:
			app = resource
		}
	}
	if app == "" {
		return "", &tokenError{400, "invalid_scope", 1002012, fmt.Sprintf("The provided value for scope %s is not valid.", scope)}
	}
	return app, nil
}

func (e *Emulator) writeTokenError(w http.ResponseWriter, err *tokenError) {
	now := e.Now().UTC()
	trace, correlation := e.rand.uuid(), e.rand.uuid()
	writeJSON(w, err.status, tokenErrorBody{
		Error: err.name,
		ErrorDescription: fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s",
			err.code, err.message, trace, correlation, now.Format("2006-01-02 15:04:05Z")),
		ErrorCodes: []int{err.code}, Timestamp: now.Format("2006-01-02 15:04:05Z"),
		TraceID: trace, CorrelationID: correlation,
	})
}

// tokenFault gives an injected fault the form of the token endpoint.
func tokenFault(f Fault) *tokenError {
	err := &tokenError{status: f.Status, name: f.InnerCode, code: 90033, message: f.InnerMessage}
	if err.name == "" {
		err.name = "temporarily_unavailable"
	}
	if err.message == "" {
		err.message = "A transient error has occurred. Please try again."
	}
	return err
}

func (e *Emulator) serveOpenIDConfiguration(w http.ResponseWriter, r *http.Request) error {
	tenant, ok := e.tenants[strings.ToLower(r.PathValue("tenant"))]
	if !ok {
		e.writeTokenError(w, &tokenError{400, "invalid_tenant", 90002, fmt.Sprintf("Tenant '%s' not found.", r.PathValue("tenant"))})
		return nil
	}
	base := e.cfg.TokenURL + "/" + tenant
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                base + "/v2.0",
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"token_endpoint":                        base + "/oauth2/v2.0/token",
		"jwks_uri":                              base + "/discovery/v2.0/keys",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
		"response_types_supported":              []string{"token"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"tenant_region_scope":                   "EU",
	})
	return nil
}

// serveInstanceDiscovery answers the question whether the authority host is a genuine one.
func (e *Emulator) serveInstanceDiscovery(w http.ResponseWriter, _ *http.Request) error {
	host := e.cfg.TokenURL
	if u, err := url.Parse(host); err == nil {
		host = u.Host
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"tenant_discovery_endpoint": e.cfg.TokenURL + "/" + e.cfg.Tenant + "/v2.0/.well-known/openid-configuration",
		"api-version":               "1.1",
		"metadata": []map[string]any{{
			"preferred_network": host, "preferred_cache": host, "aliases": []string{host},
		}},
	})
	return nil
}
