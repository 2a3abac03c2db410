// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// eachChange calls fn with requirements that differ from full in one field each; a field without an entry fails the test, so
// that no new one is forgotten in a hash.
func eachChange(t *testing.T, fn func(field string, changed verifier.Requirement)) {
	t.Helper()
	changes := map[string]func(r *verifier.Requirement){
		"Credential":      func(r *verifier.Requirement) { r.Credential = "other" },
		"Type":            func(r *verifier.Requirement) { r.Type = "Other" },
		"AcceptedIssuers": func(r *verifier.Requirement) { r.AcceptedIssuers = []string{"did:web:other.example"} },
		"FaceCheck":       func(r *verifier.Requirement) { r.FaceCheck = nil },
		"FaceCheck.SourcePhotoClaim": func(r *verifier.Requirement) {
			r.FaceCheck = &verifier.FaceCheckRequirement{SourcePhotoClaim: "photo", Threshold: 70}
		},
		"FaceCheck.Threshold": func(r *verifier.Requirement) {
			r.FaceCheck = &verifier.FaceCheckRequirement{SourcePhotoClaim: "portrait", Threshold: 71}
		},
		"SkipLinkedDomainCheck": func(r *verifier.Requirement) { r.SkipLinkedDomainCheck = true },
		"LinkedDomains":         func(r *verifier.Requirement) { r.LinkedDomains = nil },
		"AllowRevoked":          func(r *verifier.Requirement) { r.AllowRevoked = false },
		"AllowMissingStatus":    func(r *verifier.Requirement) { r.AllowMissingStatus = false },
		"MaxCredentialAge":      func(r *verifier.Requirement) { r.MaxCredentialAge++ },
		"Constraints":           func(r *verifier.Requirement) { r.Constraints = r.Constraints[:1] },
		"RequiredClaims":        func(r *verifier.Requirement) { r.RequiredClaims = nil },
		"SubjectClaim":          func(r *verifier.Requirement) { r.SubjectClaim = "mail" },
		"Keep":                  func(r *verifier.Requirement) { r.Keep = []string{"other"} },
		"Purpose":               func(r *verifier.Requirement) { r.Purpose = "other" },
	}
	for field := range reflect.TypeFor[verifier.Requirement]().Fields() {
		if changes[field.Name] == nil {
			t.Errorf("field %s has no entry", field.Name)
		}
	}
	for field, change := range changes {
		changed := fullRequirement()
		change(&changed)
		fn(field, changed)
	}
}

// A transaction started on other terms than those of now is dead, whatever the difference. TM-074.
func TestFingerprintCoversEverything(t *testing.T) {
	t.Parallel()
	want := fullRequirement().Fingerprint()
	if len(want) != 22 {
		t.Errorf("Fingerprint = %q", want)
	}
	eachChange(t, func(field string, changed verifier.Requirement) {
		if changed.Fingerprint() == want {
			t.Errorf("a change of %s is not noticed", field)
		}
	})
	b, err := json.Marshal(fullRequirement())
	if err != nil {
		t.Fatal(err)
	}
	var stored verifier.Requirement
	if err := json.Unmarshal(b, &stored); err != nil || stored.Fingerprint() != want {
		t.Errorf("a stored requirement has another fingerprint (%v)", err)
	}
}

// The policy covers exactly what a presentation cannot be asked again.
func TestPolicyCoversWhatCannotBeCheckedLater(t *testing.T) {
	t.Parallel()
	want := fullRequirement().Policy()
	if len(want) != 16 {
		t.Errorf("Policy = %q", want)
	}
	live := []string{"Credential", "AcceptedIssuers", "FaceCheck.Threshold", "RequiredClaims", "Keep", "Purpose"}
	eachChange(t, func(field string, changed verifier.Requirement) {
		if same := changed.Policy() == want; same != slices.Contains(live, field) {
			t.Errorf("same policy after a change of %s: %v", field, same)
		}
	})
}

// Hashes outlive processes: sessions hold them. A change of this value makes every visitor present again.
func TestHashesAreStable(t *testing.T) {
	t.Parallel()
	r := fullRequirement()
	if got, want := r.Policy(), "wVe1Ih3wmaFvrkUJ"; got != want {
		t.Errorf("Policy = %q, want %q", got, want)
	}
	if got, want := r.Fingerprint(), "ZZzUo1BwMoCBDJ83JfQJoA"; got != want {
		t.Errorf("Fingerprint = %q, want %q", got, want)
	}
}

// Values moved from one field or entry to the next must not hash the same.
func TestHashesKeepFieldsApart(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for i, change := range []func(r *verifier.Requirement){
		func(r *verifier.Requirement) { r.LinkedDomains = []string{"a", "b"} },
		func(r *verifier.Requirement) { r.LinkedDomains = []string{"ab"} },
		func(r *verifier.Requirement) {
			r.Constraints = []verifier.Constraint{{ClaimName: "a", Values: []string{"x", "y"}}}
		},
		func(r *verifier.Requirement) {
			r.Constraints = []verifier.Constraint{{ClaimName: "a", Values: []string{"x"}}, {ClaimName: "a", Values: []string{"y"}}}
		},
		func(r *verifier.Requirement) { r.Constraints = []verifier.Constraint{{ClaimName: "a", Contains: "x"}} },
		func(r *verifier.Requirement) {
			r.Constraints = []verifier.Constraint{{ClaimName: "a", StartsWith: "x"}}
		},
		func(r *verifier.Requirement) {
			r.Constraints = []verifier.Constraint{{ClaimName: "ax", Values: []string{"x"}}}
		},
	} {
		r := employeeRequirement()
		change(&r)
		if other, twice := seen[r.Policy()]; twice {
			t.Errorf("requirements %d and %d have one policy", other, i)
		}
		seen[r.Policy()] = i
	}
}

// A route that binds the visitor to a principal sends the name as a constraint and requires it exactly. The constraint adds
// nothing then, and one presentation serves routes with and without it.
func TestBindingDoesNotSplitThePolicy(t *testing.T) {
	t.Parallel()
	bind := func(claim string, constraint verifier.Constraint, required ...string) verifier.Requirement {
		r := employeeRequirement()
		r.Constraints = []verifier.Constraint{constraint}
		if required != nil {
			r.RequiredClaims = []verifier.RequiredClaim{{Claim: claim, Values: required}}
		}
		return r
	}
	plain := employeeRequirement().Policy()
	ana := verifier.Constraint{ClaimName: "mail", Values: []string{"ana@contoso.example"}}
	tests := []struct {
		name        string
		requirement verifier.Requirement
		same        bool
	}{
		{"constraint and requirement", bind("mail", ana, "ana@contoso.example"), true},
		{"requirement in other case", bind("mail", ana, "ANA@contoso.example"), true},
		{"constraint alone", bind("mail", ana), false},
		{"constraint that never holds", bind("mail", verifier.Constraint{ClaimName: "mail"}, "ana@contoso.example"), false},
		{"requirement of other claim", bind("name", ana, "ana@contoso.example"), false},
		{"requirement allows more", bind("mail", ana, "ana@contoso.example", "eve@contoso.example"), false},
		{"implied by contains", bind("mail", verifier.Constraint{ClaimName: "mail", Contains: "@contoso"}, "a@contoso.example"), true},
		{"not implied by contains", bind("mail", verifier.Constraint{ClaimName: "mail", Contains: "@contoso"}, "a@evil.example"), false},
	}
	for _, test := range tests {
		if same := test.requirement.Policy() == plain; same != test.same {
			t.Errorf("%s: same policy %v, want %v", test.name, same, test.same)
		}
	}
}
