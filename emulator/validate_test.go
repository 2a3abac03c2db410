// SPDX-License-Identifier: Apache-2.0

package emulator_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/emulator"
)

// fullRequest is a presentation request that uses every optional field.
func fullRequest(w *world) map[string]any {
	body := faceCheck(w.presentation("VerifiedIdentity", emulator.PartnerAuthority), "portrait", 70)
	put(body, true, "includeQRCode")
	put(body, true, "includeReceipt")
	put(body, "https://payroll.contoso.example/logo.png", "registration", "logoUrl")
	put(body, "https://payroll.contoso.example/terms", "registration", "termsOfServiceUrl")
	put(body, []any{map[string]any{"claimName": "lastName", "values": []any{"Lima"}}}, "requestedCredentials", 0, "constraints")
	return body
}

// TestPresentationRequestMistakes walks through what the real service refuses, field by field. A lenient emulator
// would let these mistakes through to production.
func TestPresentationRequestMistakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.demoToken()
	credential := func(path ...any) []any { return append([]any{"requestedCredentials", 0}, path...) }
	validation := func(path ...any) []any { return append(credential("configuration", "validation"), path...) }
	constraints := func(members map[string]any) any { return []any{members} }
	for _, c := range []struct {
		name   string
		path   []any
		value  any
		target string
		says   string
	}{
		{"authority missing", []any{"authority"}, absent, "authority", "The request does not contain a valid authority DID."},
		{"authority of another tenant", []any{"authority"}, emulator.PartnerAuthority, "authority", "valid authority DID"},
		{"authority placeholder", []any{"authority"}, "did:web:YOUR-DOMAIN", "authority", "valid authority DID"},
		{"authority is real", []any{"authority"}, "did:web:verifiedid.contoso.com", "authority", "valid authority DID"},
		{"authority is the Face Check's", []any{"authority"}, emulator.FaceCheckAuthority, "authority", "valid authority DID"},
		{"authority is no string", []any{"authority"}, 7, "authority", "but it is not string."},

		{"includeQRCode is a string", []any{"includeQRCode"}, "true", "includeQRCode", "The request contains `includeQRCode`, but it is not boolean."},
		{"includeQRCode is a number", []any{"includeQRCode"}, 1, "includeQRCode", "not boolean"},
		{"includeReceipt is a string", []any{"includeReceipt"}, "false", "includeReceipt", "not boolean"},

		{"registration missing", []any{"registration"}, absent, "registration", "does not contain `registration`"},
		{"registration is a list", []any{"registration"}, []any{}, "registration", "not object"},
		{"clientName missing", []any{"registration", "clientName"}, absent, "registration.clientName", "does not contain"},
		{"clientName empty", []any{"registration", "clientName"}, "", "registration.clientName", "does not contain"},
		{"clientName in the wrong case", []any{"registration", "ClientName"}, "x", "registration.ClientName", "not known"},
		{"purpose is no string", []any{"registration", "purpose"}, []any{"x"}, "registration.purpose", "not string"},
		{"logoUrl is no URL", []any{"registration", "logoUrl"}, "logo.png", "registration.logoUrl", "not a URL"},
		{"termsOfServiceUrl is no URL", []any{"registration", "termsOfServiceUrl"}, "javascript:alert(1)", "registration.termsOfServiceUrl", "not a URL"},
		{"includeQRCode nested", []any{"registration", "includeQRCode"}, true, "registration.includeQRCode", "not known"},

		{"callback missing", []any{"callback"}, absent, "callback", "does not contain `callback`"},
		{"callback url missing", []any{"callback", "url"}, absent, "callback.url", "does not contain"},
		{"callback url unreadable", []any{"callback", "url"}, "https://[::1", "callback.url", "callback URL is unreadable"},
		{"callback url relative", []any{"callback", "url"}, "/callback", "callback.url", "callback URL is unreadable"},
		{"callback url without host", []any{"callback", "url"}, "https:///callback", "callback.url", "callback URL is unreadable"},
		{"callback url of another scheme", []any{"callback", "url"}, "ftp://localhost/x", "callback.url", "callback URL is unreadable"},
		{"callback url with credentials", []any{"callback", "url"}, "https://user:pw@localhost/x", "callback.url", "callback URL is unreadable"},
		{"callback url of another machine", []any{"callback", "url"}, "https://payroll.contoso.com/callback", "callback.url", "this machine only"},
		{"callback url plain, of another machine", []any{"callback", "url"}, "http://payroll.contoso.com/callback", "callback.url", "must use https"},
		{"callback state missing", []any{"callback", "state"}, absent, "callback.state", "does not contain"},
		{"callback state is a number", []any{"callback", "state"}, 12, "callback.state", "not string"},
		{"callback header x-api-key", []any{"callback", "headers"}, map[string]any{"x-api-key": "k"}, "callback.headers", "invalid callback header `x-api-key`"},
		{"callback header is no string", []any{"callback", "headers"}, map[string]any{"api-key": 1}, "callback.headers", "not map of strings"},
		{"callback header with a line break", []any{"callback", "headers"}, map[string]any{"api-key": "a\r\nb: c"}, "callback.headers", "invalid value"},
		{"callback with an unknown member", []any{"callback", "method"}, "PUT", "callback.method", "not known"},

		{"no credentials", []any{"requestedCredentials"}, absent, "requestedCredentials", "does not contain"},
		{"empty credentials", []any{"requestedCredentials"}, []any{}, "requestedCredentials", "does not contain"},
		{"credentials are an object", []any{"requestedCredentials"}, map[string]any{"type": "x"}, "requestedCredentials", "not array of objects"},
		{"credentials hold null", []any{"requestedCredentials"}, []any{nil}, "requestedCredentials[0].type", "does not contain"},
		{"type missing", credential("type"), absent, "requestedCredentials[0].type", "does not contain"},
		{"type is a list", credential("type"), []any{"VerifiedEmployee"}, "requestedCredentials[0].type", "not string"},
		{"acceptedIssuers is a string", credential("acceptedIssuers"), emulator.DemoAuthority, "requestedCredentials[0].acceptedIssuers", "not array of strings"},
		{"acceptedIssuers holds no DID", credential("acceptedIssuers"), []any{"contoso"}, "requestedCredentials[0].acceptedIssuers", "not a list of DIDs"},
		{"acceptedIssuers holds a real DID", credential("acceptedIssuers"), []any{"did:web:did.woodgrovedemo.com"}, "requestedCredentials[0].acceptedIssuers", "This is an emulator"},
		{"trustedIssuers of the preview", credential("trustedIssuers"), []any{}, "requestedCredentials[0].trustedIssuers", "preview"},
		{"claims in a credential", credential("claims"), map[string]any{}, "requestedCredentials[0].claims", "createIssuanceRequest"},
		{"configuration is a list", credential("configuration"), []any{}, "requestedCredentials[0].configuration", "not object"},
		{"validation unknown", credential("configuration", "validate"), map[string]any{}, "requestedCredentials[0].configuration.validate", "not known"},
		{"allowRevoked is a string", validation("allowRevoked"), "false", "requestedCredentials[0].configuration.validation.allowRevoked", "not boolean"},
		{"validateLinkedDomain is a number", validation("validateLinkedDomain"), 1, "requestedCredentials[0].configuration.validation.validateLinkedDomain", "not boolean"},
		{"unknown validation", validation("validateExpiry"), true, "requestedCredentials[0].configuration.validation.validateExpiry", "not known"},

		{"Face Check without photo claim", validation("faceCheck", "sourcePhotoClaimName"), absent, "requestedCredentials[0].configuration.validation.faceCheck.sourcePhotoClaimName", "does not contain"},
		{"threshold 49", validation("faceCheck", "matchConfidenceThreshold"), 49, "requestedCredentials[0].configuration.validation.faceCheck.matchConfidenceThreshold", "not between 50 and 100"},
		{"threshold 101", validation("faceCheck", "matchConfidenceThreshold"), 101, "requestedCredentials[0].configuration.validation.faceCheck.matchConfidenceThreshold", "not between 50 and 100"},
		{"threshold 70.5", validation("faceCheck", "matchConfidenceThreshold"), 70.5, "requestedCredentials[0].configuration.validation.faceCheck.matchConfidenceThreshold", "not integer"},
		{"threshold as string", validation("faceCheck", "matchConfidenceThreshold"), "70", "requestedCredentials[0].configuration.validation.faceCheck.matchConfidenceThreshold", "not integer"},
		{"unknown Face Check member", validation("faceCheck", "liveness"), true, "requestedCredentials[0].configuration.validation.faceCheck.liveness", "not known"},

		{"constraint without claim", credential("constraints"), constraints(map[string]any{"contains": "x"}), "requestedCredentials[0].constraints[0].claimName", "does not contain"},
		{"constraint without operator", credential("constraints"), constraints(map[string]any{"claimName": "x"}), "requestedCredentials[0].constraints[0]", "0 operators"},
		{"constraint with empty values", credential("constraints"), constraints(map[string]any{"claimName": "x", "values": []any{}}), "requestedCredentials[0].constraints[0]", "0 operators"},
		{"constraint with two operators", credential("constraints"), constraints(map[string]any{"claimName": "x", "contains": "a", "startsWith": "b"}), "requestedCredentials[0].constraints[0]", "2 operators"},
		{"constraint values is a string", credential("constraints"), constraints(map[string]any{"claimName": "x", "values": "a"}), "requestedCredentials[0].constraints[0].values", "not array of strings"},
		{"constraint with a regular expression", credential("constraints"), constraints(map[string]any{"claimName": "x", "contains": "a", "matches": ".*"}), "requestedCredentials[0].constraints[0].matches", "not known"},

		{"preview: presentation", []any{"presentation"}, map[string]any{}, "presentation", "preview"},
		{"preview: issuance", []any{"issuance"}, map[string]any{}, "issuance", "preview"},
		{"pin", []any{"pin"}, map[string]any{}, "pin", "createIssuanceRequest"},
		{"manifest", []any{"manifest"}, "https://x.example", "manifest", "createIssuanceRequest"},
		{"expirationDate", []any{"expirationDate"}, "2026-01-01T00:00:00Z", "expirationDate", "createIssuanceRequest"},
		{"unknown member", []any{"expiry"}, 600, "expiry", "not known"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			body := fullRequest(w)
			put(body, c.value, c.path...)
			status, answer := w.create("createPresentationRequest", token, body)
			checkError(t, status, answer, http.StatusBadRequest, "badRequest", "badOrMissingField", c.target)
			if got := text(answer, "error", "innererror", "message"); !strings.Contains(got, c.says) {
				t.Errorf("message = %q, want it to say %q", got, c.says)
			}
		})
	}
	if status, answer := w.create("createPresentationRequest", token, fullRequest(w)); status != http.StatusCreated {
		t.Errorf("the request without mistakes is answered %d: %v", status, answer)
	}
}

// checkError compares an error body with the documented shape.
func checkError(t *testing.T, status int, answer map[string]any, wantStatus int, code, inner, target string) {
	t.Helper()
	if status != wantStatus || text(answer, "error", "code") != code || text(answer, "error", "innererror", "code") != inner ||
		text(answer, "error", "innererror", "target") != target {
		t.Errorf("answer = %d %v, want %d %s %s %q", status, answer, wantStatus, code, inner, target)
	}
	if text(answer, "requestId") == "" || text(answer, "error", "message") == "" || text(answer, "date") != "Thu, 15 Jan 2026 10:00:00 GMT" ||
		len(text(answer, "mscv")) != 18 || !strings.HasSuffix(text(answer, "mscv"), ".1") {
		t.Errorf("answer = %v, want requestId, date, mscv and a message", answer)
	}
}

func TestBodyThatIsNoRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.demoToken()
	good, err := json.Marshal(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{
		"empty":          {},
		"null":           []byte("null"),
		"a list":         []byte("[]"),
		"text":           []byte("authority=x"),
		"cut off":        good[:len(good)-2],
		"two objects":    append(bytes.Clone(good), "{}"...),
		"duplicate name": bytes.Replace(good, []byte(`"authority":`), []byte(`"authority":"x","authority":`), 1),
		"over 1 MiB":     append(bytes.Clone(good), bytes.Repeat([]byte(" "), 1<<20)...),
	} {
		status, answer := w.createRaw("createPresentationRequest", token, raw)
		if status != http.StatusBadRequest || text(answer, "error", "innererror", "code") != "badOrMissingField" {
			t.Errorf("%s: answer = %d %v, want 400", name, status, answer)
		}
	}
	header := http.Header{"Content-Type": {"text/plain"}, "Authorization": {"Bearer " + token}}
	status, answer := w.do(w.client, http.MethodPost, w.service+"/v1.0/verifiableCredentials/createPresentationRequest", header, good)
	if status != http.StatusUnsupportedMediaType || text(answer, "error", "code") != "unsupportedMediaType" {
		t.Errorf("text/plain: answer = %d %v, want 415", status, answer)
	}
}

func TestNullCountsAsAbsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body := w.presentation("VerifiedEmployee", emulator.DemoAuthority)
	for _, name := range []string{"includeQRCode", "includeReceipt", "pin"} {
		put(body, nil, name)
	}
	put(body, nil, "requestedCredentials", 0, "constraints")
	put(body, nil, "registration", "logoUrl")
	status, answer := w.create("createPresentationRequest", w.demoToken(), body)
	// A member of another API is wrong even when it is null.
	checkError(t, status, answer, http.StatusBadRequest, "badRequest", "badOrMissingField", "pin")
	put(body, absent, "pin")
	if status, answer := w.create("createPresentationRequest", w.demoToken(), body); status != http.StatusCreated {
		t.Errorf("answer = %d %v, want 201", status, answer)
	}
}

func TestFaceCheckNotEnabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *emulator.Config) {
		c.Authorities = []emulator.Authority{{DID: emulator.DemoAuthority, DomainVerified: true, NoFaceCheck: true}}
	})
	body := faceCheck(w.presentation("VerifiedEmployee", emulator.DemoAuthority), "photo", 70)
	status, answer := w.create("createPresentationRequest", w.demoToken(), body)
	checkError(t, status, answer, http.StatusBadRequest, "badRequest", "badOrMissingField", "authority")
	want := "Premium features cannot be used until billing is enabled by the admin. See https://aka.ms/fcbilling"
	if got := text(answer, "error", "innererror", "message"); got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
}

func TestPathsIgnoreCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	body, err := json.Marshal(w.presentation("VerifiedEmployee", emulator.DemoAuthority))
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + w.demoToken()}}
	for path, want := range map[string]int{
		"/v1.0/verifiableCredentials/createPresentationRequest":           201,
		"/v1.0/verifiablecredentials/createPresentationRequest":           201,
		"/V1.0/VerifiableCredentials/CREATEPRESENTATIONREQUEST":           201,
		"/beta/verifiableCredentials/createPresentationRequest":           201,
		"/v2.0/verifiableCredentials/createPresentationRequest":           404,
		"/v1.0/verifiableCredentials/createPresentationRequest/x":         404,
		"/v1.0/" + emulator.DemoTenant + "/verifiablecredentials/request": 404,
	} {
		if status, answer := w.do(w.client, http.MethodPost, w.service+path, header, body); status != want {
			t.Errorf("POST %s = %d %v, want %d", path, status, answer, want)
		}
	}
	status, answer := w.do(w.client, http.MethodGet, w.service+"/v1.0/verifiableCredentials/createPresentationRequest", nil, nil)
	if status != http.StatusMethodNotAllowed || text(answer, "error", "code") != "methodNotAllowed" {
		t.Errorf("GET = %d %v, want 405", status, answer)
	}
}

// TestExampleRequests posts the worked examples of the documentation, with nothing changed but the callback's host.
func TestExampleRequests(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token := w.demoToken()
	for _, name := range []string{
		"presentation-request", "presentation-request-minimal", "presentation-request-facecheck",
		"presentation-request-constraints", "presentation-request-multiple", "presentation-request-all-fields",
	} {
		body := example(t, name)
		put(body, w.relying.url, "callback", "url")
		if status, answer := w.create("createPresentationRequest", token, body); status != http.StatusCreated {
			t.Errorf("%s: answer = %d %v, want 201", name, status, answer)
		}
	}
}

// example reads a request from testdata. The files are worked examples made from the public documentation.
func example(t *testing.T, name string) map[string]any {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.Unmarshal(raw, &body); err != nil {
		t.Fatal(err)
	}
	return body
}
