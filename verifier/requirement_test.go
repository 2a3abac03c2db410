// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// fullRequirement has every field set.
func fullRequirement() verifier.Requirement {
	want := newEvaluation().want
	want.AllowRevoked, want.AllowMissingStatus = true, true
	want.Purpose = "Open payroll"
	return want
}

// TM-048 and more: what could accept somebody by mistake, or nobody ever, does not come to life.
func TestUnsafeRequirementIsRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1025)
	many := slices.Repeat([]string{"x"}, 257)
	tests := []struct {
		name  string
		spoil func(r *verifier.Requirement)
	}{
		{"no credential name", func(r *verifier.Requirement) { r.Credential = "" }},
		{"no type", func(r *verifier.Requirement) { r.Type = "" }},
		{"type of every credential", func(r *verifier.Requirement) { r.Type = "VerifiableCredential" }},
		{"type with control character", func(r *verifier.Requirement) { r.Type = "Verified\nEmployee" }},
		{"type invalid UTF-8", func(r *verifier.Requirement) { r.Type = "\xff" }},
		{"type too long", func(r *verifier.Requirement) { r.Type = long }},
		{"purpose with control character", func(r *verifier.Requirement) { r.Purpose = "a\x1b[31m" }},
		{"purpose with text direction", func(r *verifier.Requirement) { r.Purpose = "a\u202eb" }},
		{"purpose with line separator", func(r *verifier.Requirement) { r.Purpose = "a\u2028b" }},
		{"negative age", func(r *verifier.Requirement) { r.MaxCredentialAge = -1 }},
		{"no issuers", func(r *verifier.Requirement) { r.AcceptedIssuers = nil }},
		{"empty issuers", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{} }},
		{"empty issuer", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{""} }},
		{"any issuer", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"*"} }},
		{"issuer twice", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did:web:a", "did:web:a"} }},
		{"too many issuers", func(r *verifier.Requirement) { r.AcceptedIssuers = many }},
		{"issuer URL", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"https://a.example"} }},
		{"issuer without ID", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did:web:"} }},
		{"issuer without method", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did::a"} }},
		{"issuer with upper-case method", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did:Web:a"} }},
		{"issuer with fragment", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did:web:a#k"} }},
		{"issuer with path", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did:web:a/b"} }},
		{"issuer ending in colon", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did:web:a:"} }},
		{"issuer too long", func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did:web:" + long} }},
		{"no photo claim", func(r *verifier.Requirement) { r.FaceCheck = &verifier.FaceCheckRequirement{Threshold: 70} }},
		{"threshold 49", func(r *verifier.Requirement) {
			r.FaceCheck = &verifier.FaceCheckRequirement{SourcePhotoClaim: "p", Threshold: 49}
		}},
		{"threshold 101", func(r *verifier.Requirement) {
			r.FaceCheck = &verifier.FaceCheckRequirement{SourcePhotoClaim: "p", Threshold: 101}
		}},
		{"linked domain skipped and listed", func(r *verifier.Requirement) { r.SkipLinkedDomainCheck = true }},
		{"linked domain URL", func(r *verifier.Requirement) { r.LinkedDomains = []string{"https://a.example"} }},
		{"linked domain upper case", func(r *verifier.Requirement) { r.LinkedDomains = []string{"A.example"} }},
		{"linked domain with dot", func(r *verifier.Requirement) { r.LinkedDomains = []string{"a.example."} }},
		{"linked domain with hyphen", func(r *verifier.Requirement) { r.LinkedDomains = []string{"a-.example"} }},
		{"linked domain with long label", func(r *verifier.Requirement) { r.LinkedDomains = []string{strings.Repeat("a", 64) + ".example"} }},
		{"linked domain too long", func(r *verifier.Requirement) { r.LinkedDomains = []string{strings.Repeat("a.", 127) + "a"} }},
		{"linked domain empty", func(r *verifier.Requirement) { r.LinkedDomains = []string{""} }},
		{"linked domain wildcard", func(r *verifier.Requirement) { r.LinkedDomains = []string{"*.example"} }},
		{"too many linked domains", func(r *verifier.Requirement) { r.LinkedDomains = many }},
		{"constraint without claim", func(r *verifier.Requirement) { r.Constraints = []verifier.Constraint{{Contains: "x"}} }},
		{"constraint without operator", func(r *verifier.Requirement) { r.Constraints = []verifier.Constraint{{ClaimName: "a"}} }},
		{"constraint with two operators", func(r *verifier.Requirement) {
			r.Constraints = []verifier.Constraint{{ClaimName: "a", Contains: "x", StartsWith: "x"}}
		}},
		{"constraint with empty value", func(r *verifier.Requirement) {
			r.Constraints = []verifier.Constraint{{ClaimName: "a", Values: []string{""}}}
		}},
		{"constraint too long", func(r *verifier.Requirement) { r.Constraints = []verifier.Constraint{{ClaimName: "a", Contains: long}} }},
		{"constraint on photo", func(r *verifier.Requirement) {
			r.Constraints = []verifier.Constraint{{ClaimName: "portrait", Contains: "x"}}
		}},
		{"too many constraints", func(r *verifier.Requirement) {
			r.Constraints = slices.Repeat([]verifier.Constraint{{ClaimName: "a", Contains: "x"}}, 257)
		}},
		{"too many values", func(r *verifier.Requirement) { r.Constraints = []verifier.Constraint{{ClaimName: "a", Values: many}} }},
		{"required claim without name", func(r *verifier.Requirement) { r.RequiredClaims = []verifier.RequiredClaim{{Values: []string{"x"}}} }},
		{"required claim without values", func(r *verifier.Requirement) { r.RequiredClaims = []verifier.RequiredClaim{{Claim: "a"}} }},
		{"required claim with empty value", func(r *verifier.Requirement) {
			r.RequiredClaims = []verifier.RequiredClaim{{Claim: "a", Values: []string{"x", ""}}}
		}},
		{"required claim is photo", func(r *verifier.Requirement) {
			r.RequiredClaims = []verifier.RequiredClaim{{Claim: "portrait", Values: []string{"x"}}}
		}},
		{"photo kept", func(r *verifier.Requirement) { r.Keep = []string{"portrait"} }},
		{"empty name kept", func(r *verifier.Requirement) { r.Keep = []string{""} }},
		{"too many kept", func(r *verifier.Requirement) { r.Keep = many }},
	}
	if err := fullRequirement().Validate(); err != nil {
		t.Fatalf("Validate of the full requirement: %v", err)
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := fullRequirement()
			test.spoil(&r)
			if err := r.Validate(); !errors.Is(err, verifier.ErrInvalidRequirement) {
				t.Errorf("Validate = %v, want %v", err, verifier.ErrInvalidRequirement)
			}
		})
	}
}

// What the service leaves open by default is closed explicitly. TM-048.
func TestRequestedCredentialLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(employeeRequirement().RequestedCredential())
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"type":"VerifiedEmployee","acceptedIssuers":["did:web:verifiedid.contoso.example"],` +
		`"configuration":{"validation":{"allowRevoked":false,"validateLinkedDomain":true}}}`
	if string(b) != want {
		t.Errorf("request = %s\nwant %s", b, want)
	}

	got := fullRequirement().RequestedCredential()
	expected := verifier.RequestedCredential{
		Type: "VerifiedIdentity", Purpose: "Open payroll", AcceptedIssuers: []string{"did:web:did.fabrikam-idv.example"},
		Configuration: verifier.Configuration{Validation: verifier.Validation{
			AllowRevoked: true, ValidateLinkedDomain: true,
			FaceCheck: &verifier.FaceCheck{SourcePhotoClaimName: "portrait", MatchConfidenceThreshold: 70},
		}},
		Constraints: newEvaluation().want.Constraints,
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	skipped := employeeRequirement()
	skipped.SkipLinkedDomainCheck = true
	if skipped.RequestedCredential().Configuration.Validation.ValidateLinkedDomain {
		t.Error("the linked domain is validated although that is skipped")
	}
}

// Every recorded request is what our types make of it: no field is lost, none is added.
func TestRequestTypesHoldEveryDocumentedField(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "-all-fields", "-constraints", "-facecheck", "-multiple"} {
		body := readFile(t, "presentation-request"+name+".json")
		var request verifier.PresentationRequest
		if err := json.Unmarshal(body, &request); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := errors.Join(json.Unmarshal(body, &want), json.Unmarshal(again, &got)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("presentation-request%s.json, -want +got:\n%s", name, diff)
		}
	}
}

func TestNeededClaims(t *testing.T) {
	t.Parallel()
	needed := fullRequirement().NeededClaims()
	for name, want := range map[string]bool{
		"fullName": true, "country": true, "mail": true, "portrait": false, "dateOfBirth": false, "Mail": false, "": false,
	} {
		if needed(name) != want {
			t.Errorf("needed(%q) = %v", name, !want)
		}
	}
}

func TestMeets(t *testing.T) {
	t.Parallel()
	type state struct {
		want   verifier.Requirement
		p      verifier.Presentation
		maxAge time.Duration
		now    time.Time
	}
	tests := []struct {
		name   string
		change func(s *state)
		reason verifier.Reason
	}{
		{"unchanged", func(*state) {}, ""},
		{"other credential", func(s *state) { s.want.Credential = "other" }, verifier.ReasonOtherCredential},
		{"other type", func(s *state) { s.p.Type = "VerifiedEmployee" }, verifier.ReasonWrongType},
		{"issuer no longer accepted", func(s *state) { s.want.AcceptedIssuers = []string{"did:web:other.example"} }, verifier.ReasonWrongIssuer},
		{"issuer added", func(s *state) { s.want.AcceptedIssuers = append(s.want.AcceptedIssuers, "did:web:other.example") }, ""},
		{"threshold raised", func(s *state) { s.want.FaceCheck.Threshold = 92 }, verifier.ReasonFaceCheckLow},
		{"threshold raised up to the score", func(s *state) { s.want.FaceCheck.Threshold, s.p.FaceScore = 92, 92 }, ""},
		{"score not a number", func(s *state) { s.p.FaceScore = nan() }, verifier.ReasonFaceCheckLow},
		{"no face check", func(s *state) { s.p.FaceChecked = false }, verifier.ReasonFaceCheckMissing},
		{"required claim added", func(s *state) {
			s.want.RequiredClaims = append(s.want.RequiredClaims, verifier.RequiredClaim{Claim: "fullName", Values: []string{"Eve"}})
		}, verifier.ReasonRequiredClaim},
		{"required claim not kept", func(s *state) {
			s.want.RequiredClaims = append(s.want.RequiredClaims, verifier.RequiredClaim{Claim: "country", Values: []string{"pt"}})
		}, verifier.ReasonRequiredClaim},
		{"required claim removed", func(s *state) { s.want.RequiredClaims = nil }, ""},
		{"stricter policy", func(s *state) { s.want.AllowMissingStatus = true }, verifier.ReasonPolicyChanged},
		{"no policy", func(s *state) { s.p.Policy = "" }, verifier.ReasonPolicyChanged},
		{"policy cut", func(s *state) { s.p.Policy = s.p.Policy[:15] }, verifier.ReasonPolicyChanged},
		{"revoked", func(s *state) { s.p.Revoked = true }, verifier.ReasonRevoked},
		{"credential expired within the allowance", func(s *state) { s.now = s.p.CredentialExpires.Add(time.Minute) }, verifier.ReasonCredentialTooOld},
		{"credential expired", func(s *state) { s.now = s.p.CredentialExpires.Add(time.Minute + 1) }, verifier.ReasonCredentialExpired},
		{"credential without expiry", func(s *state) { s.p.CredentialExpires = time.Time{} }, ""},
		{"credential as old as allowed", func(s *state) { s.now = s.p.CredentialIssued.Add(30*24*time.Hour + time.Minute) }, ""},
		{"credential too old", func(s *state) { s.now = s.p.CredentialIssued.Add(30*24*time.Hour + time.Minute + 1) }, verifier.ReasonCredentialTooOld},
		{"fresh enough", func(s *state) { s.maxAge, s.now = time.Hour, fixtureNow.Add(time.Hour) }, ""},
		{"presented too long ago", func(s *state) { s.maxAge, s.now = time.Hour, fixtureNow.Add(time.Hour+1) }, verifier.ReasonPresentationTooOld},
		{"clock a minute behind", func(s *state) { s.maxAge, s.now = time.Hour, fixtureNow.Add(-time.Minute) }, ""},
		{"clock set back", func(s *state) { s.maxAge, s.now = time.Hour, fixtureNow.Add(-time.Hour) }, verifier.ReasonPresentationFuture},
		{"clock set back, no maximum age", func(s *state) { s.now = fixtureNow.Add(-time.Hour) }, ""},
		{"zero presentation", func(s *state) { s.p = verifier.Presentation{} }, verifier.ReasonOtherCredential},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := newEvaluation()
			p, err := verifier.Evaluate(e.want, e.got, fixtureNow)
			if err != nil {
				t.Fatal(err)
			}
			s := state{e.want, p, 0, fixtureNow}
			test.change(&s)
			if reason := s.want.Meets(&s.p, s.maxAge, s.now); reason != test.reason {
				t.Errorf("Meets = %q, want %q", reason, test.reason)
			}
		})
	}
}

func nan() float64 { zero := 0.0; return zero / zero }

func TestMeetsDoesNotAllocate(t *testing.T) {
	e := newEvaluation()
	p, err := verifier.Evaluate(e.want, e.got, fixtureNow)
	if err != nil {
		t.Fatal(err)
	}
	allocations := testing.AllocsPerRun(100, func() {
		if reason := e.want.Meets(&p, time.Hour, fixtureNow); reason != "" {
			t.Fatal(reason)
		}
	})
	if allocations != 0 {
		t.Errorf("Meets allocates %v times", allocations)
	}
}

func BenchmarkMeets(b *testing.B) {
	for name, want := range map[string]verifier.Requirement{"plain": identityRequirement(), "constraints": newEvaluation().want} {
		b.Run(name, func(b *testing.B) {
			p, err := verifier.Evaluate(want, newEvaluation().got, fixtureNow)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if want.Meets(&p, time.Hour, fixtureNow) != "" {
					b.Fatal("does not meet")
				}
			}
		})
	}
}

func BenchmarkEvaluate(b *testing.B) {
	e := newEvaluation()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := verifier.Evaluate(e.want, e.got, fixtureNow); err != nil {
			b.Fatal(err)
		}
	}
}
