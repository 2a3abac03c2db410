// SPDX-License-Identifier: Apache-2.0

package caddymodule

import (
	"reflect"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// downloaded is a request body in the form of the Entra admin center.
const downloaded = `{
  "authority": "did:web:verifiedid.contoso.example",
  "includeQRCode": true,
  "includeReceipt": false,
  "registration": {
    "clientName": "Contoso Payroll", "purpose": "Confirm who you are",
    "logoUrl": "https://payroll.contoso.example/logo.png", "termsOfServiceUrl": "https://payroll.contoso.example/terms"
  },
  "callback": {"url": "https://other.example/api/callback", "state": "4711", "headers": {"api-key": "theirs"}},
  "requestedCredentials": [{
    "type": "VerifiedIdentity",
    "purpose": "Not shown",
    "acceptedIssuers": ["did:web:did.fabrikam-idv.example"],
    "configuration": {"validation": {
      "allowRevoked": false,
      "validateLinkedDomain": true,
      "faceCheck": {"sourcePhotoClaimName": "portrait", "matchConfidenceThreshold": 75}
    }},
    "constraints": [{"claimName": "documentType", "values": ["passport", "id"]}, {"claimName": "country", "startsWith": "D"}]
  }]
}`

// requestFileApp is a Caddyfile with one credential, identity, whose request file has this content.
func requestFileApp(t testing.TB, content, options string) string {
	t.Helper()
	return "{\nverified_id {\n" + entraPart + whoPart + "credential identity {\nrequest_file " + writeFile(t, "request.json", content) +
		"\n" + options + "\n}\n}\n}\n" + sitePart
}

// What an administrator downloads is asked for as it is.
func TestRequestFileIsTakenAsItIs(t *testing.T) {
	setSecret(t)
	for name, test := range map[string]struct{ content, options string }{
		"alone":           {downloaded, ""},
		"with a mark":     {"\xef\xbb\xbf" + downloaded, ""},
		"said once more":  {downloaded, "type VerifiedIdentity\nissuer did:web:did.fabrikam-idv.example\nface_check portrait 75\npurpose \"Confirm who you are\""},
		"lax from theirs": {strings.Replace(downloaded, `"validateLinkedDomain": true,`, "", 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := newMachine(t).load(t, adaptText(t, requestFileApp(t, test.content, test.options)), func(ctx caddy.Context) {
				want := verifier.Requirement{
					Credential: "identity", Type: "VerifiedIdentity", AcceptedIssuers: []string{"did:web:did.fabrikam-idv.example"},
					FaceCheck: &verifier.FaceCheckRequirement{SourcePhotoClaim: "portrait", Threshold: 75},
					Purpose:   "Confirm who you are",
					Constraints: []verifier.Constraint{
						{ClaimName: "documentType", Values: []string{"passport", "id"}}, {ClaimName: "country", StartsWith: "D"},
					},
				}
				got := appOf(t, ctx).credentials["identity"].base
				if got.LinkedDomains = nil; !reflect.DeepEqual(got, want) {
					t.Errorf("asks for\n%+v\nwant\n%+v", got, want)
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// The weakenings of a file count only where the Caddyfile says them too.
func TestRequestFileMayWeakenWhatTheCaddyfileWeakens(t *testing.T) {
	setSecret(t)
	content := strings.NewReplacer(`"allowRevoked": false`, `"allowRevoked": true`, `"validateLinkedDomain": true`, `"validateLinkedDomain": false`).Replace(downloaded)
	text := requestFileApp(t, content, "insecure_allow_revoked\ninsecure_skip_linked_domain")
	if err := newMachine(t).load(t, adaptText(t, text), func(ctx caddy.Context) {
		if got := appOf(t, ctx).credentials["identity"].base; !got.AllowRevoked || !got.SkipLinkedDomainCheck {
			t.Errorf("asks for %+v", got)
		}
	}); err != nil {
		t.Error(err)
	}
}

// Microsoft's samples come with revoked cards allowed, any issuer accepted and a receipt: TM-150. Nobody gets these by
// downloading them, nor a check that is misspelt and so never made; what the two places say must agree.
func TestCopiedWeakRequestFileDoesNotLoad(t *testing.T) {
	setSecret(t)
	edit := func(from, to string) string {
		if !strings.Contains(downloaded, from) {
			t.Fatalf("no %s", from)
		}
		return strings.Replace(downloaded, from, to, 1)
	}
	const issuers = `"acceptedIssuers": ["did:web:did.fabrikam-idv.example"]`
	for name, test := range map[string]struct {
		content, options string
		wants            []string
	}{
		"revoked":              {edit(`"allowRevoked": false`, `"allowRevoked": true`), "", []string{"allowRevoked", "insecure_allow_revoked"}},
		"domain":               {edit(`"validateLinkedDomain": true`, `"validateLinkedDomain": false`), "", []string{"validateLinkedDomain", "insecure_skip_linked_domain"}},
		"domain the other way": {downloaded, "insecure_skip_linked_domain", []string{"validateLinkedDomain is true", "insecure_skip_linked_domain"}},
		"receipt":              {edit(`"includeReceipt": false`, `"includeReceipt": true`), "", []string{"includeReceipt", "set it to false"}},
		"any issuer":           {edit(issuers, `"acceptedIssuers": []`), "", []string{"issuer is missing"}},
		"issuer no DID":        {edit(issuers, `"acceptedIssuers": ["contoso"]`), "", []string{"request_file", "issuer", "must be a DID"}},
		"base type":            {edit(`"VerifiedIdentity"`, `"VerifiableCredential"`), "", []string{"type", "every credential"}},
		"misspelt check":       {edit(`"allowRevoked"`, `"AllowRevoked"`), "", []string{"validation.AllowRevoked is unknown", "allowRevoked, faceCheck"}},
		"low bar":              {edit("75", "20"), "", []string{"threshold"}},
		"photo as constraint":  {edit(`"documentType"`, `"portrait"`), "", []string{"constraint portrait"}},
		"other type":           {downloaded, "type VerifiedEmployee", []string{`"VerifiedIdentity"`, `"VerifiedEmployee"`, "make them the same"}},
		"other issuer":         {downloaded, "issuer did:web:other.example", []string{"acceptedIssuers", "fabrikam-idv.example", "did:web:other.example"}},
		"other authority":      {edit("verifiedid.contoso", "other.contoso"), "", []string{"authority", "other.contoso"}},
		"other name":           {edit(`"Contoso Payroll"`, `"Sample"`), "", []string{"registration.clientName", `"Sample"`, "client_name"}},
		"other purpose":        {downloaded, "purpose Other", []string{"purpose", `"Other"`}},
		"other face":           {downloaded, "face_check portrait 80", []string{"portrait 75", "portrait 80"}},
		"face off":             {downloaded, "face_check off", []string{"faceCheck", "face_check is off"}},
		"two credentials":      {edit(`"requestedCredentials": [`, `"requestedCredentials": [{"type": "Other"},`), "", []string{"2 entries"}},
		"no credential":        {`{"authority": "did:web:verifiedid.contoso.example"}`, "", []string{"0 entries"}},
		"preview":              {`{"presentation": {"requestedCredentials": []}}`, "", []string{"presentation is of the preview"}},
		"preview's issuers":    {edit("acceptedIssuers", "trustedIssuers"), "", []string{"requestedCredentials.trustedIssuers", "acceptedIssuers now"}},
		"issuance":             {edit(`"includeQRCode"`, `"pin": {"value": "1234"}, "includeQRCode"`), "", []string{"pin is for issuing"}},
		"no JSON":              {downloaded[:100], "", []string{"no JSON"}},
		"wrong kind":           {edit(`"allowRevoked": false`, `"allowRevoked": "false"`), "", []string{"allowRevoked", "string"}},
		"object for list":      {edit(issuers, `"acceptedIssuers": "did:web:a.example"`), "", []string{"acceptedIssuers"}},
		"huge":                 {edit("Not shown", strings.Repeat("x", maxRequestFile)), "", []string{"larger than 64 KiB"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := newMachine(t).load(t, adaptText(t, requestFileApp(t, test.content, test.options)), nil)
			wantError(t, err, []string{"theirs"}, append(test.wants, "credential identity")...)
		})
	}
	missing := "{\nverified_id {\n" + entraPart + whoPart + "credential identity {\nrequest_file /nowhere/request.json\n}\n}\n}\n" + sitePart
	wantError(t, newMachine(t).load(t, adaptText(t, missing), nil), nil, "request_file /nowhere/request.json", "correct the path")
}
