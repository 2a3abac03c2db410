// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"slices"
	"time"
)

// Meets says whether an earlier presentation satisfies the requirement now, on a route where it may be at most maxAge old
// (0: no limit). It returns "" if so, else why not. What [Requirement.Policy] covers is taken from the presentation, the
// rest is checked anew: issuer, Face Check score, required claims, dates. It does not allocate on success.
//
// A maximum age is by our own clock and without allowance, but a presentation up to a minute in the future passes, since the
// nodes of a site may differ.
func (r *Requirement) Meets(p *Presentation, maxAge time.Duration, now time.Time) Reason {
	switch {
	case p.Credential != r.Credential:
		return ReasonOtherCredential
	case p.Type != r.Type:
		return ReasonWrongType
	case !slices.Contains(r.AcceptedIssuers, p.Issuer):
		return ReasonWrongIssuer
	case p.Revoked && !r.AllowRevoked:
		return ReasonRevoked
	case expired(p.CredentialExpires, now):
		return ReasonCredentialExpired
	case r.MaxCredentialAge > 0 && tooOld(p.CredentialIssued, r.MaxCredentialAge, now):
		return ReasonCredentialTooOld
	case violatedClaim(r.RequiredClaims, p.Claims) != "": // before what the same card could mend
		return ReasonRequiredClaim
	case r.FaceCheck != nil && !p.FaceChecked:
		return ReasonFaceCheckMissing
	case r.FaceCheck != nil && !(p.FaceScore >= float64(r.FaceCheck.Threshold)):
		return ReasonFaceCheckLow
	case maxAge > 0 && p.VerifiedAt.After(now.Add(Skew)):
		return ReasonPresentationFuture
	case maxAge > 0 && now.Sub(p.VerifiedAt) > maxAge:
		return ReasonPresentationTooOld
	case !r.hasPolicy(p.Policy):
		return ReasonPolicyChanged
	}
	return ""
}
