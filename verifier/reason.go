// SPDX-License-Identifier: Apache-2.0

package verifier

import "slices"

// Reason is why something was refused. The set is closed: reasons are safe as metric labels and log fields, and say nothing
// about the holder.
type Reason string

// Reasons of [Evaluate].
const (
	// ReasonInvalidRequirement: the requirement itself is invalid, and an invalid requirement accepts nothing.
	ReasonInvalidRequirement Reason = "invalid_requirement"

	// ReasonNotVerified: the callback does not report a verified presentation, or reports an error beside it.
	ReasonNotVerified Reason = "not_verified"

	// ReasonMalformed: a value has a form it cannot have, such as a score of 101 or a date that is none.
	ReasonMalformed Reason = "malformed"

	// ReasonNoCredential: nothing was presented.
	ReasonNoCredential Reason = "no_credential"

	// ReasonExtraCredential: more was presented than was asked for.
	ReasonExtraCredential Reason = "extra_credential"

	// ReasonWrongType: the credential is of another type.
	ReasonWrongType Reason = "wrong_type"

	// ReasonWrongIssuer: the credential is by an issuer that is not accepted.
	ReasonWrongIssuer Reason = "wrong_issuer"

	// ReasonNoSubject: the callback does not say who the holder is.
	ReasonNoSubject Reason = "no_subject"

	// ReasonRevoked: the credential is revoked.
	ReasonRevoked Reason = "revoked"

	// ReasonStatusMissing: the service says nothing about revocation.
	ReasonStatusMissing Reason = "status_missing"

	// ReasonStatusUnknown: the revocation status is a word we do not know.
	ReasonStatusUnknown Reason = "status_unknown"

	// ReasonDomainMismatch: the issuer's linked domain is missing, not https, or not one of those listed.
	ReasonDomainMismatch Reason = "domain_mismatch"

	// ReasonCredentialExpired: the credential has expired.
	ReasonCredentialExpired Reason = "credential_expired"

	// ReasonCredentialFuture: the credential claims to be issued in the future.
	ReasonCredentialFuture Reason = "credential_future"

	// ReasonCredentialUndated: there is a maximum age, but the credential has no issuance date.
	ReasonCredentialUndated Reason = "credential_undated"

	// ReasonCredentialTooOld: the credential was issued longer ago than the maximum age.
	ReasonCredentialTooOld Reason = "credential_too_old"

	// ReasonFaceCheckMissing: a Face Check was demanded and there is no score.
	ReasonFaceCheckMissing Reason = "face_check_missing"

	// ReasonFaceCheckLow: the score is below the threshold.
	ReasonFaceCheckLow Reason = "face_check_low"

	// ReasonConstraint: a constraint does not hold.
	ReasonConstraint Reason = "constraint"

	// ReasonRequiredClaim: a required claim is missing or has another value.
	ReasonRequiredClaim Reason = "required_claim"
)

// Reasons of the service; see [ReasonOfError].
const (
	// ReasonFaceCheckFailed: the service says that the face did not match. Trying again in better light may help.
	ReasonFaceCheckFailed Reason = "face_check_failed"

	// ReasonCheckFailed: the service says that a check of the card failed and not which: the face, or a constraint.
	ReasonCheckFailed Reason = "check_failed"

	// ReasonRevokedByService: the service did not accept the credential, in all known cases because it is revoked. A new
	// credential is needed.
	ReasonRevokedByService Reason = "revoked_by_service"

	// ReasonServiceRefused: the service refused for a reason that is not documented.
	ReasonServiceRefused Reason = "service_refused"
)

// Reasons of [Requirement.Meets] alone.
const (
	// ReasonOtherCredential: the presentation is of another credential of the operator's.
	ReasonOtherCredential Reason = "other_credential"

	// ReasonPolicyChanged: the presentation passed another policy than the one that holds now. As the reason of a
	// transaction: its requirement is no longer the configured one.
	ReasonPolicyChanged Reason = "policy_changed"

	// ReasonPresentationTooOld: it was presented longer ago than this route allows.
	ReasonPresentationTooOld Reason = "presentation_too_old"

	// ReasonPresentationFuture: it was presented in the future, by this clock.
	ReasonPresentationFuture Reason = "presentation_future"
)

var reasons = []Reason{
	ReasonInvalidRequirement, ReasonNotVerified, ReasonMalformed, ReasonNoCredential, ReasonExtraCredential,
	ReasonWrongType, ReasonWrongIssuer, ReasonNoSubject, ReasonRevoked, ReasonStatusMissing, ReasonStatusUnknown,
	ReasonDomainMismatch, ReasonCredentialExpired, ReasonCredentialFuture, ReasonCredentialUndated,
	ReasonCredentialTooOld, ReasonFaceCheckMissing, ReasonFaceCheckLow, ReasonConstraint, ReasonRequiredClaim,
	ReasonFaceCheckFailed, ReasonCheckFailed, ReasonRevokedByService, ReasonServiceRefused,
	ReasonOtherCredential, ReasonPolicyChanged, ReasonPresentationTooOld, ReasonPresentationFuture,
}

// Reasons returns every reason there is.
func Reasons() []Reason { return slices.Clone(reasons) }

// Refusal is the error of [Evaluate]. Find it with [errors.As].
type Refusal struct { //nolint:errname // a decision, the one word for it in all the project
	// Reason is why.
	Reason Reason

	// Claim is the name, never the value, of the claim that did not satisfy a constraint or requirement. Empty otherwise.
	Claim string
}

// Error returns the reason, and nothing about the holder.
func (r *Refusal) Error() string { return "presentation refused: " + string(r.Reason) }

// ReasonOfError translates the error of the presentation_error callback for a requirement. Codes are an open set, of which two
// are known ("Using Face Check" and a Microsoft sample); the message is not looked at.
func ReasonOfError(want Requirement, err CallbackError) Reason {
	switch err.Code {
	case "claimValidationError":
		// Documented for the face alone; whether the service checks constraints again is not said.
		switch {
		case len(want.Constraints) == 0:
			return ReasonFaceCheckFailed
		case want.FaceCheck == nil:
			return ReasonConstraint
		}
		return ReasonCheckFailed
	case "tokenError":
		return ReasonRevokedByService
	}
	return ReasonServiceRefused
}
