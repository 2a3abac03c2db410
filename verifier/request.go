// SPDX-License-Identifier: Apache-2.0

package verifier

// PresentationRequest is the body of createPresentationRequest, with every field the service documents
// (Request Service REST API, "Presentation request payload"). [Client.CreatePresentationRequest] sends it.
type PresentationRequest struct {
	// Authority is the verifier's own DID, registered with the service. Required.
	Authority string `json:"authority"`

	// IncludeQRCode asks for a PNG of the QR code. Not needed: the QR code is drawn from the deep link.
	IncludeQRCode bool `json:"includeQRCode"`

	// IncludeReceipt asks for the raw wallet answer in the callback. It is for debugging, is dropped while reading, and
	// according to some pages of the documentation may not be combined with Face Check. Leave it false.
	IncludeReceipt bool `json:"includeReceipt"`

	// Registration is what the wallet shows about us.
	Registration Registration `json:"registration"`

	// Callback is where the service reports to. Required.
	Callback CallbackTarget `json:"callback"`

	// RequestedCredentials must all be presented. One of [Requirement.RequestedCredential] is the usual content.
	RequestedCredentials []RequestedCredential `json:"requestedCredentials"`
}

// Registration is what the wallet shows about who asks.
type Registration struct {
	// ClientName is the name shown to the holder. Required.
	ClientName string `json:"clientName"`

	// Purpose is the only text about the reason that Authenticator shows. Optional.
	Purpose string `json:"purpose,omitempty"`

	// LogoURL is ignored by Authenticator. Optional.
	LogoURL string `json:"logoUrl,omitempty"`

	// TermsOfServiceURL is ignored by Authenticator. Optional.
	TermsOfServiceURL string `json:"termsOfServiceUrl,omitempty"`
}

// CallbackTarget says where and how the service calls back.
type CallbackTarget struct {
	// URL is an https URL that the service can reach from the internet. Required.
	URL string `json:"url"`

	// State comes back in every callback; it means nothing to the service. Required.
	State string `json:"state"`

	// Headers come along with every callback and are its only authentication. The service accepts just the names
	// Authorization and api-key.
	Headers map[string]string `json:"headers,omitempty"`
}

// RequestedCredential asks for one credential.
type RequestedCredential struct {
	// Type is the credential type, as in the issuer's manifest. Required.
	Type string `json:"type"`

	// Purpose is ignored by Authenticator, which shows [Registration.Purpose]. Optional.
	Purpose string `json:"purpose,omitempty"`

	// AcceptedIssuers are the DIDs that may have issued the credential. The service takes an absent or empty list as
	// "anyone in the world", so [Client.CreatePresentationRequest] refuses to send one.
	AcceptedIssuers []string `json:"acceptedIssuers"`

	// Configuration says what the service is to check.
	Configuration Configuration `json:"configuration"`

	// Constraints on claims; all must hold. They guide which credentials the wallet offers.
	Constraints []Constraint `json:"constraints,omitempty"`
}

// Configuration holds the validation settings of a [RequestedCredential].
type Configuration struct {
	// Validation is the only member the service knows.
	Validation Validation `json:"validation"`
}

// Validation says what the service checks itself. All members are always sent, because the service's defaults are the
// unsafe ones.
type Validation struct {
	// AllowRevoked lets revoked credentials pass.
	AllowRevoked bool `json:"allowRevoked"`

	// ValidateLinkedDomain demands that the issuer's DID is linked to a domain.
	ValidateLinkedDomain bool `json:"validateLinkedDomain"`

	// FaceCheck demands a live face that matches the credential's photo. Nil: none.
	FaceCheck *FaceCheck `json:"faceCheck,omitempty"`
}

// FaceCheck asks the service to match the holder's live face with the photo in a claim.
type FaceCheck struct {
	// SourcePhotoClaimName is the claim that holds the photo. Required.
	SourcePhotoClaimName string `json:"sourcePhotoClaimName"`

	// MatchConfidenceThreshold is the lowest score that passes, 50 to 100. Always sent: two pages of the documentation
	// name different defaults.
	MatchConfidenceThreshold int `json:"matchConfidenceThreshold"`
}

// Constraint is a condition on one claim. Exactly one of Values, Contains and StartsWith is set. Comparison ignores case,
// as the service and the wallet do (see [Evaluate] for the exact rule).
type Constraint struct {
	// ClaimName is the claim's name inside the credential.
	ClaimName string `json:"claimName"`

	// Values are the allowed values; one of them must equal the claim.
	Values []string `json:"values,omitempty"`

	// Contains must occur in the claim.
	Contains string `json:"contains,omitempty"`

	// StartsWith must begin the claim.
	StartsWith string `json:"startsWith,omitempty"`
}
