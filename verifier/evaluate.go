// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Skew is how much the clocks of others may differ from ours when their dates are compared with our time.
const Skew = time.Minute

// Evaluate decides whether a callback is what was asked for. It returns the presentation, or a [*Refusal] with the reason; it
// reads nothing but its arguments. now is our clock.
//
// In this order, all of it must hold:
//
//  1. The requirement is valid, and the service reports a verified presentation and no error.
//  2. Exactly one credential was presented. Its types contain the requested one, and its issuer is an accepted one, both byte
//     for byte. The holder is named.
//  3. Its revocation status is exactly VALID; REVOKED passes only with AllowRevoked, none at all only with AllowMissingStatus.
//  4. If linked domains are listed, the issuer's is https://, one of them, and at most a slash.
//  5. It has not expired, was not issued in the future, and is not older than the maximum age. Dates are RFC 3339; [Skew] is
//     allowed. Absent dates pass, except the issuance date if there is a maximum age.
//  6. If a Face Check is demanded, this very credential has a score, it is a number from 0 to 100, and it reaches the threshold.
//  7. Every required claim is there and equals one of its values exactly. The subject claim is there and not empty.
//  8. Every constraint holds. As in the wallet, case is ignored: characters are equal if their simple upper-case forms are,
//     and no other character is taken for an ASCII one.
//
// The caller has made sure before that the callback belongs to the transaction ([Transaction.Owns]) and that the
// requirement is still the configured one ([Requirement.Fingerprint]).
func Evaluate(want Requirement, got Callback, now time.Time) (Presentation, error) {
	if want.Validate() != nil {
		return refuse(ReasonInvalidRequirement)
	}
	if got.Status != StatusPresentationVerified || got.Error != nil {
		return refuse(ReasonNotVerified)
	}

	// Something better beside something worse must not lend it credit, so there is nothing beside it.
	if len(got.Credentials) == 0 {
		return refuse(ReasonNoCredential)
	}
	if len(got.Credentials) > 1 {
		return refuse(ReasonExtraCredential)
	}
	credential := &got.Credentials[0]
	if !slices.Contains(credential.Types, want.Type) {
		return refuse(ReasonWrongType)
	}
	if !slices.Contains(want.AcceptedIssuers, credential.Issuer) {
		return refuse(ReasonWrongIssuer)
	}
	// Two holders without a name would be one, and so would one whose name is a text that a claim of another makes.
	if got.Subject == "" || strings.HasPrefix(got.Subject, claimedPrefix) {
		return refuse(ReasonNoSubject)
	}

	if reason := checkStatus(&want, credential.RevocationStatus); reason != "" {
		return refuse(reason)
	}
	domain := linkedHost(credential.DomainURL)
	if len(want.LinkedDomains) > 0 && !slices.Contains(want.LinkedDomains, domain) {
		return refuse(ReasonDomainMismatch)
	}

	issued, issuedOK := parseDate(credential.IssuanceDate)
	expires, expiresOK := parseDate(credential.ExpirationDate)
	if !issuedOK || !expiresOK {
		return refuse(ReasonMalformed)
	}
	if reason := checkDates(&want, issued, expires, now); reason != "" {
		return refuse(reason)
	}

	var score float64
	if want.FaceCheck != nil {
		if credential.FaceCheck == nil {
			return refuse(ReasonFaceCheckMissing)
		}
		score = credential.FaceCheck.Score
		if math.IsNaN(score) || score < 0 || score > maxThreshold {
			return refuse(ReasonMalformed)
		}
		if score < float64(want.FaceCheck.Threshold) {
			return refuse(ReasonFaceCheckLow)
		}
	}

	if claim := violatedClaim(want.RequiredClaims, credential.Claims); claim != "" {
		return Presentation{}, &Refusal{Reason: ReasonRequiredClaim, Claim: claim}
	}
	for i := range want.Constraints {
		constraint := &want.Constraints[i]
		if value, ok := credential.Claim(constraint.ClaimName); !ok || !constraint.holds(value) {
			return Presentation{}, &Refusal{Reason: ReasonConstraint, Claim: constraint.ClaimName}
		}
	}

	subject := got.Subject
	if want.SubjectClaim != "" {
		value, _ := credential.Claim(want.SubjectClaim)
		if value == "" {
			return Presentation{}, &Refusal{Reason: ReasonRequiredClaim, Claim: want.SubjectClaim}
		}
		subject = claimedSubject(credential.Issuer, want.SubjectClaim, value)
	}

	return Presentation{
		Credential:        want.Credential,
		Type:              want.Type,
		Issuer:            credential.Issuer,
		Subject:           subject,
		Claims:            keptClaims(&want, credential.Claims),
		VerifiedAt:        now,
		FaceChecked:       want.FaceCheck != nil,
		FaceScore:         score,
		CredentialIssued:  issued,
		CredentialExpires: expires,
		LinkedDomain:      domain,
		Revoked:           credential.RevocationStatus == statusRevoked,
		Policy:            want.Policy(),
	}, nil
}

// claimedPrefix begins subjects made of claims; DIDs begin otherwise.
const claimedPrefix = "claim:"

// claimedSubject is the subject that a claim makes. Each part has its length before it, so that no two triples share a text.
func claimedSubject(issuer, claim, value string) string {
	return fmt.Sprintf("%s%d:%s%d:%s%d:%s", claimedPrefix, len(issuer), issuer, len(claim), claim, len(value), value)
}

func refuse(reason Reason) (Presentation, error) { return Presentation{}, &Refusal{Reason: reason} }

// Values of credentialState.revocationStatus.
const (
	statusValid   = "VALID"
	statusRevoked = "REVOKED"
)

func checkStatus(want *Requirement, status string) Reason {
	switch {
	case status == statusValid:
		return ""
	case status == statusRevoked && want.AllowRevoked:
		return ""
	case status == statusRevoked:
		return ReasonRevoked
	case status == "" && want.AllowMissingStatus:
		return ""
	case status == "":
		return ReasonStatusMissing
	}
	return ReasonStatusUnknown
}

// linkedHost returns the host of "https://host" or "https://host/" in lower case, or "". It does not parse URLs, so no two
// parsers can disagree about user names, ports, paths or backslashes: what is left over is compared whole with the list.
func linkedHost(url string) string {
	rest, ok := strings.CutPrefix(url, "https://")
	// Outside ASCII, lower-casing would make look-alikes equal: the Kelvin sign becomes a k.
	if !ok || strings.ContainsFunc(rest, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return ""
	}
	host := strings.ToLower(strings.TrimSuffix(rest, "/"))
	if !isHost(host) {
		return ""
	}
	return host
}

// parseDate reads a date of the service. An absent one is zero and fine.
func parseDate(text string) (time.Time, bool) {
	if text == "" {
		return time.Time{}, true
	}
	date, err := time.Parse(time.RFC3339, text)
	return date.UTC(), err == nil && !date.IsZero()
}

func checkDates(want *Requirement, issued, expires, now time.Time) Reason {
	switch {
	case expired(expires, now):
		return ReasonCredentialExpired
	case issued.After(now.Add(Skew)):
		return ReasonCredentialFuture
	case want.MaxCredentialAge > 0 && issued.IsZero():
		return ReasonCredentialUndated
	case want.MaxCredentialAge > 0 && tooOld(issued, want.MaxCredentialAge, now):
		return ReasonCredentialTooOld
	}
	return ""
}

// expired says whether an end has passed. No end never does.
func expired(end, now time.Time) bool { return !end.IsZero() && now.After(end.Add(Skew)) }

// tooOld says whether more than age has passed since the issuance. Compared as dates, not as durations: the difference of
// far dates does not fit into one.
func tooOld(issued time.Time, age time.Duration, now time.Time) bool {
	return now.Add(-Skew).Add(-age).After(issued)
}

// violatedClaim returns the name of the first required claim that is missing or has another value, or "".
func violatedClaim(required []RequiredClaim, claims []Claim) string {
	for i := range required {
		value, ok := findClaim(claims, required[i].Claim)
		if !ok || !slices.Contains(required[i].Values, value) {
			return required[i].Claim
		}
	}
	return ""
}

// keptClaims returns the claims that go into the presentation, sorted by name.
func keptClaims(want *Requirement, claims []Claim) []Claim {
	var kept []Claim
	for _, claim := range claims {
		if want.keeps(claim.Name) {
			kept = append(kept, claim)
		}
	}
	slices.SortFunc(kept, func(a, b Claim) int { return strings.Compare(a.Name, b.Name) })
	return kept
}
