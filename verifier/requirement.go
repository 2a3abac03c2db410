// SPDX-License-Identifier: Apache-2.0

package verifier

import (
	"slices"
	"time"
)

// Requirement is what one transaction asks for. It is frozen when the transaction starts and stored with it, therefore the
// short JSON names. Its zero value is invalid and accepts nothing.
//
// A Requirement is read-only once it is in use: copy it and give the copy new slices instead of writing into them.
type Requirement struct { //nolint:recvcheck // a value in the API; pointers on the request path, where it would be copied
	// Credential is the operator's name of the credential. Required.
	Credential string `json:"c"`

	// Type is the credential type, compared whole and case-sensitively. Required.
	Type string `json:"t"`

	// AcceptedIssuers are the DIDs that may have issued it, compared byte for byte. Never empty: the service would take
	// that as "anyone".
	AcceptedIssuers []string `json:"i"`

	// FaceCheck demands a live face. Nil only if the operator has switched it off.
	FaceCheck *FaceCheckRequirement `json:"f,omitempty"`

	// SkipLinkedDomainCheck is insecure: the issuer's DID then need not be linked to a domain.
	SkipLinkedDomainCheck bool `json:"xd,omitempty"`

	// LinkedDomains are host names in lower case. If set, the issuer's linked domain must be https and exactly one of them.
	LinkedDomains []string `json:"d,omitempty"`

	// AllowRevoked is insecure: revoked credentials pass, and are marked in [Presentation.Revoked].
	AllowRevoked bool `json:"xr,omitempty"`

	// AllowMissingStatus is for issuers that publish no revocation status. A status that is there must still be good.
	AllowMissingStatus bool `json:"xs,omitempty"`

	// MaxCredentialAge is how long ago the credential may have been issued. 0: no limit. With a limit, a credential
	// without an issuance date is refused.
	MaxCredentialAge time.Duration `json:"ma,omitempty"`

	// Constraints are sent to the wallet and checked again, with the same, case-insensitive meaning. All must hold.
	Constraints []Constraint `json:"cn,omitempty"`

	// RequiredClaims are our own check, exact and case-sensitive. All must hold. The claims are kept.
	RequiredClaims []RequiredClaim `json:"rc,omitempty"`

	// SubjectClaim is the claim that, with the issuer, says who the holder is, in place of the wallet's DID; see
	// [Presentation.Subject]. A presentation in which it is missing or empty is refused. Empty: the DID.
	SubjectClaim string `json:"sc,omitempty"`

	// Keep names the claims that survive reading. All others are dropped, required ones excepted.
	Keep []string `json:"k,omitempty"`

	// Purpose is shown by the wallet.
	Purpose string `json:"p,omitempty"`
}

// FaceCheckRequirement demands a Face Check.
type FaceCheckRequirement struct {
	// SourcePhotoClaim is the claim that holds the photo. It is never kept. Required.
	SourcePhotoClaim string `json:"c"`

	// Threshold is the lowest score that passes, 50 to 100.
	Threshold int `json:"t"`
}

// RequiredClaim demands that a claim equals one of the values, exactly and case-sensitively.
type RequiredClaim struct {
	Claim  string   `json:"c"`
	Values []string `json:"v"`
}

// RequestedCredential returns the requirement as the service wants to hear it. What the service's defaults leave open is
// closed explicitly.
func (r Requirement) RequestedCredential() RequestedCredential {
	credential := RequestedCredential{
		Type:            r.Type,
		Purpose:         r.Purpose,
		AcceptedIssuers: slices.Clone(r.AcceptedIssuers),
		Configuration: Configuration{Validation: Validation{
			AllowRevoked:         r.AllowRevoked,
			ValidateLinkedDomain: !r.SkipLinkedDomainCheck,
		}},
		Constraints: slices.Clone(r.Constraints),
	}
	if r.FaceCheck != nil {
		credential.Configuration.Validation.FaceCheck = &FaceCheck{
			SourcePhotoClaimName:     r.FaceCheck.SourcePhotoClaim,
			MatchConfidenceThreshold: r.FaceCheck.Threshold,
		}
	}
	return credential
}

// NeededClaims returns a function for [ParseCallback] that says whether a claim must survive reading: because it is kept, or
// because a check needs it. The photo never is.
func (r Requirement) NeededClaims() func(name string) bool {
	needed := make(map[string]bool, len(r.Keep)+len(r.Constraints)+len(r.RequiredClaims))
	for _, name := range r.Keep {
		needed[name] = true
	}
	for _, constraint := range r.Constraints {
		needed[constraint.ClaimName] = true
	}
	for _, required := range r.RequiredClaims {
		needed[required.Claim] = true
	}
	if r.SubjectClaim != "" {
		needed[r.SubjectClaim] = true
	}
	if r.FaceCheck != nil {
		delete(needed, r.FaceCheck.SourcePhotoClaim)
	}
	return func(name string) bool { return needed[name] }
}

// keeps says whether a claim goes into the presentation. The photo does not: Validate refuses to keep or require it.
func (r *Requirement) keeps(name string) bool {
	if slices.Contains(r.Keep, name) {
		return true
	}
	for i := range r.RequiredClaims {
		if r.RequiredClaims[i].Claim == name {
			return true
		}
	}
	return false
}
