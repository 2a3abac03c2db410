// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// malformed stands for a body that is not read at all, beside the reasons of those that are read and refused.
const malformed verifier.Reason = "(not read)"

// decide is the way of a callback body: read, then evaluated.
func decide(t *testing.T, want verifier.Requirement, body string) verifier.Reason {
	t.Helper()
	got, err := verifier.ParseCallback(strings.NewReader(body), want.NeededClaims())
	if errors.Is(err, verifier.ErrMalformedCallback) {
		return malformed
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = verifier.Evaluate(want, got, fixtureNow)
	return reasonOf(t, err)
}

// Attacks as they arrive on the wire, on a recorded callback: from the body to the decision. TM-068 to TM-073.
func TestSpoiltBodies(t *testing.T) {
	t.Parallel()
	recorded := string(readFile(t, "callback-presentation-verified-facecheck.json"))
	const score = `91.482703`
	faceCheck := regexp.MustCompile(`(?s),\s*"faceCheck": \{.*?\}`)
	status := regexp.MustCompile(`(?s)"credentialState": \{.*?\},`)
	domain := regexp.MustCompile(`(?s)"domainValidation": \{.*?\},`)
	expiry := regexp.MustCompile(`"expirationDate": ".*?"`)
	types := regexp.MustCompile(`(?s)"type": \[.*?\]`)
	entry := regexp.MustCompile(`(?s)"verifiedCredentialsData": \[(.*)\]\s*\}\s*$`)
	replace := func(pattern *regexp.Regexp, with string) string { return pattern.ReplaceAllString(recorded, with) }
	number := func(with string) string { return strings.ReplaceAll(recorded, score, with) }
	tests := []struct {
		name   string
		body   string
		reason verifier.Reason
	}{
		{"as recorded", recorded, ""},

		{"score equal", number("70"), ""},
		{"score equal, written otherwise", number("7.00E+1"), ""},
		{"score a little low", number("69.9999"), verifier.ReasonFaceCheckLow},
		{"score -1", number("-1"), verifier.ReasonMalformed},
		{"score 101", number("101"), verifier.ReasonMalformed},
		{"score 1e308", number("1e308"), verifier.ReasonMalformed},
		{"score 1e309", number("1e309"), malformed},
		{"score as string", number(`"91.482703"`), malformed},
		{"score in array", number(`[91.482703]`), malformed},
		{"score null", number("null"), verifier.ReasonFaceCheckMissing},
		{"score in other case", strings.ReplaceAll(recorded, "matchConfidenceScore", "MatchConfidenceScore"), verifier.ReasonFaceCheckMissing},
		{"face check missing", replace(faceCheck, ""), verifier.ReasonFaceCheckMissing},
		{"face check null", replace(faceCheck, `,"faceCheck":null`), verifier.ReasonFaceCheckMissing},
		{"face check empty", replace(faceCheck, `,"faceCheck":{}`), verifier.ReasonFaceCheckMissing},
		{"face check in the claims", replace(faceCheck, ``)[:strings.Index(recorded, `"claims": {`)] + `"claims": {"faceCheck":{"matchConfidenceScore":99},` +
			replace(faceCheck, ``)[strings.Index(recorded, `"claims": {`)+len(`"claims": {`):], verifier.ReasonFaceCheckMissing},
		{"face check beside the credentials", `{"faceCheck":{"matchConfidenceScore":99},` + replace(faceCheck, "")[1:], verifier.ReasonFaceCheckMissing},
		{"face check in the receipt", `{"receipt":{"faceCheck":{"matchConfidenceScore":99}},` + replace(faceCheck, "")[1:], verifier.ReasonFaceCheckMissing},
		{"face check in another entry", strings.TrimSuffix(strings.TrimSpace(replace(faceCheck, "")), "]\n}") + `,{"faceCheck":{"matchConfidenceScore":99}}]}`, verifier.ReasonExtraCredential},

		{"status REVOKED", strings.Replace(recorded, "VALID", "REVOKED", 1), verifier.ReasonRevoked},
		{"status valid", strings.Replace(recorded, "VALID", "valid", 1), verifier.ReasonStatusUnknown},
		{"status null", strings.Replace(recorded, `"VALID"`, "null", 1), verifier.ReasonStatusMissing},
		{"status true", strings.Replace(recorded, `"VALID"`, "true", 1), malformed},
		{"status absent", replace(status, ""), verifier.ReasonStatusMissing},
		{"status elsewhere", replace(status, `"revocationStatus":"VALID",`), verifier.ReasonStatusMissing},

		{"domain absent", replace(domain, ""), verifier.ReasonDomainMismatch},
		{"domain null", replace(domain, `"domainValidation":null,`), verifier.ReasonDomainMismatch},
		{"domain http", strings.Replace(recorded, "https://www", "http://www", 1), verifier.ReasonDomainMismatch},

		{"type as string", replace(types, `"type":"VerifiedIdentity"`), malformed},
		{"types as words of a string", replace(types, `"type":["VerifiableCredential VerifiedIdentity"]`), verifier.ReasonWrongType},
		{"type nested", replace(types, `"type":[["VerifiedIdentity"]]`), malformed},
		{"type null", replace(types, `"type":null`), verifier.ReasonWrongType},

		{"expired", replace(expiry, `"expirationDate":"2026-01-15T10:00:59Z"`), verifier.ReasonCredentialExpired},
		{"expiry as number", replace(expiry, `"expirationDate":1893456000`), malformed},
		{"expiry that is none", replace(expiry, `"expirationDate":"never"`), verifier.ReasonMalformed},
		{"expiry null", replace(expiry, `"expirationDate":null`), ""},

		{"no entry", replace(entry, `"verifiedCredentialsData":[]}`), verifier.ReasonNoCredential},
		{"entries null", replace(entry, `"verifiedCredentialsData":null}`), verifier.ReasonNoCredential},
		{"entry as object", replace(entry, `"verifiedCredentialsData":$1}`), malformed},
		{"entry twice", replace(entry, `"verifiedCredentialsData":[$1,$1]}`), verifier.ReasonExtraCredential},
		{"entries twice", `{"verifiedCredentialsData":[],` + recorded[1:], malformed},
		{"preview shape", replace(entry, `"issuers":[$1]}`), verifier.ReasonNoCredential},

		{"status of the request in other case", strings.Replace(recorded, "presentation_verified", "Presentation_Verified", 1), verifier.ReasonNotVerified},
		{"error beside", `{"error":{"code":"tokenError"},` + recorded[1:], verifier.ReasonNotVerified},
		{"empty error beside", `{"error":{},` + recorded[1:], verifier.ReasonNotVerified},
		{"no holder", regexp.MustCompile(`"subject": ".*?",`).ReplaceAllString(recorded, ""), verifier.ReasonNoSubject},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.body == recorded && test.reason != "" {
				t.Fatal("nothing was spoilt")
			}
			if reason := decide(t, identityRequirement(), test.body); reason != test.reason {
				t.Errorf("decision is %q, want %q\n%.3000s", reason, test.reason, test.body)
			}
		})
	}
}
