// SPDX-License-Identifier: Apache-2.0

package verifier_test

import (
	"math"
	"testing"
	"time"

	"github.com/caddy-verified-id/caddy-verified-id/verifier"
)

// The service is trusted to say what happened, not to decide for us: anything but one plain "verified" is a refusal.
func TestOnlyVerifiedCounts(t *testing.T) {
	testEvaluate(t, []evaluateTest{
		{"untouched", func(*evaluation) {}, ""},
		{"retrieved", func(e *evaluation) { e.got.Status = verifier.StatusRequestRetrieved }, verifier.ReasonNotVerified},
		{"error", func(e *evaluation) { e.got.Status = verifier.StatusPresentationError }, verifier.ReasonNotVerified},
		{"upper case", func(e *evaluation) { e.got.Status = "PRESENTATION_VERIFIED" }, verifier.ReasonNotVerified},
		{"trailing blank", func(e *evaluation) { e.got.Status = "presentation_verified " }, verifier.ReasonNotVerified},
		{"issuance", func(e *evaluation) { e.got.Status = "issuance_successful" }, verifier.ReasonNotVerified},
		{"none", func(e *evaluation) { e.got.Status = "" }, verifier.ReasonNotVerified},
		{"with an error", func(e *evaluation) { e.got.Error = &verifier.CallbackError{} }, verifier.ReasonNotVerified},
		{"no holder", func(e *evaluation) { e.got.Subject = "" }, verifier.ReasonNoSubject},
	})
}

// A store entry or configuration that went wrong must not open the gate.
func TestInvalidRequirementAcceptsNothing(t *testing.T) {
	testEvaluate(t, []evaluateTest{
		{"no issuers", func(e *evaluation) { e.want.AcceptedIssuers = nil }, verifier.ReasonInvalidRequirement},
		{"empty type, empty types", func(e *evaluation) { e.want.Type, e.credential().Types = "", []string{""} }, verifier.ReasonInvalidRequirement},
		{"type of every credential", func(e *evaluation) { e.want.Type = "VerifiableCredential" }, verifier.ReasonInvalidRequirement},
		{"threshold 0", func(e *evaluation) { e.want.FaceCheck.Threshold = 0 }, verifier.ReasonInvalidRequirement},
		{"zero", func(e *evaluation) { e.want = verifier.Requirement{} }, verifier.ReasonInvalidRequirement},
		{"zero against zero", func(e *evaluation) {
			e.want = verifier.Requirement{}
			e.got = verifier.Callback{Status: verifier.StatusPresentationVerified, Credentials: []verifier.VerifiedCredential{{}}}
		}, verifier.ReasonInvalidRequirement},
	})
}

// The attacker presents another credential, one by an issuer of his own whose name resembles an accepted one, or a good one
// beside a bad one in the hope that one lends the other credit. TM-068.
func TestLookAlikeAndExtraCredentials(t *testing.T) {
	issuer := func(did string) func(*evaluation) { return func(e *evaluation) { e.credential().Issuer = did } }
	types := func(names ...string) func(*evaluation) { return func(e *evaluation) { e.credential().Types = names } }
	testEvaluate(t, []evaluateTest{
		{"issuer with suffix", issuer("did:web:did.fabrikam-idv.example.evil.example"), verifier.ReasonWrongIssuer},
		{"issuer with prefix", issuer("xdid:web:did.fabrikam-idv.example"), verifier.ReasonWrongIssuer},
		{"issuer as prefix", issuer("did:web:did.fabrikam-idv.exampl"), verifier.ReasonWrongIssuer},
		{"issuer in other case", issuer("did:web:did.Fabrikam-idv.example"), verifier.ReasonWrongIssuer},
		{"issuer with slash", issuer("did:web:did.fabrikam-idv.example/"), verifier.ReasonWrongIssuer},
		{"issuer with fragment", issuer("did:web:did.fabrikam-idv.example#key-1"), verifier.ReasonWrongIssuer},
		{"issuer with query", issuer("did:web:did.fabrikam-idv.example?x"), verifier.ReasonWrongIssuer},
		{"issuer with path", issuer("did:web:did.fabrikam-idv.example:tenant"), verifier.ReasonWrongIssuer},
		{"issuer with blank", issuer("did:web:did.fabrikam-idv.example "), verifier.ReasonWrongIssuer},
		{"issuer with NUL", issuer("did:web:did.fabrikam-idv.example\x00"), verifier.ReasonWrongIssuer},
		{"issuer with escape", issuer("did:web:did%2Efabrikam-idv.example"), verifier.ReasonWrongIssuer},
		{"issuer with homograph", issuer("did:web:did.fаbrikam-idv.example"), verifier.ReasonWrongIssuer},
		{"no issuer", issuer(""), verifier.ReasonWrongIssuer},
		{"second accepted issuer", func(e *evaluation) {
			e.want.AcceptedIssuers = append(e.want.AcceptedIssuers, "did:web:other.example")
			e.credential().Issuer = "did:web:other.example"
		}, ""},
		{"type alone", types("VerifiedIdentity"), ""},
		{"type first", types("VerifiedIdentity", "VerifiableCredential"), ""},
		{"type in other case", types("VerifiableCredential", "verifiedidentity"), verifier.ReasonWrongType},
		{"type with suffix", types("VerifiableCredential", "VerifiedIdentityCard"), verifier.ReasonWrongType},
		{"type with blank", types("VerifiableCredential", "VerifiedIdentity "), verifier.ReasonWrongType},
		{"types joined", types("VerifiableCredential,VerifiedIdentity"), verifier.ReasonWrongType},
		{"other type", types("VerifiableCredential", "VerifiedEmployee"), verifier.ReasonWrongType},
		{"base type only", types("VerifiableCredential"), verifier.ReasonWrongType},
		{"no types", types(), verifier.ReasonWrongType},
		{"nothing", func(e *evaluation) { e.got.Credentials = nil }, verifier.ReasonNoCredential},
		{"good beside bad", func(e *evaluation) {
			e.got.Credentials = append(e.got.Credentials, verifier.VerifiedCredential{Issuer: "did:web:evil.example", Types: e.credential().Types})
		}, verifier.ReasonExtraCredential},
		{"bad beside good", func(e *evaluation) {
			e.got.Credentials = append([]verifier.VerifiedCredential{{Issuer: "did:web:evil.example"}}, e.got.Credentials...)
		}, verifier.ReasonExtraCredential},
		{"good twice", func(e *evaluation) { e.got.Credentials = append(e.got.Credentials, e.got.Credentials[0]) }, verifier.ReasonExtraCredential},
	})
}

// The attacker has a good card of another person and no matching face: he skips the Face Check, brings the score of another
// card, or a number that slips through the comparison. TM-069. What is no number at all, ParseCallback has refused.
func TestFaceCheckDowngrade(t *testing.T) {
	score := func(s float64) func(*evaluation) {
		return func(e *evaluation) { e.credential().FaceCheck = &verifier.FaceCheckResult{Score: s} }
	}
	testEvaluate(t, []evaluateTest{
		{"missing", func(e *evaluation) { e.credential().FaceCheck = nil }, verifier.ReasonFaceCheckMissing},
		{"elsewhere", func(e *evaluation) {
			other := *e.credential()
			other.Types = []string{"VerifiableCredential", "Selfie"}
			e.credential().FaceCheck = nil
			e.got.Credentials = append(e.got.Credentials, other)
		}, verifier.ReasonExtraCredential},
		{"zero", score(0), verifier.ReasonFaceCheckLow},
		{"threshold - 0.0001", score(69.9999), verifier.ReasonFaceCheckLow},
		{"just below threshold", score(math.Nextafter(70, 0)), verifier.ReasonFaceCheckLow},
		{"equal", score(70), ""},
		{"100", score(100), ""},
		{"101", score(101), verifier.ReasonMalformed},
		{"just above 100", score(math.Nextafter(100, 200)), verifier.ReasonMalformed},
		{"-1", score(-1), verifier.ReasonMalformed},
		{"1e300", score(1e300), verifier.ReasonMalformed},
		{"infinite", score(math.Inf(1)), verifier.ReasonMalformed},
		{"minus infinite", score(math.Inf(-1)), verifier.ReasonMalformed},
		{"not a number", score(math.NaN()), verifier.ReasonMalformed},
		{"raised threshold", func(e *evaluation) {
			e.want.FaceCheck = &verifier.FaceCheckRequirement{SourcePhotoClaim: "portrait", Threshold: 92}
		}, verifier.ReasonFaceCheckLow},
		{"switched off", func(e *evaluation) { e.want.FaceCheck, e.credential().FaceCheck = nil, nil }, ""},
		{"switched off, odd score", func(e *evaluation) {
			e.want.FaceCheck = nil
			e.credential().FaceCheck = &verifier.FaceCheckResult{Score: math.NaN()}
		}, ""},
	})
}

// A score nobody asked for proves nothing: asked for with another photo claim, it would have been another face. TM-069.
func TestUnaskedScoreIsNotRecorded(t *testing.T) {
	t.Parallel()
	e := newEvaluation()
	e.want.FaceCheck = nil
	presentation, err := verifier.Evaluate(e.want, e.got, fixtureNow)
	if err != nil || presentation.FaceChecked || presentation.FaceScore != 0 {
		t.Errorf("Evaluate = %+v, %v", presentation, err)
	}
}

// The holder's card was taken away, and he presents it all the same. TM-070.
func TestRevokedCredential(t *testing.T) {
	status := func(s string) func(*evaluation) { return func(e *evaluation) { e.credential().RevocationStatus = s } }
	allow := func(s string, revoked, missing bool) func(*evaluation) {
		return func(e *evaluation) {
			e.credential().RevocationStatus = s
			e.want.AllowRevoked, e.want.AllowMissingStatus = revoked, missing
		}
	}
	testEvaluate(t, []evaluateTest{
		{"REVOKED", status("REVOKED"), verifier.ReasonRevoked},
		{"valid", status("valid"), verifier.ReasonStatusUnknown},
		{"Valid", status("Valid"), verifier.ReasonStatusUnknown},
		{"blank after", status("VALID "), verifier.ReasonStatusUnknown},
		{"INVALID", status("INVALID"), verifier.ReasonStatusUnknown},
		{"SUSPENDED", status("SUSPENDED"), verifier.ReasonStatusUnknown},
		{"absent or null", status(""), verifier.ReasonStatusMissing},
		{"REVOKED, revoked allowed", allow("REVOKED", true, false), ""},
		{"absent, revoked allowed", allow("", true, false), verifier.ReasonStatusMissing},
		{"unknown, revoked allowed", allow("revoked", true, false), verifier.ReasonStatusUnknown},
		{"absent, missing allowed", allow("", false, true), ""},
		{"REVOKED, missing allowed", allow("REVOKED", false, true), verifier.ReasonRevoked},
		{"unknown, both allowed", allow("none", true, true), verifier.ReasonStatusUnknown},
	})
	e := newEvaluation()
	allow("REVOKED", true, false)(e)
	if p, err := verifier.Evaluate(e.want, e.got, fixtureNow); err != nil || !p.Revoked {
		t.Errorf("Evaluate = %+v, %v, want it marked as revoked", p, err)
	}
}

// The attacker's issuer is linked to a domain that resembles the listed one, or makes two URL parsers disagree. TM-071.
func TestLookAlikeLinkedDomain(t *testing.T) {
	domain := func(url string) func(*evaluation) { return func(e *evaluation) { e.credential().DomainURL = url } }
	testEvaluate(t, []evaluateTest{
		{"without slash", domain("https://www.fabrikam-idv.example"), ""},
		{"other case", domain("https://WWW.Fabrikam-IDV.example/"), ""},
		{"absent", domain(""), verifier.ReasonDomainMismatch},
		{"other", domain("https://contoso.example/"), verifier.ReasonDomainMismatch},
		{"suffix", domain("https://www.fabrikam-idv.example.evil.example/"), verifier.ReasonDomainMismatch},
		{"subdomain", domain("https://x.www.fabrikam-idv.example/"), verifier.ReasonDomainMismatch},
		{"parent", domain("https://fabrikam-idv.example/"), verifier.ReasonDomainMismatch},
		{"http", domain("http://www.fabrikam-idv.example/"), verifier.ReasonDomainMismatch},
		{"scheme in other case", domain("HTTPS://www.fabrikam-idv.example/"), verifier.ReasonDomainMismatch},
		{"no scheme", domain("www.fabrikam-idv.example"), verifier.ReasonDomainMismatch},
		{"user name", domain("https://www.fabrikam-idv.example@evil.example/"), verifier.ReasonDomainMismatch},
		{"listed as user name", domain("https://evil.example@www.fabrikam-idv.example/"), verifier.ReasonDomainMismatch},
		{"port", domain("https://www.fabrikam-idv.example:8443/"), verifier.ReasonDomainMismatch},
		{"path", domain("https://www.fabrikam-idv.example/evil"), verifier.ReasonDomainMismatch},
		{"two slashes", domain("https://www.fabrikam-idv.example//"), verifier.ReasonDomainMismatch},
		{"query", domain("https://www.fabrikam-idv.example?"), verifier.ReasonDomainMismatch},
		{"fragment", domain("https://www.fabrikam-idv.example#"), verifier.ReasonDomainMismatch},
		{"backslash", domain(`https://www.fabrikam-idv.example\@evil.example/`), verifier.ReasonDomainMismatch},
		{"trailing dot", domain("https://www.fabrikam-idv.example./"), verifier.ReasonDomainMismatch},
		{"Kelvin sign", domain("https://www.fabri\u212aam-idv.example/"), verifier.ReasonDomainMismatch},
		{"blank before", domain(" https://www.fabrikam-idv.example/"), verifier.ReasonDomainMismatch},
		{"nothing but the scheme", domain("https://"), verifier.ReasonDomainMismatch},
		{"hyphen first", domain("https://-www.fabrikam-idv.example/"), verifier.ReasonDomainMismatch},
		{"none listed, none there", func(e *evaluation) { e.want.LinkedDomains, e.credential().DomainURL = nil, "" }, ""},
		{"none listed, odd one there", func(e *evaluation) { e.want.LinkedDomains, e.credential().DomainURL = nil, "javascript:x" }, ""},
	})
}

// The card has expired, is not valid yet, or is too old. A minute is allowed for others' clocks, and not a second more.
// TM-072, TM-135, TM-136.
func TestDatesOfCredential(t *testing.T) {
	const maxAge = 30 * 24 * time.Hour
	issued := func(s string) func(*evaluation) { return func(e *evaluation) { e.credential().IssuanceDate = s } }
	expires := func(s string) func(*evaluation) { return func(e *evaluation) { e.credential().ExpirationDate = s } }
	ageless := func(s string) func(*evaluation) {
		return func(e *evaluation) { e.want.MaxCredentialAge, e.credential().IssuanceDate = 0, s }
	}
	testEvaluate(t, []evaluateTest{
		{"expires a minute ago", expires(date(-time.Minute)), ""},
		{"expires a minute and a bit ago", expires(date(-time.Minute - time.Millisecond)), verifier.ReasonCredentialExpired},
		{"expired long ago", expires("1970-01-01T00:00:00Z"), verifier.ReasonCredentialExpired},
		{"expires far away", expires("9999-12-31T23:59:59Z"), ""},
		{"no expiry", expires(""), ""},
		{"issued in a minute", issued(date(time.Minute)), ""},
		{"issued in a minute and a bit", issued(date(time.Minute + time.Millisecond)), verifier.ReasonCredentialFuture},
		{"issued far away", ageless("9999-12-31T23:59:59Z"), verifier.ReasonCredentialFuture},
		{"as old as allowed", issued(date(-maxAge)), ""},
		{"a minute older", issued(date(-maxAge - time.Minute)), ""},
		{"a minute and a bit older", issued(date(-maxAge - time.Minute - time.Millisecond)), verifier.ReasonCredentialTooOld},
		{"from the year 1", issued("0001-01-02T00:00:00Z"), verifier.ReasonCredentialTooOld},
		{"the zero date", issued("0001-01-01T00:00:00Z"), verifier.ReasonMalformed},
		{"undated with maximum age", issued(""), verifier.ReasonCredentialUndated},
		{"undated without maximum age", ageless(""), ""},
		{"old without maximum age", ageless("1970-01-01T00:00:00Z"), ""},
		{"other time zone", issued("2026-01-12T12:00:00+02:00"), ""},
		{"fraction", issued("2026-01-12T10:00:00.1234567Z"), ""},
		{"no time zone", issued("2026-01-12T10:00:00"), verifier.ReasonMalformed},
		{"date only", expires("2027-01-01"), verifier.ReasonMalformed},
		{"number", expires("1893456000"), verifier.ReasonMalformed},
		{"absurd number", expires("1e300"), verifier.ReasonMalformed},
		{"30 February", expires("2027-02-30T00:00:00Z"), verifier.ReasonMalformed},
		{"year of five digits", expires("10000-01-01T00:00:00Z"), verifier.ReasonMalformed},
		{"null as text", expires("null"), verifier.ReasonMalformed},
		{"blank", expires(" "), verifier.ReasonMalformed},
	})
}

// The wallet is asked to offer only cards that satisfy the constraints; whether the service looks again is not documented, so
// we do. Case does not matter, and no look-alike passes for an ASCII letter. TM-073.
func TestConstraintsAreCheckedAgain(t *testing.T) {
	claim := func(name, value string) func(*evaluation) { return func(e *evaluation) { e.setClaim(name, value) } }
	testEvaluate(t, []evaluateTest{
		{"value in other case", claim("country", "Pt"), ""},
		{"second value, not ASCII, other case", claim("country", "ÖSTERREICH"), ""},
		{"all letters in other case", func(e *evaluation) {
			e.want.Constraints[0].Values = []string{"abcdefghijklmnopqrstuvwxyz@[`{"}
			e.setClaim("country", "ABCDEFGHIJKLMNOPQRSTUVWXYZ@[`{")
		}, ""},
		{"signs beside the letters have no case", func(e *evaluation) {
			e.want.Constraints[0].Values = []string{"`{"}
			e.setClaim("country", "@[")
		}, verifier.ReasonConstraint},
		{"other value", claim("country", "ES"), verifier.ReasonConstraint},
		{"value with suffix", claim("country", "PTX"), verifier.ReasonConstraint},
		{"value with prefix", claim("country", "XPT"), verifier.ReasonConstraint},
		{"value cut", claim("country", "P"), verifier.ReasonConstraint},
		{"value with blank", claim("country", "PT "), verifier.ReasonConstraint},
		{"empty value", claim("country", ""), verifier.ReasonConstraint},
		{"missing", func(e *evaluation) { e.removeClaim("country") }, verifier.ReasonConstraint},
		{"contains fails", claim("fullName", "Ana Lopes"), verifier.ReasonConstraint},
		{"contains at the end", claim("fullName", "Ana LIM"), ""},
		{"contains after more than ASCII", claim("fullName", "ANA é LIM"), ""},
		{"starts with fails", claim("fullName", "Dr. Ana Lima"), verifier.ReasonConstraint},
		{"starts with after blank", claim("fullName", " Ana Lima"), verifier.ReasonConstraint},
		{"dotless i is not i", claim("fullName", "Ana Lıma"), verifier.ReasonConstraint},
		{"Kelvin sign is not k", func(e *evaluation) {
			e.want.Constraints[0].Values = []string{"uk"}
			e.setClaim("country", "u\u212a")
		}, verifier.ReasonConstraint},
		{"long s is not s", func(e *evaluation) {
			e.want.Constraints[0].Values = []string{"us"}
			e.setClaim("country", "uſ")
		}, verifier.ReasonConstraint},
		{"name in other case is another claim", func(e *evaluation) { e.want.Constraints[0].ClaimName = "Country" }, verifier.ReasonConstraint},
	})
}

// Our own check is exact: what it binds a visitor to is a name in another system. TM-073, TM-015.
func TestRequiredClaimsAreExact(t *testing.T) {
	claim := func(value string) func(*evaluation) { return func(e *evaluation) { e.setClaim("mail", value) } }
	testEvaluate(t, []evaluateTest{
		{"second value", claim("lima@contoso.example"), ""},
		{"other case", claim("Ana@contoso.example"), verifier.ReasonRequiredClaim},
		{"suffix", claim("ana@contoso.example.evil"), verifier.ReasonRequiredClaim},
		{"two at signs", claim("a@evil.test@contoso.example"), verifier.ReasonRequiredClaim},
		{"blank", claim("ana@contoso.example "), verifier.ReasonRequiredClaim},
		{"empty", claim(""), verifier.ReasonRequiredClaim},
		{"missing", func(e *evaluation) { e.removeClaim("mail") }, verifier.ReasonRequiredClaim},
		{"second required claim fails", func(e *evaluation) {
			e.want.RequiredClaims = append(e.want.RequiredClaims, verifier.RequiredClaim{Claim: "country", Values: []string{"PT"}})
		}, verifier.ReasonRequiredClaim},
	})
}
