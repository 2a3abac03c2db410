// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// fixtureNow is the clock of the messages in testdata.
var fixtureNow = time.Date(2026, 1, 15, 10, 2, 0, 0, time.UTC)

func employeeRequirement() verifier.Requirement {
	return verifier.Requirement{
		Credential:      "employee",
		Type:            "VerifiedEmployee",
		AcceptedIssuers: []string{"did:web:verifiedid.contoso.example"},
		Keep:            []string{"displayName", "mail"},
	}
}

func identityRequirement() verifier.Requirement {
	return verifier.Requirement{
		Credential:      "identity",
		Type:            "VerifiedIdentity",
		AcceptedIssuers: []string{"did:web:did.fabrikam-idv.example"},
		FaceCheck:       &verifier.FaceCheckRequirement{SourcePhotoClaim: "portrait", Threshold: 70},
		LinkedDomains:   []string{"www.fabrikam-idv.example"},
		Keep:            []string{"fullName"},
	}
}

func reasonOf(t testing.TB, err error) verifier.Reason {
	t.Helper()
	if err == nil {
		return ""
	}
	var refusal *verifier.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("error is %T, not a refusal", err)
	}
	if refusal.Reason == "" || !slices.Contains(verifier.Reasons(), refusal.Reason) {
		t.Fatalf("reason %q is not in the closed set", refusal.Reason)
	}
	return refusal.Reason
}

// Every recorded callback against what it was the answer to.
func TestEvaluateRecordedCallbacks(t *testing.T) {
	t.Parallel()
	employee, identity := employeeRequirement(), identityRequirement()
	revokedAllowed := employee
	revokedAllowed.AllowRevoked = true
	tests := []struct {
		file   string
		want   verifier.Requirement
		reason verifier.Reason
	}{
		{"verified", employee, ""},
		{"verified", identity, verifier.ReasonWrongType},
		{"verified-receipt", employee, ""},
		{"verified-facecheck", identity, ""},
		{"verified-facecheck", employee, verifier.ReasonWrongType},
		{"verified-facecheck-receipt", identity, ""},
		{"verified-multiple", employee, verifier.ReasonExtraCredential},
		{"verified-multiple", identity, verifier.ReasonExtraCredential},
		{"verified-revoked-allowed", employee, verifier.ReasonRevoked},
		{"verified-revoked-allowed", revokedAllowed, ""},
		{"request-retrieved", employee, verifier.ReasonNotVerified},
		{"error-facecheck", identity, verifier.ReasonNotVerified},
		{"error-revoked", employee, verifier.ReasonNotVerified},
		{"error-unlisted-code", employee, verifier.ReasonNotVerified},
	}
	for _, test := range tests {
		t.Run(test.file+" for "+test.want.Credential, func(t *testing.T) {
			t.Parallel()
			body := readFile(t, "callback-presentation-"+test.file+".json")
			got, err := verifier.ParseCallback(bytes.NewReader(body), test.want.NeededClaims())
			if err != nil {
				t.Fatal(err)
			}
			_, err = verifier.Evaluate(test.want, got, fixtureNow)
			if reason := reasonOf(t, err); reason != test.reason {
				t.Errorf("Evaluate: reason %q, want %q", reason, test.reason)
			}
		})
	}
}

func TestEvaluateReturnsThePresentation(t *testing.T) {
	t.Parallel()
	want := identityRequirement()
	want.RequiredClaims = []verifier.RequiredClaim{{Claim: "documentType", Values: []string{"Passport"}}}
	want.Constraints = []verifier.Constraint{{ClaimName: "lastName", Values: []string{"LIMA"}}}
	got, err := verifier.ParseCallback(bytes.NewReader(readFile(t, "callback-presentation-verified-facecheck.json")), want.NeededClaims())
	if err != nil {
		t.Fatal(err)
	}
	presentation, err := verifier.Evaluate(want, got, fixtureNow)
	if err != nil {
		t.Fatal(err)
	}
	expected := verifier.Presentation{
		Credential: "identity", Type: "VerifiedIdentity", Issuer: "did:web:did.fabrikam-idv.example", Subject: got.Subject,
		// Kept because asked to, and because required. What only a constraint needed is gone.
		Claims:     []verifier.Claim{{"documentType", "Passport"}, {"fullName", "Ana Lima"}},
		VerifiedAt: fixtureNow, FaceChecked: true, FaceScore: 91.482703,
		CredentialIssued:  time.Date(2026, 1, 12, 10, 0, 0, 0, time.UTC),
		CredentialExpires: time.Date(2026, 4, 12, 10, 0, 0, 0, time.UTC),
		LinkedDomain:      "www.fabrikam-idv.example", Policy: want.Policy(),
	}
	if diff := cmp.Diff(expected, presentation); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if value, ok := presentation.Claim("fullName"); value != "Ana Lima" || !ok {
		t.Errorf("Claim = %q, %v", value, ok)
	}
	if value, ok := presentation.Claim("fullname"); value != "" || ok {
		t.Errorf("Claim in other case = %q, %v", value, ok)
	}
}

// evaluation is a requirement and a callback that satisfies it, to be spoilt.
type evaluation struct {
	want verifier.Requirement
	got  verifier.Callback
}

func (e *evaluation) credential() *verifier.VerifiedCredential { return &e.got.Credentials[0] }

func newEvaluation() *evaluation {
	want := identityRequirement()
	want.MaxCredentialAge = 30 * 24 * time.Hour
	want.Constraints = []verifier.Constraint{
		{ClaimName: "country", Values: []string{"PT", "Österreich"}},
		{ClaimName: "fullName", Contains: "lim"},
		{ClaimName: "fullName", StartsWith: "ana"},
	}
	want.RequiredClaims = []verifier.RequiredClaim{{Claim: "mail", Values: []string{"ana@contoso.example", "lima@contoso.example"}}}
	return &evaluation{want, verifier.Callback{
		RequestID: "r", State: "s", Status: verifier.StatusPresentationVerified, Subject: "did:ion:holder",
		Credentials: []verifier.VerifiedCredential{{
			Issuer: "did:web:did.fabrikam-idv.example", Types: []string{"VerifiableCredential", "VerifiedIdentity"},
			Claims:           []verifier.Claim{{"country", "pt"}, {"fullName", "Ana Lima"}, {"mail", "ana@contoso.example"}},
			RevocationStatus: "VALID", DomainURL: "https://www.fabrikam-idv.example/",
			IssuanceDate: "2026-01-12T10:00:00Z", ExpirationDate: "2026-04-12T10:00:00Z",
			FaceCheck: &verifier.FaceCheckResult{Score: 91.48},
		}},
	}}
}

func (e *evaluation) setClaim(name, value string) {
	claims := slices.Clone(e.credential().Claims)
	for i := range claims {
		if claims[i].Name == name {
			claims[i].Value = value
		}
	}
	e.credential().Claims = claims
}

func (e *evaluation) removeClaim(name string) {
	e.credential().Claims = slices.DeleteFunc(slices.Clone(e.credential().Claims), func(c verifier.Claim) bool { return c.Name == name })
}

// date is fixtureNow moved by d, as the service writes it.
func date(d time.Duration) string { return fixtureNow.Add(d).Format(time.RFC3339Nano) }

type evaluateTest struct {
	name   string
	spoil  func(e *evaluation)
	reason verifier.Reason
}

func testEvaluate(t *testing.T, tests []evaluateTest) {
	t.Helper()
	t.Parallel()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newEvaluation()
			test.spoil(e)
			presentation, err := verifier.Evaluate(e.want, e.got, fixtureNow)
			if reason := reasonOf(t, err); reason != test.reason {
				t.Errorf("Evaluate: reason %q, want %q", reason, test.reason)
			}
			if err != nil && !cmp.Equal(presentation, verifier.Presentation{}) {
				t.Error("a refusal comes with a presentation")
			}
			if slow := referenceAccepts(e.want, e.got, fixtureNow); slow != (err == nil) {
				t.Errorf("the reference checker says %v", slow)
			}
		})
	}
}

// The operator must learn which rule it was, and nobody may learn the holder's values from it. TM-075, TM-142.
func TestRefusalNamesTheClaimAndNotItsValue(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"country", "mail"} {
		e := newEvaluation()
		e.setClaim(name, "CANARY-4711")
		_, err := verifier.Evaluate(e.want, e.got, fixtureNow)
		var refusal *verifier.Refusal
		if !errors.As(err, &refusal) || refusal.Claim != name {
			t.Errorf("Evaluate = %#v, want a refusal naming %s", err, name)
		}
		if strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), string(refusal.Reason)) {
			t.Errorf("error text is %q", err)
		}
	}
}

func TestReasonOfError(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]verifier.Reason{
		"claimValidationError": verifier.ReasonFaceCheckFailed,
		"tokenError":           verifier.ReasonRevokedByService,
		"futureErrorCode":      verifier.ReasonServiceRefused,
		"TokenError":           verifier.ReasonServiceRefused,
		"":                     verifier.ReasonServiceRefused,
	} {
		if got := verifier.ReasonOfError(verifier.Requirement{FaceCheck: &verifier.FaceCheckRequirement{}}, verifier.CallbackError{Code: code}); got != want {
			t.Errorf("ReasonOfError(%q) = %q, want %q", code, got, want)
		}
	}
	// The service does not say which of several checks has failed, and a wrong guess sends the visitor to a better light in vain.
	asked := verifier.Requirement{Constraints: []verifier.Constraint{{ClaimName: "role", Values: []string{"admin"}}}}
	if got := verifier.ReasonOfError(asked, verifier.CallbackError{Code: "claimValidationError"}); got != verifier.ReasonConstraint {
		t.Errorf("with a constraint: %q", got)
	}
	asked.FaceCheck = &verifier.FaceCheckRequirement{}
	if got := verifier.ReasonOfError(asked, verifier.CallbackError{Code: "claimValidationError"}); got != verifier.ReasonCheckFailed {
		t.Errorf("with a constraint and a face: %q", got)
	}
}

func TestReasonsAreWordsAndDistinct(t *testing.T) {
	t.Parallel()
	seen := map[verifier.Reason]bool{}
	for _, reason := range verifier.Reasons() {
		if seen[reason] || strings.Trim(string(reason), "abcdefghijklmnopqrstuvwxyz_") != "" {
			t.Errorf("reason %q is a repetition or no word", reason)
		}
		seen[reason] = true
	}
}
