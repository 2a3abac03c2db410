// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"testing"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// subjectOf presents Ana's card with changes under a requirement that names people by claim.
func subjectOf(t *testing.T, claim string, change func(c *verifier.Callback)) (string, verifier.Reason) {
	t.Helper()
	e := newEvaluation()
	e.want.SubjectClaim = claim
	e.got.Credentials[0].Claims = append(e.got.Credentials[0].Claims, verifier.Claim{Name: "employeeId", Value: "4711"}, verifier.Claim{Name: "empty"})
	e.want.AcceptedIssuers = append(e.want.AcceptedIssuers, "did:web:other.example", e.want.AcceptedIssuers[0]+"1")
	change(&e.got)
	p, err := verifier.Evaluate(e.want, e.got, fixtureNow)
	return p.Subject, reasonOf(t, err)
}

// An app knows people by the subject. Mallory gets a card with Ana's personnel number from another issuer that is accepted, or
// in another claim, or spells it such that two parts of the name run into each other; or his card has no number, so that he
// would be whoever has none either. Nobody becomes Ana but Ana, who stays so with a new wallet. TM-015.
func TestSubjectClaimNamesOnePersonOfOneIssuer(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*verifier.Callback) {
		return func(c *verifier.Callback) {
			claims := c.Credentials[0].Claims
			for i := range claims {
				if claims[i].Name == name {
					claims[i].Value = value
				}
			}
		}
	}
	ana, reason := subjectOf(t, "employeeId", func(*verifier.Callback) {})
	if reason != "" {
		t.Fatalf("refused: %s", reason)
	}
	if again, _ := subjectOf(t, "employeeId", func(c *verifier.Callback) { c.Subject = "did:ion:the-new-wallet" }); again != ana {
		t.Errorf("with a new wallet %q, want %q", again, ana)
	}
	others := map[string]func(*verifier.Callback){
		"other issuer":   func(c *verifier.Callback) { c.Credentials[0].Issuer = "did:web:other.example" },
		"running over":   func(c *verifier.Callback) { c.Credentials[0].Issuer += "1"; set("employeeId", "47")(c) },
		"other value":    set("employeeId", "4712"),
		"trailing blank": set("employeeId", "4711 "),
	}
	for name, change := range others {
		if got, reason := subjectOf(t, "employeeId", change); reason != "" || got == ana {
			t.Errorf("%s: %q, %s; want another subject", name, got, reason)
		}
	}
	for name, claim := range map[string]string{"missing": "salaryNumber", "empty": "empty", "other case": "EmployeeId"} {
		if got, reason := subjectOf(t, claim, func(*verifier.Callback) {}); reason != verifier.ReasonRequiredClaim {
			t.Errorf("%s claim: %q, %q; want %s", name, got, reason, verifier.ReasonRequiredClaim)
		}
	}
	for name, change := range map[string]func(*verifier.Callback){
		"a holder named as a claim would name Ana": func(c *verifier.Callback) { c.Subject = ana },
		"no holder": func(c *verifier.Callback) { c.Subject = "" },
	} {
		if got, reason := subjectOf(t, "", change); reason != verifier.ReasonNoSubject {
			t.Errorf("%s: %q, %q; want %s", name, got, reason, verifier.ReasonNoSubject)
		}
	}
}
